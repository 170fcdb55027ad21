//! Log compaction: of each key the latest record stays (`cleanup.policy=compact`; KIP-534 for tombstones).
//!
//! A pass over a partition notes the latest offset of each key in what was written since the pass before ([`latest`]), as
//! far as there is memory for keys, and then folds everything from the log's start up to there, leaving out what is not
//! the latest ([`filter`]). So compaction is a fold that leaves something out, and is published like one; how far the
//! partition has been compacted is part of its listing. A pass that is cut short has changed nothing that another would
//! not change, too, and is begun again.
//!
//! Small partitions share objects, as they do in folds. There is memory for one fold or one piece of a pass at a time.
//!
//! Invariants:
//! - Offsets stay what they are; a record is left out only if one with the same key is behind it and durable, or it is a
//!   tombstone that has been there for long enough.
//! - What no checkpoint names yet is not touched.

mod filter;
mod latest;
mod task;

use std::time::Duration;

use weir_ids::{LeaderEpoch, Offset, TopicPartition};
use weir_segment_store::{Reference, pages::PageRef};

pub(crate) use task::Compactor;

use crate::{BrokerSettings, Tending, fold::FoldSettings};

/// What a pass works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CompactionSettings {
    /// How long after a round the next begins.
    pub(crate) interval: Duration,
    /// Less than this waits for a while.
    pub(crate) least_bytes: u64,
    /// What keys may take of memory.
    pub(crate) keys_bytes: u64,
    /// About how many bytes of records make one object.
    pub(crate) object_bytes: u64,
}

impl CompactionSettings {
    pub(crate) fn of(broker: &BrokerSettings, folds: &FoldSettings) -> Self {
        let Tending { compaction_interval, compaction_least_bytes, compaction_bytes, .. } =
            broker.tending;
        let object_bytes = folds.object_bytes;
        Self {
            interval: compaction_interval,
            least_bytes: compaction_least_bytes,
            keys_bytes: compaction_bytes,
            object_bytes,
        }
    }
}

impl BrokerSettings {
    /// What log compaction takes of memory while it has something to do: keys, and records that were read, that were
    /// left of them, and that wait to be written.
    pub fn compaction_memory_bytes(&self) -> u64 {
        self.tending.compaction_bytes + 3 * self.fold_memory_bytes() / 2
    }
}

/// A partition that is worth a pass.
#[derive(Clone, Debug)]
pub(crate) struct Dirty {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    /// Up to here the pass before this one noted keys.
    pub(crate) cleaned: Offset,
    /// Where its records are: those behind the last that may be looked at are left out.
    pub(crate) references: Vec<Reference>,
    /// Where older ones are, if they are listed by pages: a topic that was not compacted before.
    pub(crate) pages: Vec<PageRef>,
    /// `delete.retention.ms`.
    pub(crate) delete_retention_ms: i64,
}
