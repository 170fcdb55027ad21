//! What a broker shows of itself. Counters are bumped a slot, a checkpoint or a read at a time, never a record.

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::{Registry, Unit},
};

/// The figures of one broker. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) partitions: Gauge,
    pub(crate) buffered_bytes: Gauge,
    pub(crate) slots: Counter,
    pub(crate) slot_bytes: Counter,
    pub(crate) batches: Counter,
    pub(crate) read_bytes: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoint_failures: Counter,
    pub(crate) sorted_bytes: Counter,
    pub(crate) folds: Counter,
    pub(crate) folded_bytes: Counter,
    pub(crate) pages: Counter,
    pub(crate) compacted_bytes: Counter,
}

impl Metrics {
    /// Shows them in `registry` under `weir_broker_`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("weir_broker");
        registry.register("partitions", "Partitions that are open", self.partitions.clone());
        registry.register_with_unit(
            "buffered",
            "Room that records take in memory",
            Unit::Bytes,
            self.buffered_bytes.clone(),
        );
        registry.register("wal_slots", "Slots made durable", self.slots.clone());
        registry.register_with_unit(
            "wal_records",
            "Record batches made durable",
            Unit::Bytes,
            self.slot_bytes.clone(),
        );
        registry.register("wal_batches", "Record batches made durable", self.batches.clone());
        registry.register_with_unit(
            "read_records",
            "Record batches given from the tail to those who read",
            Unit::Bytes,
            self.read_bytes.clone(),
        );
        registry.register("checkpoints", "Checkpoints published", self.checkpoints.clone());
        let help = "Attempts at a checkpoint that failed and were begun again";
        registry.register("checkpoint_failures", help, self.checkpoint_failures.clone());
        registry.register_with_unit(
            "sorted",
            "Written to sorted objects by checkpoints",
            Unit::Bytes,
            self.sorted_bytes.clone(),
        );
        let help = "Objects written of short ranges that were in many before";
        registry.register("folds", help, self.folds.clone());
        registry.register_with_unit(
            "folded",
            "Written to those",
            Unit::Bytes,
            self.folded_bytes.clone(),
        );
        let help = "Pages written of references that partitions do not hold themselves any more";
        registry.register("pages", help, self.pages.clone());
        registry.register_with_unit(
            "compacted",
            "Written by log compaction",
            Unit::Bytes,
            self.compacted_bytes.clone(),
        );
    }
}
