//! Several brokers: partitions move in order, dead and fenced sessions are taken over, and a broker
//! that was ended comes back.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use weir_ids::Timestamp;
use weir_meta::{
    Metadata,
    store::{Fault, Faulty, Memory},
};
use weir_runtime::{Clock, Random, Runtime, Seeded, SystemClock};
use weir_segment_store::testing::{Fate, FaultyObjects, Request};

use world::{Kept, Node, PARTITIONS, World, until};

fn healthy() -> FaultyObjects {
    FaultyObjects::new(|_: Request, _: &str| Fate::Done)
}

#[tokio::test(start_paused = true)]
async fn a_partition_moves_with_all_its_records_and_producers() {
    let mut world = World::new(healthy()).await;
    let (one, two) = (world.node(1).await, world.node(2).await);
    assert_eq!(one.append(0, world.batch("a", Some((5, 0)))).await, 0);
    assert!(one.checkpoint().await);
    assert_eq!(one.append(0, world.batch("b", Some((5, 1)))).await, 1);
    let before = one.offsets(0).await.epoch;
    world.assign(0, 2).await;
    assert_eq!(two.append(0, world.batch("b", Some((5, 1)))).await, 1, "a duplicate");
    assert_eq!(two.append(0, world.batch("c", Some((5, 2)))).await, 2);
    assert_eq!(two.read(0).await, ["a", "b", "c"]);
    assert!(two.offsets(0).await.epoch > before);
    assert!(one.try_offsets(0).await.is_err(), "the former owner tells no ends");
    one.end().await;
    two.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_partition_goes_and_comes_back_whatever_is_checkpointed() {
    for checkpoints in 0..8 {
        let mut world = World::new(healthy()).await;
        let (one, two) = (world.node(1).await, world.node(2).await);
        one.append(0, world.batch("a", None)).await;
        if checkpoints & 1 != 0 {
            assert!(one.checkpoint().await);
        }
        world.assign(0, 2).await;
        two.append(0, world.batch("b", None)).await;
        if checkpoints & 2 != 0 {
            assert!(two.checkpoint().await);
        }
        world.assign(0, 1).await;
        one.append(0, world.batch("c", None)).await;
        if checkpoints & 4 != 0 {
            assert!(one.checkpoint().await);
        }
        assert_eq!(one.read(0).await, ["a", "b", "c"]);
        // What it has twice adopted itself is found by its successor as well.
        one.die().await;
        let one = world.node(1).await;
        assert_eq!(one.read(0).await, ["a", "b", "c"], "checkpoints {checkpoints:b}");
        two.end().await;
        one.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_whose_session_was_ended_opens_another() {
    let world = World::new(healthy()).await;
    let one = world.node(1).await;
    one.append(0, world.batch("a", None)).await;
    let first = one.role.present().unwrap().session();
    // Another run of the same node ends the session before it.
    let again = world.node(1).await;
    assert_eq!(again.read(0).await, ["a"]);
    again.die().await;
    until("the fenced broker is back", async || {
        drop(one.try_append(1, world.batch("x", None)).await);
        one.role.present().filter(|broker| broker.session() != first)
    })
    .await;
    assert_eq!(one.read(0).await, ["a"]);
    one.append(0, world.batch("b", None)).await;
    assert_eq!(one.read(0).await, ["a", "b"]);
    until("only the partitions of this session are counted", async || {
        (one.metric("weir_broker_partitions") == PARTITIONS.to_string()).then_some(())
    })
    .await;
    one.end().await;
}

#[tokio::test(start_paused = true)]
async fn short_ranges_become_long_ones_and_whoever_takes_over_finds_them() {
    let world = World::new(healthy()).await;
    let one = world.node(1).await;
    let values: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    for value in &values {
        for partition in [0, 3] {
            one.append(partition, world.batch(value, None)).await;
        }
        assert!(one.checkpoint().await);
    }
    until("what is short is folded", async || {
        (one.metric("weir_broker_folds_total").parse::<u32>().unwrap() >= 4).then_some(())
    })
    .await;
    assert!(one.checkpoint().await);
    one.die().await;
    let again = world.node(1).await;
    for partition in [0, 3] {
        assert_eq!(again.read(partition).await, values);
        assert!(again.ranges(partition).await < 5, "the folds are published");
    }
    again.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_pages_list_is_found_and_goes_with_its_page() {
    let mut world = World::new(healthy()).await;
    (world.fold_after, world.page_entries) = (100, 2);
    let one = world.node(1).await;
    let values: Vec<String> = (0..12).map(|number| number.to_string()).collect();
    for value in &values {
        one.append(0, world.batch(value, None)).await;
        assert!(one.checkpoint().await);
    }
    until("there are pages, and pages of pages", async || {
        (one.metric("weir_broker_pages_total").parse::<u32>().unwrap() >= 6).then_some(())
    })
    .await;
    assert!(one.checkpoint().await);
    one.die().await;
    let again = world.node(1).await;
    assert_eq!(again.read(0).await, values, "whoever takes over finds them");
    assert!(again.is_paged(0).await);
    world.configure("retention.bytes", "1").await;
    until("all but the last is gone", async || {
        (again.offsets(0).await.log_start.0 == 11).then_some(())
    })
    .await;
    assert_eq!(again.read(0).await, values[11..]);
    again.end().await;
}

fn kept(offset: i64, key: &str, value: Option<&str>) -> Kept {
    (offset, key.to_owned(), value.map(str::to_owned))
}

#[tokio::test(start_paused = true)]
async fn of_each_key_the_latest_record_stays() {
    let world = World::new(healthy()).await;
    let one = world.node(1).await;
    for name in ["cleanup.policy", "max.compaction.lag.ms", "delete.retention.ms"] {
        let value = if name == "cleanup.policy" { "compact" } else { "1" };
        world.configure(name, value).await;
    }
    let append = async |node: &Node, of: &[(&str, Option<&str>)]| {
        node.append(0, world.keyed(of)).await;
        assert!(node.checkpoint().await);
    };
    append(&one, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]).await;
    append(&one, &[("a", Some("2"))]).await;
    append(&one, &[("c", None), ("d", Some("1"))]).await;
    let expected = [
        kept(1, "b", Some("1")),
        kept(3, "a", Some("2")),
        kept(4, "c", None),
        kept(5, "d", Some("1")),
    ];
    // What is in memory is read from there, as it was.
    one.die().await;
    let again = world.node(1).await;
    until("all is compacted", async || (again.kept(0).await == expected).then_some(())).await;
    world.configure("delete.retention.ms", "3600000").await;
    assert_eq!(again.append(0, world.keyed(&[("b", None), ("a", Some("3"))])).await, 6);
    assert!(again.checkpoint().await);
    let expected = [kept(5, "d", Some("1")), kept(6, "b", None), kept(7, "a", Some("3"))];
    until("it is compacted again, without the old tombstone", async || {
        (again.kept(0).await == expected).then_some(())
    })
    .await;
    assert!(again.checkpoint().await);
    again.die().await;
    let last = world.node(1).await;
    assert_eq!(last.kept(0).await, expected, "whoever takes over finds it");
    assert_eq!(last.offsets(0).await.log_start.0, 0);
    last.end().await;
}

#[tokio::test(start_paused = true)]
async fn old_records_go_and_never_come_back() {
    let world = World::new(healthy()).await;
    let one = world.node(1).await;
    for value in ["a", "b"] {
        one.append(0, world.batch(value, None)).await;
        assert!(one.checkpoint().await);
    }
    world.configure("retention.bytes", "1").await;
    until("the oldest are gone", async || (one.offsets(0).await.log_start.0 == 1).then_some(()))
        .await;
    assert_eq!(one.read(0).await, ["b"]);
    // It was told, so whoever takes over must know.
    one.die().await;
    let again = world.node(1).await;
    assert_eq!(again.offsets(0).await.log_start.0, 1);
    assert_eq!(again.read(0).await, ["b"]);
    again.end().await;
}

/// A machine's clock that is ahead.
struct Ahead(Arc<AtomicI64>);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ahead_makes_nothing_old() {
    const HOUR_MS: i64 = 3_600_000;
    let mut world = World::new(healthy()).await;
    let ahead = Arc::new(AtomicI64::new(0));
    world.runtime = Runtime::new(Ahead(Arc::clone(&ahead)), Seeded::new(3));
    let one = world.node(1).await;
    one.append(0, world.batch("new", None)).await;
    ahead.store(-2 * HOUR_MS, Ordering::Relaxed);
    one.append(1, world.batch("old", None)).await;
    assert!(one.checkpoint().await);
    ahead.store(2 * HOUR_MS, Ordering::Relaxed);
    world.configure("retention.ms", &HOUR_MS.to_string()).await;
    until("what is old is gone", async || (one.offsets(1).await.log_start.0 == 1).then_some(()))
        .await;
    assert_eq!(one.read(0).await, ["new"]);
    one.end().await;
}

/// Metadata that can be cut off.
fn metadata_behind(cut: &Arc<AtomicBool>, store: Arc<Memory>) -> Faulty {
    let cut = Arc::clone(cut);
    Faulty::new(store, move |_| cut.load(Ordering::Relaxed).then_some(Fault::Before))
}

#[tokio::test(start_paused = true)]
async fn without_its_lease_a_broker_proves_that_it_is_not_ended_or_tells_no_ends() {
    let store = Arc::new(Memory::new());
    let world = World::over(healthy(), store.clone()).await;
    let cut = Arc::new(AtomicBool::new(false));
    let one = world.node_with(1, Arc::new(metadata_behind(&cut, store))).await;
    one.append(0, world.batch("a", None)).await;
    cut.store(true, Ordering::Relaxed);
    for _ in 0..60 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert_eq!(one.offsets(0).await.durable.0, 1, "nobody has ended it");
    assert_eq!(one.append(0, world.batch("b", None)).await, 1, "and it goes on");
    let again = world.node(1).await;
    assert_eq!(again.append(0, world.batch("c", None)).await, 2);
    assert!(one.try_offsets(0).await.is_err(), "its end was overtaken");
    again.end().await;
    one.die().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_metadata_are_away_more_is_written_than_memory_holds() {
    const RECORDS: usize = 600;
    let store = Arc::new(Memory::new());
    let world = World::over(healthy(), store.clone()).await;
    let cut = Arc::new(AtomicBool::new(false));
    let one = world.node_with(1, Arc::new(metadata_behind(&cut, store))).await;
    let filler = ".".repeat(10_000);
    let values: Vec<String> = (0..RECORDS).map(|number| format!("{number}{filler}")).collect();
    one.append(0, world.batch(&values[0], None)).await;
    cut.store(true, Ordering::Relaxed);
    for value in &values[1..] {
        let append = one.try_append(0, world.batch(value, None));
        let appended = tokio::time::timeout(Duration::from_secs(60), append).await;
        appended.expect("the broker's buffers have room again").unwrap();
    }
    assert_eq!(one.read(0).await, values);
    assert!(!one.checkpoint().await, "nothing can be published");
    // Whoever takes over finds it in the log.
    one.die().await;
    let two = world.node(1).await;
    assert_eq!(two.read(0).await, values);
    assert!(two.checkpoint().await);
    two.die().await;

    cut.store(false, Ordering::Relaxed);
    let three = world.node(1).await;
    assert_eq!(three.read(0).await, values);
    three.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_checkpointed_without_the_metadata_is_published_when_they_are_back() {
    let store = Arc::new(Memory::new());
    let world = World::over(healthy(), store.clone()).await;
    let cut = Arc::new(AtomicBool::new(false));
    let one = world.node_with(1, Arc::new(metadata_behind(&cut, store))).await;
    let mut values = Vec::new();
    let mut append = async |value: &str| {
        one.append(0, world.batch(value, None)).await;
        values.push(value.to_owned());
    };
    append("a").await;
    assert!(one.checkpoint().await);
    cut.store(true, Ordering::Relaxed);
    // As many as no longer fit into one chain.
    for number in 0..40 {
        append(&format!("{number}")).await;
        assert!(!one.checkpoint().await);
    }
    cut.store(false, Ordering::Relaxed);
    append("b").await;
    assert!(one.checkpoint().await);
    let session = one.role.present().unwrap().session();
    let metadata = Metadata::new(Arc::clone(&world.store));
    let wal = metadata.wal(session).await.unwrap().unwrap().value;
    let pointer = wal.checkpoint.unwrap();
    assert_eq!((pointer.number, wal.trim), (42, pointer.covers_below), "the last, and trimmed");
    one.die().await;
    let two = world.node(1).await;
    assert_eq!(two.read(0).await, values);
    two.end().await;
}

/// Does what chance says with three nodes.
struct Story {
    world: World,
    chance: Seeded,
    nodes: Vec<Option<Node>>,
    owner: Vec<usize>,
    values: Vec<Vec<String>>,
}

impl Story {
    fn below(&self, n: usize) -> usize {
        (self.chance.next_u64() % n as u64) as usize
    }

    async fn step(&mut self, step: usize) {
        let partition = self.below(PARTITIONS as usize);
        let owner = self.owner[partition];
        match self.below(100) {
            0..55 => {
                let value = format!("{step}");
                let sequence = self.values[partition].len() as i32;
                let records = self.world.batch(&value, Some((partition as i64, sequence)));
                let at = self.node(owner).append(partition as u32, records).await;
                assert_eq!(at, self.values[partition].len() as i64, "step {step}");
                self.values[partition].push(value);
            }
            55..75 => {
                let to = self.below(self.nodes.len());
                self.owner[partition] = to;
                self.world.assign(partition as u32, to as u32 + 1).await;
            }
            75..85 => {
                self.node(owner).checkpoint().await;
            }
            85..88 => {
                self.nodes[owner].take().unwrap().die().await;
                self.nodes[owner] = Some(self.world.node(owner as u32 + 1).await);
            }
            88..91 => {
                self.nodes[owner].take().unwrap().end().await;
                self.nodes[owner] = Some(self.world.node(owner as u32 + 1).await);
            }
            _ => {
                let found = self.node(owner).read(partition as u32).await;
                assert_eq!(found, self.values[partition], "step {step}, partition {partition}");
            }
        }
    }

    fn node(&self, node: usize) -> &Node {
        self.nodes[node].as_ref().unwrap()
    }
}

async fn tell(seed: u64, objects: FaultyObjects, steps: usize) {
    let world = World::new(objects).await;
    let mut nodes = Vec::new();
    for number in 1..=3 {
        nodes.push(Some(world.node(number).await));
    }
    let partitions = PARTITIONS as usize;
    let (owner, values) = (vec![0; partitions], vec![Vec::new(); partitions]);
    let mut story = Story { world, chance: Seeded::new(seed), nodes, owner, values };
    for step in 0..steps {
        story.step(step).await;
    }
    for partition in 0..partitions {
        let found = story.node(story.owner[partition]).read(partition as u32).await;
        assert_eq!(found, story.values[partition], "seed {seed}, partition {partition}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_moves_and_deaths() {
    for seed in 0..30 {
        tell(seed, healthy(), 120).await;
    }
}

/// A store that fails, is slow, loses answers and lands creates late, as `seed` says.
fn faulty(seed: u64) -> FaultyObjects {
    let chance = Seeded::new(seed);
    FaultyObjects::new(move |request: Request, _: &str| {
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
            _ => Fate::Done,
        }
    })
}

#[tokio::test(start_paused = true)]
async fn many_moves_and_deaths_over_an_object_store_that_fails() {
    for seed in 100..120 {
        tell(seed, faulty(seed), 120).await;
    }
}
