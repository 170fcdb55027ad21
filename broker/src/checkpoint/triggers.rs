//! When a checkpoint is due.

use std::time::Duration;

use tokio::time::Instant;

/// When checkpoints are made and what they gather.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointSettings {
    /// After this many bytes of records.
    pub(crate) bytes: u64,
    /// After this many slots.
    pub(crate) slots: usize,
    /// This long after the first record that is not covered.
    pub(crate) age: Duration,
    /// A run of one partition in one slot of at least this length stays where it is.
    pub(crate) in_place_bytes: u32,
    /// Sorted objects are about this large.
    pub(crate) sorted_bytes: u64,
    /// The tail keeps about this much of what has been checkpointed.
    pub(crate) tail_bytes: u64,
}

impl CheckpointSettings {
    /// Settings for buffers of `limit` bytes: a quarter may wait for a checkpoint while one is being
    /// made, half is kept for readers of the tail.
    pub(crate) fn for_buffers(limit: u64) -> Self {
        Self {
            bytes: (limit / 4).min(1 << 30),
            slots: 65_536,
            age: Duration::from_secs(30),
            in_place_bytes: 1 << 20,
            sorted_bytes: 64 << 20,
            tail_bytes: limit / 2,
        }
    }
}

/// What waits for a checkpoint.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) bytes: u64,
    pub(super) slots: usize,
    pub(super) since: Option<Instant>,
}

impl Waiting {
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.bytes += bytes;
        self.slots += 1;
        self.since.get_or_insert(now);
    }

    pub(super) fn is_due(&self, settings: &CheckpointSettings, now: Instant) -> bool {
        self.bytes >= settings.bytes
            || self.slots >= settings.slots
            || self.due_at(settings).is_some_and(|due| due <= now)
    }

    /// When it will be due by age.
    pub(super) fn due_at(&self, settings: &CheckpointSettings) -> Option<Instant> {
        self.since.map(|since| since + settings.age)
    }
}
