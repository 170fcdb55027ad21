//! What the ownership model knows: metadata, objects, what each session has in memory, what is on its
//! way. Everything is a small number, so that a state is some hundred bytes and hashes fast.

/// The most of each thing in any scope. Slots, checkpoints, claims and epochs count from 1.
pub(super) const SESSIONS: usize = 3;
pub(super) const PARTITIONS: usize = 2;
pub(super) const OFFSETS: usize = 4;
pub(super) const SLOTS: usize = 5;
pub(super) const CHECKPOINTS: usize = 4;
pub(super) const INHERITED: usize = 4;

/// Nobody, where a session is named.
pub(super) const NOBODY: u8 = u8::MAX;

/// An object of the store, by its bit in a set of objects; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Place(pub(super) u8);

impl Place {
    pub(super) const NONE: Place = Place(0);

    pub(super) fn slot(session: usize, slot: u8) -> Self {
        Place(session as u8 * 16 + slot)
    }

    pub(super) fn sorted(session: usize, number: u8) -> Self {
        Place(session as u8 * 16 + SLOTS as u8 + number)
    }

    pub(super) fn checkpoint(session: usize, number: u8) -> Self {
        Place(session as u8 * 16 + (SLOTS + CHECKPOINTS) as u8 + number)
    }

    pub(super) fn session(self) -> usize {
        usize::from(self.0 / 16)
    }

    /// The slot, if it is one.
    pub(super) fn as_slot(self) -> Option<u8> {
        let number = self.0 % 16;
        (self != Self::NONE && usize::from(number) < SLOTS).then_some(number)
    }

    /// The number of the checkpoint that made it, if it is no slot.
    pub(super) fn made_by(self) -> u8 {
        (self.0 % 16 - SLOTS as u8) % CHECKPOINTS as u8
    }

    pub(super) fn bit(self) -> u64 {
        1 << self.0
    }
}

/// What somebody knows of a partition: where each offset below `next` is. Epoch 0: nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Listing {
    pub(super) epoch: u8,
    pub(super) next: u8,
    /// What a delta leaves out is `NONE`.
    pub(super) places: [Place; OFFSETS],
    /// Some offset was noted twice.
    pub(super) doubled: bool,
}

impl Listing {
    pub(super) const EMPTY: Listing =
        Listing { epoch: 0, next: 0, places: [Place::NONE; OFFSETS], doubled: false };
}

/// What a checkpoint says of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) enum Line {
    #[default]
    Nothing,
    Gone,
    Whole(Listing),
    Delta(Listing),
}

/// A checkpoint object, as it was last written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Checkpoint {
    pub(super) full: u8,
    pub(super) covers: u8,
    pub(super) adopted: u8,
    pub(super) lines: [Line; PARTITIONS],
    /// The offsets in the sorted object beside it, a mask a partition.
    pub(super) gathered: [u8; PARTITIONS],
}

/// One record in a slot. Epoch 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Record {
    pub(super) partition: u8,
    pub(super) epoch: u8,
    pub(super) offset: u8,
}

/// A session on the inherited list. `end_slot` 0: not released.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Part {
    pub(super) session: u8,
    pub(super) epoch: u8,
    pub(super) claim: u8,
    pub(super) end_slot: u8,
    pub(super) end_offset: u8,
}

/// `logs/{partition}`. `end_slot` 0: open.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct LogKey {
    pub(super) epoch: u8,
    pub(super) owner: u8,
    pub(super) claim: u8,
    pub(super) end_slot: u8,
    pub(super) end_offset: u8,
    pub(super) inherited: [Part; INHERITED],
    pub(super) inherited_len: u8,
}

/// `wals/{session}`: the number of the published checkpoint (its object tells the rest, but the pointer
/// repeats what it covers and has adopted), trim, seal (0: none).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct WalKey {
    pub(super) published: u8,
    pub(super) covers: u8,
    pub(super) adopted: u8,
    pub(super) trim: u8,
    pub(super) sealed: u8,
}

/// How far the reading of one inherited session is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Reading {
    /// About to read `wals/{session}`.
    Key,
    /// About to read the chain.
    Chain,
    /// About to read the slots behind it.
    Slots,
}

/// What a recovery has read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Recovery {
    /// The part it is at: an index into the inherited list, from the newest down.
    pub(super) at: u8,
    pub(super) reading: Reading,
    /// The published checkpoint and the trim as read, by part.
    pub(super) published: [u8; INHERITED],
    pub(super) trim: [u8; INHERITED],
}

/// What a session does with a partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Role {
    /// Nothing; it may still cover what it wrote.
    Idle,
    /// It claimed, and does not know whether the claim was made.
    Unclear,
    Recovering(Recovery),
    /// It accepts records.
    Open,
    /// It has sent its release and accepts nothing.
    ReleaseSent,
}

/// A session's memory of one partition.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Held {
    pub(super) role: Role,
    /// The epoch and number of its last claim.
    pub(super) epoch: u8,
    pub(super) claim: u8,
    /// Its claims that are not settled, a bit each.
    pub(super) unsettled: u8,
    /// What it owns or still covers.
    pub(super) listing: Listing,
}

/// A session's memory. All of it goes when the session is sealed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Session {
    pub(super) held: [Held; PARTITIONS],
    pub(super) last_claim: u8,
    /// The last checkpoint that was attempted, and the last known to be published.
    pub(super) attempted: u8,
    pub(super) known: u8,
    /// It waits for the answer to the last attempt.
    pub(super) awaits: bool,
}

impl Session {
    pub(super) const NEW: Session = Session {
        held: [Held { role: Role::Idle, epoch: 0, claim: 0, unsettled: 0, listing: Listing::EMPTY };
            PARTITIONS],
        last_claim: 0,
        attempted: 0,
        known: 0,
        awaits: false,
    };
}

/// A release on its way. Epoch 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Release {
    pub(super) session: u8,
    pub(super) epoch: u8,
    pub(super) end_slot: u8,
    pub(super) end_offset: u8,
}

/// A publication on its way: what its pointer will say. Number 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Publication {
    pub(super) number: u8,
    pub(super) covers: u8,
    pub(super) adopted: u8,
}

/// A round of the collector.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Round {
    Idle,
    Marking {
        /// Objects that were there when it began.
        listed: u64,
        marked: u64,
        /// Sessions that still must report.
        missing: u8,
        /// The published chains have been read.
        chains: bool,
    },
    Sweeping {
        victims: u64,
    },
}

/// Everything.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(super) logs: [LogKey; PARTITIONS],
    pub(super) wals: [WalKey; SESSIONS],
    pub(super) sessions: [Session; SESSIONS],
    pub(super) slots: [[Record; SLOTS]; SESSIONS],
    /// How many slots each session has written.
    pub(super) written: [u8; SESSIONS],
    pub(super) checkpoints: [[Checkpoint; CHECKPOINTS]; SESSIONS],
    /// The objects that are there.
    pub(super) objects: u64,
    pub(super) releases: [Release; PARTITIONS],
    /// At most two a session.
    pub(super) publications: [[Publication; 2]; SESSIONS],
    pub(super) round: Round,
    /// What the last round found unmarked, if it did not sweep that at once.
    pub(super) found: u64,
    /// Rounds begun, slots appended and claims made, which the scope bounds.
    pub(super) rounds: u8,
    pub(super) claims: u8,
    /// Who was told that a record is safe, by offset: session + 1.
    pub(super) acked: [[u8; OFFSETS]; PARTITIONS],
    pub(super) wrong: Wrong,
}

/// What went wrong on a step, where the state alone does not show it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Wrong {
    pub(super) acked_twice: bool,
    pub(super) went_back: bool,
    /// A recovery found less, or more, than was acknowledged, or could not go on.
    pub(super) recovery: bool,
}

impl State {
    pub(super) fn new() -> Self {
        let log = LogKey {
            epoch: 0,
            owner: NOBODY,
            claim: 0,
            end_slot: 0,
            end_offset: 0,
            inherited: [Part::default(); INHERITED],
            inherited_len: 0,
        };
        Self {
            logs: [log; PARTITIONS],
            wals: [WalKey { published: 0, covers: 1, adopted: 0, trim: 1, sealed: 0 }; SESSIONS],
            sessions: [Session::NEW; SESSIONS],
            slots: Default::default(),
            written: [0; SESSIONS],
            checkpoints: Default::default(),
            objects: 0,
            releases: Default::default(),
            publications: Default::default(),
            round: Round::Idle,
            found: 0,
            rounds: 0,
            claims: 0,
            acked: Default::default(),
            wrong: Wrong::default(),
        }
    }

    pub(super) fn is_live(&self, session: usize) -> bool {
        self.wals[session].sealed == 0
    }

    pub(super) fn exists(&self, place: Place) -> bool {
        self.objects & place.bit() != 0
    }

    /// How many records of a partition were acknowledged.
    pub(super) fn acked_count(&self, partition: usize) -> u8 {
        self.acked[partition].iter().take_while(|by| **by != 0).count() as u8
    }

    /// Whether `place` holds the acknowledged record of this offset, and is there.
    pub(super) fn holds(&self, place: Place, partition: usize, offset: u8) -> bool {
        let session = place.session();
        let content = match place.as_slot() {
            Some(slot) => {
                let record = self.slots[session][usize::from(slot)];
                (usize::from(record.partition), record.offset) == (partition, offset)
            }
            None => {
                let made_by = usize::from(place.made_by());
                self.checkpoints[session][made_by].gathered[partition] & (1 << offset) != 0
            }
        };
        let writer = self.acked[partition][usize::from(offset)];
        place != Place::NONE && self.exists(place) && content && usize::from(writer) == session + 1
    }

    /// Every claim of the session up to this one is settled.
    pub(super) fn settled_through(&self, session: usize) -> u8 {
        let Session { held, last_claim, .. } = &self.sessions[session];
        match held.iter().fold(0, |open, held| open | held.unsettled) {
            0 => *last_claim,
            open => open.trailing_zeros() as u8 - 1,
        }
    }
}
