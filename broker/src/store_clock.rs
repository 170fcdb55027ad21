//! The time by which records get old.
//!
//! What is deleted is gone, so a machine whose clock is ahead must not do it. The store has a clock, too, which says when
//! a checkpoint of this session was written; since then time has been counted by a clock that nobody sets. Of that and the
//! machine's own clock the earlier counts.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;
use weir_ids::{SessionId, Slot, Timestamp};
use weir_runtime::{Runtime, watch};
use weir_segment_store::{ObjectName, Store};

use crate::checkpoint::{CheckpointHandle, Written};

/// Tells one session the time. Clones share what they know.
#[derive(Clone)]
pub(crate) struct StoreClock {
    runtime: Runtime,
    store: Store,
    session: SessionId,
    checkpoints: CheckpointHandle,
    written: watch::Receiver<Written>,
    anchor: Arc<Mutex<Option<Anchor>>>,
}

/// What time it was by the store's clock, at the earliest.
#[derive(Clone, Copy)]
struct Anchor {
    time: Timestamp,
    at: Instant,
}

/// How far clocks may be apart before that is told.
const APART_MS: i64 = 60_000;

impl Anchor {
    /// What time it is, at the earliest.
    fn now(self) -> Timestamp {
        let since = i64::try_from(self.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.time.0.saturating_add(since))
    }
}

impl StoreClock {
    /// Asks the store when one of the session's checkpoints was `written`, once.
    pub(crate) fn new(
        runtime: Runtime,
        store: Store,
        session: SessionId,
        checkpoints: CheckpointHandle,
        written: watch::Receiver<Written>,
    ) -> Self {
        Self { runtime, store, session, checkpoints, written, anchor: Arc::default() }
    }

    /// The time. `None` if the store does not tell it for now, or the session has no partitions.
    pub(crate) async fn now(&self) -> Option<Timestamp> {
        let known = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let anchor = match known {
            Some(anchor) => anchor,
            None => self.ask().await?,
        };
        Some(self.runtime.now().min(anchor.now()))
    }

    /// Tells whoever can do something about it.
    fn compare(&self, anchor: Anchor) {
        let ahead_ms = self.runtime.now().0.saturating_sub(anchor.now().0);
        if ahead_ms.saturating_abs() > APART_MS {
            tracing::warn!(
                ahead_ms,
                "this machine's clock and the store's are apart; records get old by the one that is behind: \
                 run a time server"
            );
        }
    }

    async fn ask(&self) -> Option<Anchor> {
        if self.written.borrow().number == 0 {
            // It has taken partitions over, and nobody has written to them: a first checkpoint adopts them.
            self.checkpoints.covering(Slot(0)).await;
        }
        let Written { number, at } = *self.written.borrow();
        let name = ObjectName::Checkpoint { session: self.session, number };
        let time = match number {
            0 => None,
            _ => match self.store.written_at(name).await {
                Ok(time) => Some(time),
                Err(error) => {
                    tracing::warn!(%error, "the store does not tell the time; nothing gets old meanwhile");
                    None
                }
            },
        };
        let anchor = Anchor { time: time?, at };
        self.compare(anchor);
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = Some(anchor);
        Some(anchor)
    }
}
