//! Reading what an ended session left.

use std::{collections::BTreeMap, sync::Arc};

use weir_ids::{SessionId, Slot, TopicPartition};
use weir_meta::{
    Error as MetaError, Metadata, SealError, Sealing,
    model::{CheckpointPointer, Seal, Wal},
};
use weir_segment_store::{
    NameError, ObjectName, Reference, Store, StoreError,
    checkpoint::{self, Chain, ChainError, DecodeError},
    journal::{self, Journal, StoredSlot},
    object::BatchEntry,
};

use super::Census;

/// How often a checkpoint is read that does not read as it should: the transport may be to blame.
const READS_OF_ROT: u32 = 3;

/// What an ended session left.
#[derive(Debug)]
pub(crate) struct SessionLogs {
    /// Its end: nothing at or above this slot counts.
    pub(crate) end: Slot,
    /// Its checkpoints.
    pub(crate) chain: Chain,
    /// The chunks of the slots behind them, in order.
    pub(crate) chunks: BTreeMap<TopicPartition, Vec<(Slot, Reference, Vec<BatchEntry>)>>,
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

/// Reads ended sessions, each once.
pub(crate) struct Sessions {
    metadata: Metadata,
    store: Store,
    journal: Arc<dyn Journal>,
    /// Whether this process is known to be the only one, so that a session that nobody has ended is
    /// one that died.
    sole: bool,
    read: BTreeMap<SessionId, Arc<SessionLogs>>,
}

impl Sessions {
    pub(crate) fn new(
        metadata: Metadata,
        store: Store,
        journal: Arc<dyn Journal>,
        sole: bool,
    ) -> Self {
        Self { metadata, store, journal, sole, read: BTreeMap::new() }
    }

    /// What has been read.
    pub(crate) fn all(&self) -> &BTreeMap<SessionId, Arc<SessionLogs>> {
        &self.read
    }

    /// Forgets what has been read: recovery is over.
    pub(crate) fn forget(&mut self) {
        self.read.clear();
    }

    /// Reads every session that a partition needs, ended or not, and changes nothing.
    ///
    /// # Errors
    /// When any of them can't be read.
    pub(crate) async fn read_all(&mut self) -> Result<(), SessionError> {
        for session in Census::take(&self.metadata).await?.needed {
            self.read_log(session).await?;
        }
        Ok(())
    }

    /// Ends `session`, if nobody has and this broker may.
    ///
    /// # Errors
    /// When it may not, or its log can't be read.
    pub(crate) async fn end(&mut self, session: SessionId) -> Result<(), SessionError> {
        if self.wal(session).await?.sealed.is_some() {
            return Ok(());
        }
        if !self.sole {
            return Err(SessionError::NotSealed(session));
        }
        loop {
            let at = self.read_log(session).await?.end;
            match self.metadata.seal(session, Seal { at, detail: None }).await? {
                Sealing::Sealed(_) => return Ok(()),
                // Its owner has trimmed meanwhile: what was read is not all there any more.
                Sealing::BeginAgain { .. } => drop(self.read.remove(&session)),
            }
        }
    }

    /// Reads an ended session, if it has not been read.
    ///
    /// # Errors
    /// When any of it can't be read.
    pub(crate) async fn read(&mut self, session: SessionId) -> Result<(), SessionError> {
        if !self.read.contains_key(&session) && self.wal(session).await?.sealed.is_none() {
            return Err(SessionError::NotSealed(session));
        }
        self.read_log(session).await.map(drop)
    }

    async fn read_log(&mut self, session: SessionId) -> Result<Arc<SessionLogs>, SessionError> {
        if let Some(logs) = self.read.get(&session) {
            return Ok(Arc::clone(logs));
        }
        let wal = self.wal(session).await?;
        let chain = match &wal.checkpoint {
            Some(pointer) => self.chain(pointer).await?,
            None => Chain::empty(),
        };
        let from = chain.covers_below.max(wal.trim);
        let sealed = self.journal.seal(session, from).await?;
        let end = match &wal.sealed {
            Some(recorded) if sealed.end < recorded.at => {
                let (found, recorded) = (sealed.end, recorded.at);
                return Err(SessionError::Short { session, found, recorded });
            }
            Some(recorded) => recorded.at,
            None => sealed.end,
        };
        let slots = sealed.slots.into_iter().filter(|slot| slot.slot < end);
        let logs = Arc::new(SessionLogs { end, chain, chunks: by_partition(slots) });
        self.read.insert(session, Arc::clone(&logs));
        Ok(logs)
    }

    async fn wal(&self, session: SessionId) -> Result<Wal, SessionError> {
        let wal = self.metadata.wal(session).await?;
        wal.map(|found| found.value).ok_or(SessionError::Unknown(session))
    }

    async fn chain(&self, pointer: &CheckpointPointer) -> Result<Chain, SessionError> {
        let name = ObjectName::parse(&pointer.object)?;
        let newest = self.checkpoint(name).await?;
        let mut checkpoints = Vec::new();
        for number in Chain::predecessors(&newest)? {
            let name = ObjectName::Checkpoint { session: name.session(), number };
            checkpoints.push(self.checkpoint(name).await?);
        }
        checkpoints.push(newest);
        Ok(Chain::add_up(checkpoints)?)
    }

    async fn checkpoint(&self, name: ObjectName) -> Result<checkpoint::Checkpoint, SessionError> {
        let mut reads = 0;
        loop {
            let bytes = self.store.get(name).await?;
            reads += 1;
            match checkpoint::decode(&bytes) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) if reads >= READS_OF_ROT => {
                    return Err(SessionError::Checkpoint { name: name.to_string(), error });
                }
                Err(error) => tracing::warn!(%name, %error, "reading a checkpoint again"),
            }
        }
    }
}

fn by_partition(
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
