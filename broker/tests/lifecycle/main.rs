//! A broker through many lives: what was acknowledged is read back, whatever was checkpointed,
//! evicted, ended in order or not.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{interval, timeout};
use uuid::Uuid;
use weir_broker::client::{AppendError, BrokerClient, ReadError};
use weir_ids::{Offset, PartitionIndex, TopicId, TopicPartition};
use weir_meta::store::{Fault, Faulty, Memory, Operation};
use weir_runtime::{Random, Seeded};

use weir_segment_store::testing::{Fate, FaultyObjects, Request};
use world::{Life, PARTITIONS, Place, World, durable, id};

/// What a partition should hold.
#[derive(Default)]
struct Expected {
    values: Vec<Vec<u8>>,
    start: i64,
    sequence: i32,
    last_sent: Option<(Bytes, i64)>,
}

/// Does what chance says, and holds every answer against what was acknowledged.
struct Story {
    seed: u64,
    world: World,
    life: Option<Life>,
    chance: Seeded,
    partitions: Vec<Expected>,
}

impl Story {
    async fn begin(seed: u64, place: Place, buffer_bytes: u64) -> Self {
        let world = World::new(place, buffer_bytes).await;
        let life = Some(world.life().await);
        let partitions = (0..PARTITIONS).map(|_| Expected::default()).collect();
        Self { seed, world, life, chance: Seeded::new(seed), partitions }
    }

    fn below(&self, n: u64) -> u64 {
        self.chance.next_u64() % n
    }

    fn life(&self) -> &Life {
        self.life.as_ref().unwrap()
    }

    async fn step(&mut self, step: usize) {
        let partition = self.below(u64::from(PARTITIONS)) as u32;
        match self.below(100) {
            0..60 => self.append(partition, step).await,
            60..70 => self.retry(partition).await,
            70..78 => {
                let published = self.life().broker.checkpoint().await;
                assert!(published || self.world.is_faulty());
            }
            78..82 => {
                self.life.take().unwrap().end().await;
                self.life = Some(self.world.life().await);
            }
            82..88 => {
                self.life.take().unwrap().die().await;
                self.life = Some(self.world.life().await);
            }
            88..90 => self.delete_records(partition).await,
            90..92 => {
                let retired = self.life().broker.retire_sessions().await;
                assert!(retired.is_ok() || self.world.is_faulty(), "{retired:?}");
            }
            _ => self.read_somewhere(partition).await,
        }
    }

    async fn append(&mut self, partition: u32, step: usize) {
        let size = if self.below(10) == 0 { 9_000 } else { 100 };
        let value = |n| {
            let mut value = format!("{}/{step}/{n}/", self.seed).into_bytes();
            value.resize(size, b'.');
            value
        };
        let values: Vec<Vec<u8>> = (0..1 + self.below(4)).map(value).collect();
        let sequence = self.partitions[partition as usize].sequence;
        let records = self.world.batch(&values, Some((partition.into(), sequence)));
        let base = self.append_as_a_client(partition, &records).await;
        let expected = &mut self.partitions[partition as usize];
        assert_eq!(base, expected.values.len() as i64, "offsets are dense");
        expected.sequence += values.len() as i32;
        expected.values.extend(values);
        expected.last_sent = Some((records, base));
    }

    /// A store that fails again and again makes the log tell that it is in trouble: a client tries again.
    async fn append_as_a_client(&self, partition: u32, records: &Bytes) -> i64 {
        let mut backoff = interval(Duration::from_millis(100));
        let trying = async {
            loop {
                backoff.tick().await;
                match self.life().append(partition, records.clone()).await {
                    Err(AppendError::Storage(_)) if self.world.is_faulty() => {}
                    appended => return appended.unwrap(),
                }
            }
        };
        timeout(Duration::from_secs(60), trying).await.unwrap()
    }

    async fn retry(&self, partition: u32) {
        if let Some((records, base)) = self.partitions[partition as usize].last_sent.clone() {
            let again = self.life().append(partition, records).await;
            assert_eq!(again, Ok(base), "a retry gets the original offset");
        }
    }

    async fn delete_records(&mut self, partition: u32) {
        let Expected { values, start, .. } = &self.partitions[partition as usize];
        let before = start + self.below((values.len() as u64 - *start as u64) / 2 + 1) as i64;
        let moved = self.life().client.delete_records(id(partition), Some(Offset(before))).await;
        assert_eq!(moved, Ok(Offset(before)));
        self.partitions[partition as usize].start = before;
    }

    async fn read_somewhere(&self, partition: u32) {
        let Expected { values, start, .. } = &self.partitions[partition as usize];
        let from = start + self.below(values.len() as u64 - *start as u64 + 1) as i64;
        self.read(partition, from).await;
        if *start > 0 {
            let gone = self.life().read(partition, start - 1).await;
            assert!(matches!(gone, Err(ReadError::OutOfRange { .. })));
        }
    }

    async fn read(&self, partition: u32, from: i64) {
        let found = self.life().read(partition, from).await.unwrap();
        let values = &self.partitions[partition as usize].values;
        let wanted: Vec<_> = (from..).zip(values[from as usize..].iter().cloned()).collect();
        assert!(found == wanted, "seed {}: partition {partition} from {from}", self.seed);
    }

    async fn finish(mut self) {
        for partition in 0..PARTITIONS {
            self.read(partition, self.partitions[partition as usize].start).await;
        }
        self.life.take().unwrap().end().await;
    }
}

async fn live(seed: u64, place: Place, buffer_bytes: u64) {
    let mut story = Story::begin(seed, place, buffer_bytes).await;
    for step in 0..400 {
        story.step(step).await;
    }
    story.finish().await;
}

#[tokio::test]
async fn many_lives_with_room_for_everything() {
    for seed in 0..4 {
        live(seed, Place::directory(), 64 << 20).await;
    }
}

#[tokio::test]
async fn many_lives_with_little_room() {
    for seed in 10..14 {
        live(seed, Place::directory(), 96 << 10).await;
    }
}

/// A store that fails, is slow, loses answers and lands creates late, as `seed` says.
fn faulty_objects(seed: u64) -> Place {
    let chance = Seeded::new(seed);
    Place::Objects(FaultyObjects::new(move |request: Request, _: &str| {
        let some = Duration::from_millis(chance.next_u64() % 500);
        match (request, chance.next_u64() % 100) {
            (_, 0..10) => Fate::Slow(some),
            (_, 10..13) => Fate::Fails,
            (_, 13..16) => Fate::FailsAfter,
            (Request::Put, 16..19) => Fate::Late(some),
            (Request::Put, 19..21) => Fate::Twice(some),
            (Request::Put, 21..23) => Fate::Conflicts,
            (Request::Put, 23..24) => Fate::HangsAfter,
            (Request::Get, 16..17) => Fate::Rots(chance.next_u64()),
            (Request::Get, 19..21) => Fate::EndsEarly,
            (Request::List, 16..40) => Fate::Stale(some),
            _ => Fate::Done,
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn many_lives_over_an_object_store_that_fails() {
    for seed in 20..24 {
        live(seed, faulty_objects(seed), 64 << 20).await;
        live(seed + 100, faulty_objects(seed), 96 << 10).await;
    }
}

/// Metadata that, from the moment it is told to, takes one more change, loses the answer, and is away.
fn metadata_that_loses_an_answer() -> (Faulty, Arc<AtomicBool>) {
    let troubled = Arc::new(AtomicBool::new(false));
    let (told, answer_lost) = (Arc::clone(&troubled), AtomicBool::new(false));
    let faulty = Faulty::new(Arc::new(Memory::new()), move |operation| {
        if !told.load(Ordering::Relaxed) {
            None
        } else if answer_lost.load(Ordering::Relaxed) {
            Some(Fault::Before)
        } else {
            let lost = operation == Operation::Txn;
            answer_lost.store(lost, Ordering::Relaxed);
            lost.then_some(Fault::After)
        }
    });
    (faulty, troubled)
}

/// A world in which one life has written "first", another has adopted it by reference, and a third has
/// claimed it without learning so.
async fn claimed_unnoticed() -> (World, Life) {
    let (metadata, troubled) = metadata_that_loses_an_answer();
    let objects = FaultyObjects::new(|_: Request, _: &str| Fate::Done);
    let world = World::with(Place::Objects(objects), Arc::new(metadata), 1 << 20).await;
    let life = world.life().await;
    life.append(0, world.batch(&[b"first".to_vec()], None)).await.unwrap();
    life.die().await;
    let life = world.life().await;
    assert!(life.broker.checkpoint().await);
    life.end().await;
    let life = world.begin().await;
    troubled.store(true, Ordering::Relaxed);
    assert!(life.open().await.is_err());
    troubled.store(false, Ordering::Relaxed);
    (world, life)
}

async fn assert_first_is_there(life: &Life) {
    assert_eq!(life.read(0, 0).await, Ok(vec![(0, b"first".to_vec())]));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_was_made_unnoticed_is_not_adopted() {
    let (world, life) = claimed_unnoticed().await;
    assert!(life.broker.checkpoint().await);
    life.die().await;
    let life = world.life().await;
    assert_first_is_there(&life).await;
    life.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_an_unopened_partition_needs_is_not_cleared_away() {
    let (world, life) = claimed_unnoticed().await;
    assert_eq!(life.broker.retire_sessions().await.unwrap(), 0);
    life.open().await.unwrap();
    assert_first_is_there(&life).await;
    assert!(life.broker.checkpoint().await);
    assert!(life.broker.retire_sessions().await.unwrap() > 0, "the claim that counts is adopted");
    assert_first_is_there(&life).await;
    life.end().await;
    let life = world.life().await;
    assert_first_is_there(&life).await;
    life.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_was_published_unnoticed_stays() {
    let (metadata, troubled) = metadata_that_loses_an_answer();
    let objects = {
        let (troubled, checkpoints) = (Arc::clone(&troubled), AtomicUsize::new(0));
        FaultyObjects::new(move |request: Request, path: &str| {
            let watched = request == Request::Put && path.contains("/checkpoint/");
            // The first, and the attempt to make it again, which finds it there.
            let fails = watched
                && checkpoints.fetch_add(1, Ordering::Relaxed) >= 2
                && troubled.load(Ordering::Relaxed);
            if fails { Fate::Fails } else { Fate::Done }
        })
    };
    let world = World::with(Place::Objects(objects), Arc::new(metadata), 1 << 20).await;
    let life = world.life().await;
    let append = async |value: &str| {
        let records = world.batch(&[value.as_bytes().to_vec()], None);
        life.append(0, records).await.unwrap()
    };
    append("first").await;
    troubled.store(true, Ordering::Relaxed);
    assert!(!life.broker.checkpoint().await, "it is published, but nobody says so");
    append("second").await;
    assert!(!life.broker.checkpoint().await);
    life.die().await;
    troubled.store(false, Ordering::Relaxed);
    let life = world.life().await;
    let values: Vec<_> = life.read(0, 0).await.unwrap().into_iter().map(|(_, v)| v).collect();
    assert_eq!(values, [b"first".to_vec(), b"second".to_vec()]);
    life.end().await;
}

#[tokio::test]
async fn more_checkpoints_than_a_chain_may_have() {
    let world = World::new(Place::directory(), 1 << 20).await;
    let life = world.life().await;
    for number in 0..80 {
        let value = format!("{number}").into_bytes();
        life.append(number % PARTITIONS, world.batch(&[value], None)).await.unwrap();
        assert!(life.broker.checkpoint().await);
    }
    life.die().await;
    let life = world.life().await;
    for partition in 0..PARTITIONS {
        assert_eq!(life.read(partition, 0).await.unwrap().len(), 16);
    }
    life.end().await;
}

#[tokio::test]
async fn an_append_to_what_is_not_owned_says_so() {
    let world = World::new(Place::directory(), 1 << 20).await;
    let life = world.life().await;
    let unknown = TopicPartition::new(TopicId(Uuid::from_u128(1)), PartitionIndex(0));
    let append = durable(unknown, world.batch(&[b"v".to_vec()], None));
    let receipt = life.client.append(vec![append]).await.pop().unwrap();
    assert_eq!(receipt.await, Err(AppendError::NotOwner(unknown)));
    life.end().await;
}
