//! The rules of slots, one by one, over a store that does what a test says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, TryStreamExt, future::join_all};
use object_store::memory::InMemory;
use tokio::time::{sleep, timeout};
use weir_runtime::{Seeded, SystemClock};

use super::*;
use crate::{
    journal::{Written, conformance},
    testing::{CLUSTER, Fate, FaultyObjects, Request, batch, partition},
};

const SESSION: SessionId = SessionId(4);
const OTHER: u64 = 9;

fn over(objects: impl object_store::ObjectStore, seed: u64) -> ObjectJournal {
    let store = Store::new(Arc::new(objects), None);
    let runtime = Runtime::new(SystemClock, Seeded::new(seed));
    ObjectJournal::new(store, CLUSTER, runtime, ObjectJournalSettings::default())
}

fn healthy() -> FaultyObjects {
    FaultyObjects::new(|_: Request, _: &str| Fate::Done)
}

/// `fate` for the first `times` requests of this kind on this slot, then all is well.
fn at(
    request: Request,
    slot: u64,
    times: usize,
    fate: Fate,
) -> impl Fn(Request, &str) -> Fate + Send + Sync {
    let done = AtomicUsize::new(0);
    let end = format!("/{slot:020}");
    move |asked, path| {
        let hit = asked == request && path.ends_with(&end);
        if hit && done.fetch_add(1, Ordering::Relaxed) < times { fate } else { Fate::Done }
    }
}

fn slot_body(slot: u64, put_id: u64) -> crate::object::Body {
    let mut builder = crate::object::Builder::new(&Header {
        cluster: CLUSTER,
        session: SESSION,
        number: slot,
        put_id,
        kind: Kind::Slot,
    });
    let batch = batch(1, slot as i64, 1);
    let entries = [crate::object::BatchEntry::from(&batch.header())];
    builder.add(crate::object::ChunkSource {
        partition: partition(0),
        epoch: weir_ids::LeaderEpoch(1),
        batches: &entries,
        parts: vec![crate::Part::Batch(batch)],
    });
    builder.finish()
}

/// Appends these slots at once; what each is answered.
async fn append(
    writer: &mut Box<dyn Writer>,
    slots: std::ops::RangeInclusive<u64>,
) -> Vec<Result<Written, Error>> {
    join_all(slots.map(|slot| writer.append(Slot(slot), slot_body(slot, slot)))).await
}

fn numbers(sealed: &Sealed) -> Vec<u64> {
    sealed.slots.iter().map(|stored| stored.slot.0).collect()
}

#[tokio::test]
async fn a_store_that_ignores_the_condition_is_refused() {
    let replaces = |request, _: &str| match request {
        Request::Put => Fate::Overwrites,
        _ => Fate::Done,
    };
    let Err(error) = over(FaultyObjects::new(replaces), 1).open(SESSION).await else {
        panic!("nothing is safe there")
    };
    assert!(matches!(error, Error::Unconditional { .. }), "{error}");
    assert_eq!(error.advice(), crate::journal::Advice::Stop);
    assert!(error.to_string().contains("If-None-Match"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn whether_the_condition_is_honoured_is_asked_until_the_store_says_so() {
    for fate in [Fate::Fails, Fate::FailsAfter, Fate::Conflicts] {
        let puts = AtomicUsize::new(0);
        let objects = FaultyObjects::new(move |request: Request, _: &str| {
            let second = request == Request::Put && puts.fetch_add(1, Ordering::Relaxed) == 1;
            if second { fate } else { Fate::Done }
        });
        assert!(over(objects, 1).open(SESSION).await.is_ok(), "{fate:?}");
    }
}

#[tokio::test]
async fn what_was_forgotten_says_so_for_ever_and_is_listed_on() {
    let journal = over(InMemory::new(), 1);
    journal.open(SESSION).await.unwrap();
    assert!(!journal.is_forgotten(SESSION).await.unwrap());
    journal.seal(SESSION, Slot(1)).await.unwrap();
    journal.forget(SESSION).await.unwrap();
    assert!(journal.is_forgotten(SESSION).await.unwrap());
    assert_eq!(journal.sessions().await.unwrap(), [SESSION]);
    assert!(!journal.is_forgotten(SessionId(OTHER)).await.unwrap());
}

#[tokio::test]
async fn conforms_in_memory() {
    conformance::all(|| async { over(InMemory::new(), 1) }).await;
}

#[tokio::test]
async fn conforms_in_a_directory() {
    let places = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    conformance::all(|| async {
        let place = places.path().join(count.fetch_add(1, Ordering::Relaxed).to_string());
        std::fs::create_dir(&place).unwrap();
        let local = object_store::local::LocalFileSystem::new_with_prefix(place).unwrap();
        over(local.with_fsync(true), 1)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_is_lost_counts_once_it_is_read_back() {
    for fate in [Fate::FailsAfter, Fate::HangsAfter, Fate::Late(Duration::from_millis(20))] {
        let objects = healthy();
        let journal = over(objects.with(at(Request::Put, 2, 1, fate)), 1);
        let mut writer = journal.open(SESSION).await.unwrap();
        assert!(append(&mut writer, 1..=3).await.iter().all(Result::is_ok), "{fate:?}");
        let sealed = over(objects, 2).seal(SESSION, Slot(1)).await.unwrap();
        assert_eq!(numbers(&sealed), [1, 2, 3], "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_create_that_fails_is_sent_again() {
    for fate in [Fate::Fails, Fate::Hangs, Fate::Conflicts] {
        let objects = healthy();
        let journal = over(objects.with(at(Request::Put, 1, 3, fate)), 1);
        let mut writer = journal.open(SESSION).await.unwrap();
        assert!(append(&mut writer, 1..=2).await.iter().all(Result::is_ok), "{fate:?}");
        assert_eq!(numbers(&over(objects, 2).seal(SESSION, Slot(1)).await.unwrap()), [1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_read_back_is_not_answered() {
    let objects = healthy();
    let faults = |request: Request, path: &str| match request {
        Request::Put if path.ends_with("/00000000000000000001") => Fate::FailsAfter,
        Request::Get => Fate::Fails,
        _ => Fate::Done,
    };
    let mut writer = over(objects.with(faults), 1).open(SESSION).await.unwrap();
    let mut answer = writer.append(Slot(1), slot_body(1, 1));
    let waited = timeout(Duration::from_secs(600), &mut answer).await;
    assert!(waited.is_err(), "nobody knows whether it is there");
    assert!(writer.trouble().borrow().is_some(), "and whoever waits is told");
}

#[tokio::test(start_paused = true)]
async fn slots_that_land_out_of_order_are_answered_in_order() {
    let objects = healthy();
    let slow = Fate::Slow(Duration::from_secs(5));
    let journal = over(objects.with(at(Request::Put, 1, usize::MAX, slow)), 1);
    let mut writer = journal.open(SESSION).await.unwrap();
    let mut answers: Vec<_> =
        (1..=3).map(|slot| writer.append(Slot(slot), slot_body(slot, slot))).collect();
    let began = tokio::time::Instant::now();
    let third = answers.pop().unwrap();
    let (third, others) = tokio::join!(third, join_all(answers));
    assert!(third.is_ok() && others.iter().all(Result::is_ok));
    assert_eq!(began.elapsed(), Duration::from_secs(5), "the third waited for the first");
}

#[tokio::test(start_paused = true)]
async fn a_create_that_takes_unusually_long_is_sent_again_beside_it() {
    for fate in
        [Fate::Slow(Duration::from_secs(5)), Fate::Hangs, Fate::Late(Duration::from_secs(5))]
    {
        let objects = healthy();
        let journal = over(objects.with(at(Request::Put, 1, 1, fate)), 1);
        let mut writer = journal.open(SESSION).await.unwrap();
        let began = tokio::time::Instant::now();
        assert!(append(&mut writer, 1..=2).await.iter().all(Result::is_ok), "{fate:?}");
        assert!(began.elapsed() < Duration::from_millis(100), "{fate:?}: {:?}", began.elapsed());
        assert_eq!(numbers(&over(objects, 2).seal(SESSION, Slot(1)).await.unwrap()), [1, 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hole_ends_the_log_and_what_lies_above_it_is_void() {
    let objects = healthy();
    let healed = Arc::new(AtomicBool::new(false));
    let broken = at(Request::Put, 2, usize::MAX, Fate::Fails);
    let faults = {
        let healed = Arc::clone(&healed);
        move |request: Request, path: &str| {
            if healed.load(Ordering::Relaxed) { Fate::Done } else { broken(request, path) }
        }
    };
    let mut writer = over(objects.with(faults), 1).open(SESSION).await.unwrap();
    let first = writer.append(Slot(1), slot_body(1, 1));
    let mut second = writer.append(Slot(2), slot_body(2, 2));
    let mut third = writer.append(Slot(3), slot_body(3, 3));
    first.await.unwrap();
    let minute = Duration::from_secs(60);
    assert!(timeout(minute, &mut third).await.is_err(), "it landed, but the second is missing");
    assert!(timeout(minute, &mut second).await.is_err());

    let looker = over(objects.clone(), 4);
    let ahead = looker.look_ahead(SESSION, Slot(1), Slot(4)).map_ok(|stored| stored.slot);
    assert_eq!(ahead.try_collect::<Vec<_>>().await.unwrap(), [Slot(1)]);
    let sealed = over(objects.clone(), 2).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!((sealed.end, numbers(&sealed)), (Slot(2), vec![1]));
    healed.store(true, Ordering::Relaxed);
    assert!(matches!(second.await, Err(Error::Fenced(SESSION))));
    assert!(third.await.is_err());
    let again = over(objects, 3).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!((again.end, numbers(&again)), (Slot(2), vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_meets_a_fence_answers_nothing_more() {
    let objects = healthy();
    let mut writer = over(objects.clone(), 1).open(SESSION).await.unwrap();
    assert!(append(&mut writer, 1..=2).await.iter().all(Result::is_ok));
    let sealed = over(objects.clone(), 2).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!((sealed.end, numbers(&sealed)), (Slot(3), vec![1, 2]));
    let answers = append(&mut writer, 3..=5).await;
    assert!(matches!(answers[0], Err(Error::Fenced(SESSION))), "{answers:?}");
    assert!(answers[1..].iter().all(Result::is_err), "what landed above the fence is void");
    let again = over(objects, 3).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!((again.end, numbers(&again)), (Slot(3), vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_create_that_lands_late_meets_the_fence() {
    let objects = healthy();
    let late = Fate::Late(Duration::from_secs(30));
    let journal = over(objects.with(at(Request::Put, 1, 1, late)), 1);
    let mut writer = journal.open(SESSION).await.unwrap();
    // Sent, and the writer stops for a while.
    let mut first = writer.append(Slot(1), slot_body(1, 1));
    assert!(first.as_mut().now_or_never().is_none());
    let sealed = over(objects.clone(), 2).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!(sealed.end, Slot(1));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(matches!(first.await, Err(Error::Fenced(SESSION))));
}

#[tokio::test(start_paused = true)]
async fn a_fence_whose_answer_is_lost_stands() {
    for fate in [Fate::FailsAfter, Fate::HangsAfter, Fate::Fails, Fate::Conflicts] {
        let objects = healthy();
        let mut writer = over(objects.clone(), 1).open(SESSION).await.unwrap();
        assert!(append(&mut writer, 1..=1).await.iter().all(Result::is_ok));
        let fencer = over(objects.with(at(Request::Put, 2, 1, fate)), 2);
        assert_eq!(fencer.seal(SESSION, Slot(1)).await.unwrap().end, Slot(2), "{fate:?}");
        assert!(append(&mut writer, 2..=2).await[0].is_err(), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn fencers_agree_with_each_other_and_with_what_was_answered() {
    for seed in 0..200 {
        let objects = healthy();
        let chance = Arc::new(Seeded::new(seed));
        let faults = move |request: Request, _: &str| {
            use weir_runtime::Random;
            match (request, chance.next_u64() % 12) {
                (_, 0..3) => Fate::Slow(Duration::from_millis(chance.next_u64() % 200)),
                (_, 3) => Fate::Fails,
                (_, 4) => Fate::FailsAfter,
                (Request::Put, 5) => Fate::Late(Duration::from_millis(chance.next_u64() % 900)),
                (Request::Put, 6) => Fate::Conflicts,
                (Request::Put, 7) => Fate::HangsAfter,
                (Request::Get, 5) => Fate::Rots(chance.next_u64()),
                _ => Fate::Done,
            }
        };
        let objects = objects.with(faults);
        let mut writer = over(objects.clone(), seed).open(SESSION).await.unwrap();
        let begin = |by: u64| {
            let journal = over(objects.clone(), OTHER * seed + by);
            async move {
                sleep(Duration::from_millis(seed * 7 % 300)).await;
                journal.seal(SESSION, Slot(1)).await
            }
        };
        let (answers, one, two) = tokio::join!(append(&mut writer, 1..=12), begin(1), begin(2));
        let answered = answers.iter().take_while(|answer| answer.is_ok()).count();
        assert!(answers[answered..].iter().all(Result::is_err), "seed {seed}: in order");
        let ends: Vec<Sealed> = [one, two].into_iter().flatten().collect();
        for sealed in &ends {
            assert!(answered as u64 <= sealed.slots.len() as u64, "seed {seed}: a lost slot");
            assert_eq!(sealed.end, ends[0].end, "seed {seed}: two ends");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rot_is_read_again_and_then_named() {
    let objects = healthy();
    let mut writer = over(objects.clone(), 1).open(SESSION).await.unwrap();
    assert!(append(&mut writer, 1..=2).await.iter().all(Result::is_ok));
    let passing = over(objects.with(at(Request::Get, 2, 1, Fate::EndsEarly)), 2);
    assert_eq!(passing.seal(SESSION, Slot(1)).await.unwrap().end, Slot(3));
    let last_bit = slot_body(2, 2).len * 8 - 1;
    let lasting = over(objects.with(at(Request::Get, 2, usize::MAX, Fate::Rots(last_bit))), 2);
    let refused = lasting.seal(SESSION, Slot(1)).await;
    let Err(Error::Corrupt { path, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(path, name(SESSION, Slot(2)).to_string());
}

#[tokio::test(start_paused = true)]
async fn two_writers_of_one_session_stop_loudly() {
    let objects = healthy();
    let journal = over(objects.clone(), 1);
    let mut writer = journal.open(SESSION).await.unwrap();
    let mut intruder: Box<dyn Writer> =
        Box::new(ObjectWriter::new(Arc::new(over(objects, 2)), SESSION));
    assert!(append(&mut writer, 1..=1).await[0].is_ok());
    let answer = intruder.append(Slot(1), slot_body(1, 77)).await;
    assert!(matches!(answer, Err(Error::Corrupt { .. })), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn fences_and_open_markers_outlive_every_trim() {
    let objects = healthy();
    let writing = over(objects.clone(), 1);
    let mut writer = writing.open(SESSION).await.unwrap();
    assert!(append(&mut writer, 1..=4).await.iter().all(Result::is_ok));
    writing.trim(SESSION, Slot(3), &|_| false).await.unwrap();
    let other = over(objects.clone(), 2);
    assert_eq!(numbers(&other.seal(SESSION, Slot(3)).await.unwrap()), [3, 4]);
    other.trim(SESSION, Slot(u64::MAX), &|_| false).await.unwrap();
    let left = Store::new(Arc::new(objects), None).list(None).await.unwrap();
    let mut left: Vec<_> = left.into_iter().map(|(name, _)| name).collect();
    left.sort_unstable();
    assert_eq!(left, [name(SESSION, Slot(0)), name(SESSION, Slot(5))]);
    assert!(append(&mut writer, 5..=5).await[0].is_err(), "the writer stays fenced");
}
