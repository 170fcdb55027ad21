//! What an append journal asks of a file system.
//!
//! As HDFS does it: a file has one writer, who holds its lease and appends; what is synced is on every node of
//! the pipeline. Whoever recovers a lease takes the file from its writer, whose appends fail from then on, and
//! the file is closed some time later. Others see what is in a file for certain only when it is closed.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use super::CheckError;

/// A file system. Paths are relative to the root of the cluster's data, with `/` between their parts.
#[async_trait]
pub trait AppendStore: Send + Sync + 'static {
    /// Makes a file that was not there, open for this writer alone. Its folder must be there.
    async fn create(&self, path: &str) -> Result<Box<dyn AppendFile>, FileError>;

    /// Makes a folder and those above it; one that is there is fine.
    async fn create_folder(&self, path: &str) -> Result<(), FileError>;

    /// Takes a file from its writer: once this is answered, nothing more of theirs can be synced. True when it is
    /// closed; until then ask again. A closed file stays as it is.
    async fn recover(&self, path: &str) -> Result<bool, FileError>;

    /// What can be seen of a file, from `from` on and up to `most` bytes: all of it if it is closed, otherwise less
    /// or nothing.
    async fn read(&self, path: &str, from: u64, most: u64) -> Result<Bytes, FileError>;

    /// Gives a file another name, unless one has it.
    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError>;

    /// What is in a folder, by name and in order, with the bytes that can be seen; nothing if it is not there.
    async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, FileError>;

    /// Deletes a file, or a folder with all that is in it; one that is not there is fine.
    async fn delete(&self, path: &str) -> Result<(), FileError>;

    /// Makes, writes, syncs and deletes a file, and clears away what nobody works on any more.
    ///
    /// # Errors
    /// With words for an operator.
    async fn check(&self) -> Result<(), CheckError> {
        Ok(())
    }
}

/// A file that is open for its one writer.
#[async_trait]
pub trait AppendFile: Send + Sync {
    /// Appends these pieces.
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), FileError>;

    /// Makes all that was appended durable. After an error nobody knows what is.
    async fn sync(&mut self) -> Result<(), FileError>;

    /// Closes the file, so that others can read it.
    async fn close(&mut self) -> Result<(), FileError>;
}

/// What went wrong, with which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// What kind of failure it is.
    pub kind: FileErrorKind,
    /// Which file or folder.
    pub path: String,
    /// What the file system said.
    pub what: String,
}

/// The failures that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileErrorKind {
    /// There is something of that name already.
    Exists,
    /// There is no such file, or not the folder that it is to be in.
    NotFound,
    /// Somebody else has taken the file from its writer.
    Taken,
    /// No room, or none that is granted.
    NoSpace,
    /// Anything else; it may heal, and whether it was done is not known.
    Unclear,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

impl std::error::Error for FileError {}

impl FileError {
    /// An error about a file.
    pub fn new(kind: FileErrorKind, path: &str, what: impl Into<String>) -> Self {
        Self { kind, path: path.to_owned(), what: what.into() }
    }
}
