//! Does what chance says with two brokers and a collector.

use std::{collections::BTreeSet, time::Duration};

use weir_broker::{
    catalog,
    collector::Collector,
    fsck::{Depth, Report},
};
use weir_ids::{SessionId, Slot};
use weir_runtime::{Random, Seeded};
use weir_segment_store::ObjectName;

use crate::world::{Life, NODES, PARTITIONS, World, bounds, pass};

pub(crate) struct Story {
    chance: Seeded,
    world: World,
    /// By node.
    lives: Vec<Life>,
    /// Which node has which partition.
    owners: Vec<usize>,
    expected: Vec<Vec<Vec<u8>>>,
    grace: Duration,
    collector: Counted,
    sessions: BTreeSet<SessionId>,
    /// Those that were met when a session had been ended.
    fences: BTreeSet<ObjectName>,
}

/// A collector, and what became of its rounds.
struct Counted {
    collector: Collector,
    completed: usize,
    deleted: usize,
}

impl Counted {
    async fn round(&mut self) {
        if let Ok(done) = self.collector.round().await {
            self.completed += 1;
            self.deleted += done.deleted;
        }
    }
}

impl Story {
    pub(crate) async fn begin(seed: u64, world: World, grace: Duration) -> Self {
        let lives = vec![world.begin(1).await, world.begin(2).await];
        let owners: Vec<usize> = (0..PARTITIONS).map(|p| (p % NODES) as usize).collect();
        let collector = world.collector(grace);
        catalog::copy(&world.metadata, &world.truth()).await.unwrap();
        let collector = Counted { collector, completed: 0, deleted: 0 };
        let story = Self {
            chance: Seeded::new(seed + 1_000),
            world,
            sessions: lives.iter().map(Life::session).collect(),
            lives,
            owners,
            grace,
            expected: vec![Vec::new(); PARTITIONS as usize],
            collector,
            fences: BTreeSet::new(),
        };
        for node in 0..NODES as usize {
            story.lives[node].open(story.owned_by(node)).await;
        }
        story
    }

    fn below(&self, n: u64) -> usize {
        (self.chance.next_u64() % n) as usize
    }

    fn owned_by(&self, node: usize) -> Vec<u32> {
        (0..PARTITIONS).filter(|partition| self.owners[*partition as usize] == node).collect()
    }

    pub(crate) async fn step(&mut self) {
        let node = self.below(u64::from(NODES));
        match self.below(100) {
            0..45 => self.append().await,
            45..60 => drop(self.lives[node].broker.checkpoint().await),
            60..64 => self.replace(node, false).await,
            64..67 => self.replace(node, true).await,
            67..69 => self.start_over().await,
            69 => self.lose_metadata().await,
            70..75 => pass(Duration::from_secs(self.below(40) as u64)).await,
            _ => self.round().await,
        }
    }

    async fn append(&mut self) {
        let partition = self.below(u64::from(PARTITIONS));
        // A long run stays in its slot, a short one does not.
        let bytes = if self.below(25) == 0 { 1_100_000 } else { 100 };
        let mut value = format!("{partition}/{}/", self.expected[partition].len()).into_bytes();
        value.resize(bytes, b'.');
        let batch = self.world.batch(&value);
        let base = self.lives[self.owners[partition]].append(partition as u32, batch).await;
        assert_eq!(base as usize, self.expected[partition].len(), "offsets are dense");
        self.expected[partition].push(value);
    }

    /// A broker's life ends, in order or not; another begins, and both nodes take partitions over.
    async fn replace(&mut self, node: usize, in_order: bool) {
        let next = self.world.begin(node as u32 + 1).await;
        self.sessions.insert(next.session());
        let life = std::mem::replace(&mut self.lives[node], next);
        let session = if in_order { life.end().await } else { life.die().await };
        if self.below(2) == 0 {
            self.world.end(session).await;
        } else {
            // Now and then the collector does it first.
            self.world.condemn(session).await;
            self.collector.round().await;
            self.world.end(session).await;
        }
        self.note_fence(session).await;
        let free = self.owned_by(node);
        for partition in &free {
            self.owners[*partition as usize] = self.below(u64::from(NODES));
        }
        for node in 0..NODES as usize {
            let mine = free.iter().copied().filter(|p| self.owners[*p as usize] == node).collect();
            // Recovery and a round beside one another.
            tokio::join!(self.lives[node].open(mine), self.collector.round());
        }
    }

    async fn note_fence(&mut self, session: SessionId) {
        let Some((_, Some(at))) = bounds(&self.world, session).await else { return };
        let objects = self.world.objects().await;
        let is_file = |name: &&ObjectName| matches!(name, ObjectName::WalFile { .. });
        let mut of_it = objects.iter().filter(|name| name.session() == session);
        let file = of_it.rfind(is_file).copied();
        let name = file.unwrap_or(ObjectName::WalSlot { session, slot: at });
        // One that ended in order has none.
        if objects.contains(&name) && self.world.is_for_ever(name).await {
            self.fences.insert(name);
        }
    }

    /// Both begin again, and everything is read from the store.
    async fn start_over(&mut self) {
        for node in 0..NODES as usize {
            self.replace(node, false).await;
        }
        for (partition, expected) in self.expected.iter().enumerate() {
            let life = &self.lives[self.owners[partition]];
            let found = self.world.read(life, partition as u32).await;
            assert!(
                found == *expected,
                "partition {partition}: {} of {}",
                found.len(),
                expected.len()
            );
        }
    }

    /// Both die, and the metadata are lost; everything is brought back from what is in the store.
    async fn lose_metadata(&mut self) {
        for life in self.lives.drain(..) {
            life.die().await;
        }
        let before = self.world.metadata.clone();
        catalog::copy(&before, &self.world.truth()).await.unwrap();
        let rebuilt = self.world.lose_metadata().await;
        assert_eq!((rebuilt.topics, rebuilt.partitions), (1, PARTITIONS as usize));
        assert_eq!((rebuilt.named, rebuilt.problems), (vec![], vec![]));
        let fsck = self.world.fsck();
        assert_eq!(fsck.check(Depth::Records).await.unwrap().problems, BTreeSet::new());
        for node in 0..NODES as usize {
            let life = self.world.begin(node as u32 + 1).await;
            self.sessions.insert(life.session());
            self.lives.push(life);
            self.lives[node].open(self.owned_by(node)).await;
        }
        // A collector that remembers other metadata remembers only what nobody needs.
        self.collector.collector = self.world.collector(self.grace);
        self.check_references().await;
    }

    async fn round(&mut self) {
        if self.below(2) == 0 {
            self.collector.round().await;
        } else {
            let node = self.below(u64::from(NODES));
            tokio::join!(self.lives[node].broker.checkpoint(), self.collector.round());
        }
        self.check_references().await;
    }

    /// `no_reference_to_deleted`.
    async fn check_references(&self) {
        for life in &self.lives {
            let mut missing = self.missing(life).await;
            // What is named and not there may be about to be written.
            for _ in 0..10 {
                if !missing.is_empty() {
                    pass(Duration::from_secs(5)).await;
                    missing = self.missing(life).await;
                }
            }
            assert!(missing.is_empty(), "{:?} refers to {missing:?}", life.session());
        }
        for partition in 0..PARTITIONS {
            let life = &self.lives[self.owners[partition as usize]];
            let found = self.world.read(life, partition).await;
            assert!(found == self.expected[partition as usize], "partition {partition}");
        }
    }

    /// What a session refers to and is not in the store.
    async fn missing(&self, life: &Life) -> Vec<ObjectName> {
        let named = self.world.all(life.report().await.named).await;
        let objects = self.world.objects().await;
        let read_from = |name: &ObjectName| !matches!(name, ObjectName::Checkpoint { .. });
        named.into_iter().filter(read_from).filter(|name| !objects.contains(name)).collect()
    }

    /// All is well from now on: what is left in the end is what somebody refers to.
    pub(crate) async fn finish(mut self) {
        self.world.calm_down();
        // What is on its way lands.
        pass(Duration::from_secs(120)).await;
        self.world.objects().await;
        self.start_over().await;
        for life in &self.lives {
            assert!(life.broker.checkpoint().await);
        }
        // Until no checkpoint names any more what was folded.
        pass(Duration::from_secs(420)).await;
        // What is needed of thin objects is written once more meanwhile.
        for _ in 0..16 {
            self.round().await;
            pass(Duration::from_secs(60)).await;
        }
        let Counted { completed, deleted, .. } = self.collector;
        assert!(completed > 10 && deleted > 10, "{deleted} deleted in {completed} rounds");
        self.check_what_is_left().await;
        for life in self.lives.drain(..) {
            life.end().await;
        }
        self.world.shutdown().await;
    }

    async fn check_what_is_left(&self) {
        let Report { unneeded, problems, live, .. } =
            self.world.fsck().check(Depth::Records).await.unwrap();
        assert_eq!((problems.len(), live), (0, 2), "{problems:?}");
        let mut named = BTreeSet::new();
        for life in &self.lives {
            named.extend(self.world.all(life.report().await.named).await);
        }
        // Checkpoints may still list what others have replaced.
        assert!(unneeded.iter().all(|name| named.contains(name)), "{unneeded:?}");
        let live: BTreeSet<SessionId> = self.lives.iter().map(Life::session).collect();
        let objects = self.world.objects().await;
        assert!(!self.fences.is_empty() && self.fences.is_subset(&objects), "a fence is gone");
        for session in &self.sessions {
            assert!(
                self.world.true_journal().sessions().await.unwrap().contains(session),
                "nothing tells of {session}"
            );
            if !live.contains(session) {
                assert_eq!(bounds(&self.world, *session).await, None, "{session} is not forgotten");
            }
        }
        for name in objects.difference(&named) {
            match name {
                ObjectName::WalSlot { session, slot } if live.contains(session) => {
                    let (trim, _) = bounds(&self.world, *session).await.unwrap();
                    assert!(*slot >= trim || *slot == Slot::OPEN, "{name} is left below {trim}");
                }
                // What follows on it may be open, so that nobody sees where it begins.
                ObjectName::WalFile { session, file } if live.contains(session) => {
                    let last = ObjectName::WalFile { session: *session, file: file + 2 };
                    assert!(!objects.contains(&last), "{name} is left behind {last}");
                }
                ObjectName::WalSlot { .. } | ObjectName::WalFile { .. } => {
                    assert!(self.world.is_for_ever(*name).await, "{name} is left");
                }
                _ => panic!("{name} is left, and nobody refers to it"),
            }
        }
    }
}
