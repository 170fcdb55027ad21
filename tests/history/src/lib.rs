//! Judges what clients saw of a cluster in which anything may have failed.
//!
//! A [`History`] is what was seen, without any interpretation: what was handed to producers and what
//! they were told, what consumers polled, what became of transactions and of committed offsets, and in
//! the [`End`] every record of every partition. [`History::check`] names each promise that was broken.
//! It knows no clock and no server, needs time and memory in proportion to the history's length, and
//! serves simulations, chaos runs and process tests alike.
//!
//! Values are unique: a writer numbers its values from 0 in the order in which it hands them over. One
//! writer is one producer: a successor under the same transactional id is another one. The log is in
//! the order of the world (see [`Event`] for what that asks of who records); a client that records
//! from one task sees one thing after the other.
//!
//! # Promises
//! - A value acknowledged with `acks=all` is at its place in the end ([`Violation::Lost`]).
//! - A place has one value for ever, whoever looks ([`Violation::TwoValues`]); offsets are dense
//!   ([`Violation::Gap`]); what a consumer got stays ([`Violation::Unsaid`]).
//! - A value is there as often as its writer's [`Delivery`] allows ([`Violation::Duplicate`]), not at
//!   all when every sending was refused ([`Violation::Revived`]), only where it was sent
//!   ([`Violation::Elsewhere`]), never unless it was sent ([`Violation::Invented`]). An idempotent
//!   writer's values keep their order in a partition ([`Violation::Reordered`]), and a value sent after
//!   an acknowledgement lies behind it ([`Violation::Backdated`]).
//! - A consumer gets every record that it may see, once and in order ([`Violation::Skipped`],
//!   [`Violation::WentBack`], [`Violation::NeedlessReset`]).
//! - A `read_committed` consumer sees nothing of transactions that were aborted, never asked to commit,
//!   or not yet ([`Violation::AbortedRead`]). In the end a transaction shows whole or not at all, and
//!   whole if its commit was acknowledged ([`Violation::Torn`]); it has one outcome
//!   ([`Violation::TwoOutcomes`]) and holds nothing up once it has it ([`Violation::Stuck`]).
//! - A group's committed offset never goes back ([`Violation::OffsetWentBack`]) and is one that was
//!   sent ([`Violation::OffsetInvented`]), not with an aborted transaction
//!   ([`Violation::OffsetOfAborted`]).
//! - Ends of a log as one client is told them never go back within a leader epoch, nor until the end
//!   ([`Violation::EdgeWentBack`]), and the latest offset lies behind what that client saw
//!   acknowledged before it asked ([`Violation::EndBelowAcked`]). A log's start rises only as deletion
//!   or retention explains ([`Violation::Truncated`]).
//!
//! # Allowances
//! They are Kafka's own.
//! - What is unclear may be there or not, also as part of a transaction; a transaction whose commit was
//!   asked for without an answer may have either outcome.
//! - A writer that is not idempotent may leave one copy for each time that it sent; where a client
//!   library sends again by itself, nobody can count, so any number.
//! - Control records take offsets that no client is shown: gaps in the end are fine where the end lists
//!   them, or, where it lists none, in partitions that a transaction wrote to. A consumer may pass over
//!   every offset at which the end has no record for it.
//! - A rebalance takes a consumer back, or on, to the group's committed offset; a seek takes it anywhere;
//!   being out of range explains a reset only where the log does not reach.
//! - What lies below the log's start is gone, and nobody missed it. Until then it must not have
//!   contradicted anything that others saw.
//! - `read_uncommitted` consumers see aborted records, and aborted records stay where they were
//!   acknowledged.
//! - A committed offset goes back when somebody sends a lower one than holds, and when one that was sent
//!   without an answer arrives late: nothing tells it from the others of its generation.
//! - Old owners may lag: what other clients saw acknowledged binds an answer about the latest offset
//!   only if [`History::ends_bind_all`] says so, and a new leader epoch starts anew.
//!
//! # What it can't see
//! - That something does not happen in time: an answer that never comes, a poll that stays empty.
//! - Skipped polls of records that were deleted before the end; unacknowledged values that vanished
//!   before anybody saw them (nothing promised them).
//! - Compacted topics: there an acknowledged value may be superseded.
//! - Contents: who records must compare bytes before it calls something a value. Timestamps, headers
//!   and keys as well.
//! - Whether a group as a whole missed a record because a member committed what it had not consumed.
//! - A torn transaction while it is torn: only the end is judged, for consumers read partitions one
//!   after the other.

mod check;
mod display;
mod end;
mod event;
mod facts;
mod names;
mod recorder;
mod verdict;
mod violation;

pub use end::{End, Partition};
pub use event::{Edge, Entry, Event, Isolation};
pub use names::{Client, Group, Order, Place, Seen, Source, Transaction, Value};
pub use recorder::{Notes, Recorder};
pub use verdict::{KEPT_MAX, Verdict};
pub use violation::{Shown, Unseen, Violation};

/// All that was seen in one run.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The writers; a value's `writer` is an index into it.
    pub writers: Vec<Writer>,
    /// What each client wants to see; those beyond are `read_uncommitted`.
    pub clients: Vec<Isolation>,
    /// Everything that clients saw, in the order of the world.
    pub log: Vec<Entry>,
    /// What there was in the end. Without it only contradictions within the run are found.
    pub end: Option<End>,
    /// Whether an answer about the latest offset must lie behind all that anybody saw acknowledged
    /// before it was asked for, not only its asker.
    pub ends_bind_all: bool,
}

/// A writer, by its promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    /// How often each of its values may be there.
    pub delivery: Delivery,
    /// How many values it handed over, for a writer whose sendings are not in the log one by one.
    pub sent: u32,
}

/// How often a value may be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// Any number of times: a library sends again by itself, without idempotence.
    #[default]
    AtLeastOnce,
    /// Once for each [`Event::Sent`] of it that was not refused: each sending is in the log.
    OnceEachSent,
    /// Once, and in order within a partition: the producer is idempotent.
    ExactlyOnce,
}

impl History {
    /// Every broken promise.
    pub fn check(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let facts = facts::Facts::gather(self);
        check::all(&facts, &mut verdict);
        verdict
    }

    /// What this client wants to see.
    fn isolation(&self, client: Client) -> Isolation {
        self.clients.get(usize::from(client.0)).copied().unwrap_or_default()
    }

    /// The events with how one knows of them.
    fn events(&self) -> impl Iterator<Item = (Source, Event)> {
        (0..)
            .zip(&self.log)
            .map(|(at, entry)| (Source::Run { client: entry.client, at: Order(at) }, entry.event))
    }
}
