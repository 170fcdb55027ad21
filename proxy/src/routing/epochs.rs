//! The highest leader epoch that brokers have told of each partition.
//!
//! Metadata shows it to clients, who send it back with their fetches (KIP-320). It never goes
//! back, and a partition that nobody has heard of has none: clients then do without.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicI32, Ordering},
    },
};

use weir_ids::{LeaderEpoch, PartitionIndex, TopicId, TopicPartition};

/// See the module. Four bytes a partition of topics that were used.
#[derive(Default)]
pub(crate) struct Epochs(RwLock<HashMap<TopicId, Vec<AtomicI32>>>);

impl Epochs {
    /// Takes note of an epoch.
    pub(crate) fn note(&self, partition: TopicPartition, epoch: LeaderEpoch) {
        let TopicPartition { topic, partition: PartitionIndex(index) } = partition;
        let index = index as usize;
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(slot) = known.get(&topic).and_then(|epochs| epochs.get(index)) {
                if slot.load(Ordering::Relaxed) < epoch.0 {
                    slot.fetch_max(epoch.0, Ordering::Relaxed);
                }
                return;
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let epochs = known.entry(topic).or_default();
        while epochs.len() <= index {
            epochs.push(AtomicI32::new(LeaderEpoch::NONE.0));
        }
        epochs[index].fetch_max(epoch.0, Ordering::Relaxed);
    }

    /// The highest noted.
    pub(crate) fn of(&self, partition: TopicPartition) -> LeaderEpoch {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&partition.topic)
            .and_then(|epochs| epochs.get(partition.partition.0 as usize))
            .map_or(LeaderEpoch::NONE, |epoch| LeaderEpoch(epoch.load(Ordering::Relaxed)))
    }

    /// How many topics are known here.
    pub(crate) fn topic_count(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Forgets topics that are gone.
    pub(crate) fn retain(&self, lives: impl Fn(TopicId) -> bool) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|topic, _| lives(*topic));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_stays() {
        let epochs = Epochs::default();
        let topic = TopicId(uuid::Uuid::from_u128(1));
        let at = |partition| TopicPartition::new(topic, PartitionIndex(partition));
        assert_eq!(epochs.of(at(3)), LeaderEpoch::NONE);
        epochs.note(at(3), LeaderEpoch(5));
        epochs.note(at(3), LeaderEpoch(4));
        assert_eq!(epochs.of(at(3)), LeaderEpoch(5));
        assert_eq!(epochs.of(at(0)), LeaderEpoch::NONE);
        epochs.retain(|_| false);
        assert_eq!(epochs.of(at(3)), LeaderEpoch::NONE);
    }
}
