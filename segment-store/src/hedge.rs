//! A request is sent a second time, beside the first, if that takes unusually long: one slow answer in a
//! hundred would otherwise hold up all that wait behind it (Dean and Barroso, "The Tail at Scale", 2013).

use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicI64, AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// How many times as long as usual is unusually long.
const TIMES: u64 = 3;
/// What is never unusually long.
const LEAST: Duration = Duration::from_millis(10);
/// How much one answer counts in what is usual: this part.
const PART: u64 = 16;
/// One in so many requests may be sent twice: each is paid for.
const ONE_IN: i64 = 20;
/// How many may be sent twice in a row.
const SAVED_MAX: i64 = 16;

/// What is usual, and how many requests may be sent twice.
#[derive(Debug)]
pub(crate) struct Hedges {
    /// In microseconds; 0 before the first answer.
    usual_us: AtomicU64,
    /// Grows by one with each request, and shrinks by [`ONE_IN`] with each that is sent twice.
    saved: AtomicI64,
}

impl Default for Hedges {
    fn default() -> Self {
        Self { usual_us: AtomicU64::new(0), saved: AtomicI64::new(ONE_IN * SAVED_MAX / 2) }
    }
}

impl Hedges {
    /// Sends a request once, or twice at the same time if the first takes unusually long. What is returned is
    /// the first outcome that `settles` it, or the last one.
    pub(crate) async fn send<T, F: Future<Output = T>>(
        &self,
        request: impl Fn() -> F,
        settles: impl Fn(&T) -> bool,
    ) -> T {
        let begun = Instant::now();
        let mut first = pin!(request());
        if let Some(after) = self.after() {
            tokio::select! {
                biased;
                done = &mut first => {
                    self.took(begun.elapsed());
                    return done;
                }
                () = sleep(after) => {}
            }
            if self.take() {
                let mut second = pin!(request());
                return tokio::select! {
                    biased;
                    done = &mut first => if settles(&done) { done } else { second.await },
                    done = &mut second => if settles(&done) { done } else { first.await },
                };
            }
        }
        let done = first.await;
        self.took(begun.elapsed());
        done
    }

    /// After how long a request should be sent again; `None` while nobody knows what is usual.
    fn after(&self) -> Option<Duration> {
        let usual = self.usual_us.load(Ordering::Relaxed);
        (usual > 0).then(|| Duration::from_micros(usual.saturating_mul(TIMES)).max(LEAST))
    }

    /// A request was answered after so long. Racing updates lose one of them, which does not matter.
    fn took(&self, time: Duration) {
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
    fn take(&self) -> bool {
        let take = |saved: i64| (saved >= ONE_IN).then_some(saved - ONE_IN);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, atomic::AtomicUsize};

    use bytes::Bytes;
    use weir_ids::SessionId;
    use weir_runtime::{Runtime, Seeded, SystemClock};

    use super::*;
    use crate::{
        ByteRange, ObjectName, Part, Retry, RetrySettings, Store, StoreError,
        testing::{Fate, FaultyObjects, Request},
    };

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

    /// How long a read takes whose own answer never comes and whose second one is `second`, after some that
    /// took 30 ms each.
    async fn read_that_hangs(second: Fate) -> (Duration, Result<Bytes, StoreError>) {
        let reads = AtomicUsize::new(0);
        let objects = FaultyObjects::new(move |request: Request, _: &str| match request {
            Request::Get => match reads.fetch_add(1, Ordering::Relaxed) {
                20 => Fate::Hangs,
                21 => second,
                _ => Fate::Slow(30 * MS),
            },
            _ => Fate::Done,
        });
        let retry = Retry::new(Runtime::new(SystemClock, Seeded::new(1)), RetrySettings::default());
        let store = Store::new(Arc::new(objects), None).retrying(retry);
        let name = ObjectName::Sorted { session: SessionId(1), number: 1 };
        store.create(name, &[Part::Bytes(Bytes::from_static(b"bytes"))]).await.unwrap();
        for _ in 0..20 {
            store.get(name).await.unwrap();
        }
        let begun = Instant::now();
        let got = store.get_range(name, ByteRange { at: 1, len: 3 }).await;
        (begun.elapsed(), got)
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_takes_unusually_long_is_sent_again_beside_the_first() {
        let (took, got) = read_that_hangs(Fate::Slow(30 * MS)).await;
        assert_eq!(got.unwrap().as_ref(), b"yte");
        assert!(took >= 90 * MS && took <= 130 * MS, "{took:?}");
        // An error says nothing: the first may still be answered, here until its time is up.
        let (took, got) = read_that_hangs(Fate::Fails).await;
        assert_eq!(got.unwrap().as_ref(), b"yte");
        assert!(took >= 10_000 * MS, "{took:?}");
    }
}
