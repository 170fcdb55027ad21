//! An object store that fails in the ways in which object stores fail, when it is told to.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result, memory::InMemory, path::Path,
};
use tokio::time::{Instant, sleep};

/// What is asked of the store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Request {
    /// To create an object, or replace it.
    Put,
    /// To read one.
    Get,
    /// To delete one.
    Delete,
    /// To list them.
    List,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fate {
    /// What should.
    Done,
    /// What should, after a while.
    Slow(Duration),
    /// An error, and nothing happens.
    Fails,
    /// An error, though it happens.
    FailsAfter,
    /// No answer, and nothing happens.
    Hangs,
    /// No answer, though it happens.
    HangsAfter,
    /// An error; it happens after a while, when nobody thinks of it any more.
    Late(Duration),
    /// What should, and once more after a while: a duplicate that was on its way.
    Twice(Duration),
    /// "Exists already", though nothing is there.
    Conflicts,
    /// What is there is replaced, whatever the condition says.
    Overwrites,
    /// "Not found", though it is there.
    Missing,
    /// One bit of what is read is wrong.
    Rots(u64),
    /// What is read ends too early.
    EndsEarly,
    /// A listing without what was created in the last while.
    Stale(Duration),
}

/// Decides what becomes of requests.
pub trait Faults: Send + Sync + 'static {
    /// Of this one.
    fn fate(&self, request: Request, path: &str) -> Fate;
}

impl<F: Fn(Request, &str) -> Fate + Send + Sync + 'static> Faults for F {
    fn fate(&self, request: Request, path: &str) -> Fate {
        self(request, path)
    }
}

/// An object store in memory that does as its faults say. Clones share the objects, each may have
/// faults of its own.
#[derive(Clone)]
pub struct FaultyObjects {
    objects: Arc<InMemory>,
    shared: Arc<Mutex<Shared>>,
    faults: Arc<dyn Faults>,
}

#[derive(Default)]
struct Shared {
    /// Creates that land later.
    late: Vec<(Instant, Path, PutPayload, PutOptions)>,
    /// When objects were created, newest last.
    created: Vec<(Instant, Path)>,
}

impl FaultyObjects {
    /// An empty store.
    pub fn new(faults: impl Faults) -> Self {
        Self { objects: Arc::default(), shared: Arc::default(), faults: Arc::new(faults) }
    }

    /// The same objects with other faults: as another process sees them.
    #[must_use]
    pub fn with(&self, faults: impl Faults) -> Self {
        Self { faults: Arc::new(faults), ..self.clone() }
    }

    /// Lets land what is due.
    async fn land(&self) {
        let due: Vec<_> = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            shared.late.extract_if(.., |(at, ..)| *at <= now).collect()
        };
        for (_, path, payload, options) in due {
            // What it meets there is nobody's business any more.
            drop(self.create(&path, payload, options).await);
        }
    }

    async fn create(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.objects.put_opts(path, payload, options).await?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.created.push((Instant::now(), path.clone()));
        Ok(put)
    }

    fn later(&self, after: Duration, path: &Path, payload: PutPayload, options: PutOptions) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.late.push((Instant::now() + after, path.clone(), payload, options));
    }

    fn is_newer(&self, path: &Path, than: Duration) -> bool {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let since = Instant::now().checked_sub(than);
        let recent =
            shared.created.iter().rev().take_while(|(at, _)| since.is_none_or(|s| *at > s));
        recent.into_iter().any(|(_, created)| created == path)
    }

    async fn delete_one(self, path: Path) -> Result<Path> {
        use object_store::ObjectStoreExt;
        self.land().await;
        match self.faults.fate(Request::Delete, path.as_ref()) {
            Fate::Fails => return Err(failure("a delete that failed")),
            Fate::Hangs => std::future::pending().await,
            Fate::Slow(time) => sleep(time).await,
            Fate::FailsAfter => {
                self.objects.delete(&path).await?;
                return Err(failure("a delete whose answer was lost"));
            }
            _ => {}
        }
        self.objects.delete(&path).await?;
        Ok(path)
    }
}

fn failure(what: &'static str) -> Error {
    Error::Generic { store: "faulty", source: what.into() }
}

impl fmt::Debug for FaultyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyObjects")
    }
}

impl fmt::Display for FaultyObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty objects in memory")
    }
}

#[async_trait]
impl ObjectStore for FaultyObjects {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        self.land().await;
        match self.faults.fate(Request::Put, path.as_ref()) {
            Fate::Fails => return Err(failure("a put that failed")),
            Fate::Hangs => std::future::pending().await,
            Fate::Slow(time) => {
                sleep(time).await;
                self.land().await;
            }
            Fate::FailsAfter => {
                self.create(path, payload, options).await?;
                return Err(failure("a put whose answer was lost"));
            }
            Fate::HangsAfter => {
                self.create(path, payload, options).await?;
                return std::future::pending().await;
            }
            Fate::Late(after) => {
                self.later(after, path, payload, options);
                return Err(failure("a put that is on its way"));
            }
            Fate::Overwrites => options.mode = PutMode::Overwrite,
            Fate::Twice(after) => self.later(after, path, payload.clone(), options.clone()),
            Fate::Conflicts => {
                let (path, source) = (path.to_string(), "a conflict without cause".into());
                return Err(Error::AlreadyExists { path, source });
            }
            _ => {}
        }
        self.create(path, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        _path: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "multipart".into(), implementer: "faulty".into() })
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.land().await;
        let fate = self.faults.fate(Request::Get, path.as_ref());
        match fate {
            Fate::Fails | Fate::FailsAfter => return Err(failure("a get that failed")),
            Fate::Hangs | Fate::HangsAfter => return std::future::pending().await,
            Fate::Slow(time) => {
                sleep(time).await;
                self.land().await;
            }
            Fate::Missing => {
                let (path, source) = (path.to_string(), "an object that is not found".into());
                return Err(Error::NotFound { path, source });
            }
            _ => {}
        }
        let got = self.objects.get_opts(path, options).await?;
        let (meta, range) = (got.meta.clone(), got.range.clone());
        let (attributes, extensions) = (got.attributes.clone(), got.extensions.clone());
        let mut bytes = got.bytes().await?.to_vec();
        match fate {
            Fate::Rots(bit) if !bytes.is_empty() => {
                let at = bit % (bytes.len() as u64 * 8);
                bytes[(at / 8) as usize] ^= 1 << (at % 8);
            }
            Fate::EndsEarly => bytes.truncate(bytes.len() / 2),
            _ => {}
        }
        let payload = stream::once(async { Ok(Bytes::from(bytes)) }).boxed();
        let payload = GetResultPayload::Stream(payload);
        Ok(GetResult { payload, meta, range, attributes, extensions })
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        paths.and_then(move |path| this.clone().delete_one(path)).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let fate = self.faults.fate(Request::List, prefix.map_or("", AsRef::as_ref));
        if matches!(fate, Fate::Fails | Fate::FailsAfter) {
            return stream::once(async { Err(failure("a listing that failed")) }).boxed();
        }
        let (this, listed) = (self.clone(), self.objects.list(prefix));
        let hidden = move |object: &ObjectMeta| match fate {
            Fate::Stale(than) => this.is_newer(&object.location, than),
            _ => false,
        };
        listed.try_filter(move |object| futures::future::ready(!hidden(object))).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}
