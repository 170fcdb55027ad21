//! Printing a stored file for a person, and checking every byte of it on the way.
//!
//! The first eight bytes of a file say what it is: a file of a write-ahead log ([`wal`]), an object
//! ([`object`]) or a checkpoint ([`checkpoint`]). What is good is printed; at the first bad byte the
//! printing ends with an error that names it. Checksums cover pieces, so the byte that is named is
//! the first of the smallest piece that fails.
//!
//! Invariants: a file is only read, never locked or changed, so that one may look at the files of a
//! running server; no bytes whatever make this panic; memory is that of the file and the indexes of
//! one slot or object.

mod checkpoint;
mod object;
mod page;
mod pages;
mod utc;
mod wal;

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use weir_segment_store::{
    checkpoint as checkpoints, journal::file as journal_file, object as objects,
};

use page::{Page, Stop};

/// Why a file is not printed to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    #[error("{} can't be read: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error(
        "{} begins at byte 0 with {found}, which weir does not know; it can inspect files of a \
         write-ahead log (WEIRWAL1), objects (WEIROBJ1) and checkpoints (WEIRCKP1)",
        path.display()
    )]
    Unknown { path: PathBuf, found: String },
    #[error("{} is corrupt at byte {at}: {what}", path.display())]
    Corrupt { path: PathBuf, at: u64, what: String },
    #[error(
        "{} has format version {version} at byte {at}, which this weir does not understand: use a newer one",
        path.display()
    )]
    NewerVersion { path: PathBuf, at: u64, version: u32 },
    #[error("can't print: {0}")]
    Output(io::Error),
}

/// Prints the file at `path`, with a line for each record batch too if `batches` is set.
///
/// # Errors
/// When the file can't be read, is none of Weir's, or has a bad byte. What comes before that byte has
/// been printed then. A reader of the output that has seen enough is no error.
pub(crate) fn inspect(path: &Path, batches: bool, out: &mut dyn Write) -> Result<(), InspectError> {
    print(path, &read(path)?, batches, out)
}

/// Prints `bytes`, which are the file at `path`; errors as those of [`inspect`].
pub(crate) fn print(
    path: &Path,
    bytes: &Bytes,
    batches: bool,
    out: &mut dyn Write,
) -> Result<(), InspectError> {
    let mut page = Page::new(out, batches);
    let printed = match kind(bytes) {
        Some(Kind::WalFile) => wal::print(&mut page, path, bytes),
        Some(Kind::Object) => object::print(&mut page, bytes),
        Some(Kind::Checkpoint) => checkpoint::print(&mut page, bytes),
        None if wal::in_the_making(path, bytes) => wal::print_in_the_making(&mut page, bytes),
        None => return Err(InspectError::Unknown { path: path.to_owned(), found: head(bytes) }),
    };
    let printed = page.finish(printed);
    let path = path.to_owned();
    printed.or_else(|stop| match stop {
        Stop::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Stop::Output(error) => Err(InspectError::Output(error)),
        Stop::Bad { at, what } => Err(InspectError::Corrupt { path, at, what }),
        Stop::Newer { at, version } => Err(InspectError::NewerVersion { path, at, version }),
    })
}

enum Kind {
    WalFile,
    Object,
    Checkpoint,
}

/// How many bytes tell one kind from another; and a zeroed header of a file of a log.
const HEAD_BYTES: usize = journal_file::FILE_HEADER_BYTES;

fn kind(bytes: &[u8]) -> Option<Kind> {
    match *bytes.first_chunk::<8>()? {
        journal_file::FILE_MAGIC => Some(Kind::WalFile),
        objects::HEADER_MAGIC => Some(Kind::Object),
        checkpoints::MAGIC => Some(Kind::Checkpoint),
        _ => None,
    }
}

/// The whole file if it is one of Weir's, otherwise no more of it than shows that.
fn read(path: &Path) -> Result<Bytes, InspectError> {
    let read = || -> io::Result<Vec<u8>> {
        let file = File::open(path)?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES);
        (&file).take(HEAD_BYTES as u64).read_to_end(&mut bytes)?;
        if kind(&bytes).is_some() || wal::in_the_making(path, &bytes) {
            let len = usize::try_from(file.metadata()?.len()).unwrap_or(0);
            bytes.reserve_exact(len.saturating_sub(bytes.len()));
            (&file).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    };
    let unreadable = |error| InspectError::Unreadable { path: path.to_owned(), error };
    read().map(Bytes::from).map_err(unreadable)
}

/// The first bytes as a person can read them.
fn head(bytes: &[u8]) -> String {
    match &bytes[..bytes.len().min(8)] {
        [] => "nothing: it is empty".to_owned(),
        head => format!("`{}`", head.escape_ascii()),
    }
}

#[cfg(test)]
mod tests;
