//! A chain of checkpoints added up.

use std::collections::BTreeMap;

use weir_ids::{ClaimNumber, SessionId, Slot, TopicPartition};

use super::{Checkpoint, Line, Listing, MAX_DELTAS};
use crate::ObjectName;

/// What a session's published checkpoints say together.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Slots below this are covered.
    pub covers_below: Slot,
    /// Every claim up to this one is adopted.
    pub adopted_through: ClaimNumber,
    /// The partitions that the chain lists.
    pub partitions: BTreeMap<TopicPartition, Listing>,
    /// The checkpoint that was added last.
    last: Option<Link>,
}

/// Which checkpoint it is, and on which full one it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    session: SessionId,
    number: u64,
    full: u64,
}

/// Checkpoints that do not form a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("checkpoint {number} of session {session} does not continue its chain: {what}")]
pub struct ChainError {
    /// Whose.
    pub session: SessionId,
    /// Which.
    pub number: u64,
    /// What does not fit.
    pub what: &'static str,
}

impl Chain {
    /// The chain of a session that has published nothing.
    pub fn empty() -> Self {
        Self {
            covers_below: Slot::OPEN.next(),
            adopted_through: ClaimNumber::NONE,
            partitions: BTreeMap::new(),
            last: None,
        }
    }

    /// The numbers of the checkpoints to read before `newest`, oldest first.
    ///
    /// # Errors
    /// When it claims to stand on more deltas than there may be.
    pub fn predecessors(newest: &Checkpoint) -> Result<std::ops::Range<u64>, ChainError> {
        match newest.number.checked_sub(newest.full) {
            Some(deltas) if deltas <= MAX_DELTAS => Ok(newest.full..newest.number),
            _ => Err(error(newest, "it stands on too many deltas, or on none")),
        }
    }

    /// The checkpoints that it is made of.
    pub fn checkpoints(&self) -> impl Iterator<Item = ObjectName> + use<> {
        let link = self.last.map(|Link { session, number, full }| (session, full..=number));
        link.into_iter().flat_map(|(session, numbers)| {
            numbers.map(move |number| ObjectName::Checkpoint { session, number })
        })
    }

    /// Adds up a full checkpoint and the deltas on it, in order.
    ///
    /// # Errors
    /// When they do not follow one another.
    pub fn add_up(checkpoints: impl IntoIterator<Item = Checkpoint>) -> Result<Self, ChainError> {
        let mut chain = Self::empty();
        for checkpoint in checkpoints {
            chain.add(checkpoint)?;
        }
        Ok(chain)
    }

    /// Adds the checkpoint that follows: a full one if this is empty, a delta on it otherwise.
    ///
    /// # Errors
    /// When it is another one; nothing of this is of use then.
    pub fn add(&mut self, checkpoint: Checkpoint) -> Result<(), ChainError> {
        let &Checkpoint { session, number, full, .. } = &checkpoint;
        let fits = match self.last {
            None => number == full,
            Some(last) => {
                (session, Some(number), full)
                    == (last.session, last.number.checked_add(1), last.full)
            }
        };
        if !fits {
            return Err(error(&checkpoint, "it does not follow the one before it"));
        }
        if checkpoint.covers_below < self.covers_below
            || checkpoint.adopted_through < self.adopted_through
        {
            return Err(error(&checkpoint, "it covers less than the one before it"));
        }
        self.last = Some(Link { session, number, full });
        self.covers_below = checkpoint.covers_below;
        self.adopted_through = checkpoint.adopted_through;
        for (partition, line) in checkpoint.partitions {
            match line {
                Line::Whole(listing) => {
                    self.partitions.insert(partition, listing);
                }
                Line::Delta(listing) => match self.partitions.get_mut(&partition) {
                    Some(known) => known.extend(listing),
                    None => {
                        let what = "a delta of a partition that was never listed whole";
                        return Err(ChainError { session, number, what });
                    }
                },
                Line::Gone => {
                    self.partitions.remove(&partition);
                }
            }
        }
        Ok(())
    }
}

fn error(checkpoint: &Checkpoint, what: &'static str) -> ChainError {
    ChainError { session: checkpoint.session, number: checkpoint.number, what }
}
