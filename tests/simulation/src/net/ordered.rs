//! Messages from one place to another that arrive in the order in which they were sent.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Net, Place};

/// Where messages are sent. Clones send in one order.
pub(crate) struct Sender<T> {
    net: Net,
    from: Place,
    to: Place,
    /// When the last message arrives.
    last: Arc<Mutex<Instant>>,
    messages: mpsc::UnboundedSender<(Instant, T)>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            net: self.net.clone(),
            from: self.from,
            to: self.to,
            last: Arc::clone(&self.last),
            messages: self.messages.clone(),
        }
    }
}

/// Where they arrive.
pub(crate) struct Receiver<T> {
    net: Net,
    from: Place,
    to: Place,
    messages: mpsc::UnboundedReceiver<(Instant, T)>,
    /// Taken, and still on its way.
    head: Option<(Instant, T)>,
}

/// The two ends.
pub(crate) fn ordered<T>(net: &Net, from: Place, to: Place) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let last = Arc::new(Mutex::new(Instant::now()));
    let sending = Sender { net: net.clone(), from, to, last, messages: sender };
    (sending, Receiver { net: net.clone(), from, to, messages: receiver, head: None })
}

impl<T> Sender<T> {
    /// Sends; nobody may be there any more.
    pub(crate) fn send(&self, message: T) {
        let at = Instant::now() + self.net.delay(self.from, self.to);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = at.max(*last);
        let _ = self.messages.send((*last, message));
    }
}

impl<T> Receiver<T> {
    /// The next message; `None` when the sender is gone and all that it sent has arrived. Nothing is
    /// lost when the future is dropped.
    pub(crate) async fn recv(&mut self) -> Option<T> {
        if self.head.is_none() {
            self.head = self.messages.recv().await;
        }
        if let Some((at, _)) = &self.head {
            sleep_until(*at).await;
        }
        self.net.passes(self.from, self.to).await;
        self.head.take().map(|(_, message)| message)
    }
}
