//! A timer that costs nothing while things go well.
//!
//! Arming a timer for every frame would be the most expensive thing that an idle connection does.
//! A connection has two of these for life: a later deadline leaves the registered one alone and is
//! looked at when that one fires.

use std::{future::Future, pin::Pin, task::Poll};

use tokio::time::{Instant, Sleep, sleep_until};

/// See the module.
pub(super) struct Deadline(Pin<Box<Sleep>>);

impl Deadline {
    /// Not armed yet; it may fire for nothing at `first`.
    pub(super) fn new(first: Instant) -> Self {
        Self(Box::pin(sleep_until(first)))
    }

    /// Runs `work` until it is done, or gives `None` when it is `due` before. Work that is done at once
    /// has no need of the time.
    pub(super) async fn race<F: Future>(
        &mut self,
        due: impl FnOnce() -> Instant,
        work: F,
    ) -> Option<F::Output> {
        let (mut work, mut asked, mut known) = (std::pin::pin!(work), Some(due), None);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if let Some(due) = asked.take() {
                known = Some(due());
            }
            let Some(due) = known else { return Poll::Pending };
            if due < self.0.deadline() {
                self.0.as_mut().reset(due);
            }
            while self.0.as_mut().poll(cx).is_ready() {
                if self.0.deadline() >= due {
                    return Poll::Ready(None);
                }
                self.0.as_mut().reset(due);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn passes_at_the_due_time_whether_earlier_or_later_than_before() {
        let start = Instant::now();
        let mut deadline = Deadline::new(start + Duration::from_secs(60));
        for seconds in [5, 70, 71, 400] {
            let due = start + Duration::from_secs(seconds);
            assert_eq!(deadline.race(|| due, pending::<()>()).await, None);
            assert_eq!(start.elapsed().as_secs(), seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_done_in_time_wins() {
        let mut deadline = Deadline::new(Instant::now());
        let due = Instant::now() + Duration::from_secs(2);
        let work = async {
            sleep(Duration::from_secs(1)).await;
            7
        };
        assert_eq!(deadline.race(|| due, work).await, Some(7));
    }
}
