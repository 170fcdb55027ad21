//! Blocks of objects, kept in memory: what somebody has read, or is reading just now, costs others no request.
//!
//! An object is cut into blocks of equal length, the last one shorter. However many readers ask for a block at the same
//! time, the store is asked for it once. Objects never change, so a block is right as long as it is kept; only how long an
//! object that is written yet will be is not known, so a last block that ends before what is asked for is read
//! again. Files of a local log are not kept: the operating system does that.
//!
//! Bounded by the bytes of the blocks; requests that are under way by their number.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::try_join_all;
use tokio::sync::Semaphore;

use crate::{ByteRange, ObjectName, Store, StoreError};

/// How much blocks may take, and how they are read.
#[derive(Clone, Copy, Debug)]
pub struct BlockSettings {
    /// What all blocks may hold.
    pub cache_bytes: u64,
    /// The length of a block.
    pub block_bytes: u32,
    /// How many are read from the store at the same time.
    pub requests_max: usize,
}

impl Default for BlockSettings {
    fn default() -> Self {
        Self { cache_bytes: 256 << 20, block_bytes: 1 << 20, requests_max: 64 }
    }
}

/// The blocks of one store. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Blocks {
    store: Store,
    cached: moka::future::Cache<Key, Bytes>,
    requests: Arc<Semaphore>,
    block_bytes: u64,
}

/// An object, and which of its blocks.
type Key = (ObjectName, u64);

/// What a block takes beside its bytes.
const ENTRY_BYTES: usize = 128;

impl Blocks {
    /// No blocks yet.
    pub fn new(store: Store, settings: BlockSettings) -> Self {
        let weigh =
            |_: &Key, block: &Bytes| u32::try_from(block.len() + ENTRY_BYTES).unwrap_or(u32::MAX);
        let cached =
            moka::future::Cache::builder().weigher(weigh).max_capacity(settings.cache_bytes);
        Self {
            store,
            cached: cached.build(),
            requests: Arc::new(Semaphore::new(settings.requests_max)),
            block_bytes: u64::from(settings.block_bytes.max(1)),
        }
    }

    /// `range` of `object`, in as many pieces as it has blocks.
    ///
    /// # Errors
    /// When the store does not give it, or the object ends before it.
    pub async fn read(
        &self,
        object: ObjectName,
        range: ByteRange,
    ) -> Result<Vec<Bytes>, StoreError> {
        if self.store.is_local_file(object) {
            return Ok(vec![self.store.get_range(object, range).await?]);
        }
        let end = range.at + u64::from(range.len);
        let pieces = self.numbers(range).map(|number| async move {
            let begin = number * self.block_bytes;
            let from = range.at.saturating_sub(begin) as usize;
            let to = (end - begin).min(self.block_bytes) as usize;
            let block = self.block(object, number, to).await?;
            Ok(block.slice(from..to))
        });
        try_join_all(pieces).await
    }

    /// Forgets the blocks of `range`: what was read there is not what was written.
    pub async fn forget(&self, object: ObjectName, range: ByteRange) {
        for number in self.numbers(range) {
            self.cached.invalidate(&(object, number)).await;
        }
    }

    fn numbers(&self, range: ByteRange) -> std::ops::Range<u64> {
        let end = range.at + u64::from(range.len);
        range.at / self.block_bytes..end.div_ceil(self.block_bytes)
    }

    /// A block, of which at least the first `least` bytes are there.
    async fn block(
        &self,
        object: ObjectName,
        number: u64,
        least: usize,
    ) -> Result<Bytes, StoreError> {
        let key = (object, number);
        let block = self.cached(key).await?;
        if block.len() >= least {
            return Ok(block);
        }
        // It has grown since, or it is broken.
        self.cached.invalidate(&key).await;
        let block = self.cached(key).await?;
        if block.len() >= least {
            return Ok(block);
        }
        let begin = number * self.block_bytes;
        let (len, end) = (begin + block.len() as u64, begin + least as u64);
        Err(StoreError::Short { name: object.to_string(), len, end })
    }

    async fn cached(&self, key: Key) -> Result<Bytes, StoreError> {
        let read = self.cached.try_get_with(key, self.load(key)).await;
        read.map_err(|error| StoreError::clone(&error))
    }

    async fn load(&self, (object, number): Key) -> Result<Bytes, StoreError> {
        // The semaphore is never closed.
        let _turn = self.requests.acquire().await;
        self.store.get_upto(object, number * self.block_bytes, self.block_bytes).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::future::join_all;
    use object_store::{ObjectStoreExt, path::Path};
    use weir_ids::SessionId;

    use super::*;
    use crate::testing::{Fate, FaultyObjects, Request};

    const OBJECT: ObjectName = ObjectName::Sorted { session: SessionId(1), number: 1 };

    /// A store of one object of 250 bytes, each the count of those before it, whose reads are counted and go as `fate`
    /// says of each by its number.
    async fn blocks(
        fate: impl Fn(u64) -> Fate + Send + Sync + 'static,
    ) -> (Blocks, Arc<AtomicU64>) {
        let reads = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&reads);
        let objects = FaultyObjects::new(move |request: Request, _: &str| match request {
            Request::Get => fate(counted.fetch_add(1, Ordering::Relaxed) + 1),
            _ => Fate::Done,
        });
        put(&objects, 250).await;
        let settings = BlockSettings { block_bytes: 100, ..BlockSettings::default() };
        (Blocks::new(Store::new(Arc::new(objects), None), settings), reads)
    }

    async fn put(objects: &FaultyObjects, len: u8) {
        let bytes: Vec<u8> = (0..len).collect();
        objects.put(&Path::from(OBJECT.to_string()), bytes.into()).await.unwrap();
    }

    async fn read(blocks: &Blocks, at: u64, len: u32) -> Result<Vec<u8>, StoreError> {
        Ok(blocks.read(OBJECT, ByteRange { at, len }).await?.concat())
    }

    fn bytes(range: std::ops::Range<u8>) -> Result<Vec<u8>, StoreError> {
        Ok(range.collect())
    }

    #[tokio::test]
    async fn a_block_is_read_once_however_many_want_it() {
        let (blocks, reads) = blocks(|_| Fate::Done).await;
        let readers = (0..50).map(|_| read(&blocks, 90, 20));
        for found in join_all(readers).await {
            assert_eq!(found, bytes(90..110));
        }
        assert_eq!(reads.load(Ordering::Relaxed), 2);
        assert_eq!(read(&blocks, 0, 250).await, bytes(0..250));
        assert_eq!(reads.load(Ordering::Relaxed), 3, "only the last block was missing");
        assert_eq!(read(&blocks, 249, 0).await, bytes(0..0));
    }

    #[tokio::test]
    async fn what_was_not_read_is_not_kept() {
        let first_fails = |number| if number == 1 { Fate::Fails } else { Fate::Done };
        let (blocks, _) = blocks(first_fails).await;
        assert!(matches!(read(&blocks, 0, 10).await, Err(StoreError::Failed { .. })));
        assert_eq!(read(&blocks, 0, 10).await, bytes(0..10));
    }

    #[tokio::test]
    async fn what_is_forgotten_is_read_again() {
        let first_rots = |number| if number == 1 { Fate::Rots(9) } else { Fate::Done };
        let (blocks, _) = blocks(first_rots).await;
        assert_ne!(read(&blocks, 0, 100).await, bytes(0..100));
        blocks.forget(OBJECT, ByteRange { at: 0, len: 100 }).await;
        assert_eq!(read(&blocks, 0, 100).await, bytes(0..100));
    }

    #[tokio::test]
    async fn an_object_that_has_grown_is_read_to_its_new_end() {
        let objects = FaultyObjects::new(|_: Request, _: &str| Fate::Done);
        put(&objects, 130).await;
        let settings = BlockSettings { block_bytes: 100, ..BlockSettings::default() };
        let blocks = Blocks::new(Store::new(Arc::new(objects.clone()), None), settings);
        assert_eq!(read(&blocks, 100, 30).await, bytes(100..130));
        let short = read(&blocks, 100, 40).await;
        assert!(matches!(short, Err(StoreError::Short { len: 130, end: 140, .. })), "{short:?}");
        put(&objects, 140).await;
        assert_eq!(read(&blocks, 100, 40).await, bytes(100..140));
    }

    #[tokio::test]
    async fn blocks_take_no_more_than_they_may() {
        let objects = FaultyObjects::new(|_: Request, _: &str| Fate::Done);
        put(&objects, 250).await;
        let settings =
            BlockSettings { block_bytes: 10, cache_bytes: 1_000, ..BlockSettings::default() };
        let blocks = Blocks::new(Store::new(Arc::new(objects), None), settings);
        assert_eq!(read(&blocks, 0, 250).await, bytes(0..250));
        blocks.cached.run_pending_tasks().await;
        assert!(blocks.cached.weighted_size() <= 1_000, "{}", blocks.cached.weighted_size());
    }
}
