//! What proxies, brokers and coordinators see of the cluster without asking the store.
//!
//! A [`View`] follows topics, assignments, sessions, nodes, which of them are drained, and who the
//! controller is; never `logs/` or `wals/`. Reading it takes no lock: [`View::now`] hands out an
//! immutable [`Snapshot`], shared structure and all. A view may lag; whoever needs a certain state waits
//! for it ([`View::wait_for`]).
//!
//! A view is fed by listing each prefix at a revision and then watching it from the next. When the
//! history it needs is gone, or a watch breaks, it lists again; and now and then it lists anyway.
//! Applying is idempotent: events at or below what a prefix has applied are ignored.

mod follow;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arc_swap::ArcSwap;
pub use follow::{RECONCILE_INTERVAL, RELIST_PAUSE};
pub use snapshot::{SessionView, Snapshot, TopicView};
use tokio::time::{Instant, timeout_at};
use weir_runtime::{Tasks, watch};

use crate::{Error, Metadata};

/// The newest known state of the cluster. Clones share it.
#[derive(Clone)]
pub struct View {
    shared: Arc<Shared>,
}

struct Shared {
    newest: ArcSwap<Snapshot>,
    version: watch::Sender<u64>,
}

/// Tells when a view has changed.
pub struct Changes {
    view: View,
    version: watch::Receiver<u64>,
}

impl View {
    /// A view of the cluster as it is now, kept up to date by one of `tasks`.
    ///
    /// # Errors
    /// [`Error`] if it can't be read at all; later trouble is waited out.
    pub async fn follow(metadata: Metadata, tasks: &Tasks) -> Result<Self, Error> {
        let follower = follow::Follower::list(&metadata).await?;
        let view = Self::of(follower.snapshot().clone());
        let feeding = view.clone();
        tasks.spawn("metadata view", |stop| async move {
            follower.run(&metadata, &feeding, stop).await;
        });
        Ok(view)
    }

    /// A view that always shows `snapshot`, until it is given another.
    pub fn of(snapshot: Snapshot) -> Self {
        let newest = ArcSwap::from_pointee(snapshot);
        Self { shared: Arc::new(Shared { newest, version: watch::Sender::new(0) }) }
    }

    /// The newest snapshot. Costs a reference count, no lock.
    pub fn now(&self) -> Arc<Snapshot> {
        self.shared.newest.load_full()
    }

    /// Runs `read` on the newest snapshot; cheaper than [`View::now`] for a short look.
    pub fn with<T>(&self, read: impl FnOnce(&Snapshot) -> T) -> T {
        read(&self.shared.newest.load())
    }

    /// Follows the view's changes from now on.
    pub fn changes(&self) -> Changes {
        Changes { view: self.clone(), version: self.shared.version.subscribe() }
    }

    /// Waits until `look` finds something in the view; `None` if it does not by `deadline`.
    pub async fn wait_for<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&Snapshot) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changes();
        loop {
            if let Some(found) = self.with(&mut look) {
                return Some(found);
            }
            timeout_at(deadline, changes.next()).await.ok()?;
        }
    }

    /// Shows `snapshot` from now on, and tells whoever follows.
    pub fn show(&self, snapshot: Snapshot) {
        self.shared.newest.store(Arc::new(snapshot));
        self.shared.version.send_modify(|version| *version += 1);
    }
}

impl Changes {
    /// Waits until the view has changed since this was last asked (or made), and gives the newest
    /// snapshot. Changes that come close together may be seen as one.
    pub async fn next(&mut self) -> Arc<Snapshot> {
        // The sender lives in the view, which lives here.
        let _ = self.version.changed().await;
        self.view.now()
    }
}
