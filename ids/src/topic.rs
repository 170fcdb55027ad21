//! Names that a Kafka client knows too.

use crate::number;

/// A topic's identity: a new one each time a topic is created, also under an old name (KIP-516).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct TopicId(pub uuid::Uuid);

impl TopicId {
    /// The id that stands for "none" on the wire.
    pub const NIL: TopicId = TopicId(uuid::Uuid::nil());
}

impl std::fmt::Display for TopicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

impl std::fmt::Debug for TopicId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TopicId({})", self.0)
    }
}

number!(
    /// A partition's number within its topic, from 0.
    PartitionIndex(u32)
);

/// One partition of one topic.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition within it.
    pub partition: PartitionIndex,
}

impl TopicPartition {
    /// Names partition `partition` of `topic`.
    pub fn new(topic: TopicId, partition: PartitionIndex) -> Self {
        Self { topic, partition }
    }
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

impl std::fmt::Debug for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

number!(
    /// A record's place in its partition. Never given twice, never negative in a log.
    Offset(i64)
);

impl Offset {
    /// The first offset of a log.
    pub const ZERO: Offset = Offset(0);

    /// The offset `count` records on. Saturates, so that no stored number can wrap it.
    #[must_use]
    pub fn plus(self, count: i64) -> Offset {
        Offset(self.0.saturating_add(count))
    }
}

number!(
    /// How often the right to write a partition has been claimed. Never goes back, not even when
    /// a topic is deleted and created again under its name.
    LeaderEpoch(i32)
);

impl LeaderEpoch {
    /// Nobody has claimed the partition yet; on the wire: unknown.
    pub const NONE: LeaderEpoch = LeaderEpoch(-1);

    /// The epoch of the next claim.
    #[must_use]
    pub fn next(self) -> LeaderEpoch {
        LeaderEpoch(self.0.saturating_add(1))
    }
}

number!(
    /// An idempotent or transactional producer (KIP-98).
    ProducerId(i64)
);

impl ProducerId {
    /// A producer that is neither idempotent nor transactional.
    pub const NONE: ProducerId = ProducerId(-1);
}

number!(
    /// A producer's generation: a higher one fences the lower (KIP-98, KIP-360).
    ProducerEpoch(i16)
);

number!(
    /// A record's number in its producer's stream to one partition; wraps to 0 after `i32::MAX`.
    Sequence(i32)
);

impl Sequence {
    /// The sequence `count` records on, with Kafka's wrap from `i32::MAX` to 0.
    #[must_use]
    pub fn plus(self, count: u32) -> Sequence {
        let wrap = i64::from(i32::MAX) + 1;
        Sequence(((i64::from(self.0) + i64::from(count)).rem_euclid(wrap)) as i32)
    }
}

number!(
    /// Milliseconds since 1970-01-01 UTC; -1 on the wire: none.
    Timestamp(i64)
);

impl Timestamp {
    /// No timestamp.
    pub const NONE: Timestamp = Timestamp(-1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_wraps_to_zero_after_the_largest() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(7).plus(0), Sequence(7));
    }

    #[test]
    fn offset_never_wraps() {
        assert_eq!(Offset(i64::MAX).plus(5), Offset(i64::MAX));
    }
}
