//! Leases.

use std::time::Duration;

use super::{Ground, within};
use crate::store::{Event, LeaseId, StoreError, Txn};

/// As short as every implementation can keep.
const TTL: Duration = Duration::from_secs(2);

pub(super) async fn keys_go_with_their_lease(ground: Ground) {
    let lease = ground.store.grant(TTL).await.unwrap();
    let txn = Txn::new()
        .put_leased(ground.key("a"), "x", lease)
        .put_leased(ground.key("b"), "x", lease)
        .put(ground.key("c"), "stays");
    let revision = ground.commit(txn).await;
    assert_eq!(ground.get("a").await.unwrap().lease, Some(lease));
    let mut watch = ground.store.watch(&ground.prefix, revision.next());
    let batch = within(watch.next()).await.unwrap();
    assert!(batch.events.iter().all(|event| matches!(event, Event::Delete { .. })));
    assert_eq!(batch.events.len(), 2, "both keys go at one revision");
    assert!(ground.get("a").await.is_none() && ground.get("b").await.is_none());
    assert!(ground.get("c").await.is_some());
}

pub(super) async fn a_lease_kept_alive_lasts(ground: Ground) {
    let lease = ground.store.grant(TTL).await.unwrap();
    ground.commit(Txn::new().put_leased(ground.key("a"), "x", lease)).await;
    for _ in 0..4 {
        tokio::time::sleep(TTL / 3).await;
        ground.store.keep_alive(lease).await.unwrap();
    }
    assert!(ground.get("a").await.is_some(), "longer than its time, but kept alive");
    ground.until_gone("a").await;
}

pub(super) async fn a_revoked_lease_takes_its_keys_in_one_revision(ground: Ground) {
    let lease = ground.store.grant(TTL * 100).await.unwrap();
    let txn =
        Txn::new().put_leased(ground.key("a"), "x", lease).put_leased(ground.key("b"), "x", lease);
    let before = ground.commit(txn).await;
    ground.store.revoke(lease).await.unwrap();
    assert_eq!(ground.list().await, []);
    assert_eq!(ground.put("c", "x").await, before.next().next());
    let empty = ground.store.grant(TTL * 100).await.unwrap();
    ground.store.revoke(empty).await.unwrap();
    assert_eq!(ground.put("c", "x").await, before.next().next().next(), "no key, no revision");
}

pub(super) async fn the_last_write_decides_the_lease(ground: Ground) {
    let first = ground.store.grant(TTL * 100).await.unwrap();
    let second = ground.store.grant(TTL * 100).await.unwrap();
    let names = ["freed", "moved", "deleted"];
    let leased =
        names.iter().fold(Txn::new(), |txn, name| txn.put_leased(ground.key(name), "x", first));
    ground.commit(leased).await;
    let rewrite = Txn::new()
        .put(ground.key("freed"), "y")
        .put_leased(ground.key("moved"), "y", second)
        .delete(ground.key("deleted"));
    ground.commit(rewrite).await;
    ground.put("deleted", "again").await;
    ground.store.revoke(first).await.unwrap();
    for name in names {
        assert!(ground.get(name).await.is_some(), "{name} no longer goes with the first lease");
    }
    ground.store.revoke(second).await.unwrap();
    assert!(ground.get("moved").await.is_none());
    assert!(ground.get("freed").await.is_some());
}

pub(super) async fn an_ended_lease_is_an_error(ground: Ground) {
    let lease = ground.store.grant(TTL * 100).await.unwrap();
    ground.store.revoke(lease).await.unwrap();
    let gone = StoreError::LeaseNotFound { lease };
    assert_eq!(ground.store.keep_alive(lease).await, Err(gone.clone()));
    assert_eq!(ground.store.revoke(lease).await, Err(gone.clone()));
    let txn = Txn::new().put(ground.key("a"), "x").put_leased(ground.key("b"), "x", lease);
    assert_eq!(ground.refused(txn).await, gone);
    assert_eq!(ground.list().await, [], "all or nothing");
    let never = LeaseId(u64::from(u32::MAX) << 20);
    assert_eq!(
        ground.store.keep_alive(never).await,
        Err(StoreError::LeaseNotFound { lease: never })
    );
}
