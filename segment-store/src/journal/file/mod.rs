//! A write-ahead log on a local disk.
//!
//! ```text
//! wal/{session:020}/{file:010}.wal
//! ┌──────────────────┬───────┬───────┬─────┬──────────────────────────┐
//! │ file header, 128 │ frame │ frame │ ... │ zeros, preallocated      │
//! └──────────────────┴───────┴───────┴─────┴──────────────────────────┘
//! ```
//!
//! A frame ([`super::frame`]) holds the body of one slot. Files are preallocated, so that space runs out
//! when a file is made and not in the middle of a slot; a file that can't be made is tried again
//! until it can ([`writer`]). Slots that arrive while the disk is busy share the next `fdatasync`.
//!
//! Each frame names the highest position that was synced when it was written. That is how a reader
//! ([`scan`]) tells a torn tail (cut: it was never answered) from rot (a bad frame below a synced
//! position: the start is refused). One process at a time uses the directory; its lock is the
//! fence, so that sealing is nothing but finding the end.

mod scan;
mod writer;

use std::{
    io,
    path::{Path, PathBuf},
};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;
use weir_ids::{SessionId, Slot};
use weir_runtime::{Runtime, blocking};

pub use super::{
    frame::{
        FILE_HEADER_BYTES, FILE_MAGIC, FileHeader, FileHeaderError, FrameHeader, FrameKind,
        Identity, Position,
    },
    frames::{Frames, ScanError, scan_file},
};

use super::{Error, Journal, Sealed, Slots, StoredSlot, Writer};
use crate::ObjectName;

/// Settings of a [`FileJournal`].
#[derive(Clone, Debug)]
pub struct FileJournalSettings {
    /// How large a file is made. A larger slot gets a file of its own.
    pub file_bytes: u64,
    /// How long the writer must have been idle before it notes on disk how far it has synced.
    pub idle_mark_ms: u64,
    /// How long to wait before a failed preallocation is tried again.
    pub no_space_retry_ms: u64,
}

impl Default for FileJournalSettings {
    fn default() -> Self {
        Self { file_bytes: 64 << 20, idle_mark_ms: 20, no_space_retry_ms: 250 }
    }
}

/// The logs of all sessions below one directory.
pub struct FileJournal {
    root: PathBuf,
    cluster: Uuid,
    runtime: Runtime,
    settings: FileJournalSettings,
}

impl FileJournal {
    /// Logs below `root/wal`. The caller holds the lock of `root`.
    pub fn new(
        root: &Path,
        cluster: Uuid,
        runtime: Runtime,
        settings: FileJournalSettings,
    ) -> Self {
        Self { root: root.to_owned(), cluster, runtime, settings }
    }

    fn directory(&self, session: SessionId) -> PathBuf {
        self.root.join("wal").join(format!("{:020}", session.0))
    }
}

#[async_trait]
impl Journal for FileJournal {
    async fn open(&self, session: SessionId) -> Result<Box<dyn Writer>, Error> {
        let directory = self.directory(session);
        let identity =
            Identity { cluster: self.cluster, session, nonce: self.runtime.random_u64() };
        let settings = self.settings.clone();
        blocking(move || writer::open(directory, identity, settings)).await
    }

    async fn seal(&self, session: SessionId, from: Slot) -> Result<Sealed, Error> {
        let (directory, cluster) = (self.directory(session), self.cluster);
        blocking(move || scan::seal(&directory, cluster, session, from)).await
    }

    async fn read(
        &self,
        session: SessionId,
        from: Slot,
        below: Slot,
    ) -> Result<Option<Vec<StoredSlot>>, Error> {
        let mut slots = self.seal(session, from).await?.slots;
        slots.retain(|slot| slot.slot < below);
        let whole = slots.iter().map(|slot| slot.slot.0).eq(from.0..below.0);
        Ok(whole.then_some(slots))
    }

    fn look_ahead(&self, session: SessionId, from: Slot, below: Slot) -> Slots<'_> {
        let read = async move {
            let slots = self.seal(session, from).await?.slots.into_iter();
            Ok::<_, Error>(stream::iter(slots.filter(move |slot| slot.slot < below).map(Ok)))
        };
        stream::once(read).try_flatten().boxed()
    }

    async fn trim(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        let directory = self.directory(session);
        let listed = directory.clone();
        let files = blocking(move || scan::first_slots(&listed)).await?;
        let over = below == Slot(u64::MAX);
        let ends = files.iter().skip(1).map(|(_, first)| *first).chain([Slot(u64::MAX)]);
        let (mut doomed, mut kept) = (Vec::new(), Vec::new());
        for ((file, _), end) in files.iter().zip(ends) {
            // The last file of a session that goes on is the one that is written.
            let covered = end <= below && (over || end != Slot(u64::MAX));
            let path = file_path(&directory, *file);
            if covered && !keep(&ObjectName::WalFile { session, file: *file }) {
                doomed.push(path);
            } else if over {
                kept.push(path);
            }
        }
        let whole = over && kept.is_empty();
        blocking(move || {
            kept.iter().try_for_each(|path| scan::give_back(path))?;
            remove(&directory, doomed, whole)
        })
        .await
    }

    async fn sessions(&self) -> Result<Vec<SessionId>, Error> {
        let wal = self.root.join("wal");
        blocking(move || list_sessions(&wal)).await
    }
}

fn file_path(directory: &Path, file: u32) -> PathBuf {
    directory.join(format!("{file:010}.wal"))
}

fn remove(directory: &Path, files: Vec<PathBuf>, whole: bool) -> Result<(), Error> {
    for file in files {
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(&file, &error));
            }
            _ => {}
        }
    }
    if whole {
        match std::fs::remove_dir(directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io(directory, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn list_sessions(wal: &Path) -> Result<Vec<SessionId>, Error> {
    let entries = match std::fs::read_dir(wal) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|error| Error::io(wal, &error))?,
    };
    let mut sessions = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::io(wal, &error))?;
        if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            sessions.push(SessionId(id));
        }
    }
    sessions.sort_unstable();
    Ok(sessions)
}

/// Makes a directory's entries durable.
fn sync_directory(directory: &Path) -> Result<(), Error> {
    std::fs::File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::io(directory, &error))
}

#[cfg(test)]
mod tests;
