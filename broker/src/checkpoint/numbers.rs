//! The numbers of the objects that a session writes beside its checkpoints.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use weir_segment_store::ObjectName;

/// Gives each number once; see [`ObjectName::sorted_number`]. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct ObjectNumbers {
    /// The last checkpoint that was written.
    checkpoint: Arc<AtomicU64>,
    given: Arc<AtomicU64>,
}

impl ObjectNumbers {
    /// The number of an object that the next checkpoint may be the first to name.
    pub(crate) fn next(&self) -> u64 {
        let nth = self.given.fetch_add(1, Ordering::Relaxed) + 1;
        ObjectName::sorted_number(self.checkpoint.load(Ordering::Relaxed) + 1, nth)
    }

    /// This checkpoint has been written.
    pub(super) fn written(&self, checkpoint: u64) {
        self.checkpoint.store(checkpoint, Ordering::Relaxed);
    }
}
