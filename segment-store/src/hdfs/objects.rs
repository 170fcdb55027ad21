//! Objects: files that are whole when they have their names.
//!
//! An object is written under another name, synced and closed, and then given its name unless there is one. Folders
//! are made as they are needed; what is left of attempts that failed is in a folder of its own and not listed.

use std::{fmt, ops::Range};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, TryStreamExt, stream, stream::BoxStream};
use hdfs_native::{WriteOptions, client::FileStatus};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, path::Path,
};

use super::{Hdfs, error};
use crate::journal::append::FileErrorKind;

/// Where objects are written before they have their names.
pub(super) const DRAFTS: &str = "drafts";

/// An object is synced after so many bytes, and not all at once: the disks of DataNodes are those of write-ahead logs,
/// whose syncs would wait for all of it.
const SYNCED_TOGETHER: usize = 1 << 20;

impl fmt::Display for Hdfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hdfs{}", self.root)
    }
}

fn not_implemented(operation: &str) -> Error {
    Error::NotImplemented { operation: operation.to_owned(), implementer: "hdfs".to_owned() }
}

impl Hdfs {
    fn meta(&self, location: Path, status: &FileStatus) -> ObjectMeta {
        let modified = i64::try_from(status.modification_time).unwrap_or(0);
        ObjectMeta {
            location,
            last_modified: chrono::DateTime::from_timestamp_millis(modified).unwrap_or_default(),
            size: status.length as u64,
            e_tag: None,
            version: None,
        }
    }

    /// A name for an object that is being written.
    pub(super) fn draft(&self) -> String {
        self.path(&format!("{DRAFTS}/{}", self.runtime.uuid().simple()))
    }

    async fn write(&self, draft: &str, payload: PutPayload) -> Result<(), hdfs_native::HdfsError> {
        let options =
            WriteOptions { replication: self.settings.replication, ..WriteOptions::default() };
        let mut writer = self.client.create(draft, &options).await?;
        let mut unsynced = 0;
        for mut piece in payload {
            while !piece.is_empty() {
                let some = piece.split_to(piece.len().min(SYNCED_TOGETHER - unsynced));
                unsynced += some.len();
                writer.write_bytes(some).await?;
                if unsynced == SYNCED_TOGETHER {
                    writer.hsync().await?;
                    unsynced = 0;
                }
            }
        }
        if unsynced > 0 {
            writer.hsync().await?;
        }
        writer.close().await
    }

    /// Gives a draft its name; makes the folder for it first if there is none.
    async fn publish(
        &self,
        draft: &str,
        path: &str,
        overwrite: bool,
    ) -> Result<(), hdfs_native::HdfsError> {
        match self.client.rename(draft, path, overwrite).await {
            Err(error) if error::kind(&error) == FileErrorKind::NotFound => {
                let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
                self.client.mkdirs(folder, 0o755, true).await?;
                self.client.rename(draft, path, overwrite).await
            }
            renamed => renamed,
        }
    }
}

#[async_trait]
impl ObjectStore for Hdfs {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let overwrite = match options.mode {
            PutMode::Create => false,
            PutMode::Overwrite => true,
            PutMode::Update(_) => return Err(not_implemented("a conditional update")),
        };
        let (path, draft) = (self.path(location.as_ref()), self.draft());
        let put = async {
            self.write(&draft, payload).await?;
            self.publish(&draft, &path, overwrite).await
        };
        let put = put.await;
        if put.is_err() {
            // What is left of it is cleared away by whoever starts next.
            let _ = self.client.delete(&draft, false).await;
        }
        put.map_err(|error| error::of_object(location.as_ref(), error))?;
        Ok(PutResult { e_tag: None, version: None, extensions: Default::default() })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(not_implemented("a multipart upload"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let path = self.path(location.as_ref());
        let failed = |error| error::of_object(location.as_ref(), error);
        let status = self.client.get_file_info(&path).await.map_err(failed)?;
        let meta = self.meta(location.clone(), &status);
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            None => 0..meta.size,
            Some(range) => range
                .as_range(meta.size)
                .map_err(|error| Error::Generic { store: "hdfs", source: error.into() })?,
        };
        let payload = if options.head || range.is_empty() {
            stream::empty().boxed()
        } else {
            let reader = self.client.read(&path).await.map_err(failed)?;
            let seen = reader.file_length() as u64;
            // Beyond the end the library panics.
            let Range { start, end } = range.start.min(seen)..range.end.min(seen);
            let name = location.to_string();
            let bytes = reader.read_range_stream(start as usize, (end - start) as usize);
            bytes.map_err(move |error| error::of_object(&name, error)).boxed()
        };
        let payload = GetResultPayload::Stream(payload);
        let (attributes, extensions) = Default::default();
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let delete = move |location: Path| {
            let this = this.clone();
            async move {
                let deleted = this.client.delete(&this.path(location.as_ref()), false).await;
                deleted.map_err(|error| error::of_object(location.as_ref(), error))?;
                Ok(location)
            }
        };
        locations.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        let this = self.clone();
        let folder = self.path(prefix.as_ref()).trim_end_matches('/').to_owned();
        let listed = async move {
            let listed = match this.client.list_status(&folder, true).await {
                Err(error) if error::kind(&error) == FileErrorKind::NotFound => Vec::new(),
                listed => listed.map_err(|error| error::of_object(prefix.as_ref(), error))?,
            };
            let objects: Vec<Result<ObjectMeta>> = listed
                .iter()
                .filter(|status| !status.isdir)
                .filter_map(|status| {
                    let name = status.path.strip_prefix(&this.root)?.trim_start_matches('/');
                    let is_draft = name.starts_with(DRAFTS);
                    (!is_draft).then(|| Ok(this.meta(Path::from(name), status)))
                })
                .collect();
            Ok::<_, Error>(stream::iter(objects))
        };
        listed.into_stream().try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        Err(not_implemented("a listing by folder"))
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(not_implemented("a copy"))
    }
}
