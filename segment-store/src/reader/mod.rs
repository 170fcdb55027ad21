//! From a reference to record batches, every byte of which has been checked.
//!
//! What is read is kept in *blocks*: a range that is not long is one, and is read whole, without its index; a longer one is
//! cut into runs of whole batches by its index. However many readers want a block, the store is asked once, and it is
//! checked once. Blocks go when others need the room, those first that nobody has wanted for longest.
//!
//! A batch's own CRC covers all but its first 21 bytes. What those must be is known from the batch before it, or, where
//! batches leave gaps as after log compaction, from the index. What does not fit is read from the store again, in case
//! the transport was to blame, and is then an error that says where: a reader never skips.
//!
//! Bounded: blocks and indexes by their bytes, requests by their number.

mod pages;
mod stored;
mod told;

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use futures::future::join_all;
use moka::policy::EvictionPolicy;
use tokio::sync::Semaphore;
use weir_ids::{Offset, Timestamp};

pub use stored::Stored;

use crate::{
    ByteRange, ObjectName, Reference,
    object::{self, BatchEntry},
    pages::Page,
    store::{Store, StoreError},
};
use stored::{hold_against, take_apart};
use told::Told;

/// What a reader may hold, and how it reads.
#[derive(Clone, Copy, Debug)]
pub struct ReaderSettings {
    /// What indexes may take of memory, and pages of references as much.
    pub index_cache_bytes: u64,
    /// What blocks may take.
    pub block_cache_bytes: u64,
    /// How many are read from the store at the same time.
    pub requests_max: usize,
}

impl Default for ReaderSettings {
    fn default() -> Self {
        Self { index_cache_bytes: 32 << 20, block_cache_bytes: 128 << 20, requests_max: 64 }
    }
}

/// Reads stored ranges. Cheap to clone; clones share what is kept.
#[derive(Clone)]
pub struct Reader {
    store: Store,
    settings: ReaderSettings,
    indexes: moka::future::Cache<Key, Arc<Index>>,
    pages: moka::future::Cache<Key, Arc<Page>>,
    blocks: moka::future::Cache<Key, Arc<Stored>>,
    requests: Arc<Semaphore>,
    told: Told,
}

/// An object and a position in it.
type Key = (ObjectName, u64);

/// The batches of a long range, and the blocks that they are read in.
struct Index {
    batches: Vec<BatchEntry>,
    blocks: Vec<Block>,
}

/// Batches that are read together.
struct Block {
    batches: Range<usize>,
    place: ByteRange,
}

/// Why a stored range was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store did not give it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it gave is not what was written.
    #[error("{object} is corrupt in bytes {at}..{end}: {what}")]
    Corrupt {
        /// The object.
        object: String,
        /// Where the range begins.
        at: u64,
        /// Where it ends.
        end: u64,
        /// What is wrong.
        what: String,
    },
}

/// How often a range is read that is not right.
const READS_OF_ROT: u32 = 3;
/// Ranges up to this length are read whole.
const WHOLE_BYTES: u32 = 2 << 20;
/// About how long the blocks of a longer one are.
const BLOCK_BYTES: u32 = 1 << 20;
/// What an entry of a cache takes beside what it holds.
const ENTRY_BYTES: usize = 128;

impl Index {
    fn new(batches: Vec<BatchEntry>, data: ByteRange) -> Self {
        let mut blocks: Vec<Block> = Vec::new();
        let mut at = data.at;
        for (place, batch) in batches.iter().enumerate() {
            match blocks.last_mut().filter(|block| block.place.len < BLOCK_BYTES) {
                Some(block) => {
                    block.batches.end = place + 1;
                    block.place.len += batch.bytes;
                }
                None => {
                    let bytes = ByteRange { at, len: batch.bytes };
                    blocks.push(Block { batches: place..place + 1, place: bytes });
                }
            }
            at += u64::from(batch.bytes);
        }
        Self { batches, blocks }
    }

    /// The place of the block with the first batch at or behind `offset`.
    fn block_with(&self, offset: Offset) -> usize {
        let last = |block: &Block| self.batches[block.batches.end - 1].last;
        self.blocks.partition_point(|block| last(block) < offset)
    }

    fn weight(&self) -> usize {
        size_of_val::<[BatchEntry]>(&self.batches) + size_of_val::<[Block]>(&self.blocks)
    }
}

fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes + ENTRY_BYTES).unwrap_or(u32::MAX)
}

impl Reader {
    /// A reader that has read nothing.
    pub fn new(store: Store, settings: ReaderSettings) -> Self {
        let indexes = moka::future::Cache::builder()
            .weigher(|_, index: &Arc<Index>| weight(index.weight()))
            .max_capacity(settings.index_cache_bytes);
        let pages = moka::future::Cache::builder()
            .weigher(|_, page: &Arc<Page>| weight(page.entries.count() * size_of::<Reference>()))
            .max_capacity(settings.index_cache_bytes);
        let held =
            |stored: &Stored| stored.bytes.len() + size_of_val::<[BatchEntry]>(&stored.batches);
        // What has been read ahead is wanted soon, however seldom it was wanted before.
        let blocks = moka::future::Cache::builder()
            .eviction_policy(EvictionPolicy::lru())
            .weigher(move |_, stored: &Arc<Stored>| weight(held(stored)))
            .max_capacity(settings.block_cache_bytes);
        Self {
            store,
            settings,
            indexes: indexes.build(),
            pages: pages.build(),
            blocks: blocks.build(),
            requests: Arc::new(Semaphore::new(settings.requests_max.max(1))),
            told: Told::default(),
        }
    }

    /// With which settings it was made.
    pub fn settings(&self) -> &ReaderSettings {
        &self.settings
    }

    /// The batches from the one that holds `from` on, whole, up to `max_bytes` but at least one, in as many pieces as
    /// they are in blocks. Gives where to go on, too.
    ///
    /// # Errors
    /// When the store does not give them, or gives something else.
    pub async fn read(
        &self,
        reference: &Reference,
        from: Offset,
        max_bytes: u32,
    ) -> Result<(Vec<Bytes>, Offset), ReadError> {
        let (mut pieces, mut left, mut next) = (Vec::new(), u64::from(max_bytes), from);
        while next <= reference.last {
            let block = match self.block_with(reference, next).await {
                // What is right beside it is given all the same.
                Err(ReadError::Corrupt { .. }) if pieces.is_empty() => {
                    return self.read_exactly(reference, next, left).await;
                }
                block => block?,
            };
            let Some((piece, last)) = block.from(next, left, pieces.is_empty()) else { break };
            let is_whole = block.batches.last().is_some_and(|batch| batch.last == last);
            left = left.saturating_sub(piece.len() as u64);
            pieces.push(piece);
            next = last.plus(1);
            if !is_whole || left == 0 {
                break;
            }
        }
        Ok((pieces, next))
    }

    /// Reads those batches and no others, by the index.
    async fn read_exactly(
        &self,
        reference: &Reference,
        from: Offset,
        max_bytes: u64,
    ) -> Result<(Vec<Bytes>, Offset), ReadError> {
        let index = self.index(reference).await?;
        let first = index.batches.partition_point(|batch| batch.last < from);
        let mut len = 0u64;
        let wanted = index.batches[first..].iter().take_while(|batch| {
            let fits = len == 0 || len + u64::from(batch.bytes) <= max_bytes;
            len += u64::from(batch.bytes);
            fits
        });
        let wanted = &index.batches[first..first + wanted.count()];
        let Some(last) = wanted.last() else { return Ok((Vec::new(), from)) };
        let sum =
            |batches: &[BatchEntry]| batches.iter().map(|it| u64::from(it.bytes)).sum::<u64>();
        let len = u32::try_from(sum(wanted)).unwrap_or(reference.data.len);
        let place = ByteRange { at: reference.data.at + sum(&index.batches[..first]), len };
        let hold = |bytes| hold_against(bytes, wanted, reference);
        let stored = self.checked(reference.object, place, hold).await?;
        Ok((vec![stored.bytes], last.last.plus(1)))
    }

    /// Reads about `bytes` of a range from the batch that holds `from` on, so that they are at hand when somebody wants
    /// them.
    pub async fn read_ahead(&self, reference: &Reference, from: Offset, bytes: u32) {
        // Whoever wants them meets the error.
        let _ = self.read_ahead_of(reference, from, bytes).await;
    }

    async fn read_ahead_of(
        &self,
        reference: &Reference,
        from: Offset,
        bytes: u32,
    ) -> Result<(), ReadError> {
        if reference.data.len <= WHOLE_BYTES {
            return self.whole(reference).await.map(drop);
        }
        let index = self.index(reference).await?;
        let begin = index.block_with(from);
        let at = index.blocks.get(begin).map_or(0, |block| block.place.at);
        let end = at + u64::from(bytes);
        let wanted = (begin..index.blocks.len()).take_while(|it| index.blocks[*it].place.at < end);
        let reads = wanted.map(|block| self.block(reference, &index, block));
        join_all(reads).await.into_iter().try_for_each(|read| read.map(drop))
    }

    /// The first batch that holds a record at or after `timestamp`, if any does.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub async fn first_at(
        &self,
        reference: &Reference,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<Option<Bytes>, ReadError> {
        let found = |batches: &[BatchEntry]| Stored::at(batches, timestamp, from);
        self.find(reference, found).await
    }

    /// The first batch with the largest timestamp.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub async fn latest(&self, reference: &Reference) -> Result<Option<Bytes>, ReadError> {
        let largest = reference.max_timestamp;
        let found = |batches: &[BatchEntry]| {
            batches.iter().position(|batch| batch.max_timestamp == largest)
        };
        self.find(reference, found).await
    }

    /// The batch at the place that `wanted` gives.
    async fn find(
        &self,
        reference: &Reference,
        wanted: impl Fn(&[BatchEntry]) -> Option<usize>,
    ) -> Result<Option<Bytes>, ReadError> {
        if reference.data.len <= WHOLE_BYTES {
            let whole = self.whole(reference).await?;
            return Ok(wanted(&whole.batches).map(|place| whole.batch(place)));
        }
        let index = self.index(reference).await?;
        let Some(place) = wanted(&index.batches) else { return Ok(None) };
        let number = index.blocks.partition_point(|block| block.batches.end <= place);
        let block = self.block(reference, &index, number).await?;
        Ok(Some(block.batch(place - index.blocks[number].batches.start)))
    }

    /// The block with the first batch at or behind `offset`, which is at most the last of the reference.
    async fn block_with(
        &self,
        reference: &Reference,
        offset: Offset,
    ) -> Result<Arc<Stored>, ReadError> {
        if reference.data.len <= WHOLE_BYTES {
            return self.whole(reference).await;
        }
        let index = self.index(reference).await?;
        self.block(reference, &index, index.block_with(offset)).await
    }

    async fn whole(&self, reference: &Reference) -> Result<Arc<Stored>, ReadError> {
        let load = async {
            let turn = self.turn().await;
            let take = |bytes| take_apart(bytes, reference);
            let apart = self.checked(reference.object, reference.data, take).await?;
            drop(turn);
            self.without_gaps(reference, apart).await.map(Arc::new)
        };
        let key = (reference.object, reference.data.at);
        self.blocks.try_get_with(key, load).await.map_err(|error| ReadError::clone(&error))
    }

    async fn block(
        &self,
        reference: &Reference,
        index: &Index,
        number: usize,
    ) -> Result<Arc<Stored>, ReadError> {
        let Block { batches, place } = &index.blocks[number];
        let load = async {
            let _turn = self.turn().await;
            let batches = &index.batches[batches.clone()];
            let hold = |bytes| hold_against(bytes, batches, reference);
            self.checked(reference.object, *place, hold).await.map(Arc::new)
        };
        let key = (reference.object, place.at);
        self.blocks.try_get_with(key, load).await.map_err(|error| ReadError::clone(&error))
    }

    async fn index(&self, reference: &Reference) -> Result<Arc<Index>, ReadError> {
        let load = async {
            let _turn = self.turn().await;
            let batches = self.batches(reference).await?;
            Ok(Arc::new(Index::new(batches, reference.data)))
        };
        let key = (reference.object, reference.index.at);
        let index = self.indexes.try_get_with(key, load).await;
        index.map_err(|error: Arc<ReadError>| ReadError::clone(&error))
    }

    async fn batches(&self, reference: &Reference) -> Result<Vec<BatchEntry>, ReadError> {
        let decode = |bytes: Bytes| {
            object::batches_of(&bytes, reference.base, reference.last, reference.data.len)
                .map_err(|error| error.to_string())
        };
        self.checked(reference.object, reference.index, decode).await
    }

    async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // It is never closed.
        self.requests.acquire().await.ok()
    }

    /// All that `references` lead to, which lie in `object`; what lies close together there is read in one request.
    /// Neither looked for among what is kept, nor kept.
    ///
    /// # Errors
    /// For each reference as [`Reader::read`].
    pub async fn all(
        &self,
        object: ObjectName,
        references: &[Reference],
    ) -> Vec<Result<Stored, ReadError>> {
        let wanted: Vec<ByteRange> = references.iter().map(|reference| reference.data).collect();
        let pieces = self.store.get_ranges(object, &wanted).await;
        let checked = references.iter().zip(pieces).map(|(reference, bytes)| async move {
            let apart = match take_apart(bytes?, reference) {
                Ok(apart) => apart,
                // The transport may be to blame.
                Err(_) => {
                    let take = |bytes| take_apart(bytes, reference);
                    self.checked(object, reference.data, take).await?
                }
            };
            self.without_gaps(reference, apart).await
        });
        join_all(checked).await
    }

    /// Where batches leave gaps, only the index says that none is elsewhere than it was.
    async fn without_gaps(
        &self,
        reference: &Reference,
        (stored, gapless): (Stored, bool),
    ) -> Result<Stored, ReadError> {
        if gapless || self.batches(reference).await? == stored.batches {
            return Ok(stored);
        }
        let (object, range) = (reference.object.to_string(), reference.data);
        let what = "its batches are not those of its index".to_owned();
        Err(ReadError::Corrupt { object, at: range.at, end: range.end(), what })
    }

    /// Reads `range` and checks it with `check`; reads again if that says no. Says once what is wrong for good.
    async fn checked<T>(
        &self,
        object: ObjectName,
        range: ByteRange,
        check: impl Fn(Bytes) -> Result<T, String>,
    ) -> Result<T, ReadError> {
        let checked = self.checked_again(object, range, check).await;
        if let Err(error) = &checked {
            self.told.once((object, range.at), error);
        }
        checked
    }

    async fn checked_again<T>(
        &self,
        object: ObjectName,
        range: ByteRange,
        check: impl Fn(Bytes) -> Result<T, String>,
    ) -> Result<T, ReadError> {
        let mut reads = 0;
        loop {
            let what = match check(self.store.get_range(object, range).await?) {
                Ok(checked) => return Ok(checked),
                Err(what) => what,
            };
            let (object, at) = (object.to_string(), range.at);
            reads += 1;
            if reads >= READS_OF_ROT {
                return Err(ReadError::Corrupt { object, at, end: range.end(), what });
            }
            tracing::debug!(object, at, what, "a stored range is not right; reading it again");
        }
    }
}
