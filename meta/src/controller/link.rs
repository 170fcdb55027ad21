//! How long the controller's own link to the metadata has been healthy: whose own link is bad can't
//! tell that others are away.

use std::time::Duration;

use tokio::time::Instant;

/// A stretch of time without trouble, as signs of life show it. Pure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    /// It began here,
    since: Instant,
    /// and has lasted to here at least: when the last sign was sent that arrived.
    until: Instant,
    /// Signs that are sent further apart than this say nothing of the time between.
    late_after: Duration,
}

impl Link {
    /// A link that was seen to be healthy `at` a moment.
    pub(super) fn new(at: Instant, late_after: Duration) -> Self {
        Self { since: at, until: at, late_after }
    }

    /// A sign of life that was sent at `sent` has arrived.
    pub(super) fn arrived(&mut self, sent: Instant) {
        if sent.saturating_duration_since(self.until) > self.late_after {
            self.since = sent;
        }
        self.until = self.until.max(sent);
    }

    /// A sign of life did not arrive, as is known at `at`.
    pub(super) fn failed(&mut self, at: Instant) {
        self.since = at;
    }

    /// How long it has been without trouble.
    pub(super) fn watched_for(&self) -> Duration {
        self.watched(self.since)
    }

    /// How long something that began at `from` has been watched without trouble.
    pub(super) fn watched(&self, from: Instant) -> Duration {
        self.until.saturating_duration_since(self.watched_from(from))
    }

    /// Since when something that began at `from` is watched, if there is no trouble from now on.
    pub(super) fn watched_from(&self, from: Instant) -> Instant {
        self.since.max(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn time_counts_from_sign_to_sign() {
        let start = Instant::now();
        let mut link = Link::new(start, SECOND * 4);
        assert_eq!(link.watched(start), Duration::ZERO, "nothing is known yet");
        for n in 1..=5 {
            link.arrived(start + SECOND * n * 2);
        }
        assert_eq!(link.watched(start), SECOND * 10);
        assert_eq!(link.watched(start + SECOND * 7), SECOND * 3);
        assert_eq!(link.watched(start + SECOND * 70), Duration::ZERO);
    }

    #[test]
    fn after_trouble_it_begins_again() {
        let start = Instant::now();
        let mut link = Link::new(start, SECOND * 4);
        link.arrived(start + SECOND * 2);
        link.failed(start + SECOND * 6);
        assert_eq!(link.watched(start), Duration::ZERO);
        link.arrived(start + SECOND * 8);
        link.arrived(start + SECOND * 10);
        assert_eq!(link.watched(start), SECOND * 2);
        // A failure that was noticed at once: the next sign is in time.
        link.failed(start + SECOND * 12);
        link.arrived(start + SECOND * 14);
        assert_eq!(link.watched(start), SECOND * 2);
        // This process stood still: nobody knows what it missed.
        link.arrived(start + SECOND * 19);
        assert_eq!(link.watched(start), Duration::ZERO);
        link.arrived(start + SECOND * 21);
        assert_eq!(link.watched(start), SECOND * 2);
    }
}
