//! The newest batches of a partition, in memory.

use std::collections::VecDeque;

use bytes::Bytes;
use weir_ids::{Offset, Timestamp};
use weir_protocol::records::PatchedBatch;

/// A batch with what is looked for in it.
#[derive(Clone)]
pub(crate) struct TailBatch {
    pub(crate) base: Offset,
    pub(crate) last: Offset,
    pub(crate) max_timestamp: Timestamp,
    pub(crate) batch: PatchedBatch,
    /// What it holds of the broker's buffers.
    pub(crate) reserved: u64,
}

pub(super) struct Tail {
    batches: VecDeque<TailBatch>,
}

impl Tail {
    pub(super) fn new() -> Self {
        Self { batches: VecDeque::new() }
    }

    pub(super) fn push(&mut self, batch: TailBatch) {
        debug_assert!(self.batches.back().is_none_or(|back| back.last.plus(1) == batch.base));
        self.batches.push_back(batch);
    }

    /// The first offset that it holds.
    pub(super) fn start(&self) -> Option<Offset> {
        self.batches.front().map(|front| front.base)
    }

    /// The batches from the one that holds `from` on.
    pub(super) fn from(&self, from: Offset) -> impl Iterator<Item = &TailBatch> {
        let first = self.batches.partition_point(|batch| batch.last < from);
        self.batches.range(first..)
    }

    /// Bytes of the batches that lie in `from..to`.
    pub(super) fn bytes_between(&self, from: Offset, to: Offset) -> u64 {
        self.from(from).take_while(|batch| batch.last < to).map(|b| b.batch.size() as u64).sum()
    }

    /// Pieces of whole batches from the one that holds `from`, below `end`, up to `max_bytes` but at
    /// least one batch.
    pub(super) fn read(&self, from: Offset, end: Offset, max_bytes: u32) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut len = 0usize;
        for batch in self.from(from).take_while(|batch| batch.last < end) {
            len += batch.batch.size();
            if len > max_bytes as usize && !pieces.is_empty() {
                break;
            }
            pieces.extend(batch.batch.pieces().into_iter().cloned());
        }
        pieces
    }

    pub(super) fn evict(&mut self, last: Offset) -> u64 {
        let gone = self.batches.partition_point(|batch| batch.last <= last);
        let freed = self.batches.drain(..gone).map(|batch| batch.reserved).sum();
        if self.batches.is_empty() {
            // An idle partition holds nothing.
            self.batches = VecDeque::new();
        }
        freed
    }

    pub(super) fn clear(&mut self) -> u64 {
        std::mem::take(&mut self.batches).into_iter().map(|batch| batch.reserved).sum()
    }
}
