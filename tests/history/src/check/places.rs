//! One place, one value, for whoever looks: acknowledgements and polls against the end, and where the
//! end has nothing to say any more, against each other.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::writes::check_sent;
use crate::facts::{Facts, Found};
use crate::{Delivery, Event, Place, Seen, Source, Value, Verdict, Violation};

pub(super) fn check(facts: &Facts<'_>, verdict: &mut Verdict) {
    let mut places = Places { facts, values: HashMap::new(), places: HashMap::new() };
    for (by, event) in facts.history.events() {
        match event {
            Event::Acked(acked) if acked.place.offset < 0 => {
                check_somewhere(facts, acked, by, verdict);
            }
            Event::Acked(acked) => places.acked(acked, by, verdict),
            Event::Polled(seen) => places.polled(seen, by, verdict),
            _ => {}
        }
    }
}

/// An acknowledged value without an offset is somewhere in its partition, or was deleted.
fn check_somewhere(facts: &Facts<'_>, acked: Seen, by: Source, verdict: &mut Verdict) {
    let Some(edges) = facts.edges(acked.place.partition) else { return };
    let copies = facts.values.get(acked.value).map_or(0, |fate| fate.copies);
    if copies == 0 && edges.log_start == 0 {
        verdict.add(Violation::Lost { acked, by });
    }
}

/// What was seen where the end does not say.
struct Places<'a> {
    facts: &'a Facts<'a>,
    values: HashMap<Place, (Value, Source)>,
    /// The places of values that may have only one.
    places: HashMap<Value, Place>,
}

impl Places<'_> {
    fn acked(&mut self, acked: Seen, by: Source, verdict: &mut Verdict) {
        let is_gone = match self.check(acked, by, verdict) {
            Found::Unknown => false,
            Found::Nothing => true,
            // Where another value took its place it may still be elsewhere.
            Found::Value(_) => self.facts.values.get(acked.value).is_none_or(|it| it.copies == 0),
        };
        if is_gone {
            verdict.add(Violation::Lost { acked, by });
        }
    }

    fn polled(&mut self, seen: Seen, by: Source, verdict: &mut Verdict) {
        if self.check(seen, by, verdict) == Found::Nothing {
            verdict.add(Violation::Unsaid { seen, by });
        }
    }

    /// Checks what somebody saw; gives what the end has at its place.
    fn check(&mut self, seen: Seen, by: Source, verdict: &mut Verdict) -> Found {
        let Seen { place, value } = seen;
        let found = self.facts.find(seen);
        match found {
            Found::Value(other) if other != value => {
                let values = [(value, by), (other, Source::End)];
                verdict.add(Violation::TwoValues { place, values });
            }
            Found::Unknown => {
                check_sent(self.facts, seen, by, verdict);
                self.compare(seen, by, verdict);
            }
            Found::Value(_) | Found::Nothing => {}
        }
        found
    }

    fn compare(&mut self, seen: Seen, by: Source, verdict: &mut Verdict) {
        let Seen { place, value } = seen;
        match self.values.entry(place) {
            Entry::Vacant(entry) => {
                entry.insert((value, by));
            }
            Entry::Occupied(entry) if entry.get().0 != value => {
                let values = [*entry.get(), (value, by)];
                verdict.add(Violation::TwoValues { place, values });
            }
            Entry::Occupied(_) => return,
        }
        if self.facts.values.delivery(value) == Delivery::ExactlyOnce {
            let in_the_end = self.facts.values.get(value).and_then(|fate| fate.found);
            let first = *self.places.entry(value).or_insert(in_the_end.unwrap_or(place));
            if first != place {
                verdict.add(Violation::Duplicate { value, places: [first, place], allowed: 1 });
            }
        }
    }
}
