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
        let (files, name) = (self.0.files.clone(), path.to_owned());
        let create = move || {
            let (files, name) = (files.clone(), name.clone());
            async move { files.create(&name).await }
        };
        let file = self.ask(FileRequest::Create, path, create).await?;
        let file = Arc::new(Mutex::new(file));
        Ok(Box::new(RemoteFile { files: self.clone(), path: path.to_owned(), file }))
    }

    async fn create_folder(&self, path: &str) -> Result<(), FileError> {
        let (files, name) = (self.0.files.clone(), path.to_owned());
        let create = move || {
            let (files, name) = (files.clone(), name.clone());
            async move { files.create_folder(&name).await }
        };
        self.ask(FileRequest::Other, path, create).await
    }

    async fn recover(&self, path: &str) -> Result<bool, FileError> {
        let (files, name) = (self.0.files.clone(), path.to_owned());
        let recover = move || {
            let (files, name) = (files.clone(), name.clone());
            async move { files.recover(&name).await }
        };
        let closed = self.ask(FileRequest::Recover, path, recover).await?;
        Ok(closed && !self.0.chance.percent(CLOSES_LATER_PERCENT))
    }

    async fn read(&self, path: &str, from: u64, most: u64) -> Result<Bytes, FileError> {
        let (files, name) = (self.0.files.clone(), path.to_owned());
        let read = move || {
            let (files, name) = (files.clone(), name.clone());
            async move { files.read(&name, from, most).await }
        };
        self.ask(FileRequest::Other, path, read).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let (files, from, name) = (self.0.files.clone(), from.to_owned(), to.to_owned());
        let rename = move || {
            let (files, from, name) = (files.clone(), from.clone(), name.clone());
            async move { files.rename(&from, &name).await }
        };
        self.ask(FileRequest::Rename, to, rename).await
    }

    async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, FileError> {
        let (files, name) = (self.0.files.clone(), folder.to_owned());
        let list = move || {
            let (files, name) = (files.clone(), name.clone());
            async move { files.list(&name).await }
        };
        self.ask(FileRequest::Other, folder, list).await
    }

    async fn delete(&self, path: &str) -> Result<(), FileError> {
        let (files, name) = (self.0.files.clone(), path.to_owned());
        let delete = move || {
            let (files, name) = (files.clone(), name.clone());
            async move { files.delete(&name).await }
        };
        self.ask(FileRequest::Other, path, delete).await
    }
}

/// A file that is open for its writer. What is on its way keeps its order: who comes first locks it first.
struct RemoteFile {
    files: RemoteFiles,
    path: String,
    file: Arc<Mutex<Box<dyn AppendFile>>>,
}

#[async_trait]
impl AppendFile for RemoteFile {
    async fn append(&mut self, pieces: Vec<Bytes>) -> Result<(), FileError> {
        let file = Arc::clone(&self.file);
        let append = move || {
            let (file, pieces) = (Arc::clone(&file), pieces.clone());
            async move { file.lock().await.append(pieces).await }
        };
        self.files.ask(FileRequest::Append, &self.path, append).await
    }

    async fn sync(&mut self) -> Result<(), FileError> {
        let file = Arc::clone(&self.file);
        let sync = move || {
            let file = Arc::clone(&file);
            async move { file.lock().await.sync().await }
        };
        self.files.ask(FileRequest::Sync, &self.path, sync).await
    }

    async fn close(&mut self) -> Result<(), FileError> {
        let file = Arc::clone(&self.file);
        let close = move || {
            let file = Arc::clone(&file);
            async move { file.lock().await.close().await }
        };
        self.files.ask(FileRequest::Close, &self.path, close).await
    }
}
