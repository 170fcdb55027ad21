//! Objects, and beside them the files of write-ahead logs, as they are in one tree where the store is like HDFS.

use std::fmt;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result, path::Path,
};

use super::FaultyObjects;
use crate::{
    journal::append::{AppendStore, FileError, FileErrorKind, memory::MemoryFiles},
    name::FORGOTTEN_PREFIX,
};

/// The folder of the logs.
const LOGS: &str = "wal";

/// See the module. Clones show the same.
#[derive(Clone)]
pub struct Tree {
    /// All that is written as a whole.
    pub objects: FaultyObjects,
    /// All that is appended to.
    pub files: MemoryFiles,
}

impl Tree {
    async fn read_file(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let all = self.files.read(path.as_ref(), 0, u64::MAX).await.map_err(|it| told(&it))?;
        let meta = meta(path.clone(), all.len() as u64);
        options.check_preconditions(&meta)?;
        let range = options.range.map_or(Ok(0..meta.size), |range| range.as_range(meta.size));
        let range =
            range.map_err(|error| Error::Generic { store: "tree", source: error.into() })?;
        let bytes = all.slice(range.start as usize..range.end as usize);
        let payload = GetResultPayload::Stream(stream::once(async { Ok(bytes) }).boxed());
        let (attributes, extensions) = Default::default();
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    async fn delete_one(self, path: Path) -> Result<Path> {
        match is_file(&path) {
            true => self.files.delete(path.as_ref()).await.map_err(|error| told(&error))?,
            false => self.objects.delete(&path).await?,
        }
        Ok(path)
    }

    async fn list_files(self) -> Result<Vec<ObjectMeta>> {
        let logs = self.files.list(LOGS).await.map_err(|error| told(&error))?;
        let mut folders: Vec<String> =
            logs.into_iter().map(|(name, _)| format!("{LOGS}/{name}")).collect();
        folders.push(FORGOTTEN_PREFIX.to_owned());
        let mut found = Vec::new();
        for folder in folders {
            let files = self.files.list(&folder).await.map_err(|error| told(&error))?;
            let path = |name: &str| Path::from(format!("{folder}/{name}"));
            found.extend(files.iter().map(|(name, bytes)| meta(path(name), *bytes)));
        }
        Ok(found)
    }
}

fn is_file(path: &Path) -> bool {
    path.as_ref().starts_with("wal/") && path.as_ref().ends_with(".wal")
}

fn meta(location: Path, size: u64) -> ObjectMeta {
    let last_modified = Default::default();
    ObjectMeta { location, last_modified, size, e_tag: None, version: None }
}

fn told(error: &FileError) -> Error {
    let (path, source) = (error.path.clone(), error.to_string().into());
    match error.kind {
        FileErrorKind::NotFound => Error::NotFound { path, source },
        _ => Error::Generic { store: "tree", source },
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tree")
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and files beside them", self.objects)
    }
}

#[async_trait]
impl ObjectStore for Tree {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.objects.put_opts(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match is_file(path) {
            true => self.read_file(path, options).await,
            false => self.objects.get_opts(path, options).await,
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        paths.and_then(move |path| this.clone().delete_one(path)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let objects = self.objects.list(prefix);
        if prefix.is_some_and(|prefix| !prefix.as_ref().is_empty()) {
            return objects;
        }
        let files = stream::once(self.clone().list_files());
        let files = files.map_ok(|files| stream::iter(files.into_iter().map(Ok))).try_flatten();
        objects.chain(files).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
