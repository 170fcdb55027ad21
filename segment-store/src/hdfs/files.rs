//! Files of write-ahead logs.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use hdfs_native::{HdfsError, WriteOptions, client::FileStatus, file::FileWriter};

use super::{Hdfs, error};
use crate::journal::append::{AppendFile, AppendStore, CheckError, FileError, FileErrorKind};

const FOLDER_MODE: u32 = 0o755;
/// After so many files that failed in a row one is made with fewer copies: a DataNode that hangs is in every
/// pipeline of as many nodes as there are.
const FEWER_AFTER: u32 = 2;
/// Never with fewer than this.
const COPIES_MIN: u32 = 2;
/// Copies if the options do not say, where there are to be fewer.
const COPIES: u32 = 3;

#[async_trait]
impl AppendStore for Hdfs {
    async fn create(&self, path: &str) -> Result<Box<dyn AppendFile>, FileError> {
        let (name, wanted) = (self.path(path), self.settings.replication);
        let fewer = (self.failures.load(Ordering::Relaxed) >= FEWER_AFTER)
            .then(|| (wanted.unwrap_or(COPIES) - 1).max(COPIES_MIN))
            .filter(|copies| *copies < wanted.unwrap_or(COPIES));
        let options = WriteOptions {
            replication: fewer.or(wanted),
            block_size: Some(self.settings.log_block_bytes),
            create_parent: false,
            ..WriteOptions::default()
        };
        let created = self.client.create(&name, &options).await;
        let writer = created.map_err(|error| error::of(path, &error))?;
        if fewer.is_some() {
            tracing::warn!(
                path,
                copies = fewer,
                "a file is written with fewer copies than it should have"
            );
            // The NameNode sees to the others when it is closed. If not, it is no worse than now.
            let _ = self.client.set_replication(&name, wanted.unwrap_or(COPIES)).await;
        }
        let failures = Arc::clone(&self.failures);
        Ok(Box::new(HdfsFile { path: path.to_owned(), writer, failures, is_busy: false }))
    }

    async fn create_folder(&self, path: &str) -> Result<(), FileError> {
        let made = self.client.mkdirs(&self.path(path), FOLDER_MODE, true).await;
        made.map_err(|error| error::of(path, &error))
    }

    async fn recover(&self, path: &str) -> Result<bool, FileError> {
        let closed = self.client.recover_lease(&self.path(path)).await;
        closed.map_err(|error| error::of(path, &error))
    }

    async fn read(&self, path: &str, from: u64, most: u64) -> Result<Bytes, FileError> {
        let read = async {
            let reader = self.client.read(&self.path(path)).await?;
            // Beyond the end the library panics.
            let len = reader.file_length() as u64;
            let from = from.min(len);
            reader.read_range(from as usize, most.min(len - from) as usize).await
        };
        read.await.map_err(|error| error::of(path, &error))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let renamed = self.client.rename(&self.path(from), &self.path(to), false).await;
        renamed.map_err(|error| error::of(to, &error))
    }

    async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, FileError> {
        let listed = match self.client.list_status(&self.path(folder), false).await {
            Err(HdfsError::FileNotFound(_)) => return Ok(Vec::new()),
            Err(error) if error::kind(&error) == FileErrorKind::NotFound => return Ok(Vec::new()),
            listed => listed.map_err(|error| error::of(folder, &error))?,
        };
        let name =
            |status: &FileStatus| status.path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut entries: Vec<_> = listed.iter().map(|it| (name(it), it.length as u64)).collect();
        entries.sort_unstable();
        Ok(entries)
    }

    async fn delete(&self, path: &str) -> Result<(), FileError> {
        match self.client.delete(&self.path(path), true).await {
            Ok(_) => Ok(()),
            Err(error) if error::kind(&error) == FileErrorKind::NotFound => Ok(()),
            Err(error) => Err(error::of(path, &error)),
        }
    }

    async fn check(&self) -> Result<(), CheckError> {
        self.try_out().await
    }
}

struct HdfsFile {
    path: String,
    writer: FileWriter,
    failures: Arc<AtomicU32>,
    /// Something was asked of it that is not answered.
    is_busy: bool,
}

impl HdfsFile {
    fn note<T>(&mut self, result: Result<T, HdfsError>) -> Result<(), FileError> {
        match result {
            Ok(_) => {
                self.is_busy = false;
                self.failures.store(0, Ordering::Relaxed);
                Ok(())
            }
            // Counted when it is dropped.
            Err(error) => Err(error::of(&self.path, &error)),
        }
    }
}

impl Drop for HdfsFile {
    fn drop(&mut self) {
        if self.is_busy {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl AppendFile for HdfsFile {
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), FileError> {
        self.is_busy = true;
        for piece in pieces {
            let written = self.writer.write_bytes(piece).await;
            written.map_err(|error| error::of(&self.path, &error))?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), FileError> {
        let synced = self.writer.hsync().await;
        self.note(synced)
    }

    async fn close(&mut self) -> Result<(), FileError> {
        self.is_busy = true;
        let closed = self.writer.close().await;
        self.note(closed)
    }
}
