//! What wakes a waiting fetch.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tokio::sync::Notify;

/// Fires when enough bytes were counted, or at once on demand. One waits; it fires once.
pub(super) struct Signal {
    missing: AtomicI64,
    heard: AtomicBool,
    fired: Notify,
}

impl Signal {
    pub(super) fn new(bytes: u64) -> Self {
        let missing = i64::try_from(bytes).unwrap_or(i64::MAX);
        let (missing, heard) = (AtomicI64::new(missing), AtomicBool::new(false));
        Self { missing, heard, fired: Notify::new() }
    }

    /// Counts bytes.
    pub(super) fn add(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.heard.store(true, Ordering::Relaxed);
        if self.missing.fetch_sub(bytes, Ordering::Relaxed) <= bytes {
            self.fire();
        }
    }

    /// Fires, whatever was counted.
    pub(super) fn fire(&self) {
        self.heard.store(true, Ordering::Relaxed);
        self.fired.notify_one();
    }

    /// Whether it has counted or fired.
    pub(super) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    pub(super) async fn fired(&self) {
        self.fired.notified().await;
    }
}
