//! Reading what other sessions left, or go on to hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{TryStreamExt, future::join_all};
use tokio::time::Instant;
use weir_ids::{NodeId, SessionId, Slot, TopicPartition};
use weir_meta::{
    Error as MetaError, Metadata, SealError, Sealing,
    model::{Seal, Wal},
    store::Remedy,
};
use weir_segment_store::{
    NameError, Reference, Store, StoreError,
    checkpoint::{Chain, ChainError, Checkpoint, DecodeError},
    journal::{self, Journal, StoredSlot},
    object::BatchEntry,
};

use super::{Census, Noted, chain::Links};
use crate::shard::Listings;

/// How often a session that goes on is read before it is left to later.
const READS_OF_MOVING: u32 = 10;

/// How many slots are read ahead at a time: a checkpoint may spare those that follow, and a release is not to wait
/// until they are read.
const AHEAD_MAX: u64 = 64;

/// What a session left, or what is known of one that goes on.
#[derive(Debug)]
pub(crate) struct SessionLogs {
    /// Its end: nothing at or above this slot counts, or has been read.
    pub(crate) end: Slot,
    /// Its checkpoints.
    pub(crate) chain: Arc<Chain>,
    /// The chunks of the slots behind them, in order.
    pub(crate) chunks: BTreeMap<TopicPartition, Vec<(Slot, Reference, Vec<BatchEntry>)>>,
    /// What the metadata said of it when it was read; `None` if it is this very session.
    pub(crate) wal: Option<Wal>,
    /// Something has changed since: before it is used it is read again.
    stale: bool,
}

impl SessionLogs {
    /// What is known without the metadata.
    pub(crate) fn new(
        end: Slot,
        chain: Chain,
        chunks: BTreeMap<TopicPartition, Vec<(Slot, Reference, Vec<BatchEntry>)>>,
    ) -> Self {
        Self { end, chain: Arc::new(chain), chunks, wal: None, stale: false }
    }

    /// Whether it need not be read again to know all below `upto`, or all if it is ended.
    fn is_read(&self, upto: Option<Slot>) -> bool {
        let ended = |wal: &Wal| wal.sealed.is_some();
        let all = self.wal.as_ref().is_none_or(ended) || upto.is_some_and(|upto| self.end >= upto);
        all && !self.stale
    }

    /// Takes in slots that follow those that are known.
    fn extend(&mut self, slots: Vec<StoredSlot>) {
        self.end = slots.last().map_or(self.end, |last| last.slot.next());
        for (partition, more) in by_partition(slots.into_iter()) {
            self.chunks.entry(partition).or_default().extend(more);
        }
    }

    /// Forgets slots that checkpoints cover.
    fn forget_below(&mut self, covered: Slot) {
        self.chunks.retain(|_, chunks| {
            chunks.retain(|(slot, ..)| *slot >= covered);
            !chunks.is_empty()
        });
    }
}

/// Why a session can't be recovered from.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The metadata does not know its log.
    #[error("session {0} has no log in the metadata; restore the metadata from a backup")]
    Unknown(SessionId),
    /// Nobody has ended it, and this broker may not.
    #[error("session {0} has not been ended")]
    NotSealed(SessionId),
    /// It goes on, and trims faster than it is read.
    #[error("session {0} trims its log faster than it is read")]
    Overtaken(SessionId),
    /// It is shorter than what was recorded when it was ended.
    #[error(
        "the log of session {session} ends before slot {found}, but was recorded to end at \
         {recorded}; restore its files"
    )]
    Short {
        /// The session.
        session: SessionId,
        /// Where it ends now.
        found: Slot,
        /// Where it ended.
        recorded: Slot,
    },
    /// Its log can't be read.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// A checkpoint can't be fetched.
    #[error("checkpoint: {0}")]
    Store(#[from] StoreError),
    /// The metadata names something that is no checkpoint.
    #[error("the metadata names a checkpoint wrongly: {0}")]
    Name(#[from] NameError),
    /// A checkpoint can't be read.
    #[error("{name}: {error}; restore it from a backup")]
    Checkpoint {
        /// The object.
        name: String,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The checkpoints do not follow one another.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The end of it can't be recorded.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The metadata can't be read.
    #[error(transparent)]
    Metadata(#[from] MetaError),
}

impl SessionError {
    /// Whether trying again may help.
    pub(crate) fn may_heal(&self) -> bool {
        match self {
            Self::NotSealed(_) | Self::Overtaken(_) | Self::Store(_) => true,
            Self::Journal(error) => error.advice() == journal::Advice::Retry,
            Self::Seal(error) => error.remedy() == Remedy::Retry,
            Self::Metadata(error) => error.remedy() == Remedy::Retry,
            Self::Unknown(_)
            | Self::Short { .. }
            | Self::Name(_)
            | Self::Checkpoint { .. }
            | Self::Chain(_) => false,
        }
    }
}

/// By which right a broker ends sessions that nobody has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Right {
    /// Its process is known to be the only one: a session that goes on is one that died.
    Sole,
    /// That of its node: it may end what the controller has condemned, and what ran here before.
    Of(NodeId),
}

/// Reads other sessions, each once, and of one that goes on what is new.
pub(crate) struct Sessions {
    metadata: Metadata,
    store: Store,
    journal: Arc<dyn Journal>,
    right: Right,
    read: BTreeMap<SessionId, SessionLogs>,
    /// Those that were asked for since the last confirmation.
    used: BTreeSet<SessionId>,
    /// The checkpoints of those that go on.
    links: BTreeMap<SessionId, Links>,
    noted: Noted,
}

impl Sessions {
    pub(crate) fn new(
        metadata: Metadata,
        store: Store,
        journal: Arc<dyn Journal>,
        right: Right,
    ) -> Self {
        let (read, used, links) = (BTreeMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { metadata, store, journal, right, read, used, links, noted: Noted::default() }
    }

    /// What has been read.
    pub(crate) fn all(&self) -> &BTreeMap<SessionId, SessionLogs> {
        &self.read
    }

    /// What has been read, for those who must not wait until a recovery is over.
    pub(crate) fn noted(&self) -> Noted {
        self.noted.clone()
    }

    /// Forgets what has been read: recovery is over, and what it found is held by partitions.
    pub(crate) fn forget(&mut self) {
        self.read.clear();
        self.links.clear();
        self.noted.forget();
    }

    /// Forgets what this very session knew.
    pub(crate) fn forget_own(&mut self) {
        self.read.retain(|_, logs| logs.wal.is_some());
    }

    /// Takes in what this very session knows of partitions that it has released.
    pub(crate) fn know_own(&mut self, session: SessionId, listings: Listings) {
        let mut chain = Chain::empty();
        chain.partitions = listings.into_iter().collect();
        self.read.insert(session, SessionLogs::new(Slot(u64::MAX), chain, BTreeMap::new()));
    }

    /// Reads every session that a partition needs, ended or not, and changes nothing.
    ///
    /// # Errors
    /// When any of them can't be read.
    pub(crate) async fn read_all(&mut self) -> Result<(), SessionError> {
        for session in Census::take(&self.metadata).await?.needed {
            let wal = self.wal(session).await?;
            let logs = self.read_to_the_end(session, wal).await?;
            self.read.insert(session, logs);
        }
        Ok(())
    }

    /// Ends sessions, those that nobody has ended and this broker may. Returns why others are not.
    pub(crate) async fn end(
        &mut self,
        by: SessionId,
        sessions: BTreeSet<SessionId>,
    ) -> Vec<(SessionId, SessionError)> {
        let this = &*self;
        let ends = sessions
            .into_iter()
            .map(|session| async move { (session, this.end_one(by, session).await) });
        let mut stuck = Vec::new();
        for (session, ended) in join_all(ends).await {
            match ended {
                Ok(Some(logs)) => drop(self.read.insert(session, logs)),
                Ok(None) => {}
                Err(error) => stuck.push((session, error)),
            }
        }
        stuck
    }

    async fn end_one(
        &self,
        by: SessionId,
        session: SessionId,
    ) -> Result<Option<SessionLogs>, SessionError> {
        if self.wal(session).await?.sealed.is_some() {
            return Ok(None);
        }
        let may = match self.right {
            Right::Sole => true,
            Right::Of(node) => self.metadata.may_end(node, by, session).await?,
        };
        if !may {
            return Err(SessionError::NotSealed(session));
        }
        let begun = Instant::now();
        loop {
            let wal = self.wal(session).await?;
            let logs = self.read_to_the_end(session, wal).await?;
            match self.metadata.seal(session, Seal { at: logs.end, detail: None }).await? {
                Sealing::Sealed(_) => {
                    let (end, took) = (logs.end, begun.elapsed());
                    tracing::info!(%session, %end, ?took, "ended the log of a session");
                    return self.still_true(session, logs).await;
                }
                // Its owner has trimmed meanwhile: what was read is not all there any more.
                Sealing::BeginAgain { .. } => {}
            }
        }
    }

    /// What was read of a session just before its end was recorded, if nothing else has changed.
    async fn still_true(
        &self,
        session: SessionId,
        logs: SessionLogs,
    ) -> Result<Option<SessionLogs>, SessionError> {
        let now = self.wal(session).await?;
        let same = |before: &Wal| {
            (&before.checkpoint, before.trim) == (&now.checkpoint, now.trim)
                && now.sealed.as_ref().is_some_and(|seal| seal.at == logs.end)
        };
        let same = logs.wal.as_ref().is_some_and(same);
        Ok(same.then_some(SessionLogs { wal: Some(now), ..logs }))
    }

    /// Reads a session as far as it has not been read: to its end, or below `upto` if it goes on.
    ///
    /// # Errors
    /// When any of it can't be read.
    pub(crate) async fn read(
        &mut self,
        session: SessionId,
        upto: Option<Slot>,
    ) -> Result<(), SessionError> {
        self.used.insert(session);
        if self.read.get(&session).is_some_and(|logs| logs.is_read(upto)) {
            return Ok(());
        }
        let wal = self.wal(session).await?;
        match upto {
            _ if wal.sealed.is_some() => {
                let logs = self.read_to_the_end(session, wal).await?;
                self.read.insert(session, logs);
                Ok(())
            }
            Some(upto) => self.read_below(session, wal, upto).await,
            None => Err(SessionError::NotSealed(session)),
        }
    }

    /// Reads what there is already of a session that is about to give something up: little is to be read then. What
    /// has been read is kept when the future is dropped.
    ///
    /// # Errors
    /// When any of it can't be read.
    pub(crate) async fn warm_up(&mut self, session: SessionId) -> Result<(), SessionError> {
        let wal = self.wal(session).await?;
        if wal.sealed.is_none() {
            let begun = Instant::now();
            self.read_ahead(session, wal).await?;
            let upto = self.read.get(&session).map(|logs| logs.end);
            tracing::debug!(%session, ?upto, took = ?begun.elapsed(), "read ahead");
        }
        Ok(())
    }

    /// Reads what can be known of a session without ending it.
    ///
    /// # Errors
    /// When any of it can't be read.
    pub(crate) async fn look(&mut self, session: SessionId) -> Result<(), SessionError> {
        let mut known = None;
        loop {
            let wal = self.wal(session).await?;
            if wal.sealed.is_some() {
                return self.read(session, None).await;
            }
            self.read_ahead(session, wal).await?;
            let end = self.read.get(&session).map(|logs| logs.end);
            if end == known {
                return Ok(());
            }
            known = end;
        }
    }

    async fn read_ahead(&mut self, session: SessionId, wal: Wal) -> Result<(), SessionError> {
        let Some(from) = self.follow(session, wal).await? else { return Ok(()) };
        let below = Slot(from.0.saturating_add(AHEAD_MAX));
        let journal = Arc::clone(&self.journal);
        let mut slots = journal.look_ahead(session, from, below);
        while let Some(slot) = slots.try_next().await? {
            self.take_in(session, vec![slot]);
        }
        Ok(())
    }

    /// Finds out what has changed of what was asked for since the last time: a checkpoint may have been
    /// published, slots may have been trimmed, and what was read may have been collected unnoticed. Returns
    /// whether all is as it was; what is not is read again before it is used.
    ///
    /// # Errors
    /// When the metadata can't be read.
    pub(crate) async fn confirm(&mut self) -> Result<bool, SessionError> {
        let mut all = true;
        for session in std::mem::take(&mut self.used) {
            let before = self.read.get(&session).and_then(|logs| logs.wal.clone());
            let Some(before) = before else { continue };
            if self.wal(session).await? != before
                && let Some(logs) = self.read.get_mut(&session)
            {
                (logs.stale, all) = (true, false);
            }
        }
        Ok(all)
    }

    /// Ends a session's log in the store, if it has not been, and reads it.
    async fn read_to_the_end(
        &self,
        session: SessionId,
        wal: Wal,
    ) -> Result<SessionLogs, SessionError> {
        let chain = self.chain(&wal).await?;
        let from = chain.covers_below.max(wal.trim);
        let sealed = self.journal.seal(session, from).await?;
        self.noted.slots(sealed.slots.iter().map(|slot| slot.object));
        let end = match &wal.sealed {
            Some(recorded) if sealed.end < recorded.at => {
                let (found, recorded) = (sealed.end, recorded.at);
                return Err(SessionError::Short { session, found, recorded });
            }
            Some(recorded) => recorded.at,
            None => sealed.end,
        };
        let slots = sealed.slots.into_iter().filter(|slot| slot.slot < end);
        let chunks = by_partition(slots);
        Ok(SessionLogs { end, chain, chunks, wal: Some(wal), stale: false })
    }

    /// Reads a session that goes on, as far as it has not been read.
    async fn read_below(
        &mut self,
        session: SessionId,
        mut wal: Wal,
        end: Slot,
    ) -> Result<(), SessionError> {
        for _ in 0..READS_OF_MOVING {
            if wal.sealed.is_some() {
                // It has been ended meanwhile: others need all of it.
                let logs = self.read_to_the_end(session, wal).await?;
                self.read.insert(session, logs);
                return Ok(());
            }
            if self.read_on(session, wal, end).await? {
                return Ok(());
            }
            wal = self.wal(session).await?;
        }
        Err(SessionError::Overtaken(session))
    }

    /// Reads what is new of a session that goes on, below `upto`. Returns whether that was there, or the session has
    /// trimmed its log meanwhile.
    async fn read_on(
        &mut self,
        session: SessionId,
        wal: Wal,
        upto: Slot,
    ) -> Result<bool, SessionError> {
        let Some(from) = self.follow(session, wal).await? else { return Ok(false) };
        if from < upto {
            let slots = self.journal.read(session, from, upto).await?;
            let Some(slots) = slots else { return Ok(false) };
            self.take_in(session, slots);
        }
        Ok(true)
    }

    /// Reads what is new of the checkpoints of a session that goes on. Returns from which slot on nothing is known;
    /// `None` if it has trimmed its log meanwhile.
    async fn follow(&mut self, session: SessionId, wal: Wal) -> Result<Option<Slot>, SessionError> {
        let chain = match self.linked(session, &wal).await {
            // A newer full one has taken its place.
            Err(SessionError::Store(StoreError::NotFound(_))) => return Ok(None),
            chain => chain?,
        };
        let begin = chain.covers_below.max(wal.trim);
        let known = self.read.remove(&session).filter(|logs| logs.wal.is_some());
        let (end, chunks) = known.map_or((begin, BTreeMap::new()), |it| (it.end, it.chunks));
        let end = end.max(begin);
        let mut logs = SessionLogs { end, chain, chunks, wal: Some(wal), stale: false };
        logs.forget_below(begin);
        self.read.insert(session, logs);
        Ok(Some(end))
    }

    /// Takes in slots that follow those that are known.
    fn take_in(&mut self, session: SessionId, slots: Vec<StoredSlot>) {
        self.noted.slots(slots.iter().map(|slot| slot.object));
        if let Some(logs) = self.read.get_mut(&session) {
            logs.extend(slots);
        }
    }

    /// The chain of a session that goes on.
    async fn linked(&mut self, session: SessionId, wal: &Wal) -> Result<Arc<Chain>, SessionError> {
        let Some(pointer) = &wal.checkpoint else { return Ok(Arc::new(Chain::empty())) };
        let Self { links, noted, store, .. } = self;
        let links = links.entry(session).or_default();
        links.follow(store, pointer, |checkpoint| noted.checkpoint(checkpoint)).await
    }

    async fn wal(&self, session: SessionId) -> Result<Wal, SessionError> {
        let wal = self.metadata.wal(session).await?;
        wal.map(|found| found.value).ok_or(SessionError::Unknown(session))
    }

    async fn chain(&self, wal: &Wal) -> Result<Arc<Chain>, SessionError> {
        let Some(pointer) = &wal.checkpoint else { return Ok(Arc::new(Chain::empty())) };
        let met = |checkpoint: &Checkpoint| self.noted.checkpoint(checkpoint);
        Links::default().follow(&self.store, pointer, met).await
    }
}

pub(crate) fn by_partition(
    slots: impl Iterator<Item = StoredSlot>,
) -> BTreeMap<TopicPartition, Vec<(Slot, Reference, Vec<BatchEntry>)>> {
    let mut chunks: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for slot in slots {
        for (chunk, batches) in slot.chunks {
            let reference = chunk.reference(slot.object, slot.origin);
            chunks.entry(chunk.partition).or_default().push((slot.slot, reference, batches));
        }
    }
    chunks
}

#[cfg(test)]
mod tests;
