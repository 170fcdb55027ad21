//! The log itself: dense from its start to its end, and its start where something put it.

use std::collections::{HashMap, HashSet};

use crate::facts::Facts;
use crate::{End, Event, Place, Seen, Source, Value, Verdict, Violation};

pub(super) fn check(facts: &Facts<'_>, end: &End, verdict: &mut Verdict) {
    check_starts(facts, end, verdict);
    let controls = end.controls.as_ref().map(|it| it.iter().copied().collect());
    Reading { facts, controls, last: HashMap::new() }.check(end, verdict);
}

/// A log starts at 0 until records are deleted.
fn check_starts(facts: &Facts<'_>, end: &End, verdict: &mut Verdict) {
    let mut asked: HashMap<i32, i64> = HashMap::new();
    for entry in &facts.history.log {
        if let Event::DeleteSent(Place { partition, offset }) = entry.event {
            // -1 asks for all that there is.
            let below = if offset < 0 { i64::MAX } else { offset };
            let highest = asked.entry(partition).or_insert(below);
            *highest = below.max(*highest);
        }
    }
    for (partition, edges) in (0..).zip(&end.partitions) {
        let explained = asked.get(&partition).copied().unwrap_or(0);
        if !edges.retention && edges.log_start > explained {
            let start = Place { partition, offset: edges.log_start };
            verdict.add(Violation::Truncated { start, explained });
        }
    }
}

/// The read in the end, from log start to log end.
struct Reading<'a> {
    facts: &'a Facts<'a>,
    /// Where control records are known to be; `None`: nobody looked.
    controls: Option<HashSet<Place>>,
    /// Each partition's last record so far.
    last: HashMap<i32, Seen>,
}

impl Reading<'_> {
    fn check(mut self, end: &End, verdict: &mut Verdict) {
        for seen in &end.read {
            self.read(*seen, verdict);
        }
        for (partition, edges) in (0..).zip(&end.partitions) {
            let due = self.due(partition);
            self.pass_over(Place { partition, offset: edges.end }, due, verdict);
        }
    }

    fn read(&mut self, seen: Seen, verdict: &mut Verdict) {
        let Seen { place, value } = seen;
        let due = self.due(place.partition);
        if place.offset >= due {
            self.pass_over(place, due, verdict);
            self.last.insert(place.partition, seen);
            return;
        }
        match self.last.get(&place.partition) {
            Some(last) if last.place == place && last.value != value => {
                verdict.add(two_values(place, last.value, value));
            }
            _ => verdict.add(Violation::WentBack { seen, due, by: Source::End }),
        }
    }

    /// The offset at which reading a partition goes on.
    fn due(&self, partition: i32) -> i64 {
        match self.last.get(&partition) {
            Some(last) => last.place.offset + 1,
            None => self.facts.edges(partition).unwrap_or_default().log_start,
        }
    }

    /// Nothing was read from `due` to `at`: there must be control records.
    fn pass_over(&self, at: Place, due: i64, verdict: &mut Verdict) {
        let partition = at.partition;
        let explained = match &self.controls {
            // Stops at the first that is missing, so that a wild offset costs nothing.
            Some(controls) => {
                (due..at.offset).all(|offset| controls.contains(&Place { partition, offset }))
            }
            None => self.facts.transactions.is_touched(partition),
        };
        if at.offset > due && !explained {
            verdict.add(Violation::Gap { at, due });
        }
    }
}

fn two_values(place: Place, one: Value, other: Value) -> Violation {
    Violation::TwoValues { place, values: [(one, Source::End), (other, Source::End)] }
}
