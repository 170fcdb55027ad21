//! A connection from one process to another.
//!
//! It breaks when the other end dies, when nothing was heard for too long (the way is cut, the other
//! end is paused), or by itself. Whoever waits on it is told at once, and can't know what has become of
//! what was sent: that may still arrive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use weir_runtime::watch;

use super::{Host, Net, Place, SILENCE_MAX};
use crate::process::Process;

/// See the module.
pub(crate) struct Connection {
    net: Net,
    number: u64,
    /// Who holds it.
    pub(super) from: Arc<Process>,
    /// The other end.
    pub(super) to: Arc<Host>,
    broken: watch::Sender<bool>,
    silent_ms: AtomicU64,
}

impl Connection {
    pub(super) fn new(net: &Net, from: &Arc<Process>, to: Arc<Host>) -> Arc<Self> {
        let connection = Arc::new(Self {
            net: net.clone(),
            number: net.number(),
            from: Arc::clone(from),
            to,
            broken: watch::Sender::new(false),
            silent_ms: AtomicU64::new(0),
        });
        net.keep(&connection);
        connection
    }

    /// Where it begins and ends.
    pub(super) fn ends(&self) -> (Place, Place) {
        (Place::Node(self.from.node), Place::Node(self.to.process.node))
    }

    pub(super) fn is_broken(&self) -> bool {
        *self.broken.borrow()
    }

    /// Waits until it is broken.
    pub(super) async fn broken(&self) {
        // The sender lives here.
        let _ = self.broken.subscribe().wait_for(|broken| *broken).await;
    }

    pub(super) fn break_now(&self, why: &str) {
        if !self.broken.send_replace(true) {
            let (from, to) = self.ends();
            self.net.trace().line(format_args!("{from}-{to} c{} breaks: {why}", self.number));
        }
    }

    pub(super) fn heard(&self) {
        self.silent_ms.store(0, Ordering::Relaxed);
    }

    pub(super) fn silent_for(&self, time: Duration) {
        let more = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let silent = self.silent_ms.fetch_add(more, Ordering::Relaxed) + more;
        if u128::from(silent) >= SILENCE_MAX.as_millis() {
            self.break_now("nothing heard");
        }
    }
}
