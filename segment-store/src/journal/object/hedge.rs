//! When a create is sent a second time because the first takes unusually long: one slow answer in a hundred
//! would otherwise hold up all that wait behind it (Dean and Barroso, "The Tail at Scale", 2013). No I/O.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

/// How many times as long as usual is unusually long.
const TIMES: u64 = 3;
/// What is never unusually long.
const LEAST: Duration = Duration::from_millis(10);
/// How much one answer counts in what is usual: this part.
const PART: u64 = 16;
/// One in so many creates may be sent twice: each is paid for.
const ONE_IN: i64 = 20;
/// How many may be sent twice in a row.
const SAVED_MAX: i64 = 16;

/// What is usual, and how many creates may be sent twice.
#[derive(Debug)]
pub(super) struct Hedges {
    /// In microseconds; 0 before the first answer.
    usual_us: AtomicU64,
    /// Grows by one with each create, and shrinks by [`ONE_IN`] with each that is sent twice.
    saved: AtomicI64,
}

impl Default for Hedges {
    fn default() -> Self {
        Self { usual_us: AtomicU64::new(0), saved: AtomicI64::new(ONE_IN * SAVED_MAX / 2) }
    }
}

impl Hedges {
    /// After how long a create should be sent again; `None` while nobody knows what is usual.
    pub(super) fn after(&self) -> Option<Duration> {
        let usual = self.usual_us.load(Ordering::Relaxed);
        (usual > 0).then(|| Duration::from_micros(usual.saturating_mul(TIMES)).max(LEAST))
    }

    /// A create was answered after so long. Racing updates lose one of them, which does not matter.
    pub(super) fn took(&self, time: Duration) {
        let took = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let usual = match self.usual_us.load(Ordering::Relaxed) {
            0 => took,
            // What takes for ever must not become usual at once.
            usual => usual - usual / PART + took.min(usual.saturating_mul(TIMES)) / PART,
        };
        self.usual_us.store(usual.max(1), Ordering::Relaxed);
        if self.saved.load(Ordering::Relaxed) < ONE_IN * SAVED_MAX {
            self.saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether one more may be sent twice, which it then is.
    pub(super) fn take(&self) -> bool {
        let take = |saved: i64| (saved >= ONE_IN).then_some(saved - ONE_IN);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_usual_is_learned() {
        let hedges = Hedges::default();
        assert_eq!(hedges.after(), None);
        (0..100).for_each(|_| hedges.took(30 * MS));
        let after = hedges.after().unwrap();
        assert!(after > 85 * MS && after < 95 * MS, "{after:?}");
        hedges.took(Duration::from_secs(3_600));
        assert!(hedges.after().unwrap() < 110 * MS, "one that takes for ever changes little");
        (0..200).for_each(|_| hedges.took(MS / 10));
        assert_eq!(hedges.after(), Some(LEAST));
    }

    #[test]
    fn few_are_sent_twice() {
        let hedges = Hedges::default();
        let taken = |hedges: &Hedges| std::iter::from_fn(|| hedges.take().then_some(())).count();
        assert_eq!(taken(&hedges), 8);
        (0..1_000).for_each(|_| hedges.took(MS));
        assert_eq!(taken(&hedges), 16, "what is not used is not saved for ever");
        (0..100).for_each(|_| hedges.took(MS));
        assert_eq!(taken(&hedges), 5);
    }
}
