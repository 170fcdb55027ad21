//! The newest of something, and waiting until it is another.
//!
//! As `tokio::sync::watch`, which wakes those who wait in an order of its own chance, out of any seed's
//! reach; here they are woken in the order in which they began to wait.

use std::{
    ops::Deref,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use tokio::sync::Notify;

struct Shared<T> {
    state: RwLock<State<T>>,
    changed: Notify,
}

struct State<T> {
    value: T,
    version: u64,
    closed: bool,
}

/// Sets what is newest. When it is dropped, nothing newer will come.
pub struct Sender<T>(Arc<Shared<T>>);

/// Sees what is newest. A clone has seen what its original has.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// What is newest, locked against change: not to be held for long.
pub struct Ref<'a, T>(RwLockReadGuard<'a, State<T>>);

/// Nothing newer will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing newer will come")]
pub struct Closed;

/// A sender of `value` and a receiver that has seen it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Shared<T> {
    fn read(&self) -> RwLockReadGuard<'_, State<T>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Sender<T> {
    /// A sender of `value`.
    pub fn new(value: T) -> Self {
        let state = RwLock::new(State { value, version: 0, closed: false });
        Self(Arc::new(Shared { state, changed: Notify::new() }))
    }

    /// A receiver that has seen what is newest now.
    pub fn subscribe(&self) -> Receiver<T> {
        let seen = self.0.read().version;
        Receiver { shared: Arc::clone(&self.0), seen }
    }

    /// What is newest.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.0.read())
    }

    /// Sets what is newest; gives what was.
    pub fn send_replace(&self, value: T) -> T {
        let mut before = value;
        self.send_modify(|newest| std::mem::swap(newest, &mut before));
        before
    }

    /// Changes what is newest.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|newest| {
            modify(newest);
            true
        });
    }

    /// Changes what is newest if `modify` says that it did.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut state = self.0.write();
        if !modify(&mut state.value) {
            return false;
        }
        state.version += 1;
        drop(state);
        self.0.changed.notify_waiters();
        true
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.write().closed = true;
        self.0.changed.notify_waiters();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), seen: self.seen }
    }
}

impl<T> Receiver<T> {
    /// What is newest.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref(self.shared.read())
    }

    /// What is newest, seen from now on.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let state = self.shared.read();
        self.seen = state.version;
        Ref(state)
    }

    /// Waits for something newer than was seen. Nothing is missed when the future is dropped.
    ///
    /// # Errors
    /// When nothing newer will come.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Made before looking: from here on it is told.
            let told = self.shared.changed.notified();
            {
                let state = self.shared.read();
                if state.version != self.seen {
                    self.seen = state.version;
                    return Ok(());
                }
                if state.closed {
                    return Err(Closed);
                }
            }
            told.await;
        }
    }

    /// Waits until what is newest is as wanted, which it may be already.
    ///
    /// # Errors
    /// When it is not, and nothing newer will come.
    pub async fn wait_for(
        &mut self,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, Closed> {
        loop {
            let told = self.shared.changed.notified();
            let closed = {
                let state = self.shared.read();
                self.seen = state.version;
                if wanted(&state.value) {
                    break;
                }
                state.closed
            };
            if closed {
                return Err(Closed);
            }
            told.await;
        }
        Ok(self.borrow())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_newer_is_seen_once() {
        let (sender, mut receiver) = channel(1);
        assert!(receiver.changed().now_or_never().is_none());
        assert_eq!(sender.send_replace(2), 1);
        sender.send_modify(|value| *value += 1);
        assert!(!sender.send_if_modified(|_| false));
        assert_eq!(receiver.changed().now_or_never(), Some(Ok(())));
        assert_eq!((*receiver.borrow(), *sender.borrow()), (3, 3));
        assert!(receiver.changed().now_or_never().is_none());
        drop(sender);
        assert_eq!(receiver.changed().now_or_never(), Some(Err(Closed)));
    }

    #[tokio::test]
    async fn a_condition_may_hold_already_or_never() {
        let (sender, mut receiver) = channel(1);
        assert_eq!(receiver.wait_for(|value| *value == 1).await.map(|value| *value), Ok(1));
        let mut late = receiver.clone();
        let mut waiting = Box::pin(late.wait_for(|value| *value == 5));
        assert!(futures::poll!(&mut waiting).is_pending());
        sender.send_replace(4);
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(sender);
        assert!(waiting.await.is_err());
    }

    #[tokio::test]
    async fn those_who_wait_are_woken_in_their_order() {
        let sender = Sender::new(0);
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..50)
            .map(|number| {
                let (mut receiver, order) = (sender.subscribe(), Arc::clone(&order));
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the order of tasks is what is tested"
                )]
                tokio::spawn(async move {
                    receiver.changed().await.unwrap();
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.send_replace(1);
        futures::future::join_all(waiting).await;
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
    }
}
