//! The store as the rest of this crate sees it: whole objects created once, ranges read, objects
//! deleted; and the files of a local write-ahead log beside them.

use std::{path::PathBuf, sync::Arc};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    path::Path as StorePath,
};
use weir_ids::Timestamp;
use weir_runtime::blocking;

use crate::{ByteRange, ObjectName, Part, Retry, hedge::Hedges, ranges};

/// Where objects are. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// The directory above `wal/`, if write-ahead logs are local files.
    local: Option<Arc<PathBuf>>,
    /// How to ask again, if at all.
    retry: Option<Retry>,
    /// How long reads usually take to begin, for those that are asked again.
    reads: Arc<Hedges>,
}

/// Up to which size a piece is copied to be written together with its neighbours.
const SMALL_PIECE_BYTES: usize = 16 << 10;
/// How much of that is written at once.
const GATHERED_BYTES: usize = 256 << 10;
/// How many requests for pieces of one object are under way together.
const RANGES_AT_ONCE: usize = 4;

/// What went wrong with the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("{0} is not in the store")]
    NotFound(String),
    /// An object of this name exists already.
    #[error("{0} is in the store already")]
    Exists(String),
    /// No room.
    #[error("no space left for {0}")]
    NoSpace(String),
    /// The object is shorter than what refers to it.
    #[error("{name} has only {len} bytes, but bytes up to {end} are referred to")]
    Short {
        /// The object.
        name: String,
        /// How many bytes came.
        len: u64,
        /// Where the range ends.
        end: u64,
    },
    /// The store failed; trying again may help.
    #[error("{name}: {what}")]
    Failed {
        /// The object.
        name: String,
        /// What the store said.
        what: String,
    },
}

impl StoreError {
    /// Whether asking again may help.
    pub fn may_heal(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Short { .. })
    }
}

impl Store {
    /// Objects in `objects`, logs of file journals below `local`.
    pub fn new(objects: Arc<dyn ObjectStore>, local: Option<PathBuf>) -> Self {
        Self { objects, local: local.map(Arc::new), retry: None, reads: Arc::default() }
    }

    /// The same store, not waited for any longer than `retry` says, and asked again when it fails to
    /// read, list or delete. A read whose answer takes unusually long to begin is sent a second time beside
    /// the first. Creating again is left to the caller, who must find out what became of
    /// the first attempt.
    #[must_use]
    pub fn retrying(self, retry: Retry) -> Self {
        Self { retry: Some(retry), ..self }
    }

    /// Objects in a local directory, which must exist; every create is durable when it returns.
    ///
    /// # Errors
    /// When the directory can't be used.
    pub fn local(objects: &std::path::Path, local: PathBuf) -> Result<Self, StoreError> {
        let store = object_store::local::LocalFileSystem::new_with_prefix(objects)
            .map_err(|error| failed(&objects.display().to_string(), &error))?
            .with_fsync(true);
        Ok(Self::new(Arc::new(store), Some(local)))
    }

    /// Creates an object. Durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one of this name, which may be what an earlier, unclear
    /// attempt of the same caller left.
    pub async fn create(&self, name: ObjectName, parts: &[Part]) -> Result<(), StoreError> {
        let text = name.to_string();
        let payload: PutPayload = gather(parts).into_iter().collect();
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let path = StorePath::from(text.as_str());
        let create = async {
            let put = self.objects.put_opts(&path, payload, options).await;
            put.map(drop).map_err(|error| failed(&text, &error))
        };
        match &self.retry {
            Some(retry) => retry.once(|| text.clone(), create).await,
            None => create.await,
        }
    }

    /// A whole object.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn get(&self, name: ObjectName) -> Result<Bytes, StoreError> {
        self.again(name, || self.get_once(name)).await
    }

    async fn get_once(&self, name: ObjectName) -> Result<Bytes, StoreError> {
        let text = name.to_string();
        let got = self.open(&StorePath::from(text.as_str()), GetOptions::default()).await;
        let got = got.map_err(|error| failed(&text, &error))?;
        got.bytes().await.map_err(|error| failed(&text, &error))
    }

    /// A piece of an object, whole.
    ///
    /// # Errors
    /// When it can't be read or the object is shorter.
    pub async fn get_range(&self, name: ObjectName, range: ByteRange) -> Result<Bytes, StoreError> {
        self.again(name, || self.get_range_once(name, range)).await
    }

    async fn get_range_once(
        &self,
        name: ObjectName,
        range: ByteRange,
    ) -> Result<Bytes, StoreError> {
        let text = name.to_string();
        let end = range.at + u64::from(range.len);
        let bytes = match (&self.local, name) {
            (Some(root), ObjectName::WalFile { .. }) => {
                let path = root.join(&text);
                blocking(move || read_file(&path, range)).await.map_err(|error| {
                    match error.kind() {
                        std::io::ErrorKind::NotFound => StoreError::NotFound(text.clone()),
                        _ => StoreError::Failed { name: text.clone(), what: error.to_string() },
                    }
                })?
            }
            _ => {
                let bounded = GetRange::Bounded(range.at..end);
                let options = GetOptions { range: Some(bounded), ..GetOptions::default() };
                let path = StorePath::from(text.as_str());
                let got = self.open(&path, options).await;
                let got = got.map_err(|error| failed(&text, &error))?;
                got.bytes().await.map_err(|error| failed(&text, &error))?
            }
        };
        if bytes.len() == range.len as usize {
            return Ok(bytes);
        }
        Err(StoreError::Short { name: text, len: range.at + bytes.len() as u64, end })
    }

    /// Several pieces of an object, each whole; those that lie close together in one request, and the requests side
    /// by side, a few at a time.
    ///
    /// # Errors
    /// For each piece, when its request fails or the object is shorter.
    pub async fn get_ranges(
        &self,
        name: ObjectName,
        wanted: &[ByteRange],
    ) -> Vec<Result<Bytes, StoreError>> {
        let requests = ranges::together(wanted).into_iter().map(|request| async move {
            let got = self.get_range(name, request.range).await;
            let piece = |place: usize| match &got {
                Ok(bytes) => Ok(bytes.slice(ranges::place_in(request.range, wanted[place]))),
                Err(error) => Err(error.clone()),
            };
            request.brings.iter().map(|place| (*place, piece(*place))).collect::<Vec<_>>()
        });
        let requests: Vec<_> = requests.collect();
        let answers = stream::iter(requests).buffer_unordered(RANGES_AT_ONCE);
        let mut pieces: Vec<_> = answers.flat_map(stream::iter).collect().await;
        pieces.sort_by_key(|(place, _)| *place);
        pieces.into_iter().map(|(_, piece)| piece).collect()
    }

    /// How long an object is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is not there.
    pub async fn len(&self, name: ObjectName) -> Result<u64, StoreError> {
        self.again(name, || self.len_once(name)).await
    }

    async fn len_once(&self, name: ObjectName) -> Result<u64, StoreError> {
        let text = name.to_string();
        if let (Some(root), ObjectName::WalFile { .. }) = (&self.local, name) {
            let path = root.join(&text);
            let found = blocking(move || std::fs::metadata(&path)).await;
            return match found {
                Ok(found) => Ok(found.len()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    Err(StoreError::NotFound(text))
                }
                Err(error) => Err(StoreError::Failed { name: text, what: error.to_string() }),
            };
        }
        let found = self.objects.head(&StorePath::from(text.as_str())).await;
        Ok(found.map_err(|error| failed(&text, &error))?.size)
    }

    /// When an object was written, by the store's clock.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if it is not there.
    pub async fn written_at(&self, name: ObjectName) -> Result<Timestamp, StoreError> {
        let text = name.to_string();
        let path = StorePath::from(text.as_str());
        let head =
            || async { self.objects.head(&path).await.map_err(|error| failed(&text, &error)) };
        Ok(Timestamp(self.again(name, head).await?.last_modified.timestamp_millis()))
    }

    /// The last `wanted` bytes of an object, or all of a shorter one, and how long it is.
    ///
    /// # Errors
    /// When it can't be read.
    pub async fn get_end(&self, name: ObjectName, wanted: u64) -> Result<(Bytes, u64), StoreError> {
        self.again(name, || self.get_end_once(name, wanted)).await
    }

    async fn get_end_once(
        &self,
        name: ObjectName,
        wanted: u64,
    ) -> Result<(Bytes, u64), StoreError> {
        let text = name.to_string();
        let path = StorePath::from(text.as_str());
        let end = GetOptions { range: Some(GetRange::Suffix(wanted)), ..GetOptions::default() };
        let got = match self.open(&path, end).await {
            // Some stores know no ranges from the end.
            Err(object_store::Error::NotSupported { .. }) => {
                let whole =
                    self.objects.head(&path).await.map_err(|error| failed(&text, &error))?;
                let from = GetRange::Offset(whole.size.saturating_sub(wanted));
                let rest = GetOptions { range: Some(from), ..GetOptions::default() };
                self.open(&path, rest).await
            }
            got => got,
        };
        let got = got.map_err(|error| failed(&text, &error))?;
        let len = got.meta.size;
        let end = got.bytes().await.map_err(|error| failed(&text, &error))?;
        if end.len() as u64 == wanted.min(len) {
            return Ok((end, len));
        }
        Err(StoreError::Short { name: text, len: end.len() as u64, end: wanted.min(len) })
    }

    /// The objects whose names begin with `prefix`, whole parts of it, and their lengths. A listing may
    /// be older than what has been created and deleted since; nothing is concluded from an absence.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, prefix: Option<&str>) -> Result<Vec<(ObjectName, u64)>, StoreError> {
        let what = || prefix.unwrap_or("all objects").to_owned();
        match &self.retry {
            Some(retry) => retry.again(what, || self.list_once(prefix)).await,
            None => self.list_once(prefix).await,
        }
    }

    async fn list_once(&self, prefix: Option<&str>) -> Result<Vec<(ObjectName, u64)>, StoreError> {
        let path = prefix.map(StorePath::from);
        let listed = self.objects.list(path.as_ref()).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| failed(prefix.unwrap_or("all objects"), &error))?;
        let known = listed.into_iter().filter_map(|object| {
            Some((ObjectName::parse(object.location.as_ref()).ok()?, object.size))
        });
        Ok(known.collect())
    }

    /// Deletes objects; some that are not there are fine.
    ///
    /// # Errors
    /// When the store fails; some are deleted then.
    pub async fn delete_all(&self, names: &[ObjectName]) -> Result<(), StoreError> {
        match (&self.retry, names) {
            (_, []) => Ok(()),
            (Some(retry), [first, ..]) => {
                let what = || first.to_string();
                retry.again(what, || self.delete_all_once(names)).await
            }
            (None, _) => self.delete_all_once(names).await,
        }
    }

    async fn delete_all_once(&self, names: &[ObjectName]) -> Result<(), StoreError> {
        let paths: Vec<_> =
            names.iter().map(|name| Ok(StorePath::from(name.to_string().as_str()))).collect();
        let deleted = self.objects.delete_stream(stream::iter(paths).boxed()).collect::<Vec<_>>();
        for (result, name) in deleted.await.into_iter().zip(names) {
            match result {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(&name.to_string(), &error)),
            }
        }
        Ok(())
    }

    /// Deletes an object; one that is not there is fine.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete(&self, name: ObjectName) -> Result<(), StoreError> {
        self.delete_all(&[name]).await
    }

    /// The beginning of an answer to a read.
    async fn open(&self, path: &StorePath, options: GetOptions) -> object_store::Result<GetResult> {
        let open = || self.objects.get_opts(path, options.clone());
        if self.retry.is_none() {
            return open().await;
        }
        let settles = |done: &object_store::Result<_>| match done {
            Ok(_) => true,
            Err(error) => !failed("", error).may_heal(),
        };
        self.reads.send(open, settles).await
    }

    async fn again<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        name: ObjectName,
        request: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        match &self.retry {
            Some(retry) => retry.again(|| name.to_string(), request).await,
            None => request().await,
        }
    }
}

/// The pieces of `parts` in order, runs of small ones copied together: local stores make a system call
/// a piece, and for a few hundred bytes the call costs more than the copy.
fn gather(parts: &[Part]) -> Vec<Bytes> {
    let (mut pieces, mut small) = (Vec::new(), BytesMut::new());
    let mut take = |piece: &Bytes| {
        let is_small = piece.len() <= SMALL_PIECE_BYTES;
        let has_room = piece.len() <= small.capacity() - small.len();
        if !(small.is_empty() || is_small && has_room) {
            pieces.push(small.split().freeze());
        }
        if !is_small {
            pieces.push(piece.clone());
            return;
        }
        if !has_room {
            small = BytesMut::with_capacity(GATHERED_BYTES);
        }
        small.extend_from_slice(piece);
    };
    parts.iter().for_each(|part| part.pieces(&mut take));
    if !small.is_empty() {
        pieces.push(small.freeze());
    }
    pieces
}

fn read_file(path: &std::path::Path, range: ByteRange) -> std::io::Result<Bytes> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(range.at))?;
    // Not zeroed first: that would be one more pass over memory that nobody has touched.
    let mut bytes = Vec::with_capacity(range.len as usize);
    file.take(u64::from(range.len)).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

pub(crate) fn failed(name: &str, error: &object_store::Error) -> StoreError {
    let name = name.to_owned();
    match error {
        object_store::Error::NotFound { .. } => StoreError::NotFound(name),
        object_store::Error::AlreadyExists { .. } => StoreError::Exists(name),
        other if is_no_space(other) => StoreError::NoSpace(name),
        other => StoreError::Failed { name, what: other.to_string() },
    }
}

/// Whether somewhere below lies the operating system's "no space".
fn is_no_space(error: &(dyn std::error::Error + 'static)) -> bool {
    let full = error.downcast_ref::<std::io::Error>().is_some_and(|error| {
        let kind = error.kind();
        kind == std::io::ErrorKind::StorageFull || kind == std::io::ErrorKind::QuotaExceeded
    });
    full || error.source().is_some_and(is_no_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_written_together_and_large_ones_as_they_are() {
        let large = Bytes::from(vec![7; SMALL_PIECE_BYTES + 1]);
        let mut parts = vec![Part::Bytes(Bytes::from_static(b"")); 2];
        parts.extend((0..100_u8).map(|byte| Part::Bytes(Bytes::from(vec![byte; 4 << 10]))));
        parts.push(Part::Bytes(large.clone()));
        parts.push(Part::Bytes(Bytes::from_static(b"end")));
        let pieces = gather(&parts);
        let lens: Vec<usize> = pieces.iter().map(Bytes::len).collect();
        assert_eq!(lens, [256 << 10, 144 << 10, large.len(), 3]);
        assert_eq!(pieces[2].as_ptr(), large.as_ptr());
        let mut whole = Vec::new();
        parts.iter().for_each(|part| part.pieces(|piece| whole.extend_from_slice(piece)));
        assert_eq!(pieces.concat(), whole);
    }
}
