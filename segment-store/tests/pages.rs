//! From a page to the references that it lists, whatever the store gives.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use weir_ids::{LeaderEpoch, Offset, SessionId, Timestamp};
use weir_segment_store::{
    ByteRange, ObjectName, ReadError, Reader, ReaderSettings, Reference, Store,
    object::{Header, Kind},
    pages::{Builder, Entries, Page, PageRef},
    testing::{CLUSTER, Fate, FaultyObjects, Request, partition},
};

const SESSION: SessionId = SessionId(6);
const NAME: ObjectName = ObjectName::Pages { session: SESSION, number: 1 };

/// Offsets of hundreds: the first of each is as new as its number says, and the others older.
fn reference(number: i64) -> Reference {
    Reference {
        object: ObjectName::Sorted { session: SESSION, number: number as u64 },
        base: Offset(number * 100),
        last: Offset(number * 100 + 99),
        epoch: LeaderEpoch(1),
        max_timestamp: Timestamp(number * 10),
        data: ByteRange { at: 64, len: 1_000 },
        index: ByteRange { at: 1_064, len: 40 },
    }
}

fn of(entries: Entries) -> Page {
    Page { partition: partition(0), entries }
}

/// Three pages of four references each, and one that lists those three.
async fn write(store: &Store) -> PageRef {
    let header =
        Header { cluster: CLUSTER, session: SESSION, number: 1, put_id: 1, kind: Kind::Pages };
    let mut builder = Builder::new(NAME, &header);
    let leaf = |first: i64| of(Entries::References((first..first + 4).map(reference).collect()));
    let below = [0, 4, 8].map(|first| builder.add(&leaf(first))).to_vec();
    let top = builder.add(&of(Entries::Pages(below)));
    store.create(NAME, &builder.finish()).await.unwrap();
    top
}

/// A reader over a store that does as `fate` says with the n-th read, from 0.
async fn place(fate: fn(usize) -> Fate) -> (Reader, PageRef, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let objects = FaultyObjects::new(move |request: Request, _: &str| match request {
        Request::Get => fate(counted.fetch_add(1, Ordering::Relaxed)),
        _ => Fate::Done,
    });
    let store = Store::new(Arc::new(objects), None);
    let top = write(&store).await;
    (Reader::new(store, ReaderSettings::default()), top, reads)
}

async fn found(reader: &Reader, top: &PageRef, from: i64, timestamp: i64) -> Vec<i64> {
    let found = reader.references(top, Offset(from), Timestamp(timestamp)).await.unwrap();
    found.iter().map(|reference| reference.base.0 / 100).collect()
}

#[tokio::test]
async fn a_reference_is_found_by_offset_and_by_time_in_one_read_a_level() {
    let (reader, top, reads) = place(|_| Fate::Done).await;
    assert_eq!(found(&reader, &top, 599, i64::MIN).await, [5, 6, 7]);
    assert_eq!(reads.load(Ordering::Relaxed), 2);
    assert_eq!(found(&reader, &top, 0, 61).await, [7]);
    assert_eq!(found(&reader, &top, 700, 0).await, [7]);
    assert_eq!(reads.load(Ordering::Relaxed), 2, "what was read once is kept");
    assert_eq!(found(&reader, &top, 0, 110).await, [11]);
    assert_eq!(found(&reader, &top, 0, 111).await, [] as [i64; 0]);
    assert_eq!(found(&reader, &top, 1_200, 0).await, [] as [i64; 0]);
    assert_eq!(reads.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_page_that_rots_on_the_way_is_read_again() {
    let (reader, top, _) = place(|read| if read == 0 { Fate::Rots(77) } else { Fate::Done }).await;
    assert_eq!(found(&reader, &top, 0, 0).await, [0, 1, 2, 3]);
    let (reader, top, _) = place(|_| Fate::Rots(77)).await;
    let error = reader.references(&top, Offset(0), Timestamp(0)).await.unwrap_err();
    assert!(matches!(error, ReadError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("checksum"), "{error}");
}

#[tokio::test]
async fn a_page_of_somebody_else_is_not_taken_for_the_one_that_is_meant() {
    let (reader, top, _) = place(|_| Fate::Done).await;
    let wrong = PageRef { base: Offset(1), ..top };
    let error = reader.references(&wrong, Offset(0), Timestamp(0)).await.unwrap_err();
    assert!(error.to_string().contains("not the page that is referred to"), "{error}");
}
