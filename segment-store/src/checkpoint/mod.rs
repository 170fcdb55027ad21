//! Checkpoints of a session's write-ahead log: what recovery would otherwise have to find.
//!
//! A checkpoint says of each partition that was touched since the last one where its records are
//! and what its producers wrote last. Checkpoints form a chain: a *full* one that lists everything,
//! then deltas on top of it ([`Chain`]). The newest is named in the metadata store; each names its
//! predecessor, so that the chain is found from its end.
//!
//! This module owns the format ([`codec`]) and how listings add up ([`listing`]); when checkpoints
//! are made and published is the broker's business.

mod chain;
mod codec;
mod listing;

pub use chain::{Chain, ChainError};
pub use codec::{DecodeError, MAGIC, decode, encode};
pub use listing::{Listing, PastBatch, ProducerState, REMEMBERED_BATCHES};

use weir_ids::{ClaimNumber, SessionId, Slot, TopicPartition};

/// How many deltas may follow a full checkpoint: recovery reads at most this many and one more.
pub const MAX_DELTAS: u64 = 31;

/// One checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log it covers.
    pub session: SessionId,
    /// Counts up within the session, from 1.
    pub number: u64,
    /// The number of the full checkpoint that it stands on; its own if it is full.
    pub full: u64,
    /// Slots below this are covered.
    pub covers_below: Slot,
    /// Every claim of the session up to this one is adopted and listed.
    pub adopted_through: ClaimNumber,
    /// A line a partition, in order.
    pub partitions: Vec<(TopicPartition, Line)>,
}

impl Checkpoint {
    /// What its lines say of those that are covered.
    pub fn listings(&self) -> impl Iterator<Item = &Listing> {
        self.partitions.iter().filter_map(|(_, line)| match line {
            Line::Whole(listing) | Line::Delta(listing) => Some(listing),
            Line::Gone => None,
        })
    }
}

/// What a checkpoint says of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// All there is to know: replaces whatever earlier lines said.
    Whole(Listing),
    /// What came on top.
    Delta(Listing),
    /// The session no longer covers it.
    Gone,
}

#[cfg(test)]
mod tests;
