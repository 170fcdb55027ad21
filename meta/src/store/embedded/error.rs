//! Why the embedded store can't be opened. Each is one line: what, where, what to do.

use std::{io, path::PathBuf};

use rustix::io::Errno;

/// Why a data directory's metadata can't be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("metadata in {} is in use by another process; stop that one or choose another directory", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A later version of Weir wrote it.
    #[error("metadata in {} has format {found}, this version of weir knows up to {known}; use the newer version", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that this version knows.
        known: u32,
    },
    /// Its bytes are not what was written.
    #[error("metadata in {} is damaged: {reason}; restore it from a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The directory or the file can't be made or written.
    #[error("metadata in {} can't be written: {source}; fix the permissions or choose another directory", path.display())]
    NotWritable {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no room to open or make it.
    #[error("no space left for metadata in {}; free some and start again", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Any other trouble with the file.
    #[error("metadata in {} can't be opened: {source}; check the disk", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl OpenError {
    /// Sorts an error of the system by what to do about it.
    pub(super) fn from_io(path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        if is_full(&source) {
            return OpenError::Full { path };
        }
        match source.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotFound => OpenError::NotWritable { path, source },
            _ => OpenError::Io { path, source },
        }
    }
}

/// Whether an error means that there is no room: on the disk, in a quota, under a size limit.
pub(super) fn is_full(error: &io::Error) -> bool {
    [Errno::NOSPC, Errno::DQUOT, Errno::FBIG]
        .into_iter()
        .any(|full| error.raw_os_error() == Some(full.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_one_line_with_a_place_and_an_advice() {
        let path = || PathBuf::from("/data/metadata.db");
        let io = |kind| io::Error::from(kind);
        let errors = [
            OpenError::InUse { path: path() },
            OpenError::NewerFormat { path: path(), found: 9, known: 1 },
            OpenError::Corrupt { path: path(), reason: "bad header".to_owned() },
            OpenError::from_io(path(), io(io::ErrorKind::PermissionDenied)),
            OpenError::from_io(path(), io::Error::from_raw_os_error(Errno::NOSPC.raw_os_error())),
            OpenError::from_io(path(), io(io::ErrorKind::Other)),
        ];
        for error in &errors {
            let line = error.to_string();
            assert!(!line.contains('\n') && line.contains("/data/metadata.db"), "{line}");
            assert!(line.contains(';'), "no advice: {line}");
        }
        assert!(matches!(errors[3], OpenError::NotWritable { .. }));
        assert!(matches!(errors[4], OpenError::Full { .. }));
    }
}
