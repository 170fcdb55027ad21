//! What the slot protocol's model knows: the store, the metadata, the writer, two fencers.

use weir_ids::{ClaimNumber, Slot};
use weir_meta::model::{CheckpointPointer, Seal, Wal};

/// The most slots of any scope: an open marker, data, and room for a fence behind them.
pub(super) const SLOTS_MAX: usize = 7;

/// What the store answers when it is asked for a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Content {
    /// Nothing there, or deleted: the store forgets.
    Absent,
    /// The writer's own data.
    Data,
    /// A fence.
    Fence,
}

/// How the writer's create of a slot stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Create {
    /// Not submitted, or given up.
    Idle,
    /// On its way to the store.
    Sent,
    /// It made the slot; the answer is on its way.
    Made,
    /// "Already exists" is on its way back, or has arrived.
    Exists,
    /// The slot is known to hold the writer's own data.
    Known,
}

/// How far somebody who ends the session is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Phase {
    /// Has not begun.
    Idle,
    /// Is about to read this slot.
    Probing(u8),
    /// Found this one absent and is about to create the fence there.
    Absent(u8),
    /// Knows a fence there and is about to record it.
    Placed(u8),
    /// The seal is recorded.
    Done,
}

/// Somebody who ends the session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Fencer {
    pub(super) phase: Phase,
    /// A create of a fence that timed out and may still land: at this slot, 0 for none.
    pub(super) late: u8,
}

/// The writer of the session.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Writer {
    pub(super) creates: [Create; SLOTS_MAX],
    /// The slot to submit next.
    pub(super) next: u8,
    /// It has met a fence, or was told of the seal, and has given up.
    pub(super) fenced: bool,
}

/// `wals/{session}` as far as it matters here. Small and hashable; what it may become is asked of
/// the production type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Metadata {
    /// Below this slot a published checkpoint knows everything; 1 when none is published.
    pub(super) covers: u8,
    pub(super) trim: u8,
    /// 0: not sealed.
    pub(super) sealed: u8,
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(super) store: [Content; SLOTS_MAX],
    /// Creates of the writer that have timed out and may still land, by slot.
    pub(super) late: [u8; SLOTS_MAX],
    pub(super) metadata: Metadata,
    pub(super) writer: Writer,
    pub(super) fencers: [Fencer; 2],
    /// Slots that were acknowledged to clients.
    pub(super) acked: u16,
    /// Slots of which clients were told that they were surely not written.
    pub(super) refused: u16,
    /// The slots that the successor found, once it has looked. It writes on from the seal.
    pub(super) adopted: Option<u16>,
    /// The metadata went back at some point.
    pub(super) went_back: bool,
    /// A second process of the same session id got past the open marker.
    pub(super) twin: bool,
}

pub(super) fn bit(slot: u8) -> u16 {
    1 << slot
}

impl Metadata {
    pub(super) fn wal(self) -> Wal {
        let pointer = CheckpointPointer {
            object: String::new(),
            number: u64::from(self.covers),
            covers_below: slot(self.covers),
            adopted_through: ClaimNumber::NONE,
        };
        Wal {
            node: None,
            rpc: None,
            checkpoint: (self.covers > 1).then_some(pointer),
            trim: slot(self.trim),
            sealed: (self.sealed > 0).then(|| Seal { at: slot(self.sealed), detail: None }),
        }
    }

    pub(super) fn of(wal: &Wal) -> Self {
        Self {
            covers: wal.checkpoint.as_ref().map_or(1, |pointer| pointer.covers_below.0 as u8),
            trim: wal.trim.0 as u8,
            sealed: wal.sealed.as_ref().map_or(0, |seal| seal.at.0 as u8),
        }
    }
}

pub(super) fn slot(number: u8) -> Slot {
    Slot(u64::from(number))
}

impl State {
    pub(super) fn new() -> Self {
        let mut store = [Content::Absent; SLOTS_MAX];
        store[0] = Content::Data;
        Self {
            store,
            late: [0; SLOTS_MAX],
            metadata: Metadata::of(&Wal::default()),
            writer: Writer { creates: [Create::Idle; SLOTS_MAX], next: 1, fenced: false },
            fencers: [Fencer { phase: Phase::Idle, late: 0 }; 2],
            acked: 0,
            refused: 0,
            adopted: None,
            went_back: false,
            twin: false,
        }
    }

    /// The highest slot up to which all are acknowledged; 0 for none.
    pub(super) fn acked_through(&self) -> u8 {
        (self.acked >> 1).trailing_ones() as u8
    }

    /// Writes the metadata, and notes if any of it went back.
    pub(super) fn set(&mut self, wal: &Wal) {
        let (before, after) = (self.metadata, Metadata::of(wal));
        let resealed = before.sealed != 0 && before.sealed != after.sealed;
        self.went_back |= after.trim < before.trim || after.covers < before.covers || resealed;
        self.metadata = after;
    }

    /// What recovery has to read from the slots: from the checkpoint, or what is left, to the seal.
    pub(super) fn to_recover(&self) -> std::ops::Range<u8> {
        let Metadata { covers, trim, sealed } = self.metadata;
        covers.max(trim)..sealed
    }

    pub(super) fn is_data(&self, slot: u8) -> bool {
        self.store[usize::from(slot)] == Content::Data
    }
}
