//! A store in the process's memory: nothing survives it.
//!
//! For tests and simulation: no threads, no tasks, no clock but tokio's. Every request takes
//! effect when it is made, so equal requests in equal order leave equal states.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    Entry, Key, LeaseId, MetaStore, Page, Range, Revision, StoreError, Txn, TxnOutcome, Watch,
    machine::{Answer, Command, Machine},
    published::{Expire, Published},
};

/// The store. Clones share it.
#[derive(Clone)]
pub struct Memory {
    inner: Arc<Inner>,
}

struct Inner {
    published: Arc<Published>,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        let published = Arc::new(Published::new(Machine::default()));
        Self { inner: Arc::new(Inner { published }) }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn apply(&self, command: &Command) -> Result<Answer, StoreError> {
        let (mut changes, now) = (Vec::new(), Instant::now());
        let mut state = self.published.lock();
        state.machine.expire(now, &mut changes);
        let answer = state.machine.apply(command, now, &mut changes);
        state.record(changes);
        drop(state);
        self.published.ring();
        answer
    }

    fn expire(&self) -> Result<(), StoreError> {
        if self.published.is_lease_due(Instant::now()) {
            self.apply(&Command::Expire)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Expire for Inner {
    async fn expire_due(&self) -> Result<(), StoreError> {
        self.expire()
    }
}

#[async_trait]
impl MetaStore for Memory {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.inner.expire()?;
        self.inner.published.get(key)
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        self.inner.expire()?;
        self.inner.published.page(&range)
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        self.inner.published.watch(Arc::clone(&self.inner) as Arc<dyn Expire>, prefix, from)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        self.inner.apply(&Command::Txn(txn)).map(|answer| answer.outcome)
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.inner.apply(&Command::Grant { ttl }).map(|answer| answer.lease)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.apply(&Command::KeepAlive { lease }).map(|_| ())
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.apply(&Command::Revoke { lease }).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{HISTORY_EVENTS_MAX, TXN_OPS_MAX, conformance};

    #[tokio::test(start_paused = true)]
    async fn conforms() {
        conformance::run(Arc::new(Memory::new())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn history_is_bounded() {
        let store = Memory::new();
        let first = store.txn(Txn::new().put("first", "x")).await.unwrap().revision();
        for _ in 0..=HISTORY_EVENTS_MAX / TXN_OPS_MAX {
            let txn = (0..TXN_OPS_MAX).fold(Txn::new(), |txn, n| txn.put(format!("{n:03}"), "x"));
            store.txn(txn).await.unwrap();
        }
        conformance::compacted(Arc::new(store), first).await;
    }
}
