//! How events get into a history: any number of clients, on any threads, into one log, so that the
//! order of the log is an order of the world.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Client, Entry, Event, History, Isolation, Order};

#[derive(Debug, Default)]
struct Log {
    clients: Vec<Isolation>,
    entries: Vec<Entry>,
}

/// The log of a run. Clones write to the same log.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Log>>);

impl Recorder {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more client.
    ///
    /// # Panics
    /// When there are more than 65,536.
    pub fn client(&self, isolation: Isolation) -> Notes {
        let mut log = self.lock();
        let client = Client(u16::try_from(log.clients.len()).expect("at most 65,536 clients"));
        log.clients.push(isolation);
        drop(log);
        Notes { client, recorder: self.clone() }
    }

    /// What was recorded so far, as a history without writers and without an end.
    pub fn history(&self) -> History {
        let log = self.lock();
        let (clients, log) = (log.clients.clone(), log.entries.clone());
        History { clients, log, ..History::default() }
    }

    /// A panic elsewhere leaves the log whole: each event is one push.
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one client writes its events with.
#[derive(Clone, Debug)]
pub struct Notes {
    client: Client,
    recorder: Recorder,
}

impl Notes {
    /// Who this is.
    pub fn client(&self) -> Client {
        self.client
    }

    /// The order of a request that leaves now: every event until here was before it.
    pub fn now(&self) -> Order {
        Order(self.recorder.lock().entries.len() as u64)
    }

    /// Records an event.
    pub fn note(&self, event: Event) {
        self.note_all([event]);
    }

    /// Records events that came at once, such as the records of one poll.
    pub fn note_all(&self, events: impl IntoIterator<Item = Event>) {
        let client = self.client;
        let entries = events.into_iter().map(|event| Entry { client, event });
        self.recorder.lock().entries.extend(entries);
    }
}
