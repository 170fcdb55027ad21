//! The object store as one node reaches it.
//!
//! A request is on its way as soon as it is made: it takes effect also when whoever made it has given
//! up, is paused, or is dead.

use std::{fmt, ops::RangeInclusive, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    path::Path,
};
use tokio::{sync::oneshot, time::sleep};
use weir_segment_store::{
    journal::append::memory::MemoryFiles,
    testing::{FaultyObjects, Request, Tree},
};

use super::Mishaps;
use crate::{
    chance::Chance,
    net::{Net, Place},
};

/// How long the store takes itself, in milliseconds.
const PUT_MS: RangeInclusive<u64> = 2..=15;
const OTHERS_MS: RangeInclusive<u64> = 1..=6;

/// See the module.
#[derive(Clone)]
pub(crate) struct RemoteObjects(Arc<Inner>);

struct Inner {
    net: Net,
    from: Place,
    tree: Tree,
    chance: Chance,
}

impl RemoteObjects {
    /// The objects of `shared` as `from` reaches them, and the `files` that are in the same tree.
    pub(crate) fn new(
        seed: u64,
        net: &Net,
        from: Place,
        shared: &FaultyObjects,
        files: &MemoryFiles,
        mishaps: Mishaps,
    ) -> Self {
        let trace = net.trace().clone();
        let objects = shared.with(move |request: Request, path: &str| {
            trace.line(format_args!("{from}>objects {request:?} {path}"));
            mishaps.of_objects(request, path)
        });
        let chance = Chance::new(seed, &format!("the objects of {from}"));
        let tree = Tree { objects, files: files.clone() };
        Self(Arc::new(Inner { net: net.clone(), from, tree, chance }))
    }

    async fn ask<T, F>(
        &self,
        takes_ms: RangeInclusive<u64>,
        ask: impl FnOnce(Tree) -> F + Send + 'static,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (answering, answer) = oneshot::channel();
        let this = Arc::clone(&self.0);
        crate::free(async move {
            let Inner { net, from, tree, chance } = &*this;
            net.travel(*from, Place::Objects).await;
            sleep(chance.millis(takes_ms)).await;
            let result = ask(tree.clone()).await;
            net.travel(Place::Objects, *from).await;
            let _ = answering.send(result);
        });
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> Error {
    Error::Generic { store: "remote", source: "the simulation is over".into() }
}

impl fmt::Debug for RemoteObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteObjects")
    }
}

impl fmt::Display for RemoteObjects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects across the network")
    }
}

#[async_trait]
impl ObjectStore for RemoteObjects {
    async fn put_opts(
        &self,
        path: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let path = path.clone();
        let ask = |tree: Tree| async move { tree.put_opts(&path, payload, options).await };
        self.ask(PUT_MS, ask).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.tree.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        let path = path.clone();
        // All of it is on its way, whatever becomes of the store afterwards.
        let ask = |tree: Tree| async move { tree.get_opts(&path, options).await };
        self.ask(OTHERS_MS, ask).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        paths
            .and_then(move |path| {
                let this = this.clone();
                async move {
                    let ask = |tree: Tree| async move {
                        tree.delete(&path).await?;
                        Ok(path)
                    };
                    this.ask(OTHERS_MS, ask).await
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            let ask = |tree: Tree| async move {
                tree.list(prefix.as_ref()).try_collect::<Vec<_>>().await
            };
            this.ask(OTHERS_MS, ask).await
        };
        stream::once(listed)
            .map_ok(|objects| stream::iter(objects.into_iter().map(Ok)))
            .try_flatten()
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.tree.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.tree.copy_opts(from, to, options).await
    }
}
