//! The collector beside brokers that live and die: nothing that is referred to is deleted, and in the
//! end nothing is left that is not.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod story;
mod world;

use std::time::Duration;

use tokio::time::Instant;
use weir_broker::{
    client::BrokerClient,
    collector::{
        Collected, Collector, CollectorSettings, FloorError, RoundError, Skipped,
        refuse_if_metadata_is_older,
    },
    fsck::Depth,
};
use weir_ids::{Offset, Slot};
use weir_meta::{
    Metadata,
    model::Wal,
    store::{Memory, Txn},
};
use weir_runtime::{Random, Seeded, Tasks};
use weir_segment_store::{
    ObjectName, Part,
    journal::{
        append::memory::{FileFate, FileRequest},
        object::FORGOTTEN,
    },
    testing::{Fate, Request},
};

use story::Story;
use world::{World, bounds, id, pass};

fn fine(_: Request, _: &str) -> Fate {
    Fate::Done
}

/// A store that fails, is slow, loses answers, lands creates late and lists stale, as `seed` says.
fn troubles(seed: u64) -> impl Fn(Request, &str) -> Fate + Send + Sync + 'static {
    let chance = Seeded::new(seed);
    move |request, _| {
        let some = Duration::from_millis(chance.next_u64() % 500);
        match (request, chance.next_u64() % 100) {
            (_, 0..10) => Fate::Slow(some),
            (_, 10..13) => Fate::Fails,
            (_, 13..16) => Fate::FailsAfter,
            (Request::Put, 16..19) => Fate::Late(some * 60),
            (Request::Put, 19..21) => Fate::Twice(some * 60),
            (Request::Put, 21..23) => Fate::Conflicts,
            (Request::List, 16..40) => Fate::Stale(some * 60),
            _ => Fate::Done,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_referred_to_is_deleted_and_nothing_else_stays() {
    for seed in 0..4 {
        let grace = Duration::from_secs(if seed % 2 == 0 { 0 } else { 30 });
        let world = World::new(troubles(seed)).await;
        run(Story::begin(seed, world, grace).await).await;
    }
}

async fn run(mut story: Story) {
    for _ in 0..200 {
        story.step().await;
    }
    story.finish().await;
}

/// A file system that fails, loses answers and hangs, as `seed` says.
fn troubles_with_files(seed: u64) -> impl Fn(FileRequest, &str) -> FileFate + Send + Sync {
    let chance = Seeded::new(seed);
    move |_, _| match chance.next_u64() % 100 {
        0..3 => FileFate::FailedBefore,
        3..6 => FileFate::FailedAfter,
        6 => FileFate::Hangs,
        _ => FileFate::Done,
    }
}

#[tokio::test(start_paused = true)]
async fn of_files_nothing_is_deleted_that_is_referred_to_either() {
    for seed in 0..4 {
        let grace = Duration::from_secs(if seed % 2 == 0 { 0 } else { 30 });
        let world = World::over_files(troubles(seed), troubles_with_files(seed + 100)).await;
        run(Story::begin(seed, world, grace).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn files_go_as_soon_as_what_they_hold_is_checkpointed_and_not_before() {
    // A few slots a file: the last checkpoint ends anywhere in one.
    for checkpointed in 8..=13 {
        let world = World::over_files(fine, |_, _| FileFate::Done).await;
        let life = world.begin(1).await;
        life.open(vec![0]).await;
        let mut collector = world.collector(Duration::ZERO);
        let files = async || {
            let is_file = |name: &ObjectName| matches!(name, ObjectName::WalFile { .. });
            world.objects().await.into_iter().filter(is_file).count()
        };
        for number in 0..checkpointed {
            life.append(0, world.batch(&[number; 400])).await;
        }
        rounds(&mut collector, 2).await;
        assert!(files().await >= 3, "{}", files().await);
        assert!(life.broker.checkpoint().await);
        for number in checkpointed..20 {
            life.append(0, world.batch(&[number; 400])).await;
        }
        let before = files().await;
        rounds(&mut collector, 2).await;
        assert!(files().await < before, "{} {before}", files().await);
        let dead = life.die().await;
        world.end(dead).await;
        let life = world.begin(1).await;
        life.open(vec![0]).await;
        assert_eq!(world.read(&life, 0).await, (0..20).map(|it| [it; 400]).collect::<Vec<_>>());
        life.end().await;
        world.shutdown().await;
    }
}

async fn rounds(collector: &mut Collector, count: usize) -> Collected {
    let mut last = Collected::default();
    for _ in 0..count {
        last = collector.round().await.unwrap();
    }
    last
}

/// One life that has written something, checkpointed and trimmed it: slot 1 is not needed any more.
async fn one_life(world: &World) -> world::Life {
    let life = world.begin(1).await;
    life.open((0..world::PARTITIONS).collect()).await;
    life.append(0, world.batch(b"first")).await;
    assert!(life.broker.checkpoint().await);
    life
}

#[tokio::test(start_paused = true)]
async fn a_delayed_create_is_swept_again() {
    let world = World::new(fine).await;
    let life = one_life(&world).await;
    let name = ObjectName::WalSlot { session: life.session(), slot: Slot(1) };
    assert!(world.objects().await.contains(&name), "its owner does not delete it");
    let body = world.truth().get(name).await.unwrap();
    let mut collector = world.collector(Duration::ZERO);
    assert_eq!(collector.round().await.unwrap().waiting, 1, "no round deletes what it first finds");
    assert_eq!(collector.round().await.unwrap().deleted, 1);
    assert!(!world.objects().await.contains(&name));
    world.truth().create(name, &[Part::Bytes(body)]).await.unwrap();
    rounds(&mut collector, 2).await;
    assert!(!world.objects().await.contains(&name));
    assert_eq!(world.read(&life, 0).await, [b"first"]);
    life.end().await;
    world.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn grace_is_counted_from_the_round_that_found_it() {
    let world = World::new(fine).await;
    let life = one_life(&world).await;
    let mut collector = world.collector(Duration::from_secs(60));
    assert_eq!(rounds(&mut collector, 3).await.deleted, 0);
    pass(Duration::from_secs(60)).await;
    assert_eq!(collector.round().await.unwrap().deleted, 1);
    life.end().await;
    world.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_nobody_needs_is_forgotten_but_for_its_fence_and_marker() {
    let world = World::new(fine).await;
    let dead = one_life(&world).await.die().await;
    let mut collector = world.collector(Duration::ZERO);
    let skipped = collector.round().await;
    assert!(
        matches!(skipped, Err(RoundError::Skipped(Skipped::NotReported(session))) if session == dead),
        "{skipped:?}"
    );
    world.condemn(dead).await;
    let skipped = collector.round().await;
    let nobody = RoundError::Skipped(Skipped::Unowned(id(0)));
    assert_eq!(skipped.unwrap_err().to_string(), nobody.to_string());
    let life = world.begin(2).await;
    life.open((0..world::PARTITIONS).collect()).await;
    assert!(life.broker.checkpoint().await);
    rounds(&mut collector, 6).await;
    assert_eq!(bounds(&world, dead).await, None);
    refuse_if_metadata_is_older(&*world.true_journal(), &world.metadata).await.unwrap();
    let left = world.objects().await.into_iter().filter(|name| name.session() == dead);
    let slots = left.filter_map(|name| match name {
        ObjectName::WalSlot { slot, .. } => Some(slot),
        ObjectName::Sorted { .. } => None,
        other => panic!("{other} is left"),
    });
    assert_eq!(slots.collect::<Vec<_>>(), [Slot(0), Slot(2), FORGOTTEN]);
    assert_eq!(world.read(&life, 0).await, [b"first"], "the sorted object is still referred to");
    life.end().await;
    world.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn metadata_from_a_backup_stops_collection_and_starts() {
    let world = World::new(fine).await;
    let life = one_life(&world).await;
    let (journal, lost) = (world.true_journal(), life.session());
    refuse_if_metadata_is_older(&*journal, &world.metadata).await.unwrap();
    let older = Metadata::new(std::sync::Arc::new(Memory::new()));
    let refused = refuse_if_metadata_is_older(&*journal, &older).await;
    assert!(matches!(&refused, Err(FloorError::Older(older)) if older.session == lost));
    assert!(refused.unwrap_err().to_string().contains("put newer metadata in their place"));

    // It has gone on since, so that the revision alone tells nothing.
    let objects = world.objects().await;
    let forget = Txn::new().delete(Wal::key(lost));
    world.metadata.store().txn(forget).await.unwrap();
    let refused = refuse_if_metadata_is_older(&*journal, &world.metadata).await;
    assert!(matches!(&refused, Err(FloorError::Older(older)) if older.session == lost));
    for _ in 0..3 {
        let round = world.collector(Duration::ZERO).round().await;
        assert!(matches!(round, Err(RoundError::Older(_))), "{round:?}");
    }
    assert_eq!(world.objects().await, objects);
    life.die().await;
    world.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn an_elected_collector_works_by_itself() {
    let world = World::new(fine).await;
    let life = one_life(&world).await;
    let name = ObjectName::WalSlot { session: life.session(), slot: Slot(1) };
    let tasks = Tasks::new();
    for _ in 0..2 {
        Collector::start(world.collector_deps(), CollectorSettings::default(), &tasks);
    }
    let deadline = Instant::now() + Duration::from_secs(3_600);
    while world.objects().await.contains(&name) {
        assert!(Instant::now() < deadline, "it is never deleted");
        pass(Duration::from_secs(10)).await;
    }
    tasks.shutdown().await.unwrap();
    life.end().await;
    world.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_by_hand_meanwhile_is_no_error() {
    let world = World::new(fine).await;
    let life = one_life(&world).await;
    let mut collector = world.collector(Duration::ZERO);
    collector.round().await.unwrap();
    let name = ObjectName::WalSlot { session: life.session(), slot: Slot(1) };
    world.truth().delete(name).await.unwrap();
    assert_eq!(rounds(&mut collector, 2).await, Collected::default());
    life.end().await;
    world.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_check_tells_what_is_gone_and_what_is_rotten() {
    let world = World::new(fine).await;
    let life = world.begin(1).await;
    life.open(vec![0, 1]).await;
    for partition in [0, 1] {
        life.append(partition, world.batch(&[b'x'; 100])).await;
    }
    assert!(life.broker.checkpoint().await);
    let told = async |depth| -> Vec<String> {
        let report = world.fsck().check(depth).await.unwrap();
        report.problems.iter().map(ToString::to_string).collect()
    };
    assert_eq!(told(Depth::Records).await, Vec::<String>::new());
    let sorted = |name: &&ObjectName| matches!(name, ObjectName::Sorted { .. });
    let name = *world.objects().await.iter().find(sorted).unwrap();
    let bytes = world.truth().get(name).await.unwrap();

    world.truth().delete(name).await.unwrap();
    let gone = told(Depth::Objects).await;
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(
        gone[0].contains(&format!("{}: records 0 to 0 are gone with {name}", id(0))),
        "{gone:?}"
    );

    let mut rotten = bytes.to_vec();
    let place = rotten.iter().position(|byte| *byte == b'x').unwrap();
    rotten[place] = b'y';
    world.truth().create(name, &[Part::Bytes(rotten.into())]).await.unwrap();
    assert_eq!(told(Depth::Objects).await, Vec::<String>::new(), "nothing is missing");
    let rotten = told(Depth::Records).await;
    assert_eq!(rotten.len(), 1, "{rotten:?}");
    assert!(rotten[0].contains("records from 0 on can't be read"), "{rotten:?}");
    life.end().await;
    world.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_records_were_in_that_were_deleted_goes_though_nothing_else_happens() {
    let world = World::new(fine).await;
    let life = world.begin(1).await;
    life.open(vec![0]).await;
    for _ in 0..3 {
        life.append(0, world.batch(&[b'x'; 100])).await;
    }
    assert!(life.broker.checkpoint().await);
    let sorted = async || {
        let objects = world.objects().await;
        objects.iter().filter(|name| matches!(name, ObjectName::Sorted { .. })).count()
    };
    assert_eq!(sorted().await, 1);
    assert_eq!(life.client.delete_records(id(0), None).await, Ok(Offset(3)));
    let mut collector = world.collector(Duration::ZERO);
    for _ in 0..2 {
        pass(Duration::from_secs(330)).await;
        collector.round().await.unwrap();
    }
    assert_eq!(sorted().await, 0);
    life.end().await;
    world.shutdown().await;
}

/// Partition 0 has most of what lies in each object, partition 1 the rest. Returns that.
async fn write_beside_each_other(
    world: &World,
    life: &world::Life,
    checkpoints: u8,
    bytes: usize,
) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    for number in 0..checkpoints {
        for _ in 0..3 {
            life.append(0, world.batch(&vec![number; bytes * 2])).await;
        }
        for _ in 0..2 {
            life.append(1, world.batch(&vec![number; bytes])).await;
            values.push(vec![number; bytes]);
        }
        assert!(life.broker.checkpoint().await);
    }
    values
}

/// Records of partition 0 are deleted; what is left is about what partition 1 has.
async fn delete_the_neighbour(world: World, life: world::Life, values: &[Vec<u8>]) {
    let left: u64 = values.iter().map(|value| value.len() as u64).sum();
    assert!(world.bytes().await > left * 4);
    life.client.delete_records(id(0), None).await.unwrap();
    let mut collector = world.collector(Duration::ZERO);
    for _ in 0..8 {
        collector.round().await.unwrap();
        pass(Duration::from_secs(330)).await;
    }
    assert_eq!(world.read(&life, 1).await, values);
    let held = world.bytes().await;
    assert!(held < left + left / 4 + 3_000, "{held} bytes are stored of {left}");
    let dead = life.die().await;
    world.end(dead).await;
    let life = world.begin(1).await;
    life.open(vec![0, 1]).await;
    assert_eq!(world.read(&life, 1).await, values);
    life.end().await;
    world.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_lies_beside_deleted_records_does_not_keep_them_in_the_store() {
    let world = World::new(fine).await;
    let life = world.begin(1).await;
    life.open(vec![0, 1]).await;
    let values = write_beside_each_other(&world, &life, 2, 2_000).await;
    delete_the_neighbour(world, life, &values).await;
}

#[tokio::test(start_paused = true)]
async fn what_pages_list_beside_deleted_records_does_not_keep_them_either() {
    let world = World::new(fine).await;
    let life = world.begin(1).await;
    life.open(vec![0, 1]).await;
    // Ranges so long that they are not folded: there is a page a few of them.
    let values = write_beside_each_other(&world, &life, 14, 300_000).await;
    let report = life.report().await;
    assert!(report.named.pages.keys().any(|page| page.level > 0), "{:?}", report.named.pages);
    delete_the_neighbour(world, life, &values).await;
}
