//! The topics of a run, and the numbers under which the history knows their partitions.

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    counts: Vec<(String, u32)>,
    /// `retention.bytes` of the first of them, if it has any.
    retention_bytes: Option<u64>,
}

impl Topics {
    /// Topics by name, with how many partitions each has.
    pub(crate) fn new(counts: Vec<(String, u32)>, retention_bytes: Option<u64>) -> Self {
        Self { counts, retention_bytes }
    }

    /// `retention.bytes` of the topic.
    pub(crate) fn retention_bytes(&self, topic: &str) -> Option<u64> {
        let first = self.counts.first().is_some_and(|(name, _)| name == topic);
        self.retention_bytes.filter(|_| first)
    }

    /// Name and partitions of each.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, u32)> {
        self.counts.iter().map(|(name, count)| (&**name, *count))
    }

    /// How many partitions there are in all.
    pub(crate) fn partitions(&self) -> i32 {
        self.counts.iter().map(|(_, count)| *count as i32).sum()
    }

    /// The topic and partition of a number.
    pub(crate) fn of(&self, number: i32) -> (&str, i32) {
        let mut rest = number;
        for (name, count) in &self.counts {
            if rest < *count as i32 {
                return (name, rest);
            }
            rest -= *count as i32;
        }
        ("", -1)
    }

    /// The number of a topic's partition.
    pub(crate) fn number(&self, topic: &str, partition: i32) -> Option<i32> {
        let mut first = 0;
        for (name, count) in &self.counts {
            if name == topic && (0..*count as i32).contains(&partition) {
                return Some(first + partition);
            }
            first += *count as i32;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_numbered_through() {
        let topics = Topics::new(vec![("a".into(), 2), ("b".into(), 3)], None);
        assert_eq!(topics.partitions(), 5);
        assert_eq!((topics.of(1), topics.of(2), topics.of(4)), (("a", 1), ("b", 0), ("b", 2)));
        for number in 0..5 {
            let (topic, partition) = topics.of(number);
            assert_eq!(topics.number(topic, partition), Some(number));
        }
        assert_eq!(topics.number("b", 3), None);
    }
}
