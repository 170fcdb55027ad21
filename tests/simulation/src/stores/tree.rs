//! Objects, and beside them the files of write-ahead logs, as they are in one tree where the store is like HDFS.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{
    Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, Result, path::Path,
};
use weir_segment_store::{
    journal::append::{AppendStore, FileError, FileErrorKind, memory::MemoryFiles},
    testing::FaultyObjects,
};

/// The folder of the logs.
const LOGS: &str = "wal";

/// See the module.
#[derive(Clone)]
pub(super) struct Tree {
    pub(super) objects: FaultyObjects,
    pub(super) files: MemoryFiles,
}

/// What is read of an object or a file.
pub(super) struct Read {
    pub(super) meta: ObjectMeta,
    pub(super) range: std::ops::Range<u64>,
    pub(super) attributes: object_store::Attributes,
    pub(super) bytes: Bytes,
}

impl Tree {
    pub(super) async fn get(&self, path: &Path, options: GetOptions) -> Result<Read> {
        if is_file(path) {
            return self.read(path, options.range).await;
        }
        let got = self.objects.get_opts(path, options).await?;
        let (meta, range) = (got.meta.clone(), got.range.clone());
        let attributes = got.attributes.clone();
        Ok(Read { meta, range, attributes, bytes: got.bytes().await? })
    }

    async fn read(&self, path: &Path, range: Option<GetRange>) -> Result<Read> {
        let read = self.files.read(path.as_ref(), 0, u64::MAX).await;
        let all = read.map_err(|error| told(&error))?;
        let size = all.len() as u64;
        let range = range.map_or(Ok(0..size), |range| range.as_range(size));
        let range =
            range.map_err(|error| Error::Generic { store: "tree", source: error.into() })?;
        let bytes = all.slice(range.start as usize..range.end as usize);
        let meta = meta(path.clone(), size);
        Ok(Read { meta, range, attributes: Default::default(), bytes })
    }

    pub(super) async fn delete(&self, path: &Path) -> Result<()> {
        match is_file(path) {
            true => self.files.delete(path.as_ref()).await.map_err(|error| told(&error)),
            false => self.objects.delete(path).await,
        }
    }

    pub(super) async fn list(&self, prefix: Option<&Path>) -> Result<Vec<ObjectMeta>> {
        let mut found: Vec<_> = self.objects.list(prefix).try_collect().await?;
        if prefix.is_none_or(|prefix| prefix.as_ref().is_empty()) {
            for (session, _) in self.files.list(LOGS).await.map_err(|error| told(&error))? {
                let folder = format!("{LOGS}/{session}");
                let files = self.files.list(&folder).await.map_err(|error| told(&error))?;
                let path = |name: &str| Path::from(format!("{folder}/{name}"));
                found.extend(files.iter().map(|(name, size)| meta(path(name), *size)));
            }
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
