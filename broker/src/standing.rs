//! Whether this session still owns what it believes to own.
//!
//! An owner that was replaced without noticing may serve old records, never old ends: whoever asks
//! for the newest offset must not be told one that was overtaken before he asked. So such an answer
//! needs a proof that is newer than the question.
//!
//! - For [`SESSION_PROOF`] after a sign of life that arrived was *sent*, nobody ends the session (DESIGN
//!   §3), by a clock that goes on while the process is stopped.
//! - Later a slot is written after the question. That it lands proves that nobody had
//!   ended the session by then. That it does not, ends it.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio::time::{Instant, sleep, sleep_until};
use weir_meta::{SESSION_PROOF, SESSION_TTL};
use weir_runtime::{
    Stop,
    planted::{Bug, is_planted},
};

use crate::{ending::Ending, wal::WalHandle};

/// See the module.
pub(crate) struct Standing {
    proven_until: Mutex<Instant>,
    withdrawn: AtomicBool,
    wal: WalHandle,
}

impl Standing {
    /// A session that was registered by a request sent at `registered`.
    pub(crate) fn new(registered: Instant, wal: WalHandle) -> Self {
        let (proven_until, withdrawn) =
            (Mutex::new(registered + SESSION_PROOF), AtomicBool::new(false));
        Self { proven_until, withdrawn, wal }
    }

    /// A sign of life that was sent then has arrived.
    pub(crate) fn seen(&self, sent: Instant) {
        let mut until = self.proven_until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(sent + SESSION_PROOF);
    }

    /// From now on nothing is proved: the session is ending, and others may notice before it has.
    pub(crate) fn withdraw(&self) {
        self.withdrawn.store(true, Ordering::Release);
    }

    fn proven_until(&self) -> Instant {
        *self.proven_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns once it is proved that nobody had ended the session when the call began. `false`: it
    /// is over.
    pub(crate) async fn prove(&self) -> bool {
        if self.withdrawn.load(Ordering::Acquire) {
            return false;
        }
        let lasts = Instant::now() < self.proven_until() || is_planted(Bug::EndsWithoutProof);
        lasts || self.wal.prove().await
    }

    /// Proves the standing of a session whose signs of life don't arrive now and then, so that one that
    /// was ended is noticed although nobody asks.
    pub(crate) async fn watch(&self, ending: &Ending, stop: Stop) {
        let watching = async {
            loop {
                let until = self.proven_until();
                if Instant::now() < until {
                    sleep_until(until).await;
                } else if self.prove().await {
                    sleep(SESSION_TTL).await;
                } else {
                    return; // The log has said why.
                }
            }
        };
        tokio::select! {
            biased;
            () = stop.requested() => {}
            _ = ending.told() => {}
            () = watching => {}
        }
    }
}
