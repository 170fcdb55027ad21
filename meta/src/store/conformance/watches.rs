//! Watches.

use std::{sync::Arc, time::Duration};

use super::{Ground, within};
use crate::store::{Event, Key, MetaStore, Revision, StoreError, Txn, Watch, list};

/// The next `count` events, each with its revision checked against its batch.
async fn events(watch: &mut Watch, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < count {
        let batch = within(watch.next()).await.unwrap();
        assert_eq!(batch.events.last().map(Event::revision), Some(batch.revision));
        assert!(batch.events.is_sorted_by_key(Event::revision));
        events.extend(batch.events);
    }
    assert_eq!(events.len(), count);
    events
}

fn names(events: &[Event]) -> Vec<(&Key, Revision)> {
    events.iter().map(|event| (event.key(), event.revision())).collect()
}

pub(super) async fn changes_arrive_in_order_from_a_past_revision(ground: Ground) {
    let before = ground.put("a", "zero").await;
    let first = ground.put("a", "one").await;
    ground.store.txn(Txn::new().put("conformance/elsewhere", "x")).await.unwrap();
    let second = ground.put("b", "two").await;
    let third = ground.commit(Txn::new().delete(ground.key("a"))).await;
    let mut watch = ground.store.watch(&ground.prefix, before.next());
    let seen = events(&mut watch, 3).await;
    let (a, b) = (ground.key("a"), ground.key("b"));
    assert_eq!(names(&seen), [(&a, first), (&b, second), (&a, third)]);
    let Event::Put(entry) = &seen[0] else { panic!("{:?} is no put", seen[0]) };
    assert_eq!((&entry.value[..], entry.version), (&b"one"[..], 2));
    assert_eq!(entry.create_revision, before);
    assert_eq!(seen[2], Event::Delete { key: a, revision: third });

    let mut same = ground.store.watch(&ground.prefix, second);
    assert_eq!(events(&mut same, 2).await, seen[1..], "from a revision means including it");
}

pub(super) async fn changes_of_one_revision_arrive_together(ground: Ground) {
    let txn = (0..100).fold(Txn::new(), |txn, n| txn.put(ground.key(&format!("{n:03}")), "x"));
    let revision = ground.commit(txn).await;
    let mut watch = ground.store.watch(&ground.prefix, revision);
    let batch = within(watch.next()).await.unwrap();
    assert_eq!(batch.revision, revision);
    assert_eq!(batch.events.len(), 100);
}

pub(super) async fn a_watch_waits_for_what_is_to_come(ground: Ground) {
    let now = ground.put("a", "x").await;
    let mut watch = ground.store.watch(&ground.prefix, now.next());
    let mut later = ground.store.watch(&ground.prefix, Revision(now.0 + 2));
    let write = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        (ground.put("b", "1").await, ground.put("c", "2").await)
    };
    let (seen, (second, third)) = tokio::join!(events(&mut watch, 2), write);
    let (b, c) = (ground.key("b"), ground.key("c"));
    assert_eq!(names(&seen), [(&b, second), (&c, third)]);
    let first = events(&mut later, 1).await;
    assert!(first[0].revision() >= Revision(now.0 + 2), "a revision to come is waited for");
}

pub(super) async fn listing_then_watching_misses_nothing(ground: Ground) {
    const WRITES: usize = 200;
    ground.put("n", "start").await;
    let writer = async {
        for _ in 0..WRITES {
            ground.put("n", "x").await;
        }
    };
    let reader = async {
        let (entries, revision) = list(&*ground.store, &ground.prefix).await.unwrap();
        let mut version = entries[0].version;
        let mut watch = ground.store.watch(&ground.prefix, revision.next());
        while version < WRITES as u64 + 1 {
            for event in within(watch.next()).await.unwrap().events {
                let Event::Put(entry) = event else { panic!("nothing is deleted") };
                assert_eq!(entry.version, version + 1, "each write exactly once");
                version = entry.version;
            }
        }
    };
    tokio::join!(reader, writer);
}

pub(super) async fn a_dropped_wait_loses_nothing(ground: Ground) {
    let now = ground.put("a", "x").await;
    let mut watch = ground.store.watch(&ground.prefix, now.next());
    for _ in 0..3 {
        let waiting = tokio::time::timeout(Duration::from_millis(10), watch.next()).await;
        assert!(waiting.is_err(), "nothing has changed");
    }
    let revision = ground.put("b", "y").await;
    assert_eq!(names(&events(&mut watch, 1).await), [(&ground.key("b"), revision)]);
}

pub(super) async fn a_compacted_revision_sends_to_the_list(
    store: Arc<dyn MetaStore>,
    gone: Revision,
) {
    let error = within(store.watch("", gone).next()).await.expect_err("it is compacted");
    let StoreError::Compacted { oldest } = error else { panic!("{error}") };
    assert!(oldest > gone);
    let ground = Ground { store, prefix: "conformance/compacted/".to_owned() };
    ground.put("a", "listed").await;
    let (entries, revision) = list(&*ground.store, &ground.prefix).await.unwrap();
    assert_eq!(entries.len(), 1);
    let mut watch = ground.store.watch(&ground.prefix, revision.next());
    let next = ground.put("b", "watched").await;
    assert_eq!(names(&events(&mut watch, 1).await), [(&ground.key("b"), next)]);
}
