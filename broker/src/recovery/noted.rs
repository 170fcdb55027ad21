//! What recoveries under way have read. Until their partitions are open nothing else in this process
//! names it, and a round of the collector must hear of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_segment_store::{ObjectName, checkpoint::Checkpoint};

use crate::Named;

/// What was met. Clones share it. It is as large as what the sessions that are read refer
/// to, which the partitions hold afterwards.
#[derive(Clone, Default)]
pub(crate) struct Noted(Arc<Mutex<Named>>);

impl Noted {
    /// A checkpoint has been read.
    pub(super) fn checkpoint(&self, checkpoint: &Checkpoint) {
        let mut noted = self.lock();
        checkpoint.listings().for_each(|listing| noted.add(listing));
    }

    /// Slots have been read.
    pub(super) fn slots(&self, objects: impl Iterator<Item = ObjectName>) {
        self.lock().objects.extend(objects);
    }

    /// All that was recovered is open.
    pub(super) fn forget(&self) {
        *self.lock() = Named::default();
    }

    /// What has been read.
    pub(crate) fn named(&self) -> Named {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Named> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
