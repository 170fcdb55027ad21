//! A node's clock: simulated time, and how far this node is off.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use tokio::time::Instant;
use weir_ids::Timestamp;
use weir_runtime::Clock;

/// When every run begins: 2026-01-01 00:00:00 UTC.
const BEGINNING_MS: i64 = 1_767_225_600_000;

/// Tells the time to one node, in all its lives. Clones are the same clock.
#[derive(Clone)]
pub(crate) struct NodeClock {
    began: Instant,
    off_ms: Arc<AtomicI64>,
}

impl NodeClock {
    /// A clock that is right.
    pub(crate) fn new(began: Instant) -> Self {
        Self { began, off_ms: Arc::default() }
    }

    /// Is off by so much from now on.
    pub(crate) fn set_off(&self, off_ms: i64) {
        self.off_ms.store(off_ms, Ordering::Relaxed);
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let since = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp(BEGINNING_MS + since + self.off_ms.load(Ordering::Relaxed))
    }
}
