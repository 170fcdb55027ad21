//! Who has answered for each partition last, and under which leader epoch.
//!
//! The metadata say who is to own a partition; the brokers know who does. While a partition moves its old
//! owner goes on until it has given it up, so it is asked until it says that it does not own the partition any
//! more, or is gone. Metadata shows the epoch to clients, who send it back with their fetches (KIP-320). An
//! epoch never goes back, and a partition that nobody has heard of has none: clients then do without.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use weir_ids::{LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicPartition};
use weir_meta::views::Snapshot;

/// See the module. Eight bytes a partition of topics that were used.
#[derive(Default)]
pub(crate) struct Owners(RwLock<HashMap<TopicId, Vec<AtomicU64>>>);

/// An epoch and who had it, as one number: the higher, the newer.
#[derive(Clone, Copy)]
struct Known(u64);

impl Known {
    /// Nothing is known.
    const NOTHING: Self = Self::new(LeaderEpoch::NONE, Self::NOBODY);
    /// Who had the epoch has given it up. The highest of one epoch, so that late news change nothing.
    const NOBODY: NodeId = NodeId(u32::MAX);

    const fn new(epoch: LeaderEpoch, node: NodeId) -> Self {
        // No epoch is -1, and the first is 0.
        Self((epoch.0.wrapping_add(1) as u32 as u64) << 32 | node.0 as u64)
    }

    fn epoch(self) -> LeaderEpoch {
        LeaderEpoch(((self.0 >> 32) as i32).wrapping_sub(1))
    }

    fn node(self) -> Option<NodeId> {
        let node = NodeId(self.0 as u32);
        (node != Self::NOBODY).then_some(node)
    }
}

impl Owners {
    /// Takes note that `node` owns a partition under `epoch`.
    pub(crate) fn note(&self, partition: TopicPartition, epoch: LeaderEpoch, node: NodeId) {
        let news = Known::new(epoch, node);
        let TopicPartition { topic, partition: PartitionIndex(index) } = partition;
        let index = index as usize;
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(slot) = known.get(&topic).and_then(|partitions| partitions.get(index)) {
                if slot.load(Ordering::Relaxed) < news.0 {
                    slot.fetch_max(news.0, Ordering::Relaxed);
                }
                return;
            }
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let partitions = known.entry(topic).or_default();
        while partitions.len() <= index {
            partitions.push(AtomicU64::new(Known::NOTHING.0));
        }
        partitions[index].fetch_max(news.0, Ordering::Relaxed);
    }

    /// Takes note that `node` says that it does not own a partition.
    pub(crate) fn lost(&self, partition: TopicPartition, node: NodeId) {
        let known = self.known(partition);
        if known.node() == Some(node) {
            self.note(partition, known.epoch(), Known::NOBODY);
        }
    }

    /// The highest epoch that was noted.
    pub(crate) fn epoch(&self, partition: TopicPartition) -> LeaderEpoch {
        self.known(partition).epoch()
    }

    /// Whom to ask for a partition: who has answered last, or else who is to own it.
    pub(crate) fn owner(&self, partition: TopicPartition, now: &Snapshot) -> Option<NodeId> {
        let assigned = now.assigned(partition)?;
        match self.known(partition).node() {
            Some(known) if known != assigned && now.session_of(known).is_some() => Some(known),
            _ => Some(assigned),
        }
    }

    fn known(&self, partition: TopicPartition) -> Known {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known
            .get(&partition.topic)
            .and_then(|partitions| partitions.get(partition.partition.0 as usize))
            .map_or(Known::NOTHING, |slot| Known(slot.load(Ordering::Relaxed)))
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
    use weir_meta::{
        model::{Assignment, Record, Session},
        store::Txn,
    };
    use weir_runtime::Tasks;

    use super::*;
    use crate::testing::{Cluster, HERE, at, topic_id};

    const OTHER: NodeId = NodeId(2);

    #[test]
    fn the_highest_epoch_stays() {
        let owners = Owners::default();
        let partition = at(1, 3);
        assert_eq!(owners.epoch(partition), LeaderEpoch::NONE);
        owners.note(partition, LeaderEpoch(0), HERE);
        assert_eq!(owners.epoch(partition), LeaderEpoch(0));
        owners.note(partition, LeaderEpoch(5), HERE);
        owners.note(partition, LeaderEpoch(4), OTHER);
        assert_eq!(owners.epoch(partition), LeaderEpoch(5));
        owners.lost(partition, HERE);
        assert_eq!(owners.epoch(partition), LeaderEpoch(5));
        assert_eq!(owners.epoch(at(1, 0)), LeaderEpoch::NONE);
        owners.retain(|_| false);
        assert_eq!(owners.epoch(partition), LeaderEpoch::NONE);
    }

    #[tokio::test]
    async fn who_has_a_partition_is_asked_until_it_has_given_it_up_or_is_gone() {
        let tasks = Tasks::new();
        let cluster = Cluster::start(&tasks, &[("events", 1, 2)]).await;
        let (owners, store) = (Owners::default(), cluster.metadata.store());
        let write = async |txn: Txn, shows: fn(&Snapshot) -> bool| {
            store.txn(txn).await.unwrap();
            let seen = |now: &Snapshot| shows(now).then_some(());
            let soon = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
            cluster.view.wait_for(soon, seen).await.unwrap();
        };
        let owner = |partition| owners.owner(at(1, partition), &cluster.view.now());
        assert_eq!((owner(0), owner(9)), (Some(HERE), None));

        owners.note(at(1, 0), LeaderEpoch(3), HERE);
        let moved = Assignment { nodes: vec![OTHER; 2] };
        let moving = Txn::new().put(Assignment::key(topic_id(1)), moved.encode());
        write(moving, |now| now.assigned(at(1, 0)) == Some(OTHER)).await;
        assert_eq!((owner(0), owner(1)), (Some(HERE), Some(OTHER)));
        owners.lost(at(1, 0), OTHER);
        assert_eq!(owner(0), Some(HERE), "somebody else has not given it up");
        owners.lost(at(1, 0), HERE);
        assert_eq!(owner(0), Some(OTHER));
        owners.note(at(1, 0), LeaderEpoch(3), HERE);
        assert_eq!(owner(0), Some(OTHER), "a late answer changes nothing");

        owners.note(at(1, 1), LeaderEpoch(3), HERE);
        assert_eq!(owner(1), Some(HERE));
        let ending = Txn::new().delete(Session::key(weir_ids::SessionId(1)));
        write(ending, |now| now.session_of(HERE).is_none()).await;
        assert_eq!(owner(1), Some(OTHER));
        tasks.shutdown().await.unwrap();
    }
}
