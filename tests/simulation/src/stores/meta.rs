//! The metadata store as one node reaches it.
//!
//! A request is on its way as soon as it is made, as with the objects. A client of etcd gives up after
//! a while: then a write is unclear, and a read was in vain.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};
use weir_meta::store::{
    Entry, Key, LeaseId, Memory, MetaStore, Operation, Page, Range, Revision, StoreError, Txn,
    TxnOutcome, Watch,
};

use super::{Mishaps, mishaps::MetaFate, watch};
use crate::net::{Net, Place};

/// How long a client waits for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// See the module. Clones are the same.
#[derive(Clone)]
pub(crate) struct RemoteMeta(Arc<Inner>);

struct Inner {
    net: Net,
    from: Place,
    store: Memory,
    mishaps: Mishaps,
    /// The leases that were granted here and have not ended as far as is known.
    leases: Mutex<Vec<LeaseId>>,
}

impl RemoteMeta {
    /// What `store` holds, as `from` reaches it.
    pub(crate) fn new(net: &Net, from: Place, store: &Memory, mishaps: Mishaps) -> Self {
        let (net, store, leases) = (net.clone(), store.clone(), Mutex::default());
        Self(Arc::new(Inner { net, from, store, mishaps, leases }))
    }

    /// The leases that were granted here.
    pub(crate) fn leases(&self) -> Vec<LeaseId> {
        self.0.leases.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask<T, F>(
        &self,
        operation: Operation,
        what: String,
        ask: impl FnOnce(Memory) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (answering, answer) = oneshot::channel();
        let this = Arc::clone(&self.0);
        crate::free(async move {
            let Inner { net, from, store, mishaps, .. } = &*this;
            net.travel(*from, Place::Metadata).await;
            let fate = mishaps.of_metadata(operation, &what);
            let unclear = || Err(StoreError::Unclear { reason: "a planned fault".to_owned() });
            let result = match fate {
                MetaFate::Hangs => return,
                MetaFate::Before => {
                    Err(StoreError::Unavailable { reason: "a planned fault".to_owned() })
                }
                MetaFate::Lost => unclear(),
                MetaFate::Done => ask(store.clone()).await,
                MetaFate::Slow(time) => {
                    sleep(time).await;
                    ask(store.clone()).await
                }
                MetaFate::After => ask(store.clone()).await.and_then(|_| unclear()),
                MetaFate::Late(time) => {
                    let store = store.clone();
                    crate::free(async move {
                        sleep(time).await;
                        let _ = ask(store).await;
                    });
                    unclear()
                }
            };
            let became = if result.is_ok() { "ok" } else { "no" };
            net.trace().line(format_args!("{from}>metadata {what} {became}"));
            net.travel(Place::Metadata, *from).await;
            let _ = answering.send(result);
        });
        match timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                sleep(ANSWER_WITHIN).await;
                Err(unanswered(operation))
            }
            Err(_) => Err(unanswered(operation)),
        }
    }
}

fn unanswered(operation: Operation) -> StoreError {
    let reason = format!("no answer within {ANSWER_WITHIN:?}");
    match operation {
        Operation::Read => StoreError::Unavailable { reason },
        Operation::Txn | Operation::Lease => StoreError::Unclear { reason },
    }
}

#[async_trait]
impl MetaStore for RemoteMeta {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let (key, what) = (key.clone(), format!("get {key}"));
        self.ask(Operation::Read, what, |store| async move { store.get(&key).await }).await
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        let what = format!("range {}", range.prefix);
        self.ask(Operation::Read, what, |store| async move { store.range(range).await }).await
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        let Inner { net, from: place, store, mishaps, .. } = &*self.0;
        watch::remote(store.watch(prefix, from), prefix, net, *place, mishaps)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        let keys: Vec<&str> = txn.ops.iter().map(|op| op.key().as_str()).take(3).collect();
        let what = format!("txn of {} {}", txn.ops.len(), keys.join(" "));
        self.ask(Operation::Txn, what, |store| async move { store.txn(txn).await }).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        let this = Arc::clone(&self.0);
        let grant = move |store: Memory| async move {
            let lease = store.grant(ttl).await?;
            this.leases.lock().unwrap_or_else(PoisonError::into_inner).push(lease);
            Ok(lease)
        };
        self.ask(Operation::Lease, "grant".to_owned(), grant).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        let what = format!("keep {lease}");
        self.ask(Operation::Lease, what, move |store| async move { store.keep_alive(lease).await })
            .await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let what = format!("revoke {lease}");
        self.ask(Operation::Lease, what, move |store| async move { store.revoke(lease).await })
            .await
    }
}
