//! What is there in the end against what was sent: each value as often as it may be, in order, where it
//! was sent to.

use std::collections::HashMap;

use crate::facts::Facts;
use crate::{Delivery, End, Seen, Source, Verdict, Violation};

pub(super) fn check(facts: &Facts<'_>, end: &End, verdict: &mut Verdict) {
    // The latest value so far of each writer in each partition.
    let mut latest: HashMap<(i32, u16), Seen> = HashMap::new();
    for seen in &end.read {
        check_sent(facts, *seen, Source::End, verdict);
        check_copies(facts, *seen, verdict);
        if facts.values.delivery(seen.value) == Delivery::ExactlyOnce {
            let key = (seen.place.partition, seen.value.writer);
            let later = latest.entry(key).or_insert(*seen);
            if later.value.number > seen.value.number {
                verdict.add(Violation::Reordered { later: *later, earlier: *seen });
            } else {
                *later = *seen;
            }
        }
    }
}

/// A value that somebody saw was sent, to this partition, and not after this offset was passed.
pub(super) fn check_sent(facts: &Facts<'_>, seen: Seen, by: Source, verdict: &mut Verdict) {
    let Some(fate) = facts.values.get(seen.value) else {
        return verdict.add(Violation::Invented { seen, by });
    };
    match fate.sent_to {
        Some(sent_to) if sent_to != seen.place.partition => {
            verdict.add(Violation::Elsewhere { seen, by, sent_to });
        }
        _ => {
            if let Some(acked) = fate.floor.filter(|acked| seen.place.offset < *acked) {
                verdict.add(Violation::Backdated { seen, by, acked });
            }
        }
    }
}

fn check_copies(facts: &Facts<'_>, seen: Seen, verdict: &mut Verdict) {
    let value = seen.value;
    let (Some(fate), Some(allowed)) = (facts.values.get(value), facts.values.allowed(value)) else {
        return;
    };
    if allowed == 0 {
        verdict.add(Violation::Revived { seen });
    } else if let Some(first) = fate.found
        && fate.copies > allowed
        && first != seen.place
    {
        verdict.add(Violation::Duplicate { value, places: [first, seen.place], allowed });
    }
}
