//! The metadata store in etcd, against three real members.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use weir_meta::store::{
    Compare, Event, Key, MetaStore, Revision, StoreError, Txn, Watch, conformance,
    etcd::{Address, ConnectError, Etcd as Store},
    list,
};
use weir_test_support::{Etcd, EtcdSettings};

/// How long anything may take that must come to an end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often something is tried that does not work yet.
const TICK: Duration = Duration::from_millis(50);

async fn connect(url: &str) -> Result<Store, ConnectError> {
    Store::connect(&Address::parse(url, &BTreeMap::new()).unwrap()).await
}

async fn store(etcd: &Etcd) -> Store {
    connect(&etcd.url()).await.unwrap()
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

async fn put(store: &Store, key: &str, value: &str) -> Revision {
    let txn = Txn::new().put(key, value.to_owned());
    store.txn(txn).await.unwrap().revision()
}

/// Writes until it is known that it was written: what was unclear is looked at first.
async fn put_surely(store: &Store, key: &str, value: &str) -> Revision {
    let key = Key::from(key);
    let mut ticks = tokio::time::interval(TICK);
    loop {
        ticks.tick().await;
        let txn = Txn::new().when(Compare::absent(key.clone())).put(key.clone(), value.to_owned());
        let outcome = store.txn(txn).await;
        assert!(!matches!(outcome, Err(StoreError::Closed)), "{outcome:?}");
        if let Ok(Some(entry)) = store.get(&key).await {
            return entry.mod_revision;
        }
    }
}

async fn next_key(watch: &mut Watch) -> (Key, Revision) {
    let batch = within(watch.next()).await.unwrap();
    assert_eq!(batch.events.len(), 1, "{batch:?}");
    (batch.events[0].key().clone(), batch.events[0].revision())
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let etcd = Etcd::start().unwrap();
    let store = store(&etcd).await;
    conformance::run(Arc::new(store.clone())).await;
    let gone = put(&store, "first", "x").await;
    let newest = put(&store, "second", "x").await;
    let newest = put(&store, "third", "x").await.max(newest);
    etcd.control(&["compact", &newest.to_string()]).unwrap();
    conformance::compacted(Arc::new(store), gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_with_roots_of_their_own_share_an_etcd() {
    let etcd = EtcdSettings::default().members(1).start().unwrap();
    let one = connect(&format!("{}/one", etcd.url())).await.unwrap();
    let other = connect(&format!("{}/one-more", etcd.url())).await.unwrap();
    put(&one, "a", "1").await;
    let revision = put(&other, "a", "2").await;
    let (entries, _) = list(&one, "").await.unwrap();
    assert_eq!(entries.iter().map(|entry| &entry.value[..]).collect::<Vec<_>>(), [b"1"]);
    let mut watch = one.watch("", revision);
    put(&other, "b", "2").await;
    let third = put(&one, "c", "1").await;
    assert_eq!(next_key(&mut watch).await, ("c".into(), third));
    assert!(etcd.control(&["get", "one-more/a"]).unwrap().contains('2'));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_leader_is_got_over_and_no_change_is_missed() {
    let mut etcd = Etcd::start().unwrap();
    let store = store(&etcd).await;
    let first = put(&store, "n/start", "x").await;
    let mut watch = store.watch("n/", first.next());
    for round in 0..3 {
        let leader = etcd.leader().unwrap();
        etcd.kill9(leader).unwrap();
        let key = format!("n/{round}");
        let written = within(put_surely(&store, &key, "x")).await;
        assert_eq!(next_key(&mut watch).await, (key.as_str().into(), written));
        etcd.start_all().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hangs_is_got_over() {
    let mut etcd = Etcd::start().unwrap();
    let store = store(&etcd).await;
    let first = put(&store, "n/start", "x").await;
    let mut watches: Vec<Watch> = (0..6).map(|_| store.watch("n/", first.next())).collect();
    let leader = etcd.leader().unwrap();
    etcd.pause(leader, true).unwrap();
    let written = within(put_surely(&store, "n/one", "x")).await;
    for watch in &mut watches {
        assert_eq!(next_key(watch).await, ("n/one".into(), written));
    }
    etcd.pause(leader, false).unwrap();
    etcd.wait_until_served().unwrap();
}

/// Whichever of the members hangs, a broker's lease goes on, and what is written arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_of_three_seconds_outlasts_any_member_that_hangs() {
    const RENEWALS: usize = 8;
    let mut etcd = Etcd::start().unwrap();
    let store = store(&etcd).await;
    for place in 0..etcd.members() {
        let lease = store.grant(Duration::from_secs(3)).await.unwrap();
        store.txn(Txn::new().put_leased("n/leased", "x", lease)).await.unwrap();
        etcd.pause(place, true).unwrap();
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        let mut kept = 0;
        while kept < RENEWALS {
            seconds.tick().await;
            match store.keep_alive(lease).await {
                Ok(()) => kept += 1,
                // The members elect a leader.
                Err(StoreError::Unclear { .. } | StoreError::Unavailable { .. }) => {}
                Err(error) => panic!("member {place} hangs, {kept} times kept: {error}"),
            }
        }
        assert!(store.get(&"n/leased".into()).await.unwrap().is_some());
        etcd.pause(place, false).unwrap();
        etcd.wait_until_served().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_member_everything_says_so_and_goes_on_afterwards() {
    let mut etcd = Etcd::start().unwrap();
    let store = store(&etcd).await;
    let first = put(&store, "n/start", "x").await;
    let mut watch = store.watch("n/", first.next());
    etcd.stop().unwrap();
    let read = within(store.get(&"n/start".into())).await;
    assert!(matches!(read, Err(StoreError::Unavailable { .. })), "{read:?}");
    let written = within(store.txn(Txn::new().put("n/lost", "x"))).await;
    assert!(matches!(written, Err(StoreError::Unclear { .. })), "{written:?}");
    let lease = within(store.grant(Duration::from_secs(9))).await;
    assert!(lease.is_err());
    etcd.start_all().unwrap();
    let written = within(put_surely(&store, "n/back", "x")).await;
    assert_eq!(next_key(&mut watch).await, ("n/back".into(), written));
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_outlast_a_change_of_leader() {
    let mut etcd = Etcd::start().unwrap();
    let store = store(&etcd).await;
    let lease = store.grant(Duration::from_secs(30)).await.unwrap();
    let txn = Txn::new().put_leased("n/leased", "x", lease);
    store.txn(txn).await.unwrap();
    let leader = etcd.leader().unwrap();
    etcd.kill9(leader).unwrap();
    let kept = within(async {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            match store.keep_alive(lease).await {
                Ok(()) => break true,
                Err(StoreError::LeaseNotFound { .. }) => break false,
                Err(_) => {}
            }
        }
    });
    assert!(kept.await);
    assert!(store.get(&"n/leased".into()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_without_room_refuses_writes_until_it_has_some() {
    let etcd = EtcdSettings::default().members(1).quota_bytes(4 << 20).start().unwrap();
    let store = store(&etcd).await;
    let big = "x".repeat(1 << 20);
    let full = within(async {
        loop {
            if let Err(error) = store.txn(Txn::new().put("big", big.clone())).await {
                break error;
            }
        }
    });
    let full = full.await;
    assert!(matches!(full, StoreError::Full { .. }), "{full}");
    assert!(store.get(&"big".into()).await.unwrap().is_some(), "reads go on");
    let revision = store.get(&"big".into()).await.unwrap().unwrap().mod_revision;
    etcd.control(&["compact", &revision.to_string()]).unwrap();
    etcd.control(&["defrag"]).unwrap();
    etcd.control(&["alarm", "disarm"]).unwrap();
    put(&store, "small", "x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_went_back_in_time_is_noticed_by_a_watch() {
    let mut etcd = EtcdSettings::default().members(1).start().unwrap();
    let store = store(&etcd).await;
    let saved = etcd.folder().join("saved");
    etcd.save(&saved).unwrap();
    let mut last = Revision::NONE;
    for n in 0..20 {
        last = put(&store, &format!("n/{n}"), "x").await;
    }
    let mut watch = store.watch("n/", last);
    assert_eq!(next_key(&mut watch).await.1, last);
    etcd.restore(&saved).unwrap();
    let error = within(watch.next()).await.unwrap_err();
    let StoreError::FutureRevision { asked, newest } = error else { panic!("{error}") };
    assert!(asked >= last && newest < last);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_made_shorter_until_they_fit_an_answer() {
    let etcd = EtcdSettings::default().members(1).start().unwrap();
    let store = store(&etcd).await;
    let big = "x".repeat(1 << 20);
    for n in 0..20 {
        put(&store, &format!("n/{n:02}"), &big).await;
    }
    let (entries, revision) = list(&store, "n/").await.unwrap();
    assert_eq!(entries.len(), 20);
    // 20 MiB of changes come in fragments.
    let mut watch = store.watch("n/", Revision(revision.0 - 19));
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let batch = within(watch.next()).await.unwrap();
        seen.extend(batch.events.iter().map(Event::revision));
    }
    assert!(seen.is_sorted() && seen.len() == 20, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_where_nobody_answers_is_named() {
    let port = weir_test_support::free_port().unwrap();
    let error = connect(&format!("etcd://127.0.0.1:{port}")).await.map(drop).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&port.to_string()) && text.contains("meta.url"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}
