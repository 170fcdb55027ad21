//! A file system in memory that keeps leases as HDFS does, for tests and simulations.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{AppendFile, AppendStore, FileError, FileErrorKind};

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileRequest {
    /// [`AppendStore::create`]
    Create,
    /// [`AppendStore::rename`]
    Rename,
    /// [`AppendStore::recover`]
    Recover,
    /// Anything that changes nothing, or nothing that counts.
    Other,
    /// [`AppendFile::append`]
    Append,
    /// [`AppendFile::sync`]
    Sync,
    /// [`AppendFile::close`]
    Close,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFate {
    /// It is done.
    Done,
    /// It fails and nothing is done.
    FailedBefore,
    /// It is done, and the answer is lost.
    FailedAfter,
    /// Nobody ever answers, and nothing is done.
    Hangs,
    /// There is no room.
    NoSpace,
}

/// Decides what becomes of requests.
pub trait FileFaults: Send + Sync {
    /// What becomes of this one.
    fn fate(&self, request: FileRequest, path: &str) -> FileFate;
}

impl<F: Fn(FileRequest, &str) -> FileFate + Send + Sync> FileFaults for F {
    fn fate(&self, request: FileRequest, path: &str) -> FileFate {
        self(request, path)
    }
}

/// See the module. Clones show the same files.
#[derive(Clone)]
pub struct MemoryFiles {
    state: Arc<Mutex<State>>,
    faults: Arc<dyn FileFaults>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    folders: BTreeSet<String>,
    leases: u64,
}

#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    synced: usize,
    /// Who may append; none when it is closed or being closed.
    lease: Option<u64>,
    /// How often its closing will yet be asked for; zero when it is closed.
    closing: u32,
    is_open: bool,
}

/// How often closing a file is asked for before it is closed.
const CLOSING: u32 = 2;

impl MemoryFiles {
    /// An empty one that does what it is asked.
    pub fn new() -> Self {
        Self::with(|_: FileRequest, _: &str| FileFate::Done)
    }

    /// An empty one with faults.
    pub fn with(faults: impl FileFaults + 'static) -> Self {
        Self { state: Arc::default(), faults: Arc::new(faults) }
    }

    /// The same files, and all that is asked of them is done.
    #[must_use]
    pub fn faultless(&self) -> Self {
        Self { state: Arc::clone(&self.state), ..Self::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn request<T>(
        &self,
        request: FileRequest,
        path: &str,
        work: impl FnOnce(&mut State) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let failed = || Err(FileError::new(FileErrorKind::Unclear, path, "a fault"));
        match self.faults.fate(request, path) {
            FileFate::Done => work(&mut self.state()),
            FileFate::FailedBefore => failed(),
            FileFate::FailedAfter => work(&mut self.state()).and_then(|_| failed()),
            FileFate::Hangs => std::future::pending().await,
            FileFate::NoSpace => Err(error(FileErrorKind::NoSpace, path)),
        }
    }
}

impl Default for MemoryFiles {
    fn default() -> Self {
        Self::new()
    }
}

fn error(kind: FileErrorKind, path: &str) -> FileError {
    FileError::new(kind, path, format!("{kind:?}"))
}

impl State {
    fn file(&mut self, path: &str) -> Result<&mut File, FileError> {
        self.files.get_mut(path).ok_or_else(|| error(FileErrorKind::NotFound, path))
    }

    fn leased(&mut self, path: &str, lease: u64) -> Result<&mut File, FileError> {
        let file = self.file(path)?;
        match file.lease {
            Some(holder) if holder == lease => Ok(file),
            _ => Err(error(FileErrorKind::Taken, path)),
        }
    }

    fn folder_of(&self, path: &str) -> Result<(), FileError> {
        match path.rsplit_once('/') {
            Some((folder, _)) if !self.folders.contains(folder) => {
                Err(error(FileErrorKind::NotFound, path))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl AppendStore for MemoryFiles {
    async fn create(&self, path: &str) -> Result<Box<dyn AppendFile>, FileError> {
        let lease = self.request(FileRequest::Create, path, |state| {
            state.folder_of(path)?;
            if state.files.contains_key(path) {
                return Err(error(FileErrorKind::Exists, path));
            }
            state.leases += 1;
            let lease = state.leases;
            let file = File { lease: Some(lease), is_open: true, ..File::default() };
            state.files.insert(path.to_owned(), file);
            Ok(lease)
        });
        let lease = lease.await?;
        Ok(Box::new(MemoryFile { files: self.clone(), path: path.to_owned(), lease }))
    }

    async fn create_folder(&self, path: &str) -> Result<(), FileError> {
        let create = |state: &mut State| {
            let parts: Vec<&str> = path.split('/').collect();
            state.folders.extend((1..=parts.len()).map(|count| parts[..count].join("/")));
            Ok(())
        };
        self.request(FileRequest::Other, path, create).await
    }

    async fn recover(&self, path: &str) -> Result<bool, FileError> {
        let recover = |state: &mut State| {
            let file = state.file(path)?;
            if file.lease.take().is_some() {
                file.closing = CLOSING;
            }
            file.closing = file.closing.saturating_sub(1);
            if file.closing == 0 && file.is_open {
                // What was not synced may be there or not; here every second byte of it is.
                let unsynced = file.bytes.len() - file.synced;
                file.bytes.truncate(file.synced + unsynced / 2);
                file.is_open = false;
            }
            Ok(!file.is_open)
        };
        self.request(FileRequest::Recover, path, recover).await
    }

    async fn read(&self, path: &str, from: u64, most: u64) -> Result<Bytes, FileError> {
        let read = |state: &mut State| {
            let file = state.file(path)?;
            let seen = if file.is_open { &[][..] } else { &file.bytes };
            let from = (from as usize).min(seen.len());
            let len = (most.min(usize::MAX as u64) as usize).min(seen.len() - from);
            Ok(Bytes::copy_from_slice(&seen[from..from + len]))
        };
        self.request(FileRequest::Other, path, read).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let rename = |state: &mut State| {
            state.folder_of(to)?;
            if state.files.contains_key(to) {
                return Err(error(FileErrorKind::Exists, to));
            }
            let file =
                state.files.remove(from).ok_or_else(|| error(FileErrorKind::NotFound, from))?;
            state.files.insert(to.to_owned(), file);
            Ok(())
        };
        self.request(FileRequest::Rename, to, rename).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, FileError> {
        let list = |state: &mut State| {
            let below = format!("{folder}/");
            let files = state.files.iter().map(|(path, file)| {
                (path.as_str(), if file.is_open { 0 } else { file.bytes.len() as u64 })
            });
            let folders = state.folders.iter().map(|path| (path.as_str(), 0));
            let entries = files.chain(folders).filter_map(|(path, bytes)| {
                let name = path.strip_prefix(&below)?;
                (!name.contains('/')).then(|| (name.to_owned(), bytes))
            });
            let mut entries: Vec<_> = entries.collect();
            entries.sort_unstable();
            Ok(entries)
        };
        self.request(FileRequest::Other, folder, list).await
    }

    async fn delete(&self, path: &str) -> Result<(), FileError> {
        let delete = |state: &mut State| {
            let below = format!("{path}/");
            let stays = |other: &String| other != path && !other.starts_with(&below);
            state.files.retain(|other, _| stays(other));
            state.folders.retain(stays);
            Ok(())
        };
        self.request(FileRequest::Other, path, delete).await
    }
}

struct MemoryFile {
    files: MemoryFiles,
    path: String,
    lease: u64,
}

#[async_trait]
impl AppendFile for MemoryFile {
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), FileError> {
        let append = |state: &mut State| {
            let file = state.leased(&self.path, self.lease)?;
            pieces.iter().for_each(|piece| file.bytes.extend_from_slice(piece));
            Ok(())
        };
        self.files.request(FileRequest::Append, &self.path, append).await
    }

    async fn sync(&mut self) -> Result<(), FileError> {
        let sync = |state: &mut State| {
            let file = state.leased(&self.path, self.lease)?;
            file.synced = file.bytes.len();
            Ok(())
        };
        self.files.request(FileRequest::Sync, &self.path, sync).await
    }

    async fn close(&mut self) -> Result<(), FileError> {
        let close = |state: &mut State| {
            let file = state.leased(&self.path, self.lease)?;
            (file.lease, file.is_open, file.synced) = (None, false, file.bytes.len());
            Ok(())
        };
        self.files.request(FileRequest::Close, &self.path, close).await
    }
}
