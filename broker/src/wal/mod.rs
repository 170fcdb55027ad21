//! From accepted batches to slots of the write-ahead log.
//!
//! One task gathers what all shards accept ([`gather`]), cuts slots, submits them to the journal and
//! tells the shards when a slot is durable. What is durable and not yet checkpointed goes on to the
//! checkpointer, records included, so that nothing is read back.

mod gather;
mod task;
mod waiters;

use std::sync::Arc;

use weir_ids::{LeaderEpoch, Slot, TopicPartition};
use weir_protocol::records::PatchedBatch;
use weir_segment_store::{
    ObjectName,
    object::{BatchEntry, Chunk},
};

pub(crate) use task::{Wal, WalHandle, WalInbox};

use crate::Lifetime;

/// The batches of one partition and epoch in one slot.
pub(crate) struct SlotChunk {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) lifetime: Lifetime,
    pub(crate) entries: Vec<BatchEntry>,
    pub(crate) batches: Vec<PatchedBatch>,
}

/// A slot that is durable and waits to be checkpointed.
#[derive(Clone)]
pub(crate) struct DurableSlot {
    pub(crate) slot: Slot,
    pub(crate) object: ObjectName,
    /// Where its body begins in the object.
    pub(crate) origin: u64,
    /// What it holds of the broker's buffers.
    pub(crate) bytes: u64,
    /// Where each chunk lies, and what it holds.
    pub(crate) chunks: Arc<Vec<(Chunk, SlotChunk)>>,
}
