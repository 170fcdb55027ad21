//! Violations in words: what is wrong, where, who saw it, and what says that it should be otherwise.

use std::fmt;

use crate::{Edge, Shown, Unseen, Violation};

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_record(self, f)
    }
}

/// About single values; each of these passes on what it does not know.
fn fmt_record(violation: &Violation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match violation {
        Violation::Lost { acked, by } if acked.place.offset < 0 => {
            let (value, partition) = (acked.value, acked.place.partition);
            write!(f, "lost: {value} is not in partition {partition}; acknowledged ({by})")
        }
        Violation::Lost { acked, by } => write!(f, "lost: {acked}, acknowledged ({by})"),
        Violation::TwoValues { place, values: [(one, by_one), (two, by_two)] } => {
            write!(f, "two values: at {place} is {one} ({by_one}) and {two} ({by_two})")
        }
        Violation::Duplicate { value, places: [one, two], allowed } => {
            write!(f, "duplicate: {value} is at {one} and at {two}; {allowed} may be there")
        }
        Violation::Reordered { later, earlier } => {
            write!(f, "reordered: {earlier} lies behind {later}, which was sent later")
        }
        Violation::Invented { seen, by } => write!(f, "invented: {seen} ({by}) was never sent"),
        Violation::Elsewhere { seen, by, sent_to } => {
            write!(f, "elsewhere: {seen} ({by}) was sent to partition {sent_to}")
        }
        Violation::Revived { seen } => {
            write!(f, "revived: {seen}, but each of its sendings was refused")
        }
        Violation::Backdated { seen, by, acked } => {
            write!(
                f,
                "backdated: {seen} ({by}), but offset {acked} was acknowledged before it was sent"
            )
        }
        Violation::Gap { at, due } => {
            write!(f, "gap: the end goes on at {at} where offset {due} was due")
        }
        Violation::Unsaid { seen, by } => {
            write!(f, "unsaid: {seen} was polled ({by}), in the end nothing is there")
        }
        _ => fmt_consumer(violation, f),
    }
}

fn fmt_consumer(violation: &Violation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match violation {
        Violation::Skipped { missed, due, at, by } => {
            write!(f, "skipped: {missed} by a reader that was at {due} and went on at {at} ({by})")
        }
        Violation::WentBack { seen, due, by } => {
            write!(f, "went back: {seen} came to a reader that was at {due} ({by})")
        }
        Violation::NeedlessReset { to, due, by } => {
            write!(f, "needless reset: to {to} from offset {due}, which the log reaches ({by})")
        }
        _ => fmt_transaction(violation, f),
    }
}

fn fmt_transaction(violation: &Violation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match violation {
        Violation::AbortedRead { seen, by, transaction, why } => {
            write!(f, "aborted read: {seen} of {transaction} ({by}), ")?;
            match why {
                Unseen::Aborted(source) => write!(f, "which was aborted ({source})"),
                Unseen::NeverCommitted => f.write_str("which never asked to commit"),
                Unseen::NotYet(source) => write!(f, "which asked to commit later ({source})"),
                Unseen::HiddenInTheEnd => f.write_str("which is hidden in the end"),
            }
        }
        Violation::Torn { transaction, missing, shown } => {
            write!(f, "torn: {missing} of {transaction} is hidden, ")?;
            match shown {
                Shown::Committed(source) => write!(f, "its commit was acknowledged ({source})"),
                Shown::Record(record) => write!(f, "{record} shows"),
            }
        }
        Violation::TwoOutcomes { transaction, committed, aborted } => {
            write!(f, "two outcomes: {transaction} committed ({committed}) and aborted ({aborted})")
        }
        Violation::Stuck { stable, end } => {
            write!(
                f,
                "stuck: the stable offset is {stable}, the end {end}, no open transaction begins there"
            )
        }
        _ => fmt_offset(violation, f),
    }
}

fn fmt_offset(violation: &Violation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match violation {
        Violation::OffsetWentBack { group, now, by, was, known } => {
            write!(
                f,
                "committed offset went back: {group} is at {now} ({by}), was at {was} ({known})"
            )
        }
        Violation::OffsetInvented { group, place, by } => {
            write!(f, "invented commit: {group} is at {place} ({by}), which nobody committed")
        }
        Violation::OffsetOfAborted { group, place, by, transaction } => {
            write!(
                f,
                "aborted commit: {group} is at {place} ({by}), committed in aborted {transaction}"
            )
        }
        _ => fmt_edge(violation, f),
    }
}

fn fmt_edge(violation: &Violation, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match violation {
        Violation::EdgeWentBack { edge, now, by, was, known } => {
            let edge = match edge {
                Edge::Start => "log start",
                Edge::Stable => "stable offset",
                Edge::End => "high watermark",
            };
            write!(f, "{edge} went back: to {now} ({by}) from {was} ({known})")
        }
        Violation::EndBelowAcked { end, by, acked, known } => {
            write!(
                f,
                "end below acked: the latest offset is {end} ({by}), but {acked} was acknowledged before ({known})"
            )
        }
        Violation::Truncated { start, explained } => {
            write!(f, "truncated: the log starts at {start}, deletion explains {explained}")
        }
        other => write!(f, "{other:?}"),
    }
}
