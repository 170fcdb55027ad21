//! From a reference to record batches, every byte of which has been checked.
//!
//! A batch's own CRC covers all but its first 21 bytes; the index says what those must be. What does
//! not fit is read from the store again, in case the transport was to blame, and is then an error that
//! says where: a reader never skips.

use std::sync::Arc;

use bytes::Bytes;
use weir_ids::{Offset, Timestamp};
use weir_protocol::records;

use crate::{
    ByteRange, Reference,
    object::{self, BatchEntry},
    store::{Store, StoreError},
};

/// Reads stored ranges. Cheap to clone; clones share the index cache.
#[derive(Clone)]
pub struct Reader {
    store: Store,
    indexes: moka::sync::Cache<(crate::ObjectName, u64), Arc<[BatchEntry]>>,
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

/// What one cached entry takes beside its batches.
const ENTRY_BYTES: u32 = 128;

impl Reader {
    /// A reader with an index cache of at most `index_cache_bytes`.
    pub fn new(store: Store, index_cache_bytes: u64) -> Self {
        let indexes = moka::sync::Cache::builder()
            .weigher(|_, batches: &Arc<[BatchEntry]>| {
                let bytes = size_of_val::<[BatchEntry]>(batches);
                u32::try_from(bytes).unwrap_or(u32::MAX).saturating_add(ENTRY_BYTES)
            })
            .max_capacity(index_cache_bytes)
            .build();
        Self { store, indexes }
    }

    /// The batches from the one that holds `from` on, whole, up to `max_bytes` but at least one, in
    /// one piece.
    ///
    /// # Errors
    /// When the store does not give them, or gives something else.
    pub async fn read(
        &self,
        reference: &Reference,
        from: Offset,
        max_bytes: u32,
    ) -> Result<Bytes, ReadError> {
        let batches = self.index(reference).await?;
        let first = batches.partition_point(|batch| batch.last < from);
        let mut len = 0u64;
        let wanted = batches[first..].iter().take_while(|batch| {
            let fits = len == 0 || len + u64::from(batch.bytes) <= u64::from(max_bytes);
            len += u64::from(batch.bytes);
            fits
        });
        let count = wanted.count();
        self.span(reference, &batches, first..first + count).await
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
        let batches = self.index(reference).await?;
        let found =
            batches.iter().position(|batch| batch.last >= from && batch.max_timestamp >= timestamp);
        match found {
            Some(place) => self.one(reference, &batches, place).await.map(Some),
            None => Ok(None),
        }
    }

    /// The first batch with the largest timestamp.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub async fn latest(&self, reference: &Reference) -> Result<Option<Bytes>, ReadError> {
        let batches = self.index(reference).await?;
        let found = batches.iter().position(|batch| batch.max_timestamp == reference.max_timestamp);
        match found {
            Some(place) => self.one(reference, &batches, place).await.map(Some),
            None => Ok(None),
        }
    }

    async fn one(
        &self,
        reference: &Reference,
        batches: &[BatchEntry],
        place: usize,
    ) -> Result<Bytes, ReadError> {
        self.span(reference, batches, place..place + 1).await
    }

    async fn index(&self, reference: &Reference) -> Result<Arc<[BatchEntry]>, ReadError> {
        let key = (reference.object, reference.index.at);
        if let Some(cached) = self.indexes.get(&key) {
            return Ok(cached);
        }
        let decode = |bytes: Bytes| {
            object::batches_of(&bytes, reference.base, reference.last, reference.data.len)
                .map_err(|error| error.to_string())
        };
        let batches: Arc<[BatchEntry]> =
            self.checked(reference, reference.index, decode).await?.into();
        self.indexes.insert(key, Arc::clone(&batches));
        Ok(batches)
    }

    async fn span(
        &self,
        reference: &Reference,
        batches: &[BatchEntry],
        wanted: std::ops::Range<usize>,
    ) -> Result<Bytes, ReadError> {
        if wanted.is_empty() {
            return Ok(Bytes::new());
        }
        let sum = |batches: &[BatchEntry]| batches.iter().map(|b| u64::from(b.bytes)).sum::<u64>();
        let (before, wanted) = (&batches[..wanted.start], &batches[wanted]);
        let len = u32::try_from(sum(wanted)).unwrap_or(reference.data.len);
        let range = ByteRange { at: reference.data.at + sum(before), len };
        self.checked(reference, range, |bytes| verify(bytes, wanted, reference)).await
    }

    /// Reads `range` and checks it with `check`; reads again if that says no.
    async fn checked<T>(
        &self,
        reference: &Reference,
        range: ByteRange,
        check: impl Fn(Bytes) -> Result<T, String>,
    ) -> Result<T, ReadError> {
        let mut reads = 0;
        loop {
            let what = match check(self.store.get_range(reference.object, range).await?) {
                Ok(checked) => return Ok(checked),
                Err(what) => what,
            };
            let (object, at) = (reference.object.to_string(), range.at);
            reads += 1;
            if reads >= READS_OF_ROT {
                let end = range.at + u64::from(range.len);
                return Err(ReadError::Corrupt { object, at, end, what });
            }
            tracing::warn!(object, at, what, "a stored range is not right; reading it again");
        }
    }
}

/// Holds `bytes` against the batches that the index says they are.
fn verify(bytes: Bytes, wanted: &[BatchEntry], reference: &Reference) -> Result<Bytes, String> {
    let mut rest = bytes.clone();
    for entry in wanted {
        let piece = rest.split_to((entry.bytes as usize).min(rest.len()));
        let batch = records::Batch::parse(piece).map_err(|error| error.to_string())?;
        let header = batch.header();
        if (header.base_offset, header.last_offset(), header.leader_epoch)
            != (entry.base, entry.last, reference.epoch)
        {
            return Err(format!("the batch at offset {} is another one", entry.base));
        }
        batch.verify().map_err(|error| error.to_string())?;
    }
    Ok(bytes)
}
