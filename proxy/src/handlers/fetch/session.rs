//! Fetch sessions (KIP-227): a consumer names its partitions once, then only what changes, and is told
//! only what changed.
//!
//! A session lives and dies with its connection. Kafka keeps sessions in a cache of its own and evicts
//! them; but a client whose connection broke begins a new session anyway, so nothing is lost by that,
//! and nothing has to be looked up or evicted. All sessions together are held to a memory budget;
//! beyond it a client is told that it has none, and goes on naming everything.
//!
//! While nothing happens, a session keeps its wait from one fetch to the next: an idle consumer costs
//! the same with one partition as with a thousand.

use std::{
    iter,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use indexmap::{IndexMap, map::Entry};
use weir_broker::client::Offsets;
use weir_meta::store::Revision;
use weir_protocol::{
    ErrorCode,
    messages::{
        FetchRequest,
        fetch::{FetchTopic, ForgottenTopic},
    },
};

use super::{
    plan::{Asked, Found, Partition, Plan, Terms, TopicKey},
    wait::Waiting,
};
use crate::budget::{ByteBudget, Reservation};

/// The epoch of a fetch outside any session.
const NO_SESSION: i32 = -1;
/// The epoch of a fetch that begins a session.
const NEW_SESSION: i32 = 0;
/// What a partition takes: its place in the table, what was told of it, and its place in a plan that
/// waits.
const PARTITION_BYTES: usize = 512;

/// The session of a connection, while no fetch is under way.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Option<Box<Session>>>);

/// Begins sessions, as long as there is memory for them.
pub(crate) struct Sessions {
    memory: ByteBudget,
    begun: AtomicU32,
}

/// See the module.
pub(super) struct Session {
    id: i32,
    /// The epoch of its next fetch.
    epoch: i32,
    by_id: bool,
    held: IndexMap<(TopicKey, i32), Held>,
    /// Which partition is first in the next answer, so that those behind get their share of it.
    first: usize,
    memory: Reservation,
    resting: Option<Resting>,
}

/// A partition of a session.
struct Held {
    asked: Asked,
    /// What the client was told last, unless that was an error.
    told: Option<Offsets>,
}

/// A fetch that found nothing until its time was over.
pub(super) struct Resting {
    pub(super) plan: Plan,
    pub(super) waiting: Waiting,
    /// Of the metadata that the plan was made from.
    pub(super) revision: Revision,
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Option<Box<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a session for the connection's next fetch.
    pub(super) fn put(&self, session: Box<Session>) {
        *self.lock() = Some(session);
    }

    /// The session that `request` belongs to, and what it then asks for; `None` if it has none.
    ///
    /// # Errors
    /// What the client is to be told when the session is not what it believes.
    pub(super) fn enter(
        &self,
        request: &mut FetchRequest,
        terms: Terms,
        sessions: &Sessions,
    ) -> Result<Option<Box<Session>>, ErrorCode> {
        let topics = |request: &mut FetchRequest| std::mem::take(&mut request.topics);
        match request.session_epoch {
            NO_SESSION => {
                self.lock().take_if(|session| session.id == request.session_id);
                Ok(None)
            }
            NEW_SESSION => {
                *self.lock() = None;
                Ok(sessions.begin(&request.topics, terms))
            }
            epoch => {
                let mut session = self.find(request.session_id, epoch, terms)?;
                session.epoch = epoch.checked_add(1).unwrap_or(1);
                let (topics, gone) = (topics(request), &request.forgotten_topics_data);
                let fits = session.change(&topics, gone, &sessions.memory);
                match session.held.is_empty() {
                    _ if !fits => Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
                    true => Ok(None),
                    false => Ok(Some(session)),
                }
            }
        }
    }

    fn find(&self, id: i32, epoch: i32, terms: Terms) -> Result<Box<Session>, ErrorCode> {
        let mut kept = self.lock();
        match kept.as_ref() {
            Some(session) if session.id != id => Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
            Some(session) if session.epoch != epoch => Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH),
            Some(session) if session.by_id != terms.by_id => {
                Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR)
            }
            _ => kept.take().ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND),
        }
    }
}

impl Sessions {
    /// At most `memory_bytes` for all sessions together.
    pub(crate) fn new(memory_bytes: usize) -> Self {
        Self { memory: ByteBudget::new(memory_bytes), begun: AtomicU32::new(0) }
    }

    /// A session of all partitions of `topics`, if there is memory for it, and if there are any.
    fn begin(&self, topics: &[FetchTopic], terms: Terms) -> Option<Box<Session>> {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed);
        let mut session = Session {
            id: (begun % (i32::MAX as u32)) as i32 + 1,
            epoch: 1,
            by_id: terms.by_id,
            held: IndexMap::new(),
            first: 0,
            memory: Reservation::none(),
            resting: None,
        };
        let fits = session.change(topics, &[], &self.memory);
        (fits && !session.held.is_empty()).then(|| Box::new(session))
    }
}

impl Session {
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// Takes in what the client asks for anew and what it no longer wants. `false` if there is no
    /// memory for it.
    fn change(
        &mut self,
        topics: &[FetchTopic],
        gone: &[ForgottenTopic],
        budget: &ByteBudget,
    ) -> bool {
        if topics.is_empty() && gone.is_empty() {
            return true;
        }
        self.resting = None;
        for topic in gone {
            let key = TopicKey { name: topic.topic.clone(), id: topic.topic_id };
            for index in &topic.partitions {
                self.held.swap_remove(&(key.clone(), *index));
            }
        }
        let bytes_each = |topic: &FetchTopic| PARTITION_BYTES + topic.topic.len();
        let more: usize = topics.iter().map(|it| bytes_each(it) * it.partitions.len()).sum();
        let Some(memory) = budget.try_reserve(more) else { return false };
        self.memory.absorb(memory);
        for topic in topics {
            let key = TopicKey { name: (&*topic.topic).into(), id: topic.topic_id };
            for partition in &topic.partitions {
                let asked = Asked::from(partition);
                match self.held.entry((key.clone(), asked.index)) {
                    Entry::Occupied(mut held) => held.get_mut().asked = asked,
                    Entry::Vacant(place) => {
                        place.insert(Held { asked, told: None });
                    }
                }
            }
        }
        self.fit();
        true
    }

    /// Gives back memory of what is no longer there.
    fn fit(&mut self) {
        let bytes = self.held.keys().map(|(key, _)| PARTITION_BYTES + key.name.len()).sum();
        self.memory.shrink_to(bytes);
    }

    /// The wait of the fetch before, if it still stands for what is asked now.
    pub(super) fn resume(&mut self, terms: &Terms, revision: Revision) -> Option<Resting> {
        let alike = |it: &Resting| it.plan.terms.wait_alike(terms) && it.revision == revision;
        self.resting.take().filter(alike)
    }

    /// Keeps a wait for the next fetch.
    pub(super) fn rest(&mut self, resting: Resting) {
        self.resting = Some(resting);
    }

    /// What is asked for, beginning with the partition whose turn it is.
    pub(super) fn topics(&self) -> impl Iterator<Item = (TopicKey, Vec<Asked>)> {
        let first = self.first.min(self.held.len());
        let mut held = self.held.iter().skip(first).chain(self.held.iter().take(first)).peekable();
        iter::from_fn(move || {
            let ((key, _), one) = held.next()?;
            let mut asked = vec![one.asked];
            while let Some((_, another)) = held.next_if(|((next, _), _)| next == key) {
                asked.push(another.asked);
            }
            Some((key.clone(), asked))
        })
    }

    /// Whether the client is to be told of the partition at `place` of the plan; notes that it is.
    pub(super) fn tells(&mut self, place: usize, partition: &Partition) -> bool {
        let place = (self.first.min(self.held.len()) + place) % self.held.len().max(1);
        let Some((_, held)) = self.held.get_index_mut(place) else { return true };
        // Epochs are told with errors only.
        let told = |offsets: Offsets| (offsets.log_start, offsets.stable, offsets.durable);
        let before = held.told;
        held.told = partition.found.offsets();
        match (&partition.found, before) {
            (Found::Empty(now), Some(before)) => told(*now) != told(before),
            _ => true,
        }
    }

    /// `given`: the place in the plan of the last partition with records. Those behind it are the
    /// first in the next answer.
    pub(super) fn turn(&mut self, given: Option<usize>) {
        if let Some(given) = given {
            self.first = (self.first + given + 1) % self.held.len().max(1);
        }
    }
}
