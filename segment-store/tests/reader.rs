//! Reading what a journal and a checkpoint wrote, from a real directory.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use weir_ids::{Offset, SessionId, Slot, Timestamp};
use weir_protocol::records;
use weir_runtime::Runtime;
use weir_segment_store::{
    ObjectName, ReadError, Reader, ReaderSettings, Reference, Store,
    journal::{FileJournal, FileJournalSettings, Journal},
    testing::{CLUSTER, batch, body, chunk, partition},
};

const SESSION: SessionId = SessionId(6);

struct Place {
    directory: tempfile::TempDir,
    reader: Reader,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let objects = directory.path().join("objects");
        std::fs::create_dir(&objects).unwrap();
        let store = Store::local(&objects, directory.path().to_owned()).unwrap();
        Self { directory, reader: Reader::new(store, ReaderSettings::default()) }
    }

    /// Ten batches of three records in one slot of a file journal.
    async fn slot(&self) -> Reference {
        let journal = FileJournal::new(
            self.directory.path(),
            CLUSTER,
            Runtime::system(),
            FileJournalSettings::default(),
        );
        let mut writer = journal.open(SESSION).await.unwrap();
        let batches: Vec<_> = (0..10).map(|number| batch(1, 30 + number * 3, 3)).collect();
        let source = chunk(partition(0), 1, &batches);
        let written = writer.append(Slot(1), body(SESSION, Slot(1), vec![source])).await.unwrap();
        written.chunks[0].reference(written.object, written.origin)
    }
}

fn bases(bytes: bytes::Bytes) -> Vec<i64> {
    records::split(bytes).map(|batch| batch.unwrap().header().base_offset.0).collect()
}

fn all(pieces: Vec<bytes::Bytes>) -> Vec<i64> {
    bases(pieces.concat().into())
}

#[tokio::test]
async fn reads_whole_batches_from_the_one_that_holds_the_offset() {
    let place = Place::new();
    let reference = place.slot().await;
    let read = |from, max| {
        let reader = place.reader.clone();
        async move { all(reader.read(&reference, Offset(from), max).await.unwrap().0) }
    };
    assert_eq!(read(30, u32::MAX).await, (0..10).map(|n| 30 + n * 3).collect::<Vec<_>>());
    assert_eq!(read(37, u32::MAX).await[0], 36, "an offset inside a batch returns the whole batch");
    assert_eq!(read(59, 1).await, [57], "the first batch comes even if it is too large");
    assert_eq!(read(30, 800).await, [30, 33]);
    assert_eq!(read(60, 800).await, [] as [i64; 0]);
}

#[tokio::test]
async fn finds_by_timestamp() {
    let place = Place::new();
    let reference = place.slot().await;
    let find = |timestamp| {
        let reader = place.reader.clone();
        async move {
            let found = reader.first_at(&reference, Timestamp(timestamp), Offset(0)).await.unwrap();
            found.map(|batch| bases(batch)[0])
        }
    };
    assert_eq!(find(0).await, Some(30));
    assert_eq!(find(41).await, Some(39));
    assert_eq!(find(59).await, Some(57));
    assert_eq!(find(60).await, None);
    assert_eq!(bases(place.reader.latest(&reference).await.unwrap().unwrap()), [57]);
}

#[tokio::test]
async fn rot_is_an_error_that_names_the_place() {
    let place = Place::new();
    let reference = place.slot().await;
    let path = place.directory.path().join(reference.object.to_string());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[reference.data.at as usize + 500] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = place.reader.read(&reference, Offset(30), u32::MAX).await.unwrap_err();
    assert!(
        matches!(&error, ReadError::Corrupt { object, .. } if object.ends_with(".wal")),
        "{error}"
    );
    assert_eq!(all(place.reader.read(&reference, Offset(57), 1).await.unwrap().0), [57]);
}

#[tokio::test]
async fn what_is_missing_is_an_error() {
    let place = Place::new();
    let mut reference = place.slot().await;
    reference.object = ObjectName::WalFile { session: SESSION, file: 9 };
    let error = place.reader.read(&reference, Offset(30), 1).await.unwrap_err();
    assert!(error.to_string().contains("is not in the store"), "{error}");
}
