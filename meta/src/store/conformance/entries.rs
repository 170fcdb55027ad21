//! Entries, transactions and pages.

use super::Ground;
use crate::store::{
    Compare, Condition, Key, Range, Revision, StoreError, TXN_BYTES_MAX, TXN_OPS_MAX, Txn, list,
};

pub(super) async fn put_and_get(ground: Ground) {
    assert_eq!(ground.get("a").await, None);
    let revision = ground.put("a", "one").await;
    let entry = ground.get("a").await.unwrap();
    assert_eq!(entry.key, ground.key("a"));
    assert_eq!(&entry.value[..], b"one");
    assert_eq!((entry.create_revision, entry.mod_revision), (revision, revision));
    assert_eq!((entry.version, entry.lease), (1, None));
    ground.put("a", "").await;
    assert!(ground.get("a").await.unwrap().value.is_empty(), "an empty value is a value");
}

pub(super) async fn versions_count_writes_since_the_key_appeared(ground: Ground) {
    let first = ground.put("a", "one").await;
    let second = ground.put("a", "two").await;
    let entry = ground.get("a").await.unwrap();
    assert_eq!(
        (entry.create_revision, entry.mod_revision, entry.version),
        (first, second, 2),
        "a second write keeps the create revision"
    );
    ground.commit(Txn::new().delete(ground.key("a"))).await;
    assert_eq!(ground.get("a").await, None);
    let again = ground.put("a", "three").await;
    let entry = ground.get("a").await.unwrap();
    assert_eq!((entry.create_revision, entry.mod_revision, entry.version), (again, again, 1));
}

pub(super) async fn revision_grows_by_one_with_each_writing_transaction(ground: Ground) {
    let first = ground.put("a", "one").await;
    let both = Txn::new().put(ground.key("b"), "1").put(ground.key("c"), "2");
    assert_eq!(ground.commit(both).await, first.next(), "one transaction, one revision");
    assert_eq!(ground.get("b").await.unwrap().mod_revision, first.next());
    assert_eq!(ground.get("c").await.unwrap().mod_revision, first.next());
    let nothing = Txn::new().delete(ground.key("never there"));
    assert_eq!(ground.commit(nothing).await, first.next(), "nothing was deleted");
    let empty = Txn::new().when(Compare::present(ground.key("a")));
    assert_eq!(ground.commit(empty).await, first.next(), "nothing was written");
    let rejected = Txn::new().when(Compare::absent(ground.key("a"))).put(ground.key("a"), "x");
    let outcome = ground.store.txn(rejected).await.unwrap();
    assert!(!outcome.is_committed());
    assert_eq!(outcome.revision(), first.next());
    assert_eq!(ground.put("a", "same").await, first.next().next());
    assert_eq!(ground.put("a", "same").await, first.next().next().next(), "writes, though equal");
}

pub(super) async fn compares_decide_all_or_nothing(ground: Ground) {
    let (a, b) = (ground.key("a"), ground.key("b"));
    let revision = ground.put("a", "one").await;
    let holding = [
        Compare::unchanged(a.clone(), revision),
        Compare::present(a.clone()),
        Compare::absent(b.clone()),
    ];
    let failing = [
        Compare::unchanged(a.clone(), Revision(revision.0 - 1)),
        Compare::unchanged(a.clone(), revision.next()),
        Compare::absent(a.clone()),
        Compare::present(b.clone()),
        Compare::unchanged(b.clone(), revision),
    ];
    for fails in failing {
        let mut txn = Txn::new().put(b.clone(), "no").delete(a.clone());
        txn.compares = holding.to_vec();
        txn.compares.push(fails.clone());
        assert!(!ground.store.txn(txn).await.unwrap().is_committed(), "{fails:?} does not hold");
        assert_eq!(ground.get("b").await, None);
        assert_eq!(ground.get("a").await.unwrap().mod_revision, revision);
    }
    let mut txn = Txn::new().put(b.clone(), "yes").delete(a.clone());
    txn.compares = holding.to_vec();
    ground.commit(txn).await;
    assert_eq!(ground.get("a").await, None);
    assert_eq!(&ground.get("b").await.unwrap().value[..], b"yes");
    let gone = Compare { key: a, condition: Condition::ModRevision(revision) };
    let stale = Txn::new().when(gone).put(b, "stale");
    assert!(!ground.store.txn(stale).await.unwrap().is_committed(), "a deleted key has changed");
}

pub(super) async fn one_of_many_claimants_wins(ground: Ground) {
    const CLAIMANTS: usize = 24;
    for round in 0..5 {
        let seen = ground.get("owner").await.map_or(Revision::NONE, |entry| entry.mod_revision);
        let claims = (0..CLAIMANTS).map(|claimant| {
            let owner = ground.key("owner");
            let txn = Txn::new()
                .when(Compare::unchanged(owner.clone(), seen))
                .put(owner, format!("{round}/{claimant}"));
            ground.store.txn(txn)
        });
        let outcomes = futures::future::join_all(claims).await;
        let winners: Vec<usize> = (0..CLAIMANTS)
            .filter(|claimant| outcomes[*claimant].as_ref().unwrap().is_committed())
            .collect();
        assert_eq!(winners.len(), 1, "round {round}: {winners:?} all won");
        let owner = ground.get("owner").await.unwrap();
        assert_eq!(&owner.value[..], format!("{round}/{}", winners[0]).as_bytes());
    }
}

pub(super) async fn limits_are_errors_and_change_nothing(ground: Ground) {
    let many = |count: usize| {
        (0..count).fold(Txn::new(), |txn, n| txn.put(ground.key(&format!("{n:04}")), "x"))
    };
    let error = ground.refused(many(TXN_OPS_MAX + 1)).await;
    assert_eq!(error, StoreError::TooManyOperations { count: TXN_OPS_MAX + 1, max: TXN_OPS_MAX });
    let compares = (0..=TXN_OPS_MAX)
        .fold(Txn::new(), |txn, n| txn.when(Compare::absent(ground.key(&format!("{n:04}")))));
    let error = ground.refused(compares).await;
    assert!(matches!(error, StoreError::TooManyOperations { .. }), "{error}");
    let twice = Txn::new().put(ground.key("a"), "1").put(ground.key("a"), "2");
    assert_eq!(ground.refused(twice).await, StoreError::DuplicateKey { key: ground.key("a") });
    let both = Txn::new().put(ground.key("a"), "1").delete(ground.key("a"));
    assert_eq!(ground.refused(both).await, StoreError::DuplicateKey { key: ground.key("a") });
    let big = Txn::new().put(ground.key("a"), vec![0; TXN_BYTES_MAX]);
    let error = ground.refused(big).await;
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    assert_eq!(ground.list().await, []);

    ground.commit(many(TXN_OPS_MAX)).await;
    assert_eq!(ground.list().await.len(), TXN_OPS_MAX);
    let key = ground.key("a");
    let fits = TXN_BYTES_MAX - key.as_str().len();
    ground.commit(Txn::new().put(key, vec![7; fits])).await;
    assert_eq!(ground.get("a").await.unwrap().value.len(), fits);
    ground.clear().await;
}

pub(super) async fn pages_come_in_order_and_show_one_revision(ground: Ground) {
    const KEYS: usize = 25;
    for n in (0..KEYS).rev() {
        ground.put(&format!("{n:03}"), "old").await;
    }
    let prefix = ground.prefix.clone();
    let first = ground.store.range(Range::prefix(prefix.clone()).limit(10)).await.unwrap();
    assert_eq!((first.entries.len(), first.more), (10, true));

    // Whatever is written between the pages, they show the revision of the first.
    ground.put("017", "new").await;
    ground.put("017", "newer").await;
    ground.put("012a", "new").await;
    ground.commit(Txn::new().delete(ground.key("020")).delete(ground.key("021"))).await;
    ground.put("020", "new").await;
    let mut seen: Vec<(Key, Revision)> = Vec::new();
    let mut page = first.clone();
    loop {
        assert_eq!(page.revision, first.revision);
        assert!(page.entries.iter().all(|entry| &entry.value[..] == b"old"));
        seen.extend(page.entries.iter().map(|entry| (entry.key.clone(), entry.mod_revision)));
        if !page.more {
            break;
        }
        let last = seen.last().unwrap().0.clone();
        let next = Range::prefix(prefix.clone()).after(last).limit(10).at(first.revision);
        page = ground.store.range(next).await.unwrap();
    }
    let names: Vec<Key> = seen.iter().map(|(key, _)| key.clone()).collect();
    let all: Vec<Key> = (0..KEYS).map(|n| ground.key(&format!("{n:03}"))).collect();
    assert_eq!(names, all, "every key once, in order");
    assert!(seen.iter().all(|(_, revision)| *revision <= first.revision));
    assert_eq!(ground.list().await.len(), KEYS, "one more, one less");

    let exact = ground.store.range(Range::prefix(prefix).limit(KEYS)).await.unwrap();
    assert_eq!((exact.entries.len(), exact.more), (KEYS, false), "nothing behind the last");
}

pub(super) async fn a_prefix_has_no_neighbours(ground: Ground) {
    for name in ["t", "t/", "t/a", "t/b/c", "t0", "u", "s/z"] {
        ground.put(name, "x").await;
    }
    let (entries, _) = list(&*ground.store, ground.key("t/").as_str()).await.unwrap();
    let names: Vec<Key> = entries.into_iter().map(|entry| entry.key).collect();
    assert_eq!(names, [ground.key("t/"), ground.key("t/a"), ground.key("t/b/c")]);
    let behind = Range::prefix(ground.key("t/").as_str()).after(ground.key("s/z"));
    let page = ground.store.range(behind).await.unwrap();
    assert_eq!(page.entries.len(), 3, "a start before the prefix leaves nothing out");
    let none = Range::prefix(ground.key("t/").as_str()).after(ground.key("t/z"));
    let page = ground.store.range(none).await.unwrap();
    assert!(page.entries.is_empty() && !page.more);
}

pub(super) async fn a_revision_to_come_is_an_error(ground: Ground) {
    let now = ground.put("a", "x").await;
    let ahead = Range::prefix(ground.prefix.clone()).at(Revision(now.0 + 1_000));
    let error = ground.store.range(ahead).await.expect_err("there is no such revision yet");
    assert!(matches!(error, StoreError::FutureRevision { .. }), "{error}");
}
