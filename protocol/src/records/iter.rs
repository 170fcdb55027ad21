//! Walking over the records of a batch.
//!
//! Only who must look inside does it: compaction, look-ups by time, coordinators reloading their
//! logs, tools. Compressed batches are decompressed whole, into at most what the caller allows.

use bytes::Bytes;
use weir_ids::{Offset, Timestamp};

use super::attributes::TimestampType;
use super::batch::{Batch, BatchHeader};
use super::compression;
use super::record::{self, Fault, Record};

/// Why the records of a batch cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The batch names a codec that Kafka does not have.
    #[error("record batch at offset {base_offset} has the unknown compression codec {id}")]
    UnknownCodec {
        /// The batch's first offset.
        base_offset: Offset,
        /// The codec's number.
        id: u8,
    },
    /// The block of records cannot be decompressed, or not within the cap.
    #[error("record batch at offset {base_offset}: {source}")]
    Compression {
        /// The batch's first offset.
        base_offset: Offset,
        /// What went wrong.
        source: compression::Error,
    },
    /// A record is malformed.
    #[error("record {index} at byte {position} of the batch at offset {base_offset}: {fault}")]
    Record {
        /// The batch's first offset.
        base_offset: Offset,
        /// Which record, from 0.
        index: i32,
        /// Where it starts in the decompressed block.
        position: usize,
        /// What is wrong with it.
        fault: Fault,
    },
    /// The header counts fewer records than there are bytes for.
    #[error("{trailing} bytes follow the {count} records of the batch at offset {base_offset}")]
    Trailing {
        /// The batch's first offset.
        base_offset: Offset,
        /// The record count of its header.
        count: i32,
        /// The bytes behind the last record.
        trailing: usize,
    },
}

impl Batch {
    /// The records, decompressed into at most `max_bytes`.
    ///
    /// # Errors
    /// If the block cannot be decompressed. What is wrong with single records is reported in their
    /// place, and ends the walk.
    pub fn records(&self, max_bytes: usize) -> Result<RecordIter, Error> {
        let header = *self.header();
        let base_offset = header.base_offset;
        let attributes = header.attributes;
        let codec = attributes
            .compression()
            .ok_or(Error::UnknownCodec { base_offset, id: attributes.codec_id() })?;
        let block = compression::decompress(codec, &self.payload(), max_bytes)
            .map_err(|source| Error::Compression { base_offset, source })?;
        Ok(RecordIter { block, walk: Walk::new(header) })
    }
}

/// The records of one batch, slices of its decompressed block.
#[derive(Clone, Debug)]
pub struct RecordIter {
    block: Bytes,
    walk: Walk,
}

impl RecordIter {
    /// The next record's place alone; its key, value and headers are not looked at.
    pub(super) fn next_place(&mut self) -> Option<Result<Place, Error>> {
        let next = self.walk.next(&self.block, |mut body| {
            let (timestamp_delta, offset_delta) = record::read_deltas(&mut body)?;
            Ok((timestamp_delta, offset_delta, ()))
        })?;
        Some(next.map(|(place, ())| place))
    }
}

impl Iterator for RecordIter {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.walk.next(&self.block, |body| {
            let parts = record::read(body)?;
            Ok((parts.timestamp_delta, parts.offset_delta, parts))
        })?;
        Some(next.map(|(place, parts)| parts.place(&self.block, place.offset, place.timestamp)))
    }
}

/// Where and when a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: Offset,
    pub(super) timestamp: Timestamp,
}

/// How far a walk has come. Counts the records, keeps their offsets in order, ends at the first
/// fault.
#[derive(Clone, Debug)]
struct Walk {
    header: BatchHeader,
    /// Where in the block the next record starts.
    position: usize,
    /// The next record's number.
    index: i32,
    /// The smallest offset delta that it may have.
    least_delta: i64,
    done: bool,
}

impl Walk {
    fn new(header: BatchHeader) -> Self {
        Self { header, position: 0, index: 0, least_delta: 0, done: false }
    }

    /// Takes the next record; `read` yields its timestamp delta, its offset delta and whatever
    /// else the caller wants of its body.
    fn next<'a, T>(
        &mut self,
        block: &'a [u8],
        read: impl FnOnce(&'a [u8]) -> Result<(i64, i64, T), Fault>,
    ) -> Option<Result<(Place, T), Error>> {
        if self.done {
            return None;
        }
        let mut rest = &block[self.position..];
        if self.index >= self.header.record_count {
            return self.end(rest.len());
        }
        let next = record::read_frame(&mut rest)
            .and_then(read)
            .and_then(|(time, delta, more)| Ok((self.place(time, delta)?, delta, more)));
        match next {
            Ok((place, delta, more)) => {
                self.position = block.len() - rest.len();
                self.index += 1;
                self.least_delta = delta + 1;
                Some(Ok((place, more)))
            }
            Err(fault) => {
                self.done = true;
                let Self { index, position, .. } = *self;
                let base_offset = self.header.base_offset;
                Some(Err(Error::Record { base_offset, index, position, fault }))
            }
        }
    }

    fn end<T>(&mut self, trailing: usize) -> Option<Result<T, Error>> {
        self.done = true;
        let BatchHeader { base_offset, record_count: count, .. } = self.header;
        (trailing > 0).then_some(Err(Error::Trailing { base_offset, count, trailing }))
    }

    fn place(&self, timestamp_delta: i64, offset_delta: i64) -> Result<Place, Fault> {
        let header = &self.header;
        if !(self.least_delta..=i64::from(header.last_offset_delta)).contains(&offset_delta) {
            return Err(Fault::OffsetDelta(offset_delta));
        }
        let timestamp = match header.attributes.timestamp_type() {
            TimestampType::LogAppendTime => header.max_timestamp,
            TimestampType::CreateTime => {
                Timestamp(header.base_timestamp.0.saturating_add(timestamp_delta))
            }
        };
        Ok(Place { offset: header.base_offset.plus(offset_delta), timestamp })
    }
}
