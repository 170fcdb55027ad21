//! A write-ahead log in files that are appended to, in a file system that several nodes share: HDFS.
//!
//! ```text
//! wal/{session:020}/{file:010}.wal      files of the log, one after the other; the last is a fence
//! wal/{session:020}/fence.{random}      a fence in the making
//! forgotten/{session:020}               that nobody needs the session any more
//! ```
//!
//! Files begin with a header and hold frames, one a slot ([`super::frame`]), as in a log on a local disk. All
//! slots that wait are appended together, filled up by a mark to where a checksum of HDFS ends, and made durable by
//! one sync ([`writer`]). The next file is made while there is still room in the last ([`changeover`]). A file in which
//! anything fails is left as it is, and the next one's header says how much of its predecessors counts; so does each
//! header. To end a session, somebody recovers the lease of *every* file, waits until they are closed, reads
//! them and puts a fence in the next place ([`seal`]).
//!
//! Invariants:
//! - A file is made only behind one that is surely there: whoever seals goes upward, and its fence is in the first place
//!   that is free. One whose header is not whole counts for nothing.
//! - A writer that finds a fence in the place of its next file is over. So is one whose file was taken: it needs a next
//!   one. A fence is never deleted: a folder that is gone may be made again by whoever was slow, and then a writer that
//!   stood still could go on.
//! - Nor is the file before it, if that has no whole header: a writer that heard nothing of its making makes it again.
//! - Only closed files are read, so that what was read once is read always.
//! - What was answered lies below the `synced` of every later file's header.

mod changeover;
mod check;
mod fence;
mod files;
#[cfg(any(test, feature = "conformance"))]
pub mod memory;
mod seal;
#[cfg(test)]
mod tests;
mod trim;
mod writer;

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Mutex, time::timeout};
use uuid::Uuid;
use weir_ids::{SessionId, Slot};
use weir_runtime::Runtime;

pub use check::{CheckError, check_files};
pub use fence::{FENCE_MAGIC, Fence};
pub use files::{AppendFile, AppendStore, FileError, FileErrorKind};

use self::writer::{AppendWriter, Core};
use super::{Checkpointing, Error, Journal, Sealed, Slots, StoredSlot, Writer};
use crate::{
    ObjectName, Retry, RetrySettings,
    name::{FORGOTTEN, FORGOTTEN_PREFIX},
};

/// Settings of an [`AppendJournal`].
#[derive(Clone, Debug)]
pub struct AppendJournalSettings {
    /// After how many bytes the next file is begun.
    pub file_bytes: u64,
    /// How long an append with its sync may take before its file is left, in milliseconds.
    pub deadline_ms: u64,
    /// How long a file may take that is begun because the one before it failed, until its first bytes are durable,
    /// in milliseconds: there may be a node that hangs in its pipeline, too.
    pub trial_ms: u64,
    /// How often and how patiently files are asked for. (Slots are written until they are durable or the session is
    /// over.)
    pub retry: RetrySettings,
    /// How long to wait between two looks at a file that is being closed, in milliseconds …
    pub look_ms: u64,
    /// … and how long at most.
    pub closed_within_ms: u64,
}

impl Default for AppendJournalSettings {
    fn default() -> Self {
        Self {
            file_bytes: 64 << 20,
            deadline_ms: 2_000,
            trial_ms: 500,
            retry: RetrySettings::default(),
            look_ms: 100,
            closed_within_ms: 120_000,
        }
    }
}

/// The logs of all sessions in one file system. Clones share what they know.
#[derive(Clone)]
pub struct AppendJournal {
    files: Arc<dyn AppendStore>,
    cluster: Uuid,
    runtime: Runtime,
    retry: Retry,
    settings: AppendJournalSettings,
    /// The sessions that are written here.
    own: Arc<std::sync::Mutex<BTreeMap<SessionId, Arc<Mutex<Core>>>>>,
}

impl AppendJournal {
    /// Logs in `files`.
    pub fn new(
        files: Arc<dyn AppendStore>,
        cluster: Uuid,
        runtime: Runtime,
        settings: AppendJournalSettings,
    ) -> Self {
        let retry = Retry::new(runtime.clone(), settings.retry.clone());
        Self { files, cluster, runtime, retry, settings, own: Arc::default() }
    }

    /// Asks for something that changes nothing by being repeated, until it is answered or has failed too often.
    async fn again<T, F: Future<Output = Result<T, FileError>>>(
        &self,
        path: &str,
        request: impl Fn() -> F,
    ) -> Result<T, FileError> {
        let most = Duration::from_millis(self.settings.retry.attempt_timeout_ms);
        let mut failures = 0;
        loop {
            let late = || {
                FileError::new(FileErrorKind::Unclear, path, format!("no answer within {most:?}"))
            };
            let error = match timeout(most, request()).await.unwrap_or_else(|_| Err(late())) {
                Err(error) if error.kind == FileErrorKind::Unclear => error,
                answered => return answered,
            };
            failures += 1;
            if failures >= self.retry.attempts_max() {
                return Err(error);
            }
            tracing::debug!(%error, failures, "asking the file system again");
            self.retry.pause(failures).await;
        }
    }

    fn own(&self) -> MutexGuard<'_, BTreeMap<SessionId, Arc<Mutex<Core>>>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for AppendJournal {
    async fn open(&self, session: SessionId) -> Result<Box<dyn Writer>, Error> {
        let folder = folder(session);
        self.again(&folder, || self.files.create_folder(&folder)).await?;
        let core = Core::begin(self, session).await?;
        Ok(Box::new(AppendWriter::new(self, session, core)))
    }

    async fn seal(&self, session: SessionId, from: Slot) -> Result<Sealed, Error> {
        self.end(session, from).await
    }

    async fn read(
        &self,
        session: SessionId,
        from: Slot,
        below: Slot,
    ) -> Result<Option<Vec<StoredSlot>>, Error> {
        self.read_answered(session, from, below).await
    }

    fn look_ahead(&self, session: SessionId, from: Slot, below: Slot) -> Slots<'_> {
        self.read_ahead(session, from, below)
    }

    /// What is gathered is written by the nodes that the log waits for, once more on each of them. And whoever recovers
    /// reads whole files.
    fn checkpointing(&self) -> Checkpointing {
        Checkpointing { slots: 1_024, in_place_bytes: 64 << 10 }
    }

    async fn settle(&self, session: SessionId, below: Slot) -> Result<(), Error> {
        let core = self.own().get(&session).cloned();
        match core {
            Some(core) => self.close_below(&core, below).await,
            None => Ok(()),
        }
    }

    async fn trim(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        self.delete_below(session, below, keep).await
    }

    async fn covered(&self, session: SessionId, below: Slot) -> Result<Vec<ObjectName>, Error> {
        let covered = self.files_below(session, below).await?;
        Ok(covered.into_iter().map(|file| ObjectName::WalFile { session, file }).collect())
    }

    async fn forget(&self, session: SessionId) -> Result<(), Error> {
        self.make_sure_of_fence(session).await?;
        let stone = stone(session);
        self.again(FORGOTTEN_PREFIX, || self.files.create_folder(FORGOTTEN_PREFIX)).await?;
        match self.again(&stone, || self.files.create(&stone)).await {
            // It says all by its name.
            Ok(mut file) => Ok(self.within(&stone, file.close()).await?),
            Err(error) if error.kind == FileErrorKind::Exists => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn is_forgotten(&self, session: SessionId) -> Result<bool, Error> {
        let stone = stone(session);
        match self.again(&stone, || self.files.read(&stone, 0, 0)).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind == FileErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn sessions(&self) -> Result<Vec<SessionId>, Error> {
        let listed = self.again(WAL, || self.files.list(WAL)).await?;
        let ids = listed.iter().filter_map(|(name, _)| Some(SessionId(name.parse().ok()?)));
        Ok(ids.collect())
    }
}

/// HDFS keeps a checksum of so many bytes (`dfs.bytes-per-checksum`). Where a sync ends within them, the next append
/// begins with a packet of its own for the rest of them, and each DataNode reads back what it has of them.
pub(crate) const CHECKSUM_BYTES: u64 = 512;

/// The folder of all logs.
const WAL: &str = "wal";

/// The folder of a session's log.
fn folder(session: SessionId) -> String {
    format!("{WAL}/{:020}", session.0)
}

/// The file that says that a session is forgotten.
fn stone(session: SessionId) -> String {
    ObjectName::WalSlot { session, slot: FORGOTTEN }.to_string()
}

/// A file of a log.
fn path(session: SessionId, file: u32) -> String {
    ObjectName::WalFile { session, file }.to_string()
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        match error.kind {
            FileErrorKind::NoSpace => Self::NoSpace { path: error.path },
            _ => Self::Unavailable { what: error.to_string() },
        }
    }
}
