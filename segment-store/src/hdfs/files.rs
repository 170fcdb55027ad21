//! Files of write-ahead logs.

use async_trait::async_trait;
use bytes::Bytes;
use hdfs_native::{HdfsError, WriteOptions, client::FileStatus, file::FileWriter};

use super::{Hdfs, copies::Chosen, error};
use crate::journal::append::{AppendFile, AppendStore, CheckError, FileError, FileErrorKind};

const FOLDER_MODE: u32 = 0o755;
#[async_trait]
impl AppendStore for Hdfs {
    async fn create(&self, path: &str) -> Result<Box<dyn AppendFile>, FileError> {
        let (name, chosen) = (self.path(path), self.copies.choose());
        let options = WriteOptions {
            replication: chosen.at_first,
            block_size: Some(self.settings.log_block_bytes),
            create_parent: false,
            ..WriteOptions::default()
        };
        let created = self.client.create(&name, &options).await;
        let writer = created.map_err(|error| error::of(path, &error))?;
        let (hdfs, path) = (self.clone(), path.to_owned());
        Ok(Box::new(HdfsFile { hdfs, path, writer, chosen, is_busy: false, is_proven: false }))
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
    hdfs: Hdfs,
    path: String,
    writer: FileWriter,
    chosen: Chosen,
    /// Something was asked of it that is not answered.
    is_busy: bool,
    /// Its pipeline has once made something durable.
    is_proven: bool,
}

impl HdfsFile {
    /// What a NameNode refuses says nothing of the pipeline.
    fn failed(&mut self, error: &HdfsError) -> FileError {
        let error = error::of(&self.path, error);
        self.is_busy = error.kind == FileErrorKind::Unclear;
        error
    }

    /// Its pipeline works.
    async fn prove(&mut self) {
        self.is_proven = true;
        self.hdfs.copies.works(self.chosen);
        let Some(copies) = self.chosen.later else { return };
        tracing::warn!(
            path = self.path,
            copies = self.chosen.at_first,
            "a file is written with fewer copies than it will have: a DataNode does not answer"
        );
        // Not before there is a block: that would have them all at once. The NameNode sees to the others when the file
        // is closed; if it is not told, the file is no worse than now.
        let name = self.hdfs.path(&self.path);
        let _ = self.hdfs.client.set_replication(&name, copies).await;
    }
}

impl Drop for HdfsFile {
    fn drop(&mut self) {
        if self.is_busy {
            self.hdfs.copies.fails(self.chosen);
        }
    }
}

#[async_trait]
impl AppendFile for HdfsFile {
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), FileError> {
        self.is_busy = true;
        for piece in pieces {
            let written = self.writer.write_bytes(piece).await;
            written.map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    async fn sync(&mut self) -> Result<(), FileError> {
        let synced = self.writer.hsync().await;
        synced.map_err(|error| self.failed(&error))?;
        self.is_busy = false;
        if !self.is_proven {
            self.prove().await;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<(), FileError> {
        self.is_busy = true;
        let closed = self.writer.close().await;
        closed.map_err(|error| self.failed(&error))?;
        self.is_busy = false;
        Ok(())
    }
}
