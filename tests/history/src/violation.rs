//! The promises that can be broken, each with what a person needs to look for the cause.

use crate::{Edge, Group, Place, Seen, Source, Transaction, Value};

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// An acknowledged value is not there.
    Lost {
        /// The value and its place; an offset below 0 was not told.
        acked: Seen,
        /// Who was told.
        by: Source,
    },
    /// One place, two values.
    TwoValues {
        /// The place.
        place: Place,
        /// Both, with who saw them.
        values: [(Value, Source); 2],
    },
    /// A value is there more often than its writer's delivery allows.
    Duplicate {
        /// The value.
        value: Value,
        /// Two of its places.
        places: [Place; 2],
        /// How often it may be there.
        allowed: u16,
    },
    /// A value of an idempotent writer lies behind one that was sent later.
    Reordered {
        /// The later one, which lies before.
        later: Seen,
        /// The earlier one.
        earlier: Seen,
    },
    /// A value that nobody sent.
    Invented {
        /// The value and its place.
        seen: Seen,
        /// Who saw it.
        by: Source,
    },
    /// A value in a partition that it was not sent to.
    Elsewhere {
        /// The value and its place.
        seen: Seen,
        /// Who saw it.
        by: Source,
        /// The partition that it was sent to.
        sent_to: i32,
    },
    /// A value is there though each of its sendings was refused.
    Revived {
        /// The value and its place.
        seen: Seen,
    },
    /// A value lies before one that was acknowledged before this one was sent.
    Backdated {
        /// The value and its place.
        seen: Seen,
        /// Who saw it.
        by: Source,
        /// The acknowledged offset.
        acked: i64,
    },
    /// Offsets in the end at which there is nothing.
    Gap {
        /// Where reading went on, or the log ends.
        at: Place,
        /// The offset that was due.
        due: i64,
    },
    /// The log starts higher than anything explains.
    Truncated {
        /// The partition and where its log starts.
        start: Place,
        /// The highest start that was asked for.
        explained: i64,
    },
    /// A consumer got a record that is not there in the end, so it was never durable.
    Unsaid {
        /// What it got.
        seen: Seen,
        /// Who.
        by: Source,
    },
    /// A `read_committed` reader got a record that it must not see.
    AbortedRead {
        /// What it got.
        seen: Seen,
        /// Who.
        by: Source,
        /// The record's transaction.
        transaction: Transaction,
        /// Why it must not be seen.
        why: Unseen,
    },
    /// A consumer passed over a record.
    Skipped {
        /// The record.
        missed: Seen,
        /// Where the consumer was.
        due: i64,
        /// Where it went on.
        at: i64,
        /// Who.
        by: Source,
    },
    /// A consumer got a record again, or an earlier one.
    WentBack {
        /// What it got.
        seen: Seen,
        /// Where it was.
        due: i64,
        /// Who.
        by: Source,
    },
    /// A consumer was told to be out of range where the log reaches.
    NeedlessReset {
        /// Where it went on.
        to: Place,
        /// Where it was.
        due: i64,
        /// Who.
        by: Source,
    },
    /// A record of a transaction is hidden from `read_committed` readers though the transaction shows.
    Torn {
        /// The transaction.
        transaction: Transaction,
        /// The record that is hidden.
        missing: Seen,
        /// Why it should show.
        shown: Shown,
    },
    /// A transaction's commit and its abort were both acknowledged.
    TwoOutcomes {
        /// The transaction.
        transaction: Transaction,
        /// Who was told that it was committed.
        committed: Source,
        /// Who was told that it was aborted.
        aborted: Source,
    },
    /// The stable offset is held where no open transaction begins.
    Stuck {
        /// The partition and its stable offset.
        stable: Place,
        /// Where the log ends.
        end: i64,
    },
    /// A group's committed offset went back.
    OffsetWentBack {
        /// The group.
        group: Group,
        /// Where it is now.
        now: Place,
        /// Who read that.
        by: Source,
        /// Where it had been.
        was: i64,
        /// Who knew that.
        known: Source,
    },
    /// A group's committed offset is one that nobody sent.
    OffsetInvented {
        /// The group.
        group: Group,
        /// The offset.
        place: Place,
        /// Who read it.
        by: Source,
    },
    /// A group's committed offset is one that was sent with an aborted transaction.
    OffsetOfAborted {
        /// The group.
        group: Group,
        /// The offset.
        place: Place,
        /// Who read it.
        by: Source,
        /// The transaction.
        transaction: Transaction,
    },
    /// An end of a log went back.
    EdgeWentBack {
        /// Which end.
        edge: Edge,
        /// Where it is now.
        now: Place,
        /// Who was told that.
        by: Source,
        /// Where it had been.
        was: i64,
        /// Who was told that.
        known: Source,
    },
    /// The latest offset does not lie behind an acknowledged one.
    EndBelowAcked {
        /// The latest offset.
        end: Place,
        /// Who was told that.
        by: Source,
        /// The acknowledged offset.
        acked: i64,
        /// Who was told that.
        known: Source,
    },
}

/// Why a transaction must not be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    /// Its abort was acknowledged.
    Aborted(Source),
    /// Its commit was never asked for.
    NeverCommitted,
    /// Its commit was asked for only later.
    NotYet(Source),
    /// It turned out to be aborted: its records are hidden in the end.
    HiddenInTheEnd,
}

/// Why a transaction must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Its commit was acknowledged.
    Committed(Source),
    /// Another of its records shows.
    Record(Seen),
}
