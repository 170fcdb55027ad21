//! What wakes a waiting fetch.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::Notify;

/// Fires when enough bytes were counted, or at once on demand. One waits; it fires once.
pub(super) struct Signal {
    missing: AtomicI64,
    fired: Notify,
}

impl Signal {
    pub(super) fn new(bytes: u64) -> Self {
        let missing = i64::try_from(bytes).unwrap_or(i64::MAX);
        Self { missing: AtomicI64::new(missing), fired: Notify::new() }
    }

    /// Counts bytes.
    pub(super) fn add(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        if self.missing.fetch_sub(bytes, Ordering::Relaxed) <= bytes {
            self.fire();
        }
    }

    /// Fires, whatever was counted.
    pub(super) fn fire(&self) {
        self.fired.notify_one();
    }

    pub(super) async fn fired(&self) {
        self.fired.notified().await;
    }
}
