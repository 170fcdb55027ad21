//! What recoveries under way have read. Until their partitions are open nothing else in this process
//! names it, and a round of the collector must hear of it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use weir_segment_store::{
    ObjectName,
    checkpoint::{Checkpoint, Line},
};

/// The objects that were met. Clones share it. It is as large as what the sessions that are read refer
/// to, which the partitions hold afterwards.
#[derive(Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<BTreeSet<ObjectName>>>);

impl Noted {
    /// A checkpoint has been read.
    pub(super) fn checkpoint(&self, checkpoint: &Checkpoint) {
        let mut noted = self.lock();
        for (_, line) in &checkpoint.partitions {
            if let Line::Whole(listing) | Line::Delta(listing) = line {
                noted.extend(listing.references.iter().map(|reference| reference.object));
            }
        }
    }

    /// Slots have been read.
    pub(super) fn slots(&self, objects: impl Iterator<Item = ObjectName>) {
        self.lock().extend(objects);
    }

    /// All that was recovered is open.
    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    /// What has been read.
    pub(crate) fn names(&self) -> BTreeSet<ObjectName> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<ObjectName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
