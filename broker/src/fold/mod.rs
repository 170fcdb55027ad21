//! Folds: short ranges of a partition written once more, as longer ones (DESIGN §6, `docs/adr/0008-folds.md`).
//!
//! One task ([`task`]) looks for what is due whenever a checkpoint has been written. It takes the partitions that have
//! something, neighbours together, reads their ranges, several at once, and writes one sorted object of all ([`gather`]);
//! then the shards replace what they refer to. The next checkpoint lists those partitions whole, and that publishes the
//! fold. One that fails is begun again later: nothing refers to it yet. What is not due any more is listed by pages
//! ([`page`]) where there is much of it, so that an owner holds little, however old a partition is.
//!
//! Objects go whole. So what is needed of those of which little is (`Thin`; the collector finds them) is written once
//! more, too ([`thin`]).
//!
//! Invariants:
//! - A fold replaces references by others to the same batches of the same epochs, nothing else.
//! - An object is named ([`Folding`]) from before it is written until partitions name it, or nobody ever will.
//! - What is read is checked before it is written again.
//! - There is memory for one fold at a time, and producers that wait for room go first.

mod gather;
mod page;
mod read;
mod task;
mod thin;
mod write;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use weir_ids::{LeaderEpoch, TopicPartition};
use weir_segment_store::{
    ObjectName, Reference,
    fold::{Rule, Segment},
    journal::Checkpointing,
    pages::{Page, PageRef},
};

pub(crate) use gather::Read;
pub(crate) use read::{groups, read_all};
pub(crate) use task::{Failed, Folder, FolderDeps};

use crate::{BrokerSettings, Lifetime};

/// When ranges are folded, and how much at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoldSettings {
    /// What is worth it.
    pub(crate) rule: Rule,
    /// About how many bytes of records make one object.
    pub(crate) object_bytes: u64,
    /// How many entries a page has.
    pub(crate) page_entries: usize,
}

/// The least and the most that one takes.
const LEAST_BYTES: u64 = 1 << 20;
const MOST_BYTES: u64 = 128 << 20;

impl FoldSettings {
    pub(crate) fn of(broker: &BrokerSettings, log: Checkpointing) -> Self {
        let rule = Rule { enough: broker.tending.fold_after, long_bytes: log.in_place_bytes };
        Self { rule, object_bytes: object_bytes(broker), page_entries: broker.tending.page_entries }
    }
}

/// A quarter of what a broker has for records, beside that.
fn object_bytes(broker: &BrokerSettings) -> u64 {
    (broker.buffer_bytes / 4).clamp(LEAST_BYTES, MOST_BYTES)
}

impl BrokerSettings {
    /// What folds take of memory: what has been read, and as much when it is written.
    pub fn fold_memory_bytes(&self) -> u64 {
        object_bytes(self) * 2
    }
}

/// What of partitions is to be written once more.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Short ranges, where enough of them lie side by side.
    Short,
    /// What lies in these objects.
    In(Arc<BTreeSet<ObjectName>>),
}

/// Neighbours of one partition that are to become one range, as they were under an epoch.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    /// What is folded together goes together.
    pub(crate) lifetime: Lifetime,
    pub(crate) references: Vec<Reference>,
}

impl Due {
    /// Bytes of records.
    pub(crate) fn bytes(&self) -> u64 {
        self.references.iter().map(|reference| u64::from(reference.data.len)).sum()
    }
}

/// What has become of them.
#[derive(Clone, Debug)]
pub(crate) struct Folded {
    pub(crate) due: Due,
    pub(crate) by: Vec<Reference>,
}

/// What a new page is to list, as it was under an epoch.
#[derive(Clone, Debug)]
pub(crate) struct DuePage {
    pub(crate) epoch: LeaderEpoch,
    pub(crate) page: Page,
}

/// A page that is written.
#[derive(Clone, Debug)]
pub(crate) struct Paged {
    pub(crate) due: DuePage,
    pub(crate) at: PageRef,
}

/// A page that a partition refers to, and that leads to something that is to be written once more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OldPage {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) lifetime: Lifetime,
    pub(crate) segment: Segment,
    pub(crate) page: PageRef,
}

/// The objects that folds are writing, or have written for partitions that do not name them yet. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Folding(Arc<Mutex<BTreeSet<ObjectName>>>);

/// An object is named as long as this lives.
struct Named {
    folding: Folding,
    object: ObjectName,
}

impl Folding {
    /// The objects.
    pub(crate) fn names(&self) -> BTreeSet<ObjectName> {
        self.lock().clone()
    }

    fn name(&self, object: ObjectName) -> Named {
        self.lock().insert(object);
        Named { folding: self.clone(), object }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<ObjectName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        self.folding.lock().remove(&self.object);
    }
}
