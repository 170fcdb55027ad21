//! What a client can see: one small struct an event, without any interpretation.

use crate::{Client, Group, Order, Place, Seen, Transaction, Value};

/// An event with who saw it. Its position in the log is its [`Order`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who.
    pub client: Client,
    /// What.
    pub event: Event,
}

/// What a client did or was told.
///
/// Whatever a client *does* is recorded before the request leaves, whatever it is *told* after the
/// answer arrived: only then "before" in the log means before in the world. `asked` is the recorder's
/// order when the request left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A value is handed over, or handed over again: each time that it may reach a broker on its own.
    Sent {
        /// The value.
        value: Value,
        /// The partition that it goes to.
        partition: i32,
        /// The transaction that it is part of.
        transaction: Option<Transaction>,
    },
    /// A value was acknowledged with `acks=all`. (Of weaker acknowledgements nothing is promised: they
    /// are not recorded.) An offset below 0 means that the answer did not tell it.
    Acked(Seen),
    /// One sending of a value was refused with an error that says that nothing was written. Without
    /// this and [`Event::Acked`] a value is unclear: it may be there or not.
    Refused(Value),

    /// All of a transaction was sent, and its commit is asked for.
    Committing(Transaction),
    /// The commit was acknowledged.
    Committed(Transaction),
    /// An abort was acknowledged.
    Aborted(Transaction),

    /// A consumer goes on at a place of its own choice: its start, or an explicit seek.
    Sought(Place),
    /// A consumer goes on at a group's committed offset, after a rebalance or a restart.
    Resumed {
        /// The group.
        group: Group,
        /// The committed offset.
        place: Place,
        /// When the committed offset was asked for.
        asked: Order,
    },
    /// A consumer was told that its offset is out of range and goes on here.
    Reset(Place),
    /// A consumer got a record.
    Polled(Seen),

    /// A group's offset is sent to be committed, alone or with a transaction.
    OffsetSent {
        /// The group.
        group: Group,
        /// The partition and the offset.
        place: Place,
        /// The transaction that it is part of.
        transaction: Option<Transaction>,
    },
    /// A commit of a group's offset, outside a transaction, was acknowledged.
    OffsetAcked {
        /// The group.
        group: Group,
        /// The partition and the offset.
        place: Place,
    },
    /// A group's committed offset was read, with `require_stable` where transactions commit it.
    OffsetRead {
        /// The group.
        group: Group,
        /// The partition and the offset, below 0 if there is none.
        place: Place,
        /// When it was asked for.
        asked: Order,
    },

    /// Where a log begins or ends, as answered.
    EdgeSeen {
        /// Which end of the log.
        edge: Edge,
        /// Where it is.
        place: Place,
        /// The leader epoch that answered.
        epoch: i32,
        /// When it was asked for.
        asked: Order,
    },
    /// Records below this place are to be deleted. (The answer is an [`Edge::Start`].)
    DeleteSent(Place),
}

/// An end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edge {
    /// The first offset.
    Start,
    /// The last stable offset: where `read_committed` readers end.
    Stable,
    /// The high watermark, which is the latest offset.
    End,
}

/// What a consumer wants to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Everything durable.
    #[default]
    ReadUncommitted,
    /// Nothing of open and aborted transactions.
    ReadCommitted,
}
