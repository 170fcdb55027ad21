//! The clients: they speak Kafka's protocol to whichever proxy they are shown, behave as the Java
//! client does when something fails, and record what they do and are told.

mod asker;
mod bookkeeper;
mod consumer;
mod deleter;
mod directory;
mod ends;
mod fetch;
mod group;
mod offsets;
mod producer;
mod setup;
mod topics;
mod wire;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use weir_history::Recorder;
use weir_ids::NodeId;
use weir_runtime::watch;

use crate::{clock::NodeClock, net::Net};

pub(crate) use asker::ask;
pub(crate) use bookkeeper::keep_books;
pub(crate) use consumer::consume;
pub(crate) use deleter::delete;
pub(crate) use ends::{Ends, read_ends};
pub(crate) use group::{Membership, member};
pub(crate) use producer::{Kind, Pace, produce};
pub(crate) use setup::create;
pub(crate) use topics::Topics;

/// How long a client waits for an answer, beyond what it asks the server to wait.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// What the clients are to do by now.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Phase {
    /// Go on.
    Working,
    /// Finish what was begun.
    Finishing,
    /// Read what there is to its end.
    Reading,
}

/// What clients share.
pub(crate) struct Clients {
    pub(crate) seed: u64,
    pub(crate) net: Net,
    /// The clients' own, which is right.
    pub(crate) clock: NodeClock,
    pub(crate) recorder: Recorder,
    pub(crate) topics: Topics,
    /// The proxies that clients are told to begin with.
    pub(crate) proxies: Vec<NodeId>,
    pub(crate) phase: watch::Sender<Phase>,
    /// What no client should ever be told.
    pub(crate) outrages: Mutex<Vec<String>>,
    /// Ends of logs once everything is quiet, for consumers that read to the end.
    pub(crate) ends: watch::Sender<Option<Vec<i64>>>,
}

impl Clients {
    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn outrage(&self, what: String) {
        self.net.trace().line(format_args!("OUTRAGE {what}"));
        self.outrages.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

/// Clients share what they share.
pub(crate) type Shared = Arc<Clients>;
