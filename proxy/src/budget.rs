//! Memory that many connections share, counted in bytes.
//!
//! A [`ByteBudget`] is asked *before* memory is filled, and a [`Reservation`] gives its bytes back
//! when it is dropped, with the memory that it stands for. Whoever waits is served in order, so a
//! large wish is not starved by small ones. No reservation is ever larger than the budget, so none
//! waits for ever.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A number of bytes to share. Clones share the same bytes.
#[derive(Clone)]
pub(crate) struct ByteBudget {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    total: usize,
}

/// Bytes that were taken from a budget; dropped, they go back.
#[derive(Debug)]
pub(crate) struct Reservation(Option<OwnedSemaphorePermit>);

impl ByteBudget {
    pub(crate) fn new(total: usize) -> Self {
        // A permit is a byte; a reservation's count is a u32.
        let total = total.min(u32::MAX as usize);
        let waiting = Arc::new(AtomicUsize::new(0));
        Self { free: Arc::new(Semaphore::new(total)), waiting, total }
    }

    /// Takes `bytes`, or the whole budget if that is less, waiting until they are there.
    pub(crate) async fn reserve(&self, bytes: usize) -> Reservation {
        let wanted = bytes.min(self.total) as u32;
        let mut taking = pin!(Arc::clone(&self.free).acquire_many_owned(wanted));
        let mut queued = None;
        let permit = std::future::poll_fn(|cx| match taking.as_mut().poll(cx) {
            Poll::Ready(permit) => Poll::Ready(permit),
            Poll::Pending => {
                queued.get_or_insert_with(|| Queued::enter(&self.waiting));
                Poll::Pending
            }
        })
        .await;
        // The semaphore is never closed.
        Reservation(permit.ok())
    }

    /// Takes `bytes` if they are there.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let wanted = u32::try_from(bytes).ok()?;
        Arc::clone(&self.free).try_acquire_many_owned(wanted).ok().map(|p| Reservation(Some(p)))
    }

    /// What nobody holds.
    pub(crate) fn free_bytes(&self) -> usize {
        self.free.available_permits()
    }

    /// The whole budget.
    #[cfg(test)]
    pub(crate) fn total_bytes(&self) -> usize {
        self.total
    }

    /// Whether somebody waits for bytes.
    pub(crate) fn is_contended(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Counts one who waits, also when the wait is given up.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn enter(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Reservation {
    /// A reservation of nothing.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// How many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes over the bytes of another one of the same budget.
    pub(crate) fn absorb(&mut self, other: Reservation) {
        match (&mut self.0, other.0) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, theirs) => *mine = theirs,
            (Some(_), None) => {}
        }
    }

    /// Gives back what exceeds `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let excess = self.bytes().saturating_sub(bytes);
        if let Some(permit) = &mut self.0 {
            drop(permit.split(excess));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn waits_in_order_and_gives_back() {
        let budget = ByteBudget::new(100);
        let first = budget.reserve(80).await;
        let mut large = Box::pin(budget.reserve(60));
        let mut small = Box::pin(budget.reserve(10));
        assert!(large.as_mut().now_or_never().is_none());
        assert!(small.as_mut().now_or_never().is_none(), "the large one came first");
        assert!(budget.is_contended());
        drop(first);
        let held = (large.await.bytes(), small.await.bytes());
        assert_eq!(held, (60, 10));
        assert!(!budget.is_contended());
        assert_eq!(budget.free_bytes(), 100);
    }

    #[tokio::test]
    async fn a_wish_beyond_the_budget_gets_all_of_it() {
        let budget = ByteBudget::new(100);
        assert_eq!(budget.reserve(1 << 40).await.bytes(), 100);
    }

    #[tokio::test]
    async fn shrinks_and_absorbs() {
        let budget = ByteBudget::new(100);
        let mut held = budget.reserve(70).await;
        held.shrink_to(20);
        assert_eq!((held.bytes(), budget.free_bytes()), (20, 80));
        held.absorb(budget.try_reserve(30).unwrap());
        held.absorb(Reservation::none());
        assert_eq!((held.bytes(), budget.free_bytes()), (50, 50));
        assert!(budget.try_reserve(51).is_none());
    }

    #[tokio::test]
    async fn giving_up_the_wait_is_counted() {
        let budget = ByteBudget::new(10);
        let _all = budget.reserve(10).await;
        let mut waiting = Box::pin(budget.reserve(1));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(waiting);
        assert!(!budget.is_contended());
    }
}
