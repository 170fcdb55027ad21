//! The write-ahead log and objects in a real HDFS.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use weir_ids::SessionId;
use weir_runtime::{Runtime, Seeded, SystemClock};
use weir_segment_store::{
    ByteRange, Location, ObjectName, Part, Store, StoreError,
    journal::{AppendJournal, AppendJournalSettings, conformance},
    testing::CLUSTER,
};
use weir_test_support::Hdfs;

const SESSION: SessionId = SessionId(11);
const FILE_BYTES: u64 = 1 << 20;

/// The journal in a folder, and the objects there, as one node sees them.
fn open(hdfs: &Hdfs, folder: &str, seed: u64) -> (AppendJournal, Store) {
    let runtime = Runtime::new(SystemClock, Seeded::new(seed));
    let url = format!("{}/{folder}", hdfs.url());
    let options = BTreeMap::from([("user".to_owned(), whoami())]);
    let location = Location::parse(&url, &options).unwrap();
    let opened = location.open(&runtime, FILE_BYTES).unwrap();
    let settings = AppendJournalSettings { file_bytes: FILE_BYTES, ..Default::default() };
    let journal = AppendJournal::new(opened.files.unwrap(), CLUSTER, runtime, settings);
    (journal, Store::new(opened.objects, None))
}

/// Who may do anything there: whoever has started it.
fn whoami() -> String {
    std::env::var("USER").unwrap_or_else(|_| "root".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_conforms() {
    let hdfs = Hdfs::start().unwrap();
    let count = AtomicUsize::new(0);
    conformance::all(|| async {
        open(&hdfs, &format!("journal-{}", count.fetch_add(1, Ordering::Relaxed)), 1).0
    })
    .await;
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
    store.delete_all(&[name, name]).await.unwrap();
    assert!(matches!(store.get(name).await, Err(StoreError::NotFound(_))));
    assert_eq!(store.list(None).await.unwrap(), []);
}
