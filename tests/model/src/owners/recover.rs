//! Putting together what earlier sessions left of a partition: the broker's rule, restated because it
//! is private there, over production's chains and listings.

use std::{cell::RefCell, collections::HashMap, hash::BuildHasherDefault};

use weir_segment_store::checkpoint;

use super::{
    Bug,
    bridge::reference,
    state::{Listing, PARTITIONS, Part, Place, State},
};
use crate::checker::{Folding, Identity};

/// What is asked again and again of states that differ elsewhere.
type Memo<T> = RefCell<HashMap<u64, T, BuildHasherDefault<Identity>>>;

thread_local! {
    static CHAINS: Memo<Option<Listed>> = RefCell::default();
    static RECOVERABLE: Memo<Result<Listing, Incomplete>> = RefCell::default();
}

/// Above this, a memo begins anew.
const MEMO_MAX: usize = 2_000_000;

fn remember<T: Copy>(memo: &Memo<T>, key: u64, make: impl FnOnce() -> T) -> T {
    if let Some(known) = memo.borrow().get(&key) {
        return *known;
    }
    let made = make();
    let mut memo = memo.borrow_mut();
    if memo.len() >= MEMO_MAX {
        memo.clear();
    }
    memo.insert(key, made);
    made
}

/// What a chain says.
#[derive(Clone, Copy)]
pub(super) struct Listed {
    pub(super) covers: u8,
    pub(super) partitions: [Option<Listing>; PARTITIONS],
}

/// What was read of one inherited session: the number of its published checkpoint, and whether its slots
/// count that are no longer there.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) part: Part,
    pub(super) published: u8,
}

/// Why a partition can't be put together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Incomplete {
    Chain,
    Hole,
    WrongEnd,
    NotDense,
}

impl State {
    /// What the chain that ends in a checkpoint says, if its objects follow one another.
    pub(super) fn listed(&self, session: usize, number: u8) -> Option<Listed> {
        let key = Folding::of(&(&self.checkpoints[session], session as u8, number));
        CHAINS.with(|memo| remember(memo, key, || self.add_up(session, number)))
    }

    /// Whether the checkpoints of that chain list the partition under the part's epoch, or a later one.
    pub(super) fn lists(&self, read: Read, of: usize, bug: Option<Bug>) -> bool {
        let listed = self.listed(usize::from(read.part.session), read.published);
        let any = bug == Some(Bug::OldListingTaken);
        listed
            .and_then(|listed| listed.partitions[of])
            .is_some_and(|found| any || found.epoch >= read.part.epoch)
    }

    /// The first slot that is not of this part.
    pub(super) fn end_of(&self, part: Part) -> u8 {
        let session = usize::from(part.session);
        match (part.end_slot, self.wals[session].sealed) {
            (0, 0) => self.written[session] + 1,
            (0, sealed) => sealed,
            (end, _) => end,
        }
    }

    /// Adds up what was read, newest first, as far as the newest that lists the partition.
    pub(super) fn recover(
        &self,
        of: usize,
        newest_first: &[Read],
        bug: Option<Bug>,
    ) -> Result<Listing, Incomplete> {
        let mut listing = checkpoint::Listing::default();
        let mut parts = Vec::new();
        for read in newest_first {
            let session = usize::from(read.part.session);
            let listed = self.listed(session, read.published).ok_or(Incomplete::Chain)?;
            parts.push((read.part, listed.covers));
            if self.lists(*read, of, bug) {
                listing = listed.partitions[of].unwrap_or_default().production();
                break;
            }
        }
        for (part, covers) in parts.into_iter().rev() {
            self.add_part(&mut listing, of, part, covers, bug)?;
        }
        Listing::of(&listing).ok_or(Incomplete::NotDense)
    }

    fn add_part(
        &self,
        listing: &mut checkpoint::Listing,
        of: usize,
        part: Part,
        covers: u8,
        bug: Option<Bug>,
    ) -> Result<(), Incomplete> {
        let session = usize::from(part.session);
        for slot in covers..self.end_of(part) {
            let record = self.slots[session][usize::from(slot)];
            let wanted = (usize::from(record.partition), record.epoch) == (of, part.epoch);
            let place = Place::slot(session, slot);
            let overlooked = bug == Some(Bug::OvertakingTrimOverlooked) && !self.exists(place);
            if !wanted || overlooked {
                continue;
            }
            if listing.next.0 != i64::from(record.offset) {
                return Err(Incomplete::Hole);
            }
            listing.append_chunk(reference(place, record.offset, record.epoch), &[]);
        }
        let ends_right = part.end_slot == 0 || listing.next.0 == i64::from(part.end_offset);
        let looser = bug == Some(Bug::OvertakingTrimOverlooked);
        if ends_right || looser { Ok(()) } else { Err(Incomplete::WrongEnd) }
    }

    /// What a recovery would find if it ran now and nothing else moved: the inherited list as the next
    /// claim would make it, each session as published.
    pub(super) fn recoverable(&self, of: usize, bug: Option<Bug>) -> Result<Listing, Incomplete> {
        let adopted = self.owner_adopted(of);
        let stored = (&self.logs[of], adopted, &self.wals, &self.checkpoints, &self.slots);
        let bug_number = bug.map_or(0, |bug| bug as u8 + 1);
        let key = Folding::of(&(of as u8, bug_number, stored, &self.written));
        RECOVERABLE.with(|memo| remember(memo, key, || self.recover_now(of, bug)))
    }

    fn recover_now(&self, of: usize, bug: Option<Bug>) -> Result<Listing, Incomplete> {
        let next = self.claimed(of, 0, u8::MAX, bug);
        let reads: Vec<Read> = next
            .parts()
            .rev()
            .map(|part| Read { part, published: self.wals[usize::from(part.session)].published })
            .collect();
        self.recover(of, &reads, bug)
    }
}
