//! Who has answered for each partition last, and under which leader epoch.
//!
//! The metadata say who is to own a partition; the brokers know who does. While a partition moves its old
//! owner goes on until it has given it up, so it is asked until it says that it does not own the partition any
//! more, or is gone. One that moves again before it has answered here is most likely with who was to own it
//! up to now. Metadata shows the epoch to clients, who send it back with their fetches (KIP-320). An
//! epoch never goes back, and a partition that nobody has heard of has none: clients then do without.

use std::{
    collections::HashMap,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use weir_ids::{LeaderEpoch, NodeId, TopicId, TopicPartition};
use weir_meta::views::Snapshot;

/// See the module. Sixteen bytes a partition of topics that were used.
#[derive(Default)]
pub(crate) struct Owners(RwLock<HashMap<TopicId, Vec<Owner>>>);

/// What is known of a partition.
struct Owner {
    /// As [`Known`].
    known: AtomicU64,
    /// Who was to own it before it moved last, unless something newer is known. Or [`Known::NOBODY`].
    before: AtomicU32,
}

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

impl Owner {
    fn unknown() -> Self {
        Self { known: AtomicU64::new(Known::NOTHING.0), before: AtomicU32::new(Known::NOBODY.0) }
    }

    fn known(&self) -> Known {
        Known(self.known.load(Ordering::Relaxed))
    }

    fn note(&self, news: Known) {
        let before = self.known();
        if before.0 < news.0 {
            self.known.fetch_max(news.0, Ordering::Relaxed);
        }
        if before.epoch() < news.epoch() {
            self.before.store(Known::NOBODY.0, Ordering::Relaxed);
        }
    }

    fn lost(&self, node: NodeId) {
        let known = self.known();
        if known.node() == Some(node) {
            self.note(Known::new(known.epoch(), Known::NOBODY));
        }
        let (ours, nobody) = (node.0, Known::NOBODY.0);
        let _ = self.before.compare_exchange(ours, nobody, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whom to ask, of those who `live`; `None`: who is to own it, which is `assigned`.
    fn other_than(&self, assigned: NodeId, lives: impl Fn(NodeId) -> bool) -> Option<NodeId> {
        let before = NodeId(self.before.load(Ordering::Relaxed));
        let before = (before != Known::NOBODY).then_some(before);
        let others = [self.known().node(), before].into_iter().flatten();
        others.filter(|node| *node != assigned).find(|node| lives(*node))
    }
}

impl Owners {
    /// Takes note that `node` owns a partition under `epoch`.
    pub(crate) fn note(&self, partition: TopicPartition, epoch: LeaderEpoch, node: NodeId) {
        self.with_new(partition, |owner| owner.note(Known::new(epoch, node)));
    }

    /// Takes note that `node` says that it does not own a partition.
    pub(crate) fn lost(&self, partition: TopicPartition, node: NodeId) {
        self.with(partition, |owner| owner.lost(node));
    }

    /// Takes note that a partition is to move away from `node`.
    pub(crate) fn moves(&self, partition: TopicPartition, node: NodeId) {
        self.with_new(partition, |owner| owner.before.store(node.0, Ordering::Relaxed));
    }

    /// The highest epoch that was noted.
    pub(crate) fn epoch(&self, partition: TopicPartition) -> LeaderEpoch {
        self.known(partition).epoch()
    }

    /// Whom to ask for a partition: who has answered last, or else who was to own it before it moved, or else
    /// who is to own it.
    pub(crate) fn owner(&self, partition: TopicPartition, now: &Snapshot) -> Option<NodeId> {
        let assigned = now.assigned(partition)?;
        let lives = |node| now.session_of(node).is_some();
        let other = self.with(partition, |owner| owner.other_than(assigned, lives)).flatten();
        Some(other.unwrap_or(assigned))
    }

    fn known(&self, partition: TopicPartition) -> Known {
        self.with(partition, Owner::known).unwrap_or(Known::NOTHING)
    }

    /// `None`: it is not known here.
    fn with<T>(&self, partition: TopicPartition, use_it: impl FnOnce(&Owner) -> T) -> Option<T> {
        let topics = self.0.read().unwrap_or_else(PoisonError::into_inner);
        topics.get(&partition.topic)?.get(partition.partition.0 as usize).map(use_it)
    }

    fn with_new(&self, partition: TopicPartition, use_it: impl Fn(&Owner)) {
        if self.with(partition, &use_it).is_some() {
            return;
        }
        let mut topics = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let partitions = topics.entry(partition.topic).or_default();
        let index = partition.partition.0 as usize;
        while partitions.len() <= index {
            partitions.push(Owner::unknown());
        }
        use_it(&partitions[index]);
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

    #[test]
    fn who_was_to_own_what_moves_again_is_asked_until_something_newer_is_known() {
        let (owners, all) = (Owners::default(), |_: NodeId| true);
        let partition = at(1, 3);
        let other = |assigned, lives: fn(NodeId) -> bool| {
            owners.with(partition, |owner| owner.other_than(assigned, lives)).flatten()
        };
        assert_eq!(other(HERE, all), None);
        // It went from here to the other, which has not answered here yet, and comes back.
        owners.note(partition, LeaderEpoch(3), HERE);
        owners.moves(partition, HERE);
        assert_eq!(other(OTHER, all), Some(HERE));
        owners.lost(partition, HERE);
        assert_eq!(other(OTHER, all), None);
        owners.moves(partition, OTHER);
        assert_eq!(other(HERE, all), Some(OTHER));
        assert_eq!(other(HERE, |node| node != OTHER), None, "it is gone");
        owners.note(partition, LeaderEpoch(3), HERE);
        assert_eq!(other(HERE, all), Some(OTHER), "a late answer changes nothing");
        owners.lost(partition, OTHER);
        assert_eq!(other(HERE, all), None);
        owners.moves(partition, OTHER);
        owners.note(partition, LeaderEpoch(5), HERE);
        assert_eq!(other(HERE, all), None, "it has moved");
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
