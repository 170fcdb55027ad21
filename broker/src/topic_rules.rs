//! What a topic's configuration says about its partitions' records, in the form that is looked at
//! for each batch.

/// What a topic takes and how long it remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRules {
    /// `max.message.bytes`: the longest batch.
    pub max_batch_bytes: usize,
    /// `message.timestamp.type`: whether batches get the broker's time.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` names `compact`: each record needs a key, and gives way to the next that has it.
    pub compacted: bool,
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub min_dirty_ppm: u32,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`: how long compaction keeps a tombstone.
    pub delete_retention_ms: i64,
    /// `retention.ms`, if `cleanup.policy` names `delete`: records that are older than this go. `None`: never.
    pub retention_ms: Option<i64>,
    /// `retention.bytes`, likewise: the oldest go while what is left is as much. `None`: without bound.
    pub retention_bytes: Option<u64>,
    /// `segment.bytes`: that much goes or stays together, at most.
    pub segment_bytes: u64,
    /// `segment.ms`: likewise, in timestamps.
    pub segment_ms: i64,
    /// `producer.id.expiration.ms`: after this, a silent producer is forgotten.
    pub producer_expiry_ms: i64,
}

impl Default for TopicRules {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            max_batch_bytes: 1_048_588,
            log_append_time: false,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            compacted: false,
            min_dirty_ppm: 500_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 86_400_000,
            retention_ms: Some(604_800_000),
            retention_bytes: None,
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            producer_expiry_ms: 86_400_000,
        }
    }
}
