//! Writing batches: coordinators their state, transaction markers, compaction what it keeps, tests
//! what a producer would send.

use bytes::Bytes;
use weir_ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::attributes::{Attributes, Compression};
use super::batch::{Batch, BatchHeader, HEADER_BYTES, PREFIX_BYTES, VerifiedBatch, at};
use super::compression;
use super::crc::crc32c;
use super::record::{self, Parts, Record};

/// No batch is larger than its length field can say.
const MAX_BATCH_BYTES: usize = i32::MAX as usize;

/// A header of a record to be written: key and value.
pub type Header<'a> = (&'a str, Option<&'a [u8]>);

/// Why a batch cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// More than the format's lengths can say.
    #[error("record batch of {bytes} bytes exceeds the format's limit of 2 GiB: use several")]
    TooLarge {
        /// What it would have come to.
        bytes: usize,
    },
    /// A record at or before the one pushed last, or too far from the first.
    #[error("offset {offset} is not in order or is over 2^31 offsets after {base_offset}")]
    Offset {
        /// The record's.
        offset: Offset,
        /// The batch's.
        base_offset: Offset,
    },
    /// The codec failed.
    #[error(transparent)]
    Compression(#[from] compression::Error),
}

/// Gathers records into a batch.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    header: BatchHeader,
    compression: Compression,
    append_time: Option<Timestamp>,
    /// The records so far, uncompressed.
    block: Vec<u8>,
    /// Headers on their way into the block.
    scratch: Vec<u8>,
    /// The offset delta of the record that comes next unless it brings its own.
    next_delta: i64,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchBuilder {
    /// A batch without a codec or producer, its offsets from 0, with the records' own timestamps.
    #[must_use]
    pub fn new() -> Self {
        Self {
            header: BatchHeader {
                base_offset: Offset::ZERO,
                length: 0,
                leader_epoch: LeaderEpoch::NONE,
                crc: 0,
                attributes: Attributes::default(),
                last_offset_delta: -1,
                base_timestamp: Timestamp::NONE,
                max_timestamp: Timestamp::NONE,
                producer_id: ProducerId::NONE,
                producer_epoch: ProducerEpoch(-1),
                base_sequence: Sequence(-1),
                record_count: 0,
            },
            compression: Compression::None,
            append_time: None,
            block: Vec::new(),
            scratch: Vec::new(),
            next_delta: 0,
        }
    }

    /// A batch to take what compaction keeps of `original`: offsets, producer, flags and leader
    /// epoch stay, also if no record is kept.
    #[must_use]
    pub fn rewriting(original: &BatchHeader) -> Self {
        let mut builder = Self::new();
        let attributes = original.attributes;
        builder.compression = attributes.compression().unwrap_or(Compression::None);
        builder.header = BatchHeader { record_count: 0, ..*original };
        if !attributes.has_delete_horizon() {
            builder.header.base_timestamp = Timestamp::NONE;
        }
        if attributes.timestamp_type() == super::TimestampType::LogAppendTime {
            builder.append_time = Some(original.max_timestamp);
        }
        builder
    }

    /// A batch without records that stands for offsets whose records are gone: whoever reads goes on behind it. `last`
    /// is at most `i32::MAX` behind `base`.
    #[must_use]
    pub fn empty(base: Offset, last: Offset, leader_epoch: LeaderEpoch) -> Self {
        let mut builder = Self::new();
        builder.header.base_offset = base;
        builder.header.last_offset_delta = i32::try_from(last.0 - base.0).unwrap_or(i32::MAX);
        builder.header.leader_epoch = leader_epoch;
        builder
    }

    /// Compresses the records.
    #[must_use]
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The offset of the first record.
    #[must_use]
    pub fn base_offset(mut self, base_offset: Offset) -> Self {
        self.header.base_offset = base_offset;
        self
    }

    /// The epoch of the leader that appends it.
    #[must_use]
    pub fn leader_epoch(mut self, leader_epoch: LeaderEpoch) -> Self {
        self.header.leader_epoch = leader_epoch;
        self
    }

    /// The idempotent producer that writes it.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, first: Sequence) -> Self {
        self.header.producer_id = id;
        self.header.producer_epoch = epoch;
        self.header.base_sequence = first;
        self
    }

    /// Part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_transactional();
        self
    }

    /// A control batch.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.header.attributes = self.header.attributes.with_control();
        self
    }

    /// The broker's timestamp for all records.
    #[must_use]
    pub fn append_time(mut self, time: Timestamp) -> Self {
        self.header.attributes = self.header.attributes.with_log_append_time();
        self.append_time = Some(time);
        self
    }

    /// From when on compaction may drop the batch's tombstones (KIP-534). To be set before the
    /// first record, since it takes the base timestamp's place.
    #[must_use]
    pub fn delete_horizon(mut self, horizon: Timestamp) -> Self {
        self.header.attributes = self.header.attributes.with_delete_horizon();
        self.header.base_timestamp = horizon;
        self
    }

    /// How many records there are.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.header.record_count
    }

    /// The bytes of the records so far, before compression.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.block.len()
    }

    /// Adds a record behind the last.
    ///
    /// # Errors
    /// If the batch gets too large; it is then as it was.
    pub fn push(
        &mut self,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) -> Result<(), Error> {
        let mut encoded = std::mem::take(&mut self.scratch);
        encoded.clear();
        let bytes = headers.iter().map(|(k, v)| 10 + k.len() + v.map_or(0, <[u8]>::len)).sum();
        if bytes > MAX_BATCH_BYTES {
            return Err(Error::TooLarge { bytes });
        }
        for (key, value) in headers {
            record::write_header(key.as_bytes(), *value, &mut encoded);
        }
        let parts = Parts {
            timestamp_delta: 0,
            offset_delta: self.next_delta,
            key,
            value,
            header_count: headers.len(),
            headers: &encoded,
        };
        let added = self.add(timestamp, parts);
        self.scratch = encoded;
        added
    }

    /// Adds a record of another batch at its own offset.
    ///
    /// # Errors
    /// If the batch gets too large or the offset is not behind the last; it is then as it was.
    pub fn push_record(&mut self, record: &Record) -> Result<(), Error> {
        let parts = Parts {
            timestamp_delta: 0,
            offset_delta: record.offset.0.saturating_sub(self.header.base_offset.0),
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            header_count: record.headers.len(),
            headers: record.headers.encoded(),
        };
        self.add(record.timestamp, parts)
    }

    /// Ends the batch.
    ///
    /// # Errors
    /// If it is too large or the codec fails.
    pub fn build(self) -> Result<VerifiedBatch, Error> {
        let payload = compression::compress(self.compression, self.block)?;
        let bytes = HEADER_BYTES + payload.len();
        if bytes > MAX_BATCH_BYTES {
            return Err(Error::TooLarge { bytes });
        }
        let mut header = self.header;
        header.length = (bytes - PREFIX_BYTES) as i32;
        header.attributes = header.attributes.with_compression(self.compression);
        if let Some(time) = self.append_time {
            header.max_timestamp = time;
        }
        let mut bytes = Vec::with_capacity(bytes);
        bytes.extend_from_slice(&header.write());
        bytes.extend_from_slice(&payload);
        header.crc = crc32c(&bytes[at::ATTRIBUTES..]);
        bytes[at::CRC..at::ATTRIBUTES].copy_from_slice(&header.crc.to_be_bytes());
        Ok(VerifiedBatch(Batch::assembled(header, Bytes::from(bytes))))
    }

    fn add(&mut self, timestamp: Timestamp, mut parts: Parts<'_>) -> Result<(), Error> {
        let delta = parts.offset_delta;
        if delta < self.next_delta || delta > i64::from(i32::MAX) {
            let base_offset = self.header.base_offset;
            return Err(Error::Offset { offset: base_offset.plus(delta), base_offset });
        }
        let horizon = self.header.attributes.has_delete_horizon();
        let first = self.header.record_count == 0;
        let base_timestamp = if first && !horizon { timestamp } else { self.header.base_timestamp };
        parts.timestamp_delta = timestamp.0.saturating_sub(base_timestamp.0);
        let bytes = HEADER_BYTES + self.block.len() + 5 + record::body_size(&parts);
        if bytes > MAX_BATCH_BYTES {
            return Err(Error::TooLarge { bytes });
        }
        record::write(&parts, &mut self.block);
        self.header.base_timestamp = base_timestamp;
        self.header.max_timestamp =
            if first { timestamp } else { self.header.max_timestamp.max(timestamp) };
        // A record has seven bytes or more, so the count cannot reach the batch's limit in bytes.
        self.header.record_count += 1;
        self.header.last_offset_delta = self.header.last_offset_delta.max(delta as i32);
        self.next_delta = delta + 1;
        Ok(())
    }
}
