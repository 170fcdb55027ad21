//! Single lies: each changes one thing that a client saw, or that there is in the end.

mod answers;
mod readers;
mod records;
mod transactions;

use std::collections::HashSet;

use weir_history::{End, Event, History, Seen};

use crate::chance::Chance;

/// Damages a history; none if there is nothing to damage.
type Damage = fn(&mut History, &mut Chance) -> Option<()>;

/// Each with what must be found, one of it at least.
pub(crate) const DAMAGES: [(&str, &[&str], Damage); 14] = [
    ("a dropped record", &["lost"], records::drop_acked),
    ("a dropped record without a gap", &["lost"], records::drop_acked_and_close_up),
    ("two values swapped", &["two values"], records::swap),
    ("a value repeated", &["duplicate"], records::repeat),
    ("a poll repeated", &["went back"], readers::poll_again),
    ("a poll left out", &["skipped"], readers::skip_a_poll),
    ("a poll of another value", &["two values"], readers::poll_another),
    ("an aborted record shown in the end", &["aborted read"], transactions::show_aborted),
    ("an aborted record polled", &["aborted read"], transactions::poll_aborted),
    ("a transaction cut", &["torn"], transactions::cut),
    ("a committed offset lowered", &["committed offset went back"], answers::lower_commit),
    (
        "a committed offset lowered in the end",
        &["committed offset went back"],
        answers::lower_last_commit,
    ),
    ("the latest offset lowered", &["end below acked"], answers::lower_end),
    ("the start of a log raised", &["truncated"], records::raise_start),
];

fn end(history: &mut History) -> &mut End {
    history.end.as_mut().expect("each run has an end")
}

/// All acknowledged records that are in the end.
fn acked(history: &mut History) -> Vec<Seen> {
    let read: HashSet<Seen> = end(history).read.iter().copied().collect();
    let acked = history.log.iter().filter_map(|entry| match entry.event {
        Event::Acked(seen) => Some(seen),
        _ => None,
    });
    acked.filter(|seen| read.contains(seen)).collect()
}
