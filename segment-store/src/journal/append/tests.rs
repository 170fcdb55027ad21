use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use futures::TryStreamExt;
use weir_runtime::{Random, Seeded, SystemClock};

use super::{
    memory::{FileFate, FileRequest, MemoryFiles},
    *,
};
use crate::{
    journal::{Written, conformance},
    object::Body,
    testing::{CLUSTER, batch, body, chunk, partition},
};

const SESSION: SessionId = SessionId(11);

fn settings() -> AppendJournalSettings {
    // About four slots a file.
    AppendJournalSettings { file_bytes: 2_500, look_ms: 10, ..Default::default() }
}

fn journal(files: &MemoryFiles, seed: u64) -> AppendJournal {
    let runtime = Runtime::new(SystemClock, Seeded::new(seed));
    AppendJournal::new(Arc::new(files.clone()), CLUSTER, runtime, settings())
}

fn slot(number: u64) -> Body {
    body(SESSION, Slot(number), vec![chunk(partition(0), 1, &[batch(1, number as i64, 1)])])
}

async fn write(writer: &mut Box<dyn Writer>, slots: std::ops::RangeInclusive<u64>) -> Vec<Written> {
    let answers: Vec<_> = slots.map(|number| writer.append(Slot(number), slot(number))).collect();
    futures::future::try_join_all(answers).await.unwrap()
}

fn numbers(slots: &[StoredSlot]) -> Vec<u64> {
    slots.iter().map(|slot| slot.slot.0).collect()
}

async fn names(files: &MemoryFiles) -> Vec<String> {
    let listed = files.list(&folder(SESSION)).await.unwrap();
    listed.into_iter().map(|(name, _)| name).collect()
}

#[tokio::test(start_paused = true)]
async fn it_does_what_every_journal_does() {
    conformance::all(|| async { journal(&MemoryFiles::new(), 1) }).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_synced_ends_where_a_checksum_of_hdfs_does() {
    for written in 1..=3 {
        let files = MemoryFiles::new();
        let journal = journal(&files, 1);
        let mut writer = journal.open(SESSION).await.unwrap();
        for number in 1..=written {
            write(&mut writer, number..=number).await;
        }
        journal.settle(SESSION, Slot(written + 1)).await.unwrap();
        let listed = files.list(&folder(SESSION)).await.unwrap();
        // The second is begun, and no more.
        let [(_, bytes), (_, 0)] = &listed[..] else { panic!("{listed:?}") };
        assert!(*bytes > 0 && bytes % 512 == 0, "{bytes} bytes with {written} slots");
        let read = journal.read(SESSION, Slot(1), Slot(written + 1)).await.unwrap().unwrap();
        assert_eq!(numbers(&read), (1..=written).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_was_sealed_can_answer_nothing_more() {
    // In the middle of a file, and where the next one is due.
    for written in 1..=9 {
        let files = MemoryFiles::new();
        let mut writer = journal(&files, 1).open(SESSION).await.unwrap();
        write(&mut writer, 1..=written).await;
        let sealed = journal(&files, 2).seal(SESSION, Slot(1)).await.unwrap();
        assert_eq!(sealed.end, Slot(written + 1));
        for number in written + 1..written + 3 {
            let answer = writer.append(Slot(number), slot(number)).await.map(drop);
            assert!(matches!(answer, Err(Error::Fenced(SESSION))), "{answer:?}");
        }
        let again = journal(&files, 3).seal(SESSION, Slot(1)).await.unwrap();
        assert_eq!((again.end, numbers(&again.slots)), (sealed.end, numbers(&sealed.slots)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_hangs_is_left_and_what_was_unclear_counts_once() {
    for fate in [FileFate::Hangs, FileFate::FailedAfter, FileFate::FailedBefore] {
        let hit = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&hit);
        let files = MemoryFiles::with(move |request: FileRequest, _: &str| match request {
            // The third, fourth and fifth.
            FileRequest::Sync if (2..5).contains(&count.fetch_add(1, Ordering::Relaxed)) => fate,
            _ => FileFate::Done,
        });
        let mut writer = journal(&files, 1).open(SESSION).await.unwrap();
        for number in 1..=4 {
            write(&mut writer, number..=number).await;
        }
        assert!(hit.load(Ordering::Relaxed) > 5, "it was met");
        let sealed = journal(&files, 2).seal(SESSION, Slot(1)).await.unwrap();
        assert_eq!((sealed.end, numbers(&sealed.slots)), (Slot(5), vec![1, 2, 3, 4]), "{fate:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_can_be_read_while_the_session_goes_on() {
    let files = MemoryFiles::new();
    let one = journal(&files, 1);
    let mut writer = one.open(SESSION).await.unwrap();
    write(&mut writer, 1..=6).await;
    one.settle(SESSION, Slot(7)).await.unwrap();
    let read = journal(&files, 2).read(SESSION, Slot(2), Slot(7)).await.unwrap();
    assert_eq!(numbers(&read.unwrap()), [2, 3, 4, 5, 6]);
    write(&mut writer, 7..=8).await;
    let sealed = journal(&files, 2).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!(numbers(&sealed.slots), (1..=8).collect::<Vec<_>>());
}

async fn read_ahead(journal: &AppendJournal, from: Slot, below: Slot) -> Vec<u64> {
    let slots = journal.look_ahead(SESSION, from, below);
    numbers(&slots.try_collect::<Vec<_>>().await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn looking_ahead_finds_files_behind_which_another_can_be_seen() {
    let files = MemoryFiles::new();
    let mut writer = journal(&files, 1).open(SESSION).await.unwrap();
    write(&mut writer, 1..=12).await;
    let two = journal(&files, 2);
    let ahead = read_ahead(&two, Slot(2), Slot(99)).await;
    assert!(
        ahead.len() > 2 && ahead == (2..2 + ahead.len() as u64).collect::<Vec<_>>(),
        "{ahead:?}"
    );
    assert_eq!(read_ahead(&two, Slot(2), Slot(4)).await, [2, 3]);
    let end = Slot(2 + ahead.len() as u64);
    assert!(read_ahead(&two, end, Slot(99)).await.is_empty(), "it is open");
    two.trim(SESSION, Slot(8), &|_| false).await.unwrap();
    assert!(read_ahead(&two, Slot(2), Slot(99)).await.is_empty(), "it is trimmed");
    write(&mut writer, 13..=13).await;
}

/// What was appended to a file that is open is not seen by others for a while.
#[tokio::test(start_paused = true)]
async fn looking_ahead_ends_where_a_file_can_not_be_seen_though_the_next_can() {
    let files = MemoryFiles::new();
    let mut writer = journal(&files, 1).open(SESSION).await.unwrap();
    write(&mut writer, 1..=40).await;
    let two = journal(&files, 2);
    let before = read_ahead(&two, Slot(1), Slot(99)).await;
    files.faultless().delete(&path(SESSION, 3)).await.unwrap();
    let ahead = read_ahead(&two, Slot(1), Slot(99)).await;
    assert!(!ahead.is_empty() && ahead.len() < before.len(), "{ahead:?} {before:?}");
    assert!(before.starts_with(&ahead));
    assert!(two.seal(SESSION, Slot(1)).await.is_err(), "whoever ends it misses it");
}

#[tokio::test(start_paused = true)]
async fn files_go_when_they_are_covered_and_the_fence_never() {
    let files = MemoryFiles::new();
    let one = journal(&files, 1);
    let mut writer = one.open(SESSION).await.unwrap();
    write(&mut writer, 1..=12).await;
    one.settle(SESSION, Slot(13)).await.unwrap();
    write(&mut writer, 13..=13).await;
    let before = names(&files).await;
    one.trim(SESSION, Slot(9), &|_| false).await.unwrap();
    let after = names(&files).await;
    assert!(after.len() < before.len() && before.ends_with(&after), "{before:?} {after:?}");
    let two = journal(&files, 2);
    assert_eq!(
        numbers(&two.read(SESSION, Slot(9), Slot(13)).await.unwrap().unwrap()),
        [9, 10, 11, 12]
    );
    assert!(two.read(SESSION, Slot(1), Slot(13)).await.unwrap().is_none(), "trimmed");
    assert_eq!(two.seal(SESSION, Slot(9)).await.unwrap().end, Slot(14));
    two.trim(SESSION, Slot(u64::MAX), &|_| false).await.unwrap();
    let left = names(&files).await;
    assert_eq!((left.len(), two.seal(SESSION, Slot(14)).await.unwrap().end), (1, Slot(14)));
    let late = writer.append(Slot(14), slot(14)).await.map(drop);
    assert!(matches!(late, Err(Error::Fenced(SESSION))), "{late:?}");
    assert_eq!(names(&files).await, left, "and leaves nothing");
}

/// Whoever does not know whether it has made a file makes it again.
#[tokio::test(start_paused = true)]
async fn what_its_writer_may_make_again_stays_for_ever() {
    let lost = Arc::new(AtomicBool::new(false));
    let is_lost = Arc::clone(&lost);
    let made = Arc::new(AtomicU32::new(0));
    let makes = Arc::clone(&made);
    let files = MemoryFiles::with(move |request: FileRequest, path: &str| match request {
        FileRequest::Create if path.ends_with(".wal") && is_lost.load(Ordering::Relaxed) => {
            match makes.fetch_add(1, Ordering::Relaxed) {
                0 => FileFate::FailedAfter,
                _ => FileFate::FailedBefore,
            }
        }
        _ => FileFate::Done,
    });
    let mut writer = journal(&files, 1).open(SESSION).await.unwrap();
    write(&mut writer, 1..=2).await;
    lost.store(true, Ordering::Relaxed);
    let answered = AtomicU32::new(2);
    let mut late = Box::pin(async {
        for number in 3.. {
            writer.append(Slot(number), slot(number)).await?;
            answered.store(number as u32, Ordering::Relaxed);
        }
        Ok::<_, Error>(())
    });
    while made.load(Ordering::Relaxed) == 0 {
        assert!(futures::poll!(&mut late).is_pending());
        tokio::task::yield_now().await;
    }
    let two = journal(&MemoryFiles::faultless(&files), 2);
    let end = two.seal(SESSION, Slot(1)).await.unwrap().end;
    two.trim(SESSION, Slot(u64::MAX), &|_| false).await.unwrap();
    lost.store(false, Ordering::Relaxed);
    let ended = late.await;
    assert!(matches!(ended, Err(Error::Fenced(SESSION))), "{ended:?}");
    assert_eq!(end, Slot(u64::from(answered.load(Ordering::Relaxed)) + 1), "all that was answered");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_kept_does_not_make_one_behind_it_missing() {
    let files = MemoryFiles::new();
    let one = journal(&files, 1);
    let mut writer = one.open(SESSION).await.unwrap();
    write(&mut writer, 1..=12).await;
    one.settle(SESSION, Slot(13)).await.unwrap();
    write(&mut writer, 13..=13).await;
    let covered = one.covered(SESSION, Slot(12)).await.unwrap();
    assert!(covered.len() > 1, "{covered:?}");
    one.trim(SESSION, Slot(12), &|name| *name == covered[0]).await.unwrap();
    assert_eq!(one.covered(SESSION, Slot(12)).await.unwrap(), covered[..1]);
    let two = journal(&files, 2);
    let read = two.read(SESSION, Slot(12), Slot(13)).await.unwrap();
    assert_eq!(numbers(&read.unwrap()), [12]);
    let sealed = two.seal(SESSION, Slot(12)).await.unwrap();
    assert_eq!((sealed.end, numbers(&sealed.slots)), (Slot(14), vec![12, 13]));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_forgotten_though_its_folder_is_made_once_more() {
    let files = MemoryFiles::new();
    let (one, two) = (journal(&files, 1), journal(&files, 2));
    drop(one.open(SESSION).await.unwrap());
    two.seal(SESSION, Slot(1)).await.unwrap();
    assert!(!two.is_forgotten(SESSION).await.unwrap());
    for _ in 0..2 {
        two.forget(SESSION).await.unwrap();
        assert!(one.is_forgotten(SESSION).await.unwrap());
    }
    let late = one.open(SESSION).await.map(drop);
    assert!(matches!(late, Err(Error::Exists(SESSION))), "{late:?}");
    assert!(one.is_forgotten(SESSION).await.unwrap());
    assert_eq!(names(&files).await.len(), 2, "its only file and the fence");
}

#[tokio::test(start_paused = true)]
async fn a_file_with_a_number_that_none_can_have_is_refused() {
    let files = MemoryFiles::new();
    files.create_folder(&folder(SESSION)).await.unwrap();
    drop(files.create(&path(SESSION, u32::MAX)).await.unwrap());
    let sealed = journal(&files, 1).seal(SESSION, Slot(1)).await.map(drop);
    assert!(matches!(sealed, Err(Error::Corrupt { .. })), "{sealed:?}");
}

#[tokio::test(start_paused = true)]
async fn without_room_it_waits_and_says_so() {
    let full = Arc::new(AtomicBool::new(false));
    let is_full = Arc::clone(&full);
    let files = MemoryFiles::with(move |request: FileRequest, _: &str| match request {
        FileRequest::Append if is_full.load(Ordering::Relaxed) => FileFate::NoSpace,
        _ => FileFate::Done,
    });
    let mut writer = journal(&files, 1).open(SESSION).await.unwrap();
    full.store(true, Ordering::Relaxed);
    let mut trouble = writer.trouble();
    let answer = writer.append(Slot(1), slot(1));
    let heal = async {
        trouble.wait_for(Option::is_some).await.unwrap();
        full.store(false, Ordering::Relaxed);
    };
    let (answer, ()) = tokio::join!(answer, heal);
    assert_eq!(answer.unwrap().slot, Slot(1));
    assert_eq!(*trouble.borrow(), None, "it is over");
}

/// Files that do anything once in a while.
fn faulty(seed: u64) -> MemoryFiles {
    let chance = Seeded::new(seed);
    MemoryFiles::with(move |_: FileRequest, _: &str| match chance.next_u64() % 40 {
        0 | 1 => FileFate::FailedBefore,
        2 | 3 => FileFate::FailedAfter,
        4 => FileFate::Hangs,
        _ => FileFate::Done,
    })
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_what_was_answered_is_there_once_and_in_order() {
    for seed in 0..300 {
        let files = faulty(seed);
        let Ok(mut writer) = journal(&files, seed).open(SESSION).await else { continue };
        let chance = Seeded::new(seed ^ 0xabcd);
        let pause = Duration::from_millis(chance.next_u64() % 4_000);
        let answered = Arc::new(AtomicU32::new(0));
        let writing = async {
            for number in 1..=40 {
                if writer.append(Slot(number), slot(number)).await.is_err() {
                    return;
                }
                answered.store(number as u32, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let sealing = |own: u64| {
            let (files, answered) = (files.clone(), Arc::clone(&answered));
            async move {
                tokio::time::sleep(pause).await;
                let journal = journal(&files, 1_000 + 2 * seed + own);
                loop {
                    if let Ok(sealed) = journal.seal(SESSION, Slot(1)).await {
                        return (sealed, answered.load(Ordering::Relaxed));
                    }
                }
            }
        };
        let ((), (one, after_one), (two, after_two)) =
            tokio::join!(writing, sealing(0), sealing(1));
        let answered = answered.load(Ordering::Relaxed);
        assert_eq!(
            (after_one, after_two),
            (answered, answered),
            "seed {seed}: answered after it was sealed"
        );
        assert!(one.end.0 > u64::from(answered), "seed {seed}: lost");
        assert_eq!(numbers(&one.slots), (1..one.end.0).collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(numbers(&one.slots), numbers(&two.slots), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn nodes_that_hang_cost_one_deadline_and_short_trials() {
    let syncs = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&syncs);
    let files = MemoryFiles::with(move |request: FileRequest, _: &str| match request {
        // The second, and those of three files after it.
        FileRequest::Sync if (1..5).contains(&count.fetch_add(1, Ordering::Relaxed)) => {
            FileFate::Hangs
        }
        _ => FileFate::Done,
    });
    let mut writer = journal(&files, 1).open(SESSION).await.unwrap();
    write(&mut writer, 1..=1).await;
    let began = tokio::time::Instant::now();
    write(&mut writer, 2..=3).await;
    let AppendJournalSettings { deadline_ms, trial_ms, .. } = settings();
    let most = Duration::from_millis(deadline_ms + 4 * trial_ms);
    assert!(began.elapsed() < most, "{:?}", began.elapsed());
    let sealed = journal(&files, 2).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!((sealed.end, numbers(&sealed.slots)), (Slot(4), vec![1, 2, 3]));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_until_a_file_is_closed() {
    let files = MemoryFiles::with(|request: FileRequest, path: &str| match request {
        FileRequest::Close if path.ends_with(".wal") => FileFate::Hangs,
        _ => FileFate::Done,
    });
    let mut writer = journal(&files, 1).open(SESSION).await.unwrap();
    let began = tokio::time::Instant::now();
    for number in 1..=12 {
        write(&mut writer, number..=number).await;
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(names(&files).await.len() > 2);
    let sealed = journal(&files, 2).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!(numbers(&sealed.slots), (1..=12).collect::<Vec<_>>());
}

/// Files that do what they are asked and remember it.
fn remembering() -> (MemoryFiles, Asked) {
    let asked = Asked::default();
    let all = asked.clone();
    let files = MemoryFiles::with(move |request: FileRequest, path: &str| {
        all.0.lock().unwrap().push((request, path.to_owned()));
        FileFate::Done
    });
    (files, asked)
}

#[derive(Clone, Default)]
struct Asked(Arc<std::sync::Mutex<Vec<(FileRequest, String)>>>);

impl Asked {
    /// When the first or the last of these requests came for a file of the session.
    fn place(&self, request: FileRequest, file: u32) -> (Option<usize>, Option<usize>) {
        let all = self.0.lock().unwrap();
        let of = |it: &(FileRequest, String)| *it == (request, path(SESSION, file));
        (all.iter().position(of), all.iter().rposition(of))
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_made_before_the_one_before_it_is_full() {
    let (files, asked) = remembering();
    let mut one = journal(&files, 1);
    one.settings.file_bytes *= 2;
    let mut writer = one.open(SESSION).await.unwrap();
    for number in 1..=12 {
        write(&mut writer, number..=number).await;
    }
    let ((made, _), (_, synced)) =
        (asked.place(FileRequest::Create, 2), asked.place(FileRequest::Sync, 1));
    assert!(made.is_some() && made < synced, "{made:?} {synced:?}");
    assert!(asked.place(FileRequest::Sync, 2).1 > synced);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_closed_for_others_has_its_successor_before() {
    let (files, asked) = remembering();
    let one = journal(&files, 1);
    let mut writer = one.open(SESSION).await.unwrap();
    write(&mut writer, 1..=1).await;
    one.settle(SESSION, Slot(2)).await.unwrap();
    let ((made, _), (closed, _)) =
        (asked.place(FileRequest::Sync, 2), asked.place(FileRequest::Close, 1));
    assert!(made.is_some() && made < closed, "{made:?} {closed:?}");
    write(&mut writer, 2..=2).await;
    let sealed = journal(&files, 2).seal(SESSION, Slot(1)).await.unwrap();
    assert_eq!((numbers(&sealed.slots), names(&files).await.len()), (vec![1, 2], 3));
}
