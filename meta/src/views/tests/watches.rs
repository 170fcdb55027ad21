//! Watches that lose events, repeat them, break, or find their history gone.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use futures::stream;

use super::*;
use crate::store::{Batch, Entry, LeaseId, Page, Range, TxnOutcome, Watch};

/// What a watch does with the next batch.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Delivers it.
    Deliver,
    /// Never delivers it, and says nothing.
    Lose,
    /// Delivers it, and then all that it delivered before once more.
    Repeat,
    /// Ends before it.
    Break,
    /// Ends before it: that part of the history is gone.
    Compact,
}

/// A store whose watches are as bad as it is told.
struct Unreliable {
    store: Memory,
    fate: Arc<dyn Fn() -> Fate + Send + Sync>,
    listed: AtomicUsize,
}

impl Unreliable {
    fn new(store: &Memory, fate: impl Fn() -> Fate + Send + Sync + 'static) -> Arc<Self> {
        let (fate, listed) = (Arc::new(fate), AtomicUsize::new(0));
        Arc::new(Self { store: store.clone(), fate, listed })
    }

    /// How often every prefix was listed.
    fn listings(&self) -> usize {
        self.listed.load(Ordering::Relaxed) / PREFIXES.len()
    }
}

#[async_trait]
impl MetaStore for Unreliable {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.store.get(key).await
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        self.listed.fetch_add(1, Ordering::Relaxed);
        self.store.range(range).await
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        let start = (self.store.watch(prefix, from), Vec::new(), Vec::new());
        let fate = Arc::clone(&self.fate);
        Watch::new(stream::unfold(start, move |(mut watch, mut delivered, mut again)| {
            let fate = Arc::clone(&fate);
            async move {
                loop {
                    if let Some(batch) = again.pop() {
                        return Some((Ok(batch), (watch, delivered, again)));
                    }
                    let batch: Result<Batch, StoreError> = watch.next().await;
                    let Ok(batch) = batch else { return Some((batch, (watch, delivered, again))) };
                    let oldest = batch.revision.next();
                    let batch = match fate() {
                        Fate::Lose => continue,
                        Fate::Break => Err(StoreError::Unavailable { reason: "cut".to_owned() }),
                        Fate::Compact => Err(StoreError::Compacted { oldest }),
                        Fate::Deliver => Ok(batch),
                        Fate::Repeat => {
                            again = delivered.clone();
                            Ok(batch)
                        }
                    };
                    delivered.extend(batch.clone());
                    return Some((batch, (watch, delivered, again)));
                }
            }
        }))
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.store.txn(txn).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.store.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.store.revoke(lease).await
    }
}

fn alive(session: u64) -> Txn {
    let value = Session { node: NodeId(1), rpc: None, zone: None };
    Txn::new().put(Session::key(SessionId(session)), value.encode())
}

fn dead(session: u64) -> Txn {
    Txn::new().delete(Session::key(SessionId(session)))
}

fn sessions(now: &Snapshot) -> Vec<u64> {
    now.sessions().map(|session| session.id.0).collect()
}

#[tokio::test(start_paused = true)]
async fn what_a_watch_loses_is_found_by_the_next_listing() {
    let store = Memory::new();
    store.txn(alive(1)).await.unwrap();
    let silent = Unreliable::new(&store, || Fate::Lose);
    let tasks = Tasks::new();
    let view = View::follow(Metadata::new(silent.clone()), &tasks).await.unwrap();
    store.txn(alive(2)).await.unwrap();
    store.txn(dead(1)).await.unwrap();
    store.txn(created("lost", &topic(1, 3))).await.unwrap();
    tokio::time::sleep(RECONCILE_INTERVAL - Duration::from_secs(1)).await;
    assert_eq!((sessions(&view.now()), silent.listings()), (vec![1], 1), "as it is meant");
    let whole = |now: &Snapshot| {
        (sessions(now) == [2] && now.topic("lost").is_some() && now.partition_count() == 3)
            .then_some(())
    };
    view.wait_for(soon(), whole).await.expect("it has healed");
    assert_eq!(silent.listings(), 2);
    tasks.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn events_that_come_again_change_nothing() {
    let store = Memory::new();
    let repeating = Unreliable::new(&store, || Fate::Repeat);
    let tasks = Tasks::new();
    let view = View::follow(Metadata::new(repeating.clone()), &tasks).await.unwrap();
    for n in 1..20_u64 {
        store.txn(alive(n)).await.unwrap();
        if n > 1 {
            store.txn(dead(n - 1)).await.unwrap();
        }
        store.txn(created("again", &topic(1, n as u32))).await.unwrap();
        let current = |now: &Snapshot| (now.partition_count() == n).then_some(());
        view.wait_for(soon(), current).await.unwrap();
        // Whatever came before has come again by now.
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!((sessions(&view.now()), view.now().partition_count()), (vec![n], n));
    }
    assert_eq!(repeating.listings(), 1);
    tasks.shutdown().await.unwrap();
}

/// A watch that breaks is begun again behind a listing, at once or after a pause.
async fn ends_of_watches_lose_nothing(end: Fate, pause: Duration) {
    let (store, turn) = (Memory::new(), AtomicUsize::new(0));
    let breaking = Unreliable::new(&store, move || {
        let good = turn.fetch_add(1, Ordering::Relaxed) % 3 != 0;
        if good { Fate::Deliver } else { end }
    });
    let tasks = Tasks::new();
    let view = View::follow(Metadata::new(breaking.clone()), &tasks).await.unwrap();
    for n in 1..20 {
        store.txn(alive(n)).await.unwrap();
        store.txn(dead(n - 1)).await.unwrap();
        let deadline = Instant::now() + pause + Duration::from_millis(10);
        let current = |now: &Snapshot| (sessions(now) == [n]).then_some(());
        view.wait_for(deadline, current).await.expect("nothing is lost");
    }
    assert!(breaking.listings() > 3, "as it is meant");
    tasks.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_is_begun_again_behind_a_listing() {
    ends_of_watches_lose_nothing(Fate::Break, RELIST_PAUSE).await;
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_history_is_gone_is_begun_again_at_once() {
    ends_of_watches_lose_nothing(Fate::Compact, Duration::ZERO).await;
}

proptest! {
    /// Whatever watches do, in the end the view is what a listing shows.
    #[test]
    fn a_view_heals(
        writes in prop::collection::vec(write(), 1..40),
        fates in prop::collection::vec(0..8_usize, 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (store, turn) = (Memory::new(), Mutex::new(0));
            let unreliable = Unreliable::new(&store, move || {
                let mut turn = turn.lock().unwrap();
                *turn += 1;
                match fates[*turn % fates.len()] {
                    0 => Fate::Lose,
                    1 => Fate::Break,
                    2 => Fate::Compact,
                    3 | 4 => Fate::Repeat,
                    _ => Fate::Deliver,
                }
            });
            let tasks = Tasks::new();
            let view = View::follow(Metadata::new(unreliable), &tasks).await.unwrap();
            for write in &writes {
                store.txn(write.txn()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            tokio::time::sleep(RECONCILE_INTERVAL + RELIST_PAUSE * 2).await;
            let listed = Follower::list(&Metadata::new(Arc::new(store))).await.unwrap();
            let (seen, listed) = (view.now(), listed.snapshot());
            assert!(seen.topics().eq(listed.topics()), "topics differ");
            assert!(seen.controller() == listed.controller());
            assert_eq!(seen.partition_count(), listed.partition_count());
            for n in 0..45 {
                assert_eq!(seen.assignment(id(n)), listed.assignment(id(n)));
            }
            tasks.shutdown().await.unwrap();
        });
    }
}
