//! The object store on a real S3 server.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use weir_runtime::{Runtime, Seeded, SystemClock};
use weir_segment_store::{
    Location, Opened, Store,
    journal::{ObjectJournal, ObjectJournalSettings, conformance},
    probe_condition,
    testing::CLUSTER,
};
use weir_test_support::S3;

fn open(url: &str, options: &BTreeMap<String, String>) -> Opened {
    Location::parse(url, options).unwrap().open(&Runtime::system(), 1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_conforms() {
    let s3 = S3::start().unwrap();
    let count = AtomicUsize::new(0);
    conformance::all(|| async {
        let place = s3.url(&format!("journal-{}", count.fetch_add(1, Ordering::Relaxed)));
        let store = Store::new(open(&place, &s3.options()).objects, None);
        let runtime = Runtime::new(SystemClock, Seeded::new(1));
        ObjectJournal::new(store, CLUSTER, runtime, ObjectJournalSettings::default())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_are_kept_and_it_is_noticed_where_they_get_lost() {
    let s3 = S3::start().unwrap();
    let url = s3.url("probe");
    let runtime = Runtime::new(SystemClock, Seeded::new(1));
    let store = open(&url, &s3.options()).objects;
    probe_condition(&*store, &runtime, Duration::ZERO).await.unwrap();
    let relay = s3.without_conditions().unwrap();
    let store = open(&url, &s3.options_by(&relay)).objects;
    let error = probe_condition(&*store, &runtime, Duration::ZERO).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("does not keep the condition"), "{said}");
}
