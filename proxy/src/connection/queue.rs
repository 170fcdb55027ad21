//! Replies on their way from the reading half of a connection to its writing half.
//!
//! Both halves are one task, which polls the reading half first. So what comes in wakes nobody: the
//! writing half looks in the same breath. A channel would schedule the task once more for every request.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use super::reply::PendingReply;

/// See the module.
pub(super) struct Queue(Mutex<Inner>);

struct Inner {
    replies: VecDeque<PendingReply>,
    max: usize,
    /// The reading half, if it waits for room.
    waits: Option<Waker>,
    has_ended: bool,
}

impl Queue {
    /// Room for `max` replies.
    pub(super) fn new(max: usize) -> Self {
        let (replies, max) = (VecDeque::new(), max.max(1));
        Self(Mutex::new(Inner { replies, max, waits: None, has_ended: false }))
    }

    /// Nobody else ever waits for this lock: there is one task.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `reply` behind the others, once there is room.
    pub(super) async fn push(&self, reply: PendingReply) {
        let mut reply = Some(reply);
        poll_fn(|cx| {
            let mut inner = self.lock();
            if inner.replies.len() >= inner.max {
                inner.waits = Some(cx.waker().clone());
                return Poll::Pending;
            }
            inner.replies.extend(reply.take());
            Poll::Ready(())
        })
        .await;
    }

    /// Nothing more will come.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
    }

    /// The next reply, if it is there.
    pub(super) fn try_pop(&self) -> Option<PendingReply> {
        let (reply, waits) = {
            let mut inner = self.lock();
            (inner.replies.pop_front(), inner.waits.take())
        };
        if let Some(waits) = waits {
            waits.wake();
        }
        reply
    }

    /// The next reply; `None` when nothing more will come. To be polled after every push and after the
    /// end: nobody is woken for it.
    pub(super) async fn pop(&self) -> Option<PendingReply> {
        poll_fn(|_| match self.try_pop() {
            Some(reply) => Poll::Ready(Some(reply)),
            None if self.lock().has_ended => Poll::Ready(None),
            None => Poll::Pending,
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::ready};

    use super::*;
    use crate::connection::reply::Reply;

    fn reply() -> PendingReply {
        ready(Reply::Silence).boxed()
    }

    #[tokio::test]
    async fn a_full_queue_holds_up_the_one_and_is_filled_again_when_the_other_takes() {
        let queue = Queue::new(2);
        let reading = async {
            for _ in 0..100 {
                queue.push(reply()).await;
            }
            queue.end();
        };
        let writing = async {
            let mut count = 0;
            while let Some(reply) = queue.pop().await {
                reply.await;
                count += 1;
            }
            count
        };
        // Polls the one before the other, each time.
        let ((), count) = futures::future::join(reading, writing).await;
        assert_eq!(count, 100);
    }

    #[tokio::test]
    async fn what_was_put_in_before_the_end_comes_out() {
        let queue = Queue::new(2);
        queue.push(reply()).await;
        assert!(queue.push(reply()).now_or_never().is_some());
        assert!(queue.push(reply()).now_or_never().is_none(), "there is no room");
        queue.end();
        assert!(queue.pop().await.is_some() && queue.pop().await.is_some());
        assert!(queue.pop().await.is_none());
    }
}
