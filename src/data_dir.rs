//! The directory of a node that keeps everything on its own disk.
//!
//! ```text
//! LOCK          held by the one process that uses the directory
//! FORMAT        "weir data 1\n": which layout this is
//! metadata.db   metadata
//! wal/          write-ahead logs
//! objects/      sorted objects and checkpoints
//! ```

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

const FORMAT: &str = "weir data ";
const VERSION: u32 = 1;

/// A directory that this process has to itself.
pub(crate) struct DataDir {
    path: PathBuf,
    /// Let go of when the process ends, however it ends.
    _lock: File,
}

/// Why a directory can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataDirError {
    #[error(
        "data directory {0} is in use by another process; stop that one, or choose another --data"
    )]
    InUse(PathBuf),
    #[error(
        "data directory {path} can't be used: {error}; make it writable, or choose another --data"
    )]
    NotWritable { path: PathBuf, error: io::Error },
    #[error(
        "data directory {path} has format {found}, this weir understands {VERSION}; start a newer one"
    )]
    NewerFormat { path: PathBuf, found: u32 },
    #[error(
        "{path} says {found:?}, not which format the directory has; choose another --data, or restore \
         the file"
    )]
    NotAFormat { path: PathBuf, found: String },
    #[error("data directory {0} holds other things and no FORMAT file; choose an empty one")]
    NotOurs(PathBuf),
}

impl DataDir {
    /// Takes the directory, making it if it does not exist.
    ///
    /// # Errors
    /// When somebody else has it, it can't be written, or it is not one of this version. Nothing has
    /// been changed in it then.
    pub(crate) fn open(path: &Path) -> Result<Self, DataDirError> {
        let not_writable = |error| DataDirError::NotWritable { path: path.to_owned(), error };
        fs::create_dir_all(path).map_err(not_writable)?;
        let path = path.canonicalize().map_err(not_writable)?;
        let is_new = Self::check_format(&path)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("LOCK"))
            .map_err(not_writable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(DataDirError::InUse(path)),
            Err(error) => return Err(not_writable(error.into())),
        }
        let probe = path.join(".writable");
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(not_writable)?;
        if is_new {
            write_format(&path).map_err(not_writable)?;
        }
        fs::create_dir_all(path.join("objects")).map_err(not_writable)?;
        Ok(Self { path, _lock: lock })
    }

    /// Whether the directory is new; an error if it is not ours or of a newer version.
    fn check_format(path: &Path) -> Result<bool, DataDirError> {
        let not_writable = |error| DataDirError::NotWritable { path: path.to_owned(), error };
        let file = path.join("FORMAT");
        match fs::read_to_string(&file) {
            Ok(text) => {
                let version = text.strip_prefix(FORMAT).and_then(|v| v.trim().parse::<u32>().ok());
                match version {
                    Some(found) if found > VERSION => {
                        Err(DataDirError::NewerFormat { path: path.to_owned(), found })
                    }
                    Some(_) => Ok(false),
                    None => Err(DataDirError::NotAFormat { path: file, found: text }),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let entries = fs::read_dir(path).map_err(not_writable)?;
                let foreign = entries.filter_map(Result::ok).any(|entry| {
                    !["LOCK", "lost+found"].contains(&&*entry.file_name().to_string_lossy())
                });
                if foreign { Err(DataDirError::NotOurs(path.to_owned())) } else { Ok(true) }
            }
            Err(error) => Err(not_writable(error)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.path.join("objects")
    }
}

fn write_format(path: &Path) -> io::Result<()> {
    let temporary = path.join("FORMAT.new");
    let mut file = File::create(&temporary)?;
    file.write_all(format!("{FORMAT}{VERSION}\n").as_bytes())?;
    file.sync_all()?;
    fs::rename(temporary, path.join("FORMAT"))?;
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_it_and_the_next_may_have_it_after() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataDir::open(directory.path()).unwrap();
        assert!(matches!(DataDir::open(directory.path()), Err(DataDirError::InUse(_))));
        drop(first);
        DataDir::open(directory.path()).unwrap();
    }

    #[test]
    fn what_is_newer_or_not_ours_is_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("FORMAT"), "weir data 2\n").unwrap();
        let error = DataDir::open(directory.path()).map(drop).unwrap_err();
        assert!(error.to_string().contains("has format 2"), "{error}");
        fs::write(directory.path().join("FORMAT"), "?").unwrap();
        assert!(matches!(DataDir::open(directory.path()), Err(DataDirError::NotAFormat { .. })));
        fs::remove_file(directory.path().join("FORMAT")).unwrap();
        fs::write(directory.path().join("thesis.tex"), "").unwrap();
        assert!(matches!(DataDir::open(directory.path()), Err(DataDirError::NotOurs(_))));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing was changed");
    }

    #[test]
    fn a_path_below_a_file_is_not_writable() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDir::open(&file.path().join("data")).map(drop).unwrap_err();
        assert!(matches!(error, DataDirError::NotWritable { .. }), "{error}");
    }
}
