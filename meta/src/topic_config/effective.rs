//! What a topic's configs come to, for those who act on them.

use std::collections::BTreeMap;

use super::TOPIC_CONFIGS;

/// Whose timestamps a topic keeps.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TimestampType {
    /// The producers'.
    CreateTime,
    /// The broker's.
    LogAppendTime,
}

/// How old records leave a topic. Neither: they stay.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CleanupPolicy {
    /// By age and size.
    pub delete: bool,
    /// All but the latest of each key.
    pub compact: bool,
}

/// A topic's configs, parsed, with defaults for what is not set. Times in milliseconds, sizes in
/// bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TopicConfig {
    /// `max.message.bytes`: the largest record batch taken.
    pub max_message_bytes: i32,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`: how far a timestamp may lie back.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far a timestamp may lie ahead.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy`.
    pub cleanup_policy: CleanupPolicy,
    /// `retention.ms`; below 0: for ever.
    pub retention_ms: i64,
    /// `retention.bytes` a partition; below 0: without bound.
    pub retention_bytes: i64,
    /// `segment.bytes`.
    pub segment_bytes: i64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `delete.retention.ms`: how long compaction keeps a tombstone.
    pub delete_retention_ms: i64,
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub min_cleanable_dirty_ppm: u32,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
}

impl TopicConfig {
    /// What `overrides` come to. A value that is not legal counts as not set: it can't be in a
    /// topic, since none is stored unchecked.
    pub fn new(overrides: &BTreeMap<String, String>) -> Self {
        let set = Set(overrides);
        let policy = set.text("cleanup.policy");
        let has = |wanted| super::items(policy).any(|item| item == wanted);
        Self {
            max_message_bytes: i32::try_from(set.number("max.message.bytes")).unwrap_or(i32::MAX),
            timestamp_type: match set.text("message.timestamp.type") {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: set.number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: set.number("message.timestamp.after.max.ms"),
            cleanup_policy: CleanupPolicy { delete: has("delete"), compact: has("compact") },
            retention_ms: set.number("retention.ms"),
            retention_bytes: set.number("retention.bytes"),
            segment_bytes: set.number("segment.bytes"),
            segment_ms: set.number("segment.ms"),
            delete_retention_ms: set.number("delete.retention.ms"),
            min_cleanable_dirty_ppm: ppm(set.text("min.cleanable.dirty.ratio")),
            min_compaction_lag_ms: set.number("min.compaction.lag.ms"),
            max_compaction_lag_ms: set.number("max.compaction.lag.ms"),
        }
    }
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self::new(&BTreeMap::new())
    }
}

/// A part of one in millionths.
fn ppm(ratio: &str) -> u32 {
    let ratio: f64 = ratio.parse().unwrap_or_default();
    (ratio.clamp(0.0, 1.0) * 1e6) as u32
}

struct Set<'a>(&'a BTreeMap<String, String>);

impl Set<'_> {
    fn text(&self, name: &'static str) -> &str {
        let Some(definition) = TOPIC_CONFIGS.iter().find(|config| config.name == name) else {
            return "";
        };
        let set = self.0.get(name).map(|value| value.trim());
        set.filter(|value| definition.check(value).is_ok()).unwrap_or(definition.default)
    }

    fn number(&self, name: &'static str) -> i64 {
        self.text(name).parse().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_kafkas() {
        let config = TopicConfig::default();
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!(config.timestamp_type, TimestampType::CreateTime);
        assert_eq!(config.timestamp_before_max_ms, i64::MAX);
        assert_eq!(config.timestamp_after_max_ms, 3_600_000);
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: false });
        assert_eq!((config.retention_ms, config.retention_bytes), (604_800_000, -1));
        assert_eq!((config.segment_bytes, config.segment_ms), (1 << 30, 604_800_000));
        assert_eq!(config.delete_retention_ms, 86_400_000);
        assert_eq!((config.min_compaction_lag_ms, config.max_compaction_lag_ms), (0, i64::MAX));
    }

    #[test]
    fn what_is_set_counts() {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let config = TopicConfig::new(&BTreeMap::from([
            set("cleanup.policy", " compact "),
            set("message.timestamp.type", "LogAppendTime"),
            set("retention.ms", " -1 "),
            set("max.message.bytes", "nonsense"),
        ]));
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: false, compact: true });
        assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
        assert_eq!(config.retention_ms, -1);
        assert_eq!(config.max_message_bytes, 1_048_588);
    }
}
