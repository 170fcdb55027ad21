//! From the model's small numbers to production's types and back, so that production decides.

use uuid::Uuid;
use weir_ids::{
    ClaimNumber, LeaderEpoch, Offset, PartitionIndex, SessionId, Slot, Timestamp, TopicId,
    TopicPartition,
};
use weir_meta::model::{CheckpointPointer, Inherited, Log, LogState, Owner, Seal, Wal};
use weir_segment_store::{
    ByteRange, ObjectName, Reference,
    checkpoint::{self, Chain},
};

use super::recover::Listed;
use super::state::{
    Checkpoint, INHERITED, Line, Listing, LogKey, NOBODY, PARTITIONS, Part, Place, State, WalKey,
};

pub(super) fn partition(index: usize) -> TopicPartition {
    TopicPartition::new(TopicId(Uuid::nil()), PartitionIndex(index as u32))
}

pub(super) fn session(number: usize) -> SessionId {
    SessionId(number as u64)
}

pub(super) fn claim(number: u8) -> ClaimNumber {
    ClaimNumber(u64::from(number))
}

fn slot(number: u8) -> Slot {
    Slot(u64::from(number))
}

impl Part {
    fn inherited(self) -> Inherited {
        let released = self.end_slot > 0;
        Inherited {
            session: session(usize::from(self.session)),
            epoch: LeaderEpoch(i32::from(self.epoch)),
            claim: claim(self.claim),
            end_slot: released.then(|| slot(self.end_slot)),
            end_offset: released.then(|| Offset(i64::from(self.end_offset))),
        }
    }

    fn of(part: &Inherited) -> Self {
        Self {
            session: part.session.0 as u8,
            epoch: part.epoch.0 as u8,
            claim: part.claim.0 as u8,
            end_slot: part.end_slot.map_or(0, |slot| slot.0 as u8),
            end_offset: part.end_offset.map_or(0, |offset| offset.0 as u8),
        }
    }
}

impl LogKey {
    pub(super) fn log(&self) -> Log {
        let state = match self.end_slot {
            0 => LogState::Open,
            at => LogState::Released {
                end_slot: slot(at),
                end_offset: Offset(i64::from(self.end_offset)),
            },
        };
        let owner = Owner { session: session(usize::from(self.owner)), claim: claim(self.claim) };
        Log {
            owner: (self.owner != NOBODY).then_some(owner),
            state,
            inherited: self.parts().map(Part::inherited).collect(),
            ..Log::new(LeaderEpoch(i32::from(self.epoch)))
        }
    }

    pub(super) fn of(log: &Log) -> Self {
        let (end_slot, end_offset) = match log.state {
            LogState::Released { end_slot, end_offset } => (end_slot.0 as u8, end_offset.0 as u8),
            LogState::Open | LogState::Dropped => (0, 0),
        };
        let mut inherited = [Part::default(); INHERITED];
        for (part, from) in inherited.iter_mut().zip(&log.inherited) {
            *part = Part::of(from);
        }
        Self {
            epoch: log.leader_epoch.0 as u8,
            owner: log.owner.map_or(NOBODY, |owner| owner.session.0 as u8),
            claim: log.owner.map_or(0, |owner| owner.claim.0 as u8),
            end_slot,
            end_offset,
            inherited,
            inherited_len: log.inherited.len() as u8,
        }
    }

    /// The inherited sessions, oldest first.
    pub(super) fn parts(&self) -> impl DoubleEndedIterator<Item = Part> {
        self.inherited.into_iter().take(usize::from(self.inherited_len))
    }
}

impl WalKey {
    pub(super) fn wal(&self) -> Wal {
        let pointer = CheckpointPointer {
            object: String::new(),
            number: u64::from(self.published),
            covers_below: slot(self.covers),
            adopted_through: claim(self.adopted),
        };
        Wal {
            node: None,
            rpc: None,
            checkpoint: (self.published > 0).then_some(pointer),
            trim: slot(self.trim),
            sealed: (self.sealed > 0).then(|| Seal { at: slot(self.sealed), detail: None }),
        }
    }

    pub(super) fn of(wal: &Wal) -> Self {
        let pointer = wal.checkpoint.as_ref();
        Self {
            published: pointer.map_or(0, |pointer| pointer.number as u8),
            covers: pointer.map_or(1, |pointer| pointer.covers_below.0 as u8),
            adopted: pointer.map_or(0, |pointer| pointer.adopted_through.0 as u8),
            trim: wal.trim.0 as u8,
            sealed: wal.sealed.as_ref().map_or(0, |seal| seal.at.0 as u8),
        }
    }
}

impl Listing {
    pub(super) fn production(&self) -> checkpoint::Listing {
        let mut listing = checkpoint::Listing::default();
        for offset in (0..self.next).filter(|at| self.places[usize::from(*at)] != Place::NONE) {
            let place = self.places[usize::from(offset)];
            listing.append_chunk(reference(place, offset, self.epoch), &[]);
        }
        if self.doubled {
            // The last is noted once more.
            listing.references.extend(listing.references.last().copied());
        }
        listing.epoch = LeaderEpoch(i32::from(self.epoch));
        listing.next = Offset(i64::from(self.next));
        listing
    }

    /// What production found, if it has no hole.
    pub(super) fn of(found: &checkpoint::Listing) -> Option<Self> {
        found.is_dense().then(|| Self::of_any(found))
    }

    fn of_any(found: &checkpoint::Listing) -> Self {
        let (epoch, next) = (found.epoch.0.max(0) as u8, found.next.0 as u8);
        let mut listing = Self { epoch, next, ..Self::EMPTY };
        for reference in &found.references {
            let known = &mut listing.places[reference.base.0 as usize];
            listing.doubled |= *known != Place::NONE;
            *known = place(reference.object);
        }
        listing
    }
}

/// One record a reference.
pub(super) fn reference(place: Place, offset: u8, epoch: u8) -> Reference {
    let session = session(place.session());
    let range = ByteRange { at: 0, len: 1 };
    let offset = Offset(i64::from(offset));
    Reference {
        object: match place.as_slot() {
            Some(number) => ObjectName::WalSlot { session, slot: slot(number) },
            None => ObjectName::Sorted { session, number: u64::from(place.made_by()) },
        },
        base: offset,
        last: offset,
        epoch: LeaderEpoch(i32::from(epoch)),
        max_timestamp: Timestamp::NONE,
        data: range,
        index: range,
    }
}

fn place(object: ObjectName) -> Place {
    let session = object.session().0 as usize;
    match object {
        ObjectName::WalSlot { slot, .. } => Place::slot(session, slot.0 as u8),
        ObjectName::Sorted { number, .. } => Place::sorted(session, number as u8),
        ObjectName::WalFile { .. } | ObjectName::Checkpoint { .. } | ObjectName::Pages { .. } => {
            Place::NONE
        }
    }
}

impl Checkpoint {
    fn production(&self, of: usize, number: u8) -> checkpoint::Checkpoint {
        let line = |line: &Line| match line {
            Line::Nothing => None,
            Line::Gone => Some(checkpoint::Line::Gone),
            Line::Whole(listing) => Some(checkpoint::Line::Whole(listing.production())),
            Line::Delta(listing) => Some(checkpoint::Line::Delta(listing.production())),
        };
        let lines = (0..PARTITIONS).zip(&self.lines);
        checkpoint::Checkpoint {
            session: session(of),
            number: u64::from(number),
            full: u64::from(self.full),
            covers_below: slot(self.covers),
            adopted_through: claim(self.adopted),
            partitions: lines
                .filter_map(|(index, of)| Some((partition(index), line(of)?)))
                .collect(),
        }
    }
}

impl State {
    /// The numbers of the chain that ends in a checkpoint.
    pub(super) fn chain_numbers(&self, session: usize, number: u8) -> std::ops::RangeInclusive<u8> {
        let first = match number {
            0 => 1,
            _ => self.checkpoints[session][usize::from(number)].full,
        };
        first..=number
    }

    /// What the chain that ends in a checkpoint adds up to.
    pub(super) fn add_up(&self, session: usize, number: u8) -> Option<Listed> {
        let numbers = self.chain_numbers(session, number);
        let checkpoints =
            numbers.map(|at| self.checkpoints[session][usize::from(at)].production(session, at));
        let chain = Chain::add_up(checkpoints).ok()?;
        let mut partitions = [None; PARTITIONS];
        for (index, listed) in partitions.iter_mut().enumerate() {
            let found = chain.partitions.get(&partition(index));
            *listed = found.map(Listing::of_any);
        }
        Some(Listed { covers: chain.covers_below.0 as u8, partitions })
    }
}
