//! What readers and watchers of an in-process store see: the newest published state.
//!
//! The owner publishes a state only when it is durable (or, in memory, at once). A watch pulls from
//! the shared history, so it has no queue of its own: one that falls too far behind is told that
//! its place is compacted.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::stream;
use tokio::time::{Instant, sleep_until};
use weir_runtime::watch;

use super::{
    Batch, Entry, Key, Page, Range, Remedy, Revision, StoreError, Watch,
    history::History,
    machine::{Change, Machine},
};

/// Ends leases that are due. Watches call it, since a key that goes with its lease is news.
#[async_trait]
pub(super) trait Expire: Send + Sync {
    async fn expire_due(&self) -> Result<(), StoreError>;
}

/// How soon a lease that could not be ended (no space, say) is tried again.
const EXPIRE_RETRY: Duration = Duration::from_millis(100);

/// The newest published state.
pub(super) struct State {
    pub(super) machine: Machine,
    history: History,
    /// Why nothing can be read at present.
    down: Option<StoreError>,
}

/// The published state and a bell that rings when it changes.
pub(super) struct Published {
    state: Mutex<State>,
    bell: watch::Sender<()>,
}

impl Published {
    pub(super) fn new(machine: Machine) -> Self {
        let history = History::after(machine.revision());
        let state = Mutex::new(State { machine, history, down: None });
        Self { state, bell: watch::Sender::new(()) }
    }

    /// The state, locked. Held for a moment only, never across an await.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a new state, which `changes` lead to.
    pub(super) fn publish(&self, machine: Machine, changes: Vec<Change>) {
        let mut state = self.lock();
        state.machine = machine;
        state.history.extend(changes);
        state.down = None;
        drop(state);
        self.bell.send_replace(());
    }

    /// Wakes the watches.
    pub(super) fn ring(&self) {
        self.bell.send_replace(());
    }

    /// Says why nothing can be read, until the next [`Published::publish`].
    pub(super) fn take_down(&self, why: StoreError) {
        self.lock().down = Some(why);
        self.bell.send_replace(());
    }

    /// Whether a lease is due at `now`.
    pub(super) fn is_lease_due(&self, now: Instant) -> bool {
        self.lock().machine.next_deadline().is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let state = self.lock();
        state.check()?;
        Ok(state.machine.get(key.as_str()).map(|entry| Entry::clone(entry)))
    }

    pub(super) fn page(&self, range: &Range) -> Result<Page, StoreError> {
        let state = self.lock();
        state.check()?;
        match range.at {
            Some(at) if at != state.machine.revision() => {
                state.history.page_at(at, range, &state.machine)
            }
            _ => Ok(state.machine.page(range)),
        }
    }

    /// A watch that asks `expire` to end leases when they are due.
    pub(super) fn watch(
        self: &Arc<Self>,
        expire: Arc<dyn Expire>,
        prefix: &str,
        from: Revision,
    ) -> Watch {
        let place = Place {
            published: Arc::clone(self),
            expire,
            prefix: prefix.to_owned(),
            from: from.max(Revision(1)),
            bell: self.bell.subscribe(),
        };
        Watch::new(stream::unfold(Some(place), |place| async move {
            let mut place = place?;
            match place.next().await {
                Ok(batch) => Some((Ok(batch), Some(place))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }
}

impl State {
    fn check(&self) -> Result<(), StoreError> {
        self.down.clone().map_or(Ok(()), Err)
    }

    /// As [`Published::publish`], for an owner that changes the machine in place.
    pub(super) fn record(&mut self, changes: Vec<Change>) {
        self.history.extend(changes);
    }
}

/// How far a watch has come.
struct Place {
    published: Arc<Published>,
    expire: Arc<dyn Expire>,
    prefix: String,
    from: Revision,
    bell: watch::Receiver<()>,
}

impl Place {
    async fn next(&mut self) -> Result<Batch, StoreError> {
        loop {
            self.bell.borrow_and_update();
            let deadline = {
                let state = self.published.lock();
                match &state.down {
                    Some(why) if why.remedy() == Remedy::Stop => return Err(why.clone()),
                    Some(_) => None,
                    None => {
                        if let Some(batch) = state.history.since(&self.prefix, &mut self.from)? {
                            return Ok(batch);
                        }
                        state.machine.next_deadline()
                    }
                }
            };
            let due = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                rung = self.bell.changed() => rung.map_err(|_| StoreError::Closed)?,
                () = due => if self.expire.expire_due().await.is_err() {
                    tokio::time::sleep(EXPIRE_RETRY).await;
                },
            }
        }
    }
}
