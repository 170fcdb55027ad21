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

/// About how long records stay. What lies in one object goes together, or what stays of it keeps all of it in the store:
/// so records of different lifetimes are gathered apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Lifetime {
    /// They are written again by log compaction.
    Compacted,
    /// By their age: the same number for ages that are alike, each four times as long as the one below.
    Aged(u32),
    /// By how much comes after them.
    Sized,
    /// For ever.
    Endless,
}

impl TopicRules {
    /// How long a topic's records stay.
    pub(crate) fn lifetime(&self) -> Lifetime {
        match (self.compacted, self.retention_ms, self.retention_bytes) {
            (true, ..) => Lifetime::Compacted,
            (_, Some(ms), _) => Lifetime::Aged(ms.max(1).ilog(4)),
            (_, None, Some(_)) => Lifetime::Sized,
            _ => Lifetime::Endless,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_that_are_alike_count_as_one() {
        let aged = |retention_ms| TopicRules { retention_ms, ..TopicRules::default() }.lifetime();
        let day = 86_400_000;
        assert_eq!(aged(Some(7 * day)), aged(Some(8 * day)));
        assert!(aged(Some(day)) < aged(Some(30 * day)) && aged(Some(i64::MAX)) < Lifetime::Sized);
        assert_eq!(aged(Some(0)), Lifetime::Aged(0));
        assert_eq!(aged(None), Lifetime::Endless);
        let sized =
            TopicRules { retention_ms: None, retention_bytes: Some(1), ..TopicRules::default() };
        assert_eq!(sized.lifetime(), Lifetime::Sized);
        let compacted = TopicRules { compacted: true, ..sized };
        assert_eq!(compacted.lifetime(), Lifetime::Compacted);
    }
}
