//! A store in one file of a data directory, for clusters of one machine.
//!
//! One thread owns the file. Requests queue to it; those that wait together are judged one after
//! another on a copy of the state, made durable by one commit, then published and answered. Reads
//! and watches see the published state only, without asking the thread.
//!
//! The state lives in memory whole: about 500 bytes an entry, so 5 MiB for 10,000 partitions. A
//! cluster of more than some hundred thousand belongs on etcd.
//!
//! - No room on the disk: the write fails with [`StoreError::Full`], reads and leases go on, and
//!   writes work again as soon as there is room.
//! - Any other trouble with the disk: the store is [`StoreError::Broken`] until it is opened again,
//!   since what it would read back after a failed sync proves nothing.

mod backend;
mod device;
mod error;
mod file;
mod header;
mod owner;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
pub use error::OpenError;
use owner::Request;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Entry, Key, LeaseId, MetaStore, Page, Range, Revision, StoreError, Txn, TxnOutcome, Watch,
    machine::{Answer, Command},
    published::{Expire, Published},
};

/// How many requests wait for the owner; more wait to get into the queue.
const QUEUE_REQUESTS_MAX: usize = 256;

/// The store. Clones share it; when the last is dropped, the file is closed.
#[derive(Clone)]
pub struct Embedded {
    inner: Arc<Inner>,
}

struct Inner {
    published: Arc<Published>,
    queue: mpsc::Sender<Request>,
}

impl Embedded {
    /// Opens the metadata in `dir`, or makes both.
    ///
    /// # Errors
    /// An [`OpenError`]; nothing was changed then.
    pub async fn open(dir: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let (dir, now) = (dir.into(), Instant::now());
        Self::start(dir.clone(), move || file::open(&dir, now)).await
    }

    async fn start(
        dir: PathBuf,
        open: impl FnOnce() -> Result<(file::Store, super::machine::Machine), OpenError>
        + Send
        + 'static,
    ) -> Result<Self, OpenError> {
        let (queue, requests) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let (opened, opening) = oneshot::channel();
        weir_runtime::thread("metadata", move || match open() {
            Ok((file, machine)) => {
                let published = Arc::new(Published::new(machine));
                if opened.send(Ok(Arc::clone(&published))).is_ok() {
                    owner::run(file, &published, requests);
                }
            }
            Err(error) => drop(opened.send(Err(error))),
        })
        .map_err(|error| OpenError::from_io(&dir, error))?;
        let died = |_| OpenError::from_io(&dir, std::io::Error::other("its thread ended"));
        let published = opening.await.map_err(died)??;
        Ok(Self { inner: Arc::new(Inner { published, queue }) })
    }

    /// Closes the file. Requests after it get [`StoreError::Closed`]; those that wait are served
    /// first.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.inner.queue.send(Request::Close { done }).await.is_ok() {
            // An error means that the owner is gone already, and the file with it.
            drop(closed.await);
        }
    }
}

impl Inner {
    async fn ask(&self, command: Command) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Apply { command, now: Instant::now(), reply };
        self.queue.send(request).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Unclear { reason: "the metadata thread ended".to_owned() })
        })
    }

    /// Ends leases that are due before a read. That it can't be done is no reason not to read: who
    /// is alive is a guess anyway.
    async fn freshen(&self) {
        drop(self.expire_due().await);
    }
}

#[async_trait]
impl Expire for Inner {
    async fn expire_due(&self) -> Result<(), StoreError> {
        if self.published.is_lease_due(Instant::now()) {
            self.ask(Command::Expire).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl MetaStore for Embedded {
    async fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        self.inner.freshen().await;
        self.inner.published.get(key)
    }

    async fn range(&self, range: Range) -> Result<Page, StoreError> {
        self.inner.freshen().await;
        self.inner.published.page(&range)
    }

    fn watch(&self, prefix: &str, from: Revision) -> Watch {
        self.inner.published.watch(Arc::clone(&self.inner) as Arc<dyn Expire>, prefix, from)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnOutcome, StoreError> {
        txn.check()?;
        self.inner.ask(Command::Txn(txn)).await.map(|answer| answer.outcome)
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.inner.ask(Command::Grant { ttl }).await.map(|answer| answer.lease)
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.ask(Command::KeepAlive { lease }).await.map(|_| ())
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.inner.ask(Command::Revoke { lease }).await.map(|_| ())
    }
}
