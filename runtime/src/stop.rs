//! Telling tasks to finish.
//!
//! Every connection waits for this all its life, beside everything else that it waits for, and is
//! polled for each request. So a task enters the list of those to wake, which has a lock, only once;
//! after that it looks at flags that nobody writes until the end.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use tokio_util::sync::CancellationToken;

/// Tells a task that it should finish.
#[derive(Clone)]
pub struct Stop(Switch);

impl Stop {
    /// Resolves when the group is asked to stop.
    pub async fn requested(&self) {
        let mut cancelled = pin!(self.0.token.cancelled());
        let mut registered = None::<Waker>;
        poll_fn(|cx| {
            if self.is_requested() {
                return Poll::Ready(());
            }
            if registered.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            let polled = cancelled.as_mut().poll(cx);
            registered = Some(cx.waker().clone());
            polled
        })
        .await;
    }

    /// Whether the group has been asked to stop.
    pub fn is_requested(&self) -> bool {
        self.0.flags.iter().any(|flag| flag.load(Ordering::Acquire))
    }
}

/// What a group of tasks is stopped with. Clones are the same switch.
#[derive(Clone)]
pub(crate) struct Switch {
    token: CancellationToken,
    /// This switch's own flag, which is set before anybody is woken, behind those of the switches
    /// above.
    flags: Arc<[Arc<AtomicBool>]>,
}

impl Default for Switch {
    fn default() -> Self {
        Self { token: CancellationToken::new(), flags: Arc::new([Arc::default()]) }
    }
}

impl Switch {
    /// A switch that is also thrown with this one.
    pub(crate) fn child(&self) -> Self {
        let flags = self.flags.iter().cloned().chain([Arc::default()]).collect();
        Self { token: self.token.child_token(), flags }
    }

    pub(crate) fn to_stop(&self) -> Stop {
        Stop(self.clone())
    }

    /// Asks everybody to stop.
    pub(crate) fn request(&self) {
        if let Some(own) = self.flags.last() {
            own.store(true, Ordering::Release);
        }
        self.token.cancel();
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::select_all};

    use super::*;

    #[tokio::test]
    async fn a_waiter_is_woken_through_whichever_waker_polled_it_last() {
        let parent = Switch::default();
        let stop = parent.child().child().to_stop();
        let mut waiting = Box::pin(stop.requested());
        assert!(waiting.as_mut().now_or_never().is_none());
        // Polled by the set of futures from now on, which has wakers of its own.
        let mut all = select_all([waiting.boxed(), std::future::pending().boxed()]);
        assert!(futures::poll!(&mut all).is_pending());
        assert!(futures::poll!(&mut all).is_pending());
        assert!(!stop.is_requested());
        let ((), ()) = tokio::join!(all.map(|_| ()), async {
            tokio::task::yield_now().await;
            parent.request();
        });
        assert!(stop.is_requested());
        stop.requested().await;
    }

    #[tokio::test]
    async fn a_part_stops_alone() {
        let parent = Switch::default();
        let child = parent.child();
        child.request();
        child.to_stop().requested().await;
        assert!(!parent.to_stop().is_requested());
        assert!(parent.to_stop().requested().now_or_never().is_none());
    }
}
