//! The embedded store's file: a header page and a redb database of three tables.
//!
//! ```text
//! metadata.db
//!   header page                see `header`
//!   redb tables
//!     store    name → number   "commits", "revision", "last_lease", "entries" (how many)
//!     leases   lease → time to live in milliseconds
//!     entries  key → create revision ‖ mod revision ‖ version ‖ lease (0: none) ‖ value
//!              (numbers: 8 bytes each, little end first)
//! ```
//!
//! A commit replaces exactly what its changes name, durably, all or nothing, and counts itself in
//! `commits`: after a failure, that number tells whether it landed. The file is made under another
//! name and renamed when complete, so a file under its own name is never half made.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use tokio::time::Instant;

use super::{
    backend::{Backend, Failure},
    device::Device,
    error::OpenError,
    header,
};
use crate::store::{
    Entry, LeaseId, Revision, StoreError,
    machine::{Change, Machine},
};

const FILE_NAME: &str = "metadata.db";
const UNFINISHED_NAME: &str = "metadata.db.new";

const STORE: TableDefinition<&str, u64> = TableDefinition::new("store");
const LEASES: TableDefinition<u64, u64> = TableDefinition::new("leases");
const ENTRIES: TableDefinition<&str, &[u8]> = TableDefinition::new("entries");

/// How much redb caches. Reads never reach it (the state machine answers them), so it only spares
/// a commit the upper pages of its trees.
const CACHE_BYTES: usize = 4 << 20;

/// The file, open and locked, and the database in it.
pub(super) struct Store {
    path: PathBuf,
    device: Arc<dyn Device>,
    /// `None` only after a failure from which there is no way back.
    open: Option<Open>,
    commits: u64,
}

struct Open {
    database: Database,
    backend: Backend,
}

/// What the file holds.
struct Contents {
    machine: Machine,
    commits: u64,
}

/// Why a commit failed.
pub(super) enum CommitError {
    /// It did not land; there was no room.
    Full(StoreError),
    /// The file can't be trusted any more.
    Broken(StoreError),
}

/// Opens the metadata in `dir`, or makes it. The file is locked until the device is dropped.
pub(super) fn open(dir: &Path, now: Instant) -> Result<(Store, Machine), OpenError> {
    let path = dir.join(FILE_NAME);
    let device = match open_locked(&path, false)? {
        Some(file) => Arc::new(file),
        None => make(dir)?,
    };
    open_device(path, device, now)
}

/// As [`open`], for a device that holds a complete file.
pub(super) fn open_device(
    path: PathBuf,
    device: Arc<dyn Device>,
    now: Instant,
) -> Result<(Store, Machine), OpenError> {
    let (open, contents) = verify(&path, &device, now)?;
    open.backend.release().map_err(|error| OpenError::from_io(&path, error))?;
    let store = Store { path, device, open: Some(open), commits: contents.commits };
    Ok((store, contents.machine))
}

/// Makes a new file in `dir`: complete, locked, under its own name.
fn make(dir: &Path) -> Result<Arc<dyn Device>, OpenError> {
    let (unfinished, path) = (dir.join(UNFINISHED_NAME), dir.join(FILE_NAME));
    std::fs::create_dir_all(dir).map_err(|error| OpenError::from_io(dir, error))?;
    let made = open_locked(&unfinished, true)?;
    let file =
        made.ok_or_else(|| OpenError::from_io(&unfinished, io::ErrorKind::NotFound.into()))?;
    if path.exists() {
        // Somebody else finished it since we looked.
        return Err(OpenError::InUse { path });
    }
    let device: Arc<dyn Device> = Arc::new(file);
    format(&device).and_then(|()| finish(dir, &unfinished, &path)).map_err(|error| {
        // It is ours alone, and half made: nobody misses it.
        drop(std::fs::remove_file(&unfinished));
        OpenError::from_io(&path, error)
    })?;
    Ok(device)
}

/// Fills a device with a header and an empty database.
pub(super) fn format(device: &Arc<dyn Device>) -> io::Result<()> {
    device.set_len(0)?;
    device.write_at(0, &header::page())?;
    let backend = Backend::holding(Arc::clone(device))?;
    let database = builder().create_with_backend(backend.clone()).map_err(io::Error::other)?;
    let made = (|| -> Result<(), redb::Error> {
        let write = database.begin_write()?;
        {
            write.open_table(LEASES)?;
            write.open_table(ENTRIES)?;
            let mut store = write.open_table(STORE)?;
            for name in ["commits", "revision", "last_lease", "entries"] {
                store.insert(name, 0)?;
            }
        }
        write.commit()?;
        Ok(())
    })();
    made.map_err(io::Error::other)?;
    drop(database);
    backend.release()
}

fn finish(dir: &Path, unfinished: &Path, path: &Path) -> io::Result<()> {
    std::fs::rename(unfinished, path)?;
    File::open(dir)?.sync_all()
}

/// Opens and locks a file; `None` if it is not there and is not to be made.
fn open_locked(path: &Path, make: bool) -> Result<Option<File>, OpenError> {
    let opened = OpenOptions::new().read(true).write(true).create(make).truncate(false).open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !make => return Ok(None),
        Err(error) => return Err(OpenError::from_io(path, error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(OpenError::from_io(path, error)),
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Opens the database on a holding backend and reads it whole. The file is not touched.
fn verify(
    path: &Path,
    device: &Arc<dyn Device>,
    now: Instant,
) -> Result<(Open, Contents), OpenError> {
    let corrupt = |reason: String| OpenError::Corrupt { path: path.to_owned(), reason };
    check_header(path, &**device)?;
    let backend =
        Backend::holding(Arc::clone(device)).map_err(|error| OpenError::from_io(path, error))?;
    // redb trusts some of what it reads before it has checked it, and panics when that is nonsense.
    let read = catch_unwind(AssertUnwindSafe(|| {
        let mut database = builder().create_with_backend(backend.clone())?;
        if !database.check_integrity()? {
            return Err(ReadError::Damaged("its checksums don't match".to_owned()));
        }
        let contents = contents(&database, now)?;
        Ok((database, contents))
    }));
    match read {
        Ok(Ok((database, contents))) => Ok((Open { database, backend }, contents)),
        Ok(Err(ReadError::Io(error))) => Err(OpenError::from_io(path, error)),
        Ok(Err(ReadError::Damaged(reason))) => Err(corrupt(reason)),
        Err(_panic) => Err(corrupt("its pages make no sense".to_owned())),
    }
}

fn check_header(path: &Path, device: &dyn Device) -> Result<(), OpenError> {
    let corrupt =
        |reason: &str| OpenError::Corrupt { path: path.to_owned(), reason: reason.to_owned() };
    let io = |error| OpenError::from_io(path, error);
    if device.len().map_err(io)? < header::BYTES {
        return Err(corrupt("it ends within its header"));
    }
    let mut page = vec![0; header::BYTES as usize];
    device.read_at(0, &mut page).map_err(io)?;
    match header::parse(&page) {
        Ok(header::FORMAT) => Ok(()),
        Ok(found) if found > header::FORMAT => {
            Err(OpenError::NewerFormat { path: path.to_owned(), found, known: header::FORMAT })
        }
        Ok(_) => Err(corrupt("its header names a format that never was")),
        Err(reason) => Err(corrupt(reason)),
    }
}

enum ReadError {
    Io(io::Error),
    Damaged(String),
}

impl<E: Into<redb::Error>> From<E> for ReadError {
    fn from(error: E) -> Self {
        match error.into() {
            // What the system did not say, redb did: bytes that are not there, a wrong magic number.
            redb::Error::Io(error) if error.raw_os_error().is_some() => ReadError::Io(error),
            other => ReadError::Damaged(other.to_string()),
        }
    }
}

/// Reads the whole database into a state machine, checking what can be checked.
fn contents(database: &Database, now: Instant) -> Result<Contents, ReadError> {
    let damaged = |what: &str| ReadError::Damaged(what.to_owned());
    let read = database.begin_read()?;
    let store = read.open_table(STORE)?;
    let number = |name: &str| -> Result<u64, ReadError> {
        let found = store.get(name)?;
        found.map(|number| number.value()).ok_or_else(|| damaged(&format!("it lacks {name}")))
    };
    let revision = Revision(number("revision")?);
    let mut machine = Machine::resume(revision, number("last_lease")?);
    for row in read.open_table(LEASES)?.iter()? {
        let (lease, ttl) = row?;
        machine.restore_lease(LeaseId(lease.value()), Duration::from_millis(ttl.value()), now);
    }
    let entries = read.open_table(ENTRIES)?;
    if entries.len()? != number("entries")? {
        return Err(damaged("it does not hold as many keys as it should"));
    }
    for row in entries.iter()? {
        let (key, row) = row?;
        let entry = decode(key.value(), row.value())
            .filter(|entry| entry.mod_revision <= revision)
            .ok_or_else(|| damaged(&format!("the entry {} makes no sense", key.value())))?;
        machine.restore_entry(entry).map_err(|error| damaged(&error.to_string()))?;
    }
    Ok(Contents { machine, commits: number("commits")? })
}

const NUMBERS_BYTES: usize = 32;

fn encode(entry: &Entry) -> Vec<u8> {
    let lease = entry.lease.map_or(0, |lease| lease.0);
    let numbers = [entry.create_revision.0, entry.mod_revision.0, entry.version, lease];
    let mut row = Vec::with_capacity(NUMBERS_BYTES + entry.value.len());
    for number in numbers {
        row.extend_from_slice(&number.to_le_bytes());
    }
    row.extend_from_slice(&entry.value);
    row
}

fn decode(key: &str, row: &[u8]) -> Option<Entry> {
    let (numbers, value) = row.split_at_checked(NUMBERS_BYTES)?;
    let number = |at: usize| -> Option<u64> {
        Some(u64::from_le_bytes(numbers[at * 8..at * 8 + 8].try_into().ok()?))
    };
    Some(Entry {
        key: key.into(),
        value: Bytes::copy_from_slice(value),
        create_revision: Revision(number(0)?),
        mod_revision: Revision(number(1)?),
        version: number(2)?,
        lease: Some(LeaseId(number(3)?)).filter(|lease| lease.0 != 0),
    })
}

impl Store {
    /// Makes `changes` durable, which lead to `machine`. When it fails, the store is as before.
    pub(super) fn commit(
        &mut self,
        machine: &Machine,
        changes: &[Change],
    ) -> Result<(), CommitError> {
        let Some(open) = &self.open else { return Err(self.broken("an earlier failure")) };
        if let Err(error) = open.backend.release() {
            return Err(match open.backend.take_failure() {
                Failure::Full => self.full(),
                _ => self.broken(error),
            });
        }
        match write(&open.database, machine, changes, self.commits + 1) {
            Ok(()) => {
                self.commits += 1;
                Ok(())
            }
            Err(error) => self.after_failure(&error),
        }
    }

    /// Opens the file again after a failed commit, and sees whether it landed all the same.
    fn after_failure(&mut self, error: &redb::Error) -> Result<(), CommitError> {
        let failure = self.open.take().map(|open| {
            let failure = open.backend.take_failure();
            drop(open.database);
            // Closing the database writes too.
            failure.max(open.backend.take_failure())
        });
        if failure != Some(Failure::Full) {
            return Err(self.broken(error));
        }
        match verify(&self.path, &self.device, Instant::now()) {
            Ok((open, contents)) if contents.commits <= self.commits + 1 => {
                self.open = Some(open);
                let landed = contents.commits > self.commits;
                self.commits = contents.commits;
                if landed { Ok(()) } else { Err(self.full()) }
            }
            Ok(_) => Err(self.broken("it holds commits that were never made")),
            Err(error) => Err(self.broken(error)),
        }
    }

    fn full(&self) -> CommitError {
        CommitError::Full(StoreError::Full { place: self.path.display().to_string() })
    }

    fn broken(&self, reason: impl ToString) -> CommitError {
        CommitError::Broken(StoreError::Broken {
            place: self.path.display().to_string(),
            reason: reason.to_string(),
        })
    }
}

/// One durable transaction.
fn write(
    database: &Database,
    machine: &Machine,
    changes: &[Change],
    commit: u64,
) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut store = write.open_table(STORE)?;
        let mut entries = write.open_table(ENTRIES)?;
        let mut leases = write.open_table(LEASES)?;
        for change in changes {
            match change {
                Change::Put { entry, .. } => {
                    entries.insert(entry.key.as_str(), encode(entry).as_slice())?;
                }
                Change::Delete { before, .. } => {
                    entries.remove(before.key.as_str())?;
                }
                Change::LeaseGranted { lease, ttl } => {
                    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                    leases.insert(lease.0, ttl_ms)?;
                }
                Change::LeaseEnded { lease } => {
                    leases.remove(lease.0)?;
                }
            }
        }
        store.insert("commits", commit)?;
        store.insert("revision", machine.revision().0)?;
        store.insert("last_lease", machine.last_lease())?;
        store.insert("entries", entries.len()?)?;
    }
    write.commit()?;
    Ok(())
}
