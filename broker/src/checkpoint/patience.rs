//! When to try again what has failed.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(10);

/// Waits longer after each failure.
#[derive(Default, Debug)]
pub(super) struct Patience {
    failures: u32,
    until: Option<Instant>,
}

impl Patience {
    /// When it may be tried again; none if it did not fail.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Whether it may be tried.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// It has failed. Returns how often without success.
    pub(super) fn failed(&mut self, jitter: Duration) -> u32 {
        let pause = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.until = Some(Instant::now() + pause + jitter);
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// It has worked. Returns how often it had failed.
    pub(super) fn end(&mut self) -> u32 {
        std::mem::take(self).failures
    }
}
