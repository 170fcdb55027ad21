//! Write-ahead logs.
//!
//! A broker session has one log for all its partitions. It is a row of *slots*, each the body of an
//! object ([`crate::object`]), numbered from 1 without gaps. A [`Writer`] adds slots; from the moment
//! that an append is answered, every later [`Journal::seal`] finds the slot. Sealing ends a session:
//! once it has answered, no slot of that session can become durable any more.
//!
//! Invariants, which [`conformance`] checks of every implementation:
//! - Answers come in the order of the slots; slot *n* is answered only when all up to *n* are durable.
//! - What a seal reports is a prefix of what was submitted and holds all that was answered.
//! - A second seal of the same session reports the same.

pub mod append;
pub mod file;
mod frame;
mod frames;
pub mod object;
mod submitted;

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

use async_trait::async_trait;
use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use weir_ids::{SessionId, Slot};
use weir_runtime::watch;

pub use append::{AppendJournal, AppendJournalSettings, CheckError, check_files};
pub use file::{FileJournal, FileJournalSettings};
pub use object::{ObjectJournal, ObjectJournalSettings};

use crate::ObjectName;

/// The logs of all sessions in one store.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Opens the log of a new session. Nothing of that session may exist.
    async fn open(&self, session: SessionId) -> Result<Box<dyn Writer>, Error>;

    /// Ends `session`: afterwards nothing more of it can become durable. Reports the slots from
    /// `from` on; below it, nothing is looked at. A session that never wrote is ended at slot 1.
    async fn seal(&self, session: SessionId, from: Slot) -> Result<Sealed, Error>;

    /// Reads the slots `from..below` of a session that may go on: each must have been answered and settled before.
    /// `None` if one of them is not there any more: it was trimmed meanwhile.
    async fn read(
        &self,
        session: SessionId,
        from: Slot,
        below: Slot,
    ) -> Result<Option<Vec<StoredSlot>>, Error>;

    /// Reads the slots from `from` on of a session that goes on, in order: those below `below` that are there and
    /// can be read now, perhaps none. [`Journal::read`] has less to read later.
    fn look_ahead(&self, _session: SessionId, _from: Slot, _below: Slot) -> Slots<'_> {
        stream::empty().boxed()
    }

    /// How checkpoints are best made of these logs.
    fn checkpointing(&self) -> Checkpointing {
        Checkpointing { slots: 65_536, in_place_bytes: 1 << 20 }
    }

    /// Makes the slots below `below`, which were answered to a writer of this journal, readable for others while the
    /// session goes on. Before that, only [`Journal::seal`] may find them.
    async fn settle(&self, _session: SessionId, _below: Slot) -> Result<(), Error> {
        Ok(())
    }

    /// The files that hold nothing but slots below `below`; `Slot(u64::MAX)` says that the session is sealed and
    /// nobody will read its slots any more. None, if each slot is an object.
    async fn covered(&self, _session: SessionId, _below: Slot) -> Result<Vec<ObjectName>, Error> {
        Ok(Vec::new())
    }

    /// Deletes what lies wholly below `below`, as [`Journal::covered`] takes it, except what `keep` names. Repeating
    /// it is harmless.
    async fn trim(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error>;

    /// Nobody needs `session` any more, and the metadata is about to forget it. A journal that leaves
    /// something of it behind for ever notes that here; one that does not has nothing to do.
    async fn forget(&self, _session: SessionId) -> Result<(), Error> {
        Ok(())
    }

    /// Whether the store says that `session` was forgotten. A log that leaves nothing behind then does not.
    ///
    /// # Errors
    /// [`Error`].
    async fn is_forgotten(&self, _session: SessionId) -> Result<bool, Error> {
        Ok(false)
    }

    /// The sessions whose logs were ever begun and, unless something stays for ever, still hold anything.
    async fn sessions(&self) -> Result<Vec<SessionId>, Error>;
}

/// The one writer of a session's log.
pub trait Writer: Send {
    /// Submits the body of the next slot, which is one above the last. The answer comes when it and
    /// all before it are durable. After an error nothing later succeeds, except after
    /// [`Error::NoSpace`], which the writer waits out by itself and never answers.
    fn append(
        &mut self,
        slot: Slot,
        body: crate::object::Body,
    ) -> BoxFuture<'static, Result<Written, Error>>;

    /// What keeps the log from taking writes at the moment, if anything does.
    fn trouble(&self) -> watch::Receiver<Option<String>>;
}

/// A slot that is durable.
#[derive(Clone, Debug)]
pub struct Written {
    /// Which.
    pub slot: Slot,
    /// The object or file that holds it.
    pub object: ObjectName,
    /// Where in it the slot's body begins.
    pub origin: u64,
    /// What it holds.
    pub chunks: Vec<crate::object::Chunk>,
}

/// The end of a session.
#[derive(Debug)]
pub struct Sealed {
    /// The first slot that does not exist and never will.
    pub end: Slot,
    /// The slots from the asked one on, in order.
    pub slots: Vec<StoredSlot>,
}

/// A slot as recovery reads it: indexes, no records.
#[derive(Clone, Debug)]
pub struct StoredSlot {
    /// Which.
    pub slot: Slot,
    /// The object or file that holds it.
    pub object: ObjectName,
    /// Where in it the slot's body begins.
    pub origin: u64,
    /// What it holds, with an entry a batch.
    pub chunks: Vec<(crate::object::Chunk, Vec<crate::object::BatchEntry>)>,
}

/// How checkpoints are best made of a log.
#[derive(Clone, Copy, Debug)]
pub struct Checkpointing {
    /// After so many slots at the latest: whoever recovers reads them.
    pub slots: usize,
    /// A run of one partition in one slot of at least this length is better left where it is than gathered with others,
    /// which is to write it once more and to read it in one piece later.
    pub in_place_bytes: u32,
}

/// Slots, as they are read.
pub type Slots<'a> = BoxStream<'a, Result<StoredSlot, Error>>;

/// What went wrong with a log. [`Error::advice`] says what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The session has been ended by somebody else: this writer may never write again.
    #[error("session {0} has been ended")]
    Fenced(SessionId),
    /// A log of this session exists already.
    #[error("a log of session {0} exists already")]
    Exists(SessionId),
    /// No room on the device.
    #[error("no space left for {path}")]
    NoSpace {
        /// The file that could not grow.
        path: String,
    },
    /// Stored bytes that were durable are not what was written.
    #[error("{path} is corrupt at byte {at}: {what}")]
    Corrupt {
        /// The file or object.
        path: String,
        /// Where in it.
        at: u64,
        /// What is wrong.
        what: String,
    },
    /// A newer Weir wrote it.
    #[error("{path} has format version {version}; this Weir understands 1: start a newer one")]
    NewerVersion {
        /// The file or object.
        path: String,
        /// Its version.
        version: u32,
    },
    /// The store replaces what is there when it is told to create: nothing can be fenced there.
    #[error(
        "{path} was created twice: this store ignores the condition of a create (If-None-Match), and no \
         log is safe in it; use one that honours it, or switch conditional writes on"
    )]
    Unconditional {
        /// The object.
        path: String,
    },
    /// The store does not answer, or not as it should.
    #[error("{what}")]
    Unavailable {
        /// What the store said, of what.
        what: String,
    },
    /// The device failed.
    #[error("{path}: {what}")]
    Io {
        /// The file or object.
        path: String,
        /// What the system said.
        what: String,
    },
}

/// What to do about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Advice {
    /// Try again: it may heal.
    Retry,
    /// Drop the session and open a new one.
    Reopen,
    /// Stop and tell a person.
    Stop,
}

impl Error {
    /// What to do about it.
    pub fn advice(&self) -> Advice {
        match self {
            Self::NoSpace { .. } | Self::Unavailable { .. } => Advice::Retry,
            Self::Fenced(_) | Self::Exists(_) => Advice::Reopen,
            Self::Corrupt { .. }
            | Self::NewerVersion { .. }
            | Self::Unconditional { .. }
            | Self::Io { .. } => Advice::Stop,
        }
    }

    pub(crate) fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        let path = path.display().to_string();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path }
            }
            _ => Self::Io { path, what: error.to_string() },
        }
    }
}
