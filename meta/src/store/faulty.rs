//! A store that fails on purpose: before the effect, after it, or late.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    Entry, Key, LeaseId, MetaStore, Page, Range, Revision, StoreError, Txn, TxnOutcome, Watch,
};

/// What a store is being asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// [`MetaStore::get`] or [`MetaStore::range`].
    Read,
    /// [`MetaStore::txn`].
    Txn,
    /// [`MetaStore::grant`], [`MetaStore::keep_alive`] or [`MetaStore::revoke`].
    Lease,
}

/// What goes wrong with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It does not reach the store: [`StoreError::Unavailable`].
    Before,
    /// It takes effect and the answer is lost: [`StoreError::Unclear`].
    After,
    /// It does not reach the store, and nobody can tell: [`StoreError::Unclear`].
    Lost,
    /// It takes effect after so long.
    Late(Duration),
    /// Nobody can tell, and a transaction takes effect after so long all the same (or later: with
    /// the next request after that). Others are lost.
    Delayed(Duration),
}

/// Decides what goes wrong with the next request.
type Plan = Arc<dyn Fn(Operation) -> Option<Fault> + Send + Sync>;

/// A store that fails as planned. Clones share what is delayed.
#[derive(Clone)]
pub struct Faulty {
    store: Arc<dyn MetaStore>,
    plan: Plan,
    delayed: Arc<Mutex<Vec<(Instant, Txn)>>>,
}

impl Faulty {
    /// `store`, with the faults that `plan` gives.
    pub fn new(
        store: Arc<dyn MetaStore>,
        plan: impl Fn(Operation) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        Self { store, plan: Arc::new(plan), delayed: Arc::default() }
    }

    async fn run<T>(
        &self,
        operation: Operation,
        effect: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.land_delayed().await;
        let fault = (self.plan)(operation);
        self.run_with(fault, effect).await
    }

    async fn run_with<T>(
        &self,
        fault: Option<Fault>,
        effect: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let reason = || "a planned fault".to_owned();
        match fault {
            None => effect.await,
            Some(Fault::Before) => Err(StoreError::Unavailable { reason: reason() }),
            Some(Fault::After) => {
                effect.await?;
                Err(StoreError::Unclear { reason: reason() })
            }
            Some(Fault::Lost | Fault::Delayed(_)) => Err(StoreError::Unclear { reason: reason() }),
            Some(Fault::Late(by)) => {
                tokio::time::sleep(by).await;
                effect.await
            }
        }
    }

    async fn land_delayed(&self) {
        let now = Instant::now();
        let due: Vec<Txn> =
            self.lock().extract_if(.., |(at, _)| *at <= now).map(|(_, t)| t).collect();
        for txn in due {
            // Nobody waits for the answer.
            let _ = self.store.txn(txn).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Instant, Txn)>> {
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MetaStore for Faulty {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.run(Operation::Read, self.store.get(key)).await
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        self.run(Operation::Read, self.store.range(range)).await
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        self.store.watch(prefix, from)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.land_delayed().await;
        let fault = (self.plan)(Operation::Txn);
        if let Some(Fault::Delayed(by)) = fault {
            self.lock().push((Instant::now() + by, txn.clone()));
        }
        self.run_with(fault, self.store.txn(txn)).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.run(Operation::Lease, self.store.grant(ttl)).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.run(Operation::Lease, self.store.keep_alive(lease)).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.run(Operation::Lease, self.store.revoke(lease)).await
    }
}
