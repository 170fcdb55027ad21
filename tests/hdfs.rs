//! The write-ahead log and objects in a real HDFS.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use weir_ids::{SessionId, Slot};
use weir_runtime::{Runtime, Seeded, SystemClock};
use weir_segment_store::{
    ByteRange, Location, ObjectName, Opened, Part, Store, StoreError,
    journal::{
        AppendJournal, AppendJournalSettings, CheckError, Error, Journal, Writer,
        append::AppendStore, check_files, conformance, object::FORGOTTEN,
    },
    object::Body,
    testing::{CLUSTER, batch, body, chunk, partition},
};
use weir_test_support::{Hdfs, Quota};

const SESSION: SessionId = SessionId(11);
const FILE_BYTES: u64 = 1 << 20;

fn runtime(seed: u64) -> Runtime {
    Runtime::new(SystemClock, Seeded::new(seed))
}

fn opened(url: &str, user: &str, seed: u64) -> Opened {
    let options = BTreeMap::from([("user".to_owned(), user.to_owned())]);
    Location::parse(url, &options).unwrap().open(&runtime(seed), FILE_BYTES).unwrap()
}

/// The journal in a folder, and the objects there, as one node sees them.
fn open(hdfs: &Hdfs, folder: &str, seed: u64) -> (AppendJournal, Store) {
    let opened = opened(&format!("{}/{folder}", hdfs.url()), &Hdfs::superuser(), seed);
    let settings = AppendJournalSettings { file_bytes: FILE_BYTES, ..Default::default() };
    let journal = AppendJournal::new(opened.files.unwrap(), CLUSTER, runtime(seed), settings);
    (journal, Store::new(opened.objects, None))
}

fn files(url: &str, user: &str) -> Arc<dyn AppendStore> {
    opened(url, user, 1).files.unwrap()
}

/// What an operator is told who starts a node there, and whether that may heal.
async fn told(url: &str, user: &str) -> (String, bool) {
    match check_files(&*files(url, user), &runtime(1), Duration::ZERO).await {
        Ok(()) => panic!("nothing is wrong with {url}"),
        Err(CheckError::Refused(why)) => (why, false),
        Err(CheckError::Unavailable(why)) => (why, true),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_conforms_and_little_stays_of_a_session_that_is_forgotten() {
    let hdfs = Hdfs::start().unwrap();
    let count = AtomicUsize::new(0);
    conformance::all(|| async {
        open(&hdfs, &format!("journal-{}", count.fetch_add(1, Ordering::Relaxed)), 1).0
    })
    .await;

    let (journal, store) = open(&hdfs, "forgotten", 1);
    let mut writer = journal.open(SESSION).await.unwrap();
    write(&mut writer, 1..4).await;
    drop(writer);
    assert!(!journal.is_forgotten(SESSION).await.unwrap());
    journal.forget(SESSION).await.unwrap();
    journal.forget(SESSION).await.unwrap();
    assert!(journal.is_forgotten(SESSION).await.unwrap());
    let covered = journal.covered(SESSION, Slot(u64::MAX)).await.unwrap();
    assert_eq!(covered, [ObjectName::WalFile { session: SESSION, file: 1 }]);
    store.delete_all(&covered).await.unwrap();
    let fence = ObjectName::WalFile { session: SESSION, file: 2 };
    let stone = ObjectName::WalSlot { session: SESSION, slot: FORGOTTEN };
    let mut left = store.list(None).await.unwrap();
    left.sort_unstable();
    assert_eq!(left, [(stone, 0), (fence, 128)]);
    assert_eq!(journal.sessions().await.unwrap(), [SESSION]);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_created_once_and_found_again() {
    let hdfs = Hdfs::start().unwrap();
    let (_, store) = open(&hdfs, "weir", 1);
    let name = ObjectName::Sorted { session: SESSION, number: 1 };
    store.create(name, &[Part::Bytes("an object".into())]).await.unwrap();
    let other = store.create(name, &[Part::Bytes("another".into())]).await;
    assert!(matches!(other, Err(StoreError::Exists(_))), "{other:?}");
    assert_eq!(store.get(name).await.unwrap(), "an object");
    assert_eq!(store.get_range(name, ByteRange { at: 3, len: 3 }).await.unwrap(), "obj");
    assert_eq!(store.get_end(name, 4).await.unwrap(), ("ject".into(), 9));
    assert_eq!(
        store.list(None).await.unwrap(),
        [(name, 9)],
        "and nothing of the attempt that failed"
    );
    // As many bytes as are synced together, twice over, and one more.
    for (number, bytes) in [(2, 2 << 20), (3, (2 << 20) + 1)] {
        let name = ObjectName::Sorted { session: SESSION, number };
        let pieces = [700_000, bytes - 700_000].map(|len| Part::Bytes(vec![b'x'; len].into()));
        store.create(name, &pieces).await.unwrap();
        assert_eq!(store.get(name).await.unwrap(), vec![b'x'; bytes]);
        store.delete_all(&[name]).await.unwrap();
    }
    store.delete_all(&[name, name]).await.unwrap();
    assert!(matches!(store.get(name).await, Err(StoreError::NotFound(_))));
    assert_eq!(store.list(None).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_starts_a_node_is_told_what_is_wrong_with_the_store() {
    let hdfs = Hdfs::start().unwrap();
    let weir = format!("{}/weir", hdfs.url());
    let ours = files(&weir, &Hdfs::superuser());
    check_files(&*ours, &runtime(1), Duration::ZERO).await.unwrap();

    let nowhere = "hdfs://127.0.0.1:1/weir";
    let (why, may_heal) = told(nowhere, &Hdfs::superuser()).await;
    assert!(may_heal && why.contains("127.0.0.1:1") && why.contains("rpc-address"), "{why}");

    let (why, may_heal) = told(&weir, "stranger").await;
    assert!(!may_heal && why.contains("user=stranger"), "{why}");
    assert!(why.contains("/weir") && why.contains("store.options.user"), "{why}");

    hdfs.set_quota("/weir", Quota::Names(1)).unwrap();
    let (why, may_heal) = told(&weir, &Hdfs::superuser()).await;
    assert!(may_heal && why.contains("quota of /weir") && why.contains("-setQuota"), "{why}");
    hdfs.clear_quota("/weir").unwrap();

    hdfs.safe_mode(true).unwrap();
    let (why, may_heal) = told(&weir, &Hdfs::superuser()).await;
    assert!(may_heal && why.contains("safe mode"), "{why}");
    let again = runtime(2);
    let healing = check_files(&*ours, &again, Duration::from_secs(60));
    let leaving = async { tokio::task::block_in_place(|| hdfs.safe_mode(false)) };
    let (healed, left) = tokio::join!(healing, leaving);
    left.unwrap();
    healed.unwrap();
    assert!(!hdfs.ls_r("/weir").unwrap().contains("drafts/"), "nothing is left of it");
}

fn slot_of(number: u64) -> Body {
    let batches: Vec<_> = (0..100).map(|at| batch(1, (number * 100 + at) as i64, 1)).collect();
    body(SESSION, Slot(number), vec![chunk(partition(0), 1, &batches)])
}

/// Appends slots, each answered before the next is submitted.
async fn write(writer: &mut Box<dyn Writer>, slots: std::ops::Range<u64>) {
    for slot in slots {
        let written = writer.append(Slot(slot), slot_of(slot)).await.unwrap();
        assert_eq!(written.slot, Slot(slot));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn datanodes_that_die_or_hang_are_left_and_nothing_is_lost() {
    let mut hdfs = Hdfs::start().unwrap();
    let (one, _) = open(&hdfs, "weir", 1);
    let (two, _) = open(&hdfs, "weir", 2);
    let mut writer = one.open(SESSION).await.unwrap();
    write(&mut writer, 1..20).await;
    hdfs.kill_datanode(0).unwrap();
    write(&mut writer, 20..40).await;
    hdfs.restart_datanode(0).unwrap();
    hdfs.pause_datanode(1).unwrap();
    // Into every pipeline of three it would be put.
    write(&mut writer, 40..60).await;
    one.settle(SESSION, Slot(50)).await.unwrap();
    write(&mut writer, 60..80).await;
    hdfs.resume_datanode(1).unwrap();
    write(&mut writer, 80..100).await;

    let sealed = two.seal(SESSION, Slot(1)).await.unwrap();
    let slots: Vec<u64> = sealed.slots.iter().map(|slot| slot.slot.0).collect();
    assert_eq!((sealed.end, slots), (Slot(100), (1..100).collect()));
    let late = writer.append(Slot(100), slot_of(100)).await.map(drop);
    assert!(matches!(late, Err(Error::Fenced(SESSION))), "{late:?}");
}
