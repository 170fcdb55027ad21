//! When a checkpoint is due.

use std::time::Duration;

use tokio::time::Instant;
use weir_segment_store::journal::Checkpointing;

use crate::BrokerSettings;
#[cfg(test)]
use crate::SlotSettings;

/// When checkpoints are made and what they gather.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointSettings {
    /// After this many bytes of records.
    pub(crate) bytes: u64,
    /// After fewer, if the first of them is older than [`EARLY`]: a large object that is written at once
    /// keeps slots from the store and from the wire. More requests for the same bytes, though.
    pub(crate) early_bytes: u64,
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

/// How large a sorted object is, where the number of requests does not matter more than anything else.
const SORTED_BYTES: u64 = 64 << 20;

impl CheckpointSettings {
    /// Settings for a broker: a quarter of its buffers may wait for a checkpoint while one is being made,
    /// half is kept for readers of the tail. One that is patient for the sake of requests makes fewer and
    /// larger checkpoints, none of them early, of a third, each with one sorted object. The rest is what suits the log.
    pub(crate) fn of(broker: &BrokerSettings, log: Checkpointing) -> Self {
        let (limit, patient) = (broker.buffer_bytes, broker.slots.patient);
        let bytes = (limit / if patient { 3 } else { 4 }).min(1 << 30);
        Self {
            bytes,
            early_bytes: if patient { bytes } else { bytes / 4 },
            slots: log.slots,
            age: Duration::from_secs(30),
            in_place_bytes: log.in_place_bytes,
            sorted_bytes: if patient { bytes.max(SORTED_BYTES) } else { SORTED_BYTES },
            tail_bytes: limit / if patient { 3 } else { 2 },
        }
    }
}

#[cfg(test)]
const LOG: Checkpointing = Checkpointing { slots: 512, in_place_bytes: 1 << 20 };

#[cfg(test)]
impl CheckpointSettings {
    /// Those of a broker of a cluster with buffers of `limit` bytes.
    pub(super) fn for_tests(limit: u64) -> Self {
        let slots = SlotSettings::default();
        let broker = BrokerSettings {
            buffer_bytes: limit,
            slots,
            shards: 1,
            sole: false,
            tending: crate::Tending::default(),
        };
        Self::of(&broker, LOG)
    }
}

/// How old records are of which few make a checkpoint due. Every one costs two writes of the metadata.
const EARLY: Duration = Duration::from_secs(2);

/// What waits for a checkpoint.
#[derive(Default, Debug)]
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

    /// Something else than records waits.
    pub(super) fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    pub(super) fn is_due(&self, settings: &CheckpointSettings, now: Instant) -> bool {
        self.bytes >= settings.bytes
            || self.slots >= settings.slots
            || self.due_at(settings).is_some_and(|due| due <= now)
    }

    /// When it will be due by age.
    pub(super) fn due_at(&self, settings: &CheckpointSettings) -> Option<Instant> {
        let age = if self.bytes >= settings.early_bytes { EARLY } else { settings.age };
        self.since.map(|since| since + age.min(settings.age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_checkpoint_is_due_after_many_bytes_or_early_after_fewer() {
        let settings = CheckpointSettings::for_tests(1_600);
        let (began, mut waiting) = (Instant::now(), Waiting::default());
        waiting.add(99, began);
        assert_eq!(waiting.due_at(&settings), Some(began + settings.age));
        waiting.add(1, began + EARLY / 2);
        assert_eq!(waiting.due_at(&settings), Some(began + EARLY));
        assert!(!waiting.is_due(&settings, began));
        waiting.add(300, began);
        assert!(waiting.is_due(&settings, began));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_patient_for_the_sake_of_requests_makes_none_early() {
        let slots = SlotSettings { patient: true, ..SlotSettings::default() };
        let broker = BrokerSettings {
            buffer_bytes: 1_600,
            slots,
            shards: 1,
            sole: false,
            tending: crate::Tending::default(),
        };
        let (settings, began, mut waiting) =
            (CheckpointSettings::of(&broker, LOG), Instant::now(), Waiting::default());
        waiting.add(532, began);
        assert_eq!(waiting.due_at(&settings), Some(began + settings.age));
        waiting.add(1, began);
        assert!(waiting.is_due(&settings, began));
    }
}
