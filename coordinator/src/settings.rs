//! What an operator may set, under Kafka's names and with Kafka's defaults unless said otherwise.

use std::time::Duration;

/// How the coordinator behaves. Kafka's name of each setting stands at its field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `group.min.session.timeout.ms`: a member may not ask for less.
    pub session_timeout_min: Duration,
    /// `group.max.session.timeout.ms`: a member may not ask for more.
    pub session_timeout_max: Duration,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members before
    /// its first rebalance, and again each time that one more came.
    pub initial_rebalance_delay: Duration,
    /// `group.max.size`: members of a group. Kafka sets no limit; a group is held in memory.
    pub group_max_size: usize,
    /// `offset.metadata.max.bytes`: what a client may keep beside an offset.
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`: how long offsets outlive the last member of their group.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often that is looked at.
    pub offsets_retention_check_interval: Duration,
    /// `offsets.commit.timeout.ms`: how long an append is tried again that surely did not happen,
    /// for example because the partition is moving.
    pub append_timeout: Duration,
    /// `offsets.topic.num.partitions`, when the topic is created; afterwards it never changes.
    pub offsets_topic_partitions: u32,
    /// The most that one appended batch may hold, in bytes. Must not exceed `max.message.bytes` of
    /// the topic; a group whose members' metadata does not fit can't be stored.
    pub batch_max_bytes: usize,
    /// The subscription metadata of one member over all its protocols, in bytes. Not in Kafka.
    pub member_metadata_max_bytes: usize,
    /// Groups in one shard. Not in Kafka: a client could otherwise fill the memory with names.
    pub groups_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            session_timeout_min: Duration::from_secs(6),
            session_timeout_max: Duration::from_secs(30 * 60),
            initial_rebalance_delay: Duration::from_secs(3),
            group_max_size: 10_000,
            offset_metadata_max_bytes: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 60 * 60),
            offsets_retention_check_interval: Duration::from_secs(10 * 60),
            append_timeout: Duration::from_secs(5),
            offsets_topic_partitions: 50,
            batch_max_bytes: 1024 * 1024,
            member_metadata_max_bytes: 1024 * 1024,
            groups_max: 100_000,
        }
    }
}

impl Settings {
    /// The defaults for trying things out on one machine: the first member of a group need not wait
    /// for others.
    #[must_use]
    pub fn dev() -> Self {
        Self { initial_rebalance_delay: Duration::ZERO, ..Self::default() }
    }
}
