//! The files of write-ahead logs as one node reaches them, in a file system like HDFS.
//!
//! Requests of the NameNode's kind are on their way as those to objects are: delayed, repeated, lost. What is
//! appended to a file comes in order or not at all, as a pipeline has it; but it may still come when its writer
//! has given it up. How much of an open file there is, nobody can see. Recovering a lease takes a while.

use std::{ops::RangeInclusive, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{Mutex, oneshot},
    time::sleep,
};
use weir_segment_store::journal::append::{
    AppendFile, AppendStore, FileError, FileErrorKind,
    memory::{FileRequest, MemoryFiles},
};

use super::{Mishaps, mishaps::FileFate};
use crate::{
    chance::Chance,
    net::{Net, Place},
};

/// How long the file system takes itself, in milliseconds.
const WRITE_MS: RangeInclusive<u64> = 2..=15;
const OTHERS_MS: RangeInclusive<u64> = 1..=6;
/// How often a file is not closed yet though its lease was recovered, in percent of the times it is asked for.
const CLOSES_LATER_PERCENT: u64 = 60;

/// See the module.
#[derive(Clone)]
pub(crate) struct RemoteFiles(Arc<Inner>);

struct Inner {
    net: Net,
    from: Place,
    files: MemoryFiles,
    mishaps: Mishaps,
    chance: Chance,
}

impl RemoteFiles {
    /// The files of `shared` as `from` reaches them.
    pub(crate) fn new(
        seed: u64,
        net: &Net,
        from: Place,
        shared: &MemoryFiles,
        mishaps: Mishaps,
    ) -> Self {
        let chance = Chance::new(seed, &format!("the files of {from}"));
        let (net, files) = (net.clone(), shared.clone());
        Self(Arc::new(Inner { net, from, files, mishaps, chance }))
    }

    /// Does `work` with the files themselves, as often as fate has it.
    async fn on_files<T, F>(
        &self,
        request: FileRequest,
        path: &str,
        work: impl Fn(MemoryFiles, String) -> F + Send + 'static,
    ) -> Result<T, FileError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, FileError>> + Send + 'static,
    {
        let (files, name) = (self.0.files.clone(), path.to_owned());
        self.ask(request, path, move || work(files.clone(), name.clone())).await
    }

    /// Does `work` over there, as often as fate has it.
    async fn ask<T, F>(
        &self,
        request: FileRequest,
        path: &str,
        work: impl Fn() -> F + Send + 'static,
    ) -> Result<T, FileError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, FileError>> + Send + 'static,
    {
        let (answering, answer) = oneshot::channel();
        let this = Arc::clone(&self.0);
        let fate = this.mishaps.of_files(request, path);
        this.net.trace().line(format_args!("{}>files {request:?} {path}", this.from));
        let takes = this.chance.millis(match request {
            FileRequest::Other | FileRequest::Recover => OTHERS_MS,
            _ => WRITE_MS,
        });
        let unclear = FileError::new(FileErrorKind::Unclear, path, "a fault");
        crate::free(async move {
            let Inner { net, from, .. } = &*this;
            net.travel(*from, Place::Objects).await;
            sleep(takes).await;
            let (told, again) = match fate {
                FileFate::Done => (work().await, None),
                FileFate::Slow(time) => {
                    sleep(time).await;
                    (work().await, None)
                }
                FileFate::Fails => (Err(unclear), None),
                FileFate::FailsAfter => (work().await.and(Err(unclear)), None),
                FileFate::Hangs => std::future::pending().await,
                FileFate::Late(time) => (Err(unclear), Some(time)),
                FileFate::Twice(time) => (work().await, Some(time)),
            };
            if let Some(time) = again {
                crate::free(async move {
                    sleep(time).await;
                    let _ = work().await;
                });
            }
            net.travel(Place::Objects, *from).await;
            let _ = answering.send(told);
        });
        match answer.await {
            Ok(answer) => answer,
            // Nobody will ever answer.
            Err(_) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl AppendStore for RemoteFiles {
    async fn create(&self, path: &str) -> Result<Box<dyn AppendFile>, FileError> {
        let create = |files: MemoryFiles, path: String| async move { files.create(&path).await };
        let file = self.on_files(FileRequest::Create, path, create).await?;
        let file = Arc::new(Mutex::new(file));
        Ok(Box::new(RemoteFile { files: self.clone(), path: path.to_owned(), file }))
    }

    async fn create_folder(&self, path: &str) -> Result<(), FileError> {
        let create =
            |files: MemoryFiles, path: String| async move { files.create_folder(&path).await };
        self.on_files(FileRequest::Other, path, create).await
    }

    async fn recover(&self, path: &str) -> Result<bool, FileError> {
        let recover = |files: MemoryFiles, path: String| async move { files.recover(&path).await };
        let closed = self.on_files(FileRequest::Recover, path, recover).await?;
        Ok(closed && !self.0.chance.percent(CLOSES_LATER_PERCENT))
    }

    async fn read(&self, path: &str, from: u64, most: u64) -> Result<Bytes, FileError> {
        let read = move |files: MemoryFiles, path: String| async move {
            files.read(&path, from, most).await
        };
        self.on_files(FileRequest::Other, path, read).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let from = from.to_owned();
        let rename = move |files: MemoryFiles, to: String| {
            let from = from.clone();
            async move { files.rename(&from, &to).await }
        };
        self.on_files(FileRequest::Rename, to, rename).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, FileError> {
        let list = |files: MemoryFiles, folder: String| async move { files.list(&folder).await };
        self.on_files(FileRequest::Other, folder, list).await
    }

    async fn delete(&self, path: &str) -> Result<(), FileError> {
        let delete = |files: MemoryFiles, path: String| async move { files.delete(&path).await };
        self.on_files(FileRequest::Other, path, delete).await
    }
}

/// A file that is open for its writer. What is on its way keeps its order: who comes first locks it first.
struct RemoteFile {
    files: RemoteFiles,
    path: String,
    file: Shared,
}

/// The file itself, which whoever has a request under way shares.
type Shared = Arc<Mutex<Box<dyn AppendFile>>>;

impl RemoteFile {
    /// Does `work` with the file itself, as often as fate has it.
    async fn on_file<F>(
        &self,
        request: FileRequest,
        work: impl Fn(Shared) -> F + Send + 'static,
    ) -> Result<(), FileError>
    where
        F: Future<Output = Result<(), FileError>> + Send + 'static,
    {
        let file = Arc::clone(&self.file);
        self.files.ask(request, &self.path, move || work(Arc::clone(&file))).await
    }
}

#[async_trait]
impl AppendFile for RemoteFile {
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), FileError> {
        let append = move |file: Shared| {
            let pieces = pieces.clone();
            async move { file.lock().await.append(pieces).await }
        };
        self.on_file(FileRequest::Append, append).await
    }

    async fn sync(&mut self) -> Result<(), FileError> {
        let sync = |file: Shared| async move { file.lock().await.sync().await };
        self.on_file(FileRequest::Sync, sync).await
    }

    async fn close(&mut self) -> Result<(), FileError> {
        let close = |file: Shared| async move { file.lock().await.close().await };
        self.on_file(FileRequest::Close, close).await
    }
}
