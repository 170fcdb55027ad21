//! What a broker must check of a batch that a client sends.
//!
//! All of it is read from the header, plus one CRC pass: records are neither decompressed nor
//! walked here (a lying count costs the liar's own consumers, nobody else).
//! Topics that ask something of every record go on to [`inspect`](super::inspect).
//!
//! The checks and their order are those of Kafka's `UnifiedLog.analyzeAndValidateRecords` and
//! `LogValidator`, so that the same bad batch gets the same error from us.

use bytes::Bytes;
use weir_ids::Timestamp;

use super::attributes::{Attributes, Compression, TimestampType};
use super::batch::{self, Batch, BatchHeader, CrcMismatch, HEADER_BYTES, VerifiedBatch};
use crate::ErrorCode;

/// A record cannot be shorter: seven one-byte numbers.
pub(super) const SMALLEST_RECORD_BYTES: usize = 7;

/// What a topic and a request version allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProduceRules {
    /// `max.message.bytes`: of the whole batch, as it was sent.
    pub max_batch_bytes: usize,
    /// Whether the request's version may carry zstd (Produce 7 and above, KIP-110).
    pub zstd: bool,
    /// The span in which the batch's maximal timestamp must lie, ends included; `None` for no
    /// bounds, as on topics with LogAppendTime.
    pub timestamps: Option<(Timestamp, Timestamp)>,
}

/// Why a broker refuses a client's batch. None of them goes away by trying again with the same
/// bytes, but for bytes that were damaged on their way ([`ErrorCode::CORRUPT_MESSAGE`]).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
pub enum Rejection {
    /// Nothing at all.
    #[error("no record batch where exactly one is expected")]
    NoBatch,
    /// More than the one batch that Produce 3 and above may carry.
    #[error("{trailing} bytes follow the record batch, but exactly one batch is expected")]
    SeveralBatches {
        /// The bytes after the first batch.
        trailing: usize,
    },
    /// A format from before Kafka 0.11.
    #[error("record batch has magic {magic}, but only magic 2 is accepted")]
    UnsupportedMagic {
        /// The magic byte.
        magic: i8,
    },
    /// Not one whole batch.
    #[error("record batch is cut or its length is wrong: {0}")]
    Malformed(batch::Error),
    /// The bytes are not those that the producer summed.
    #[error(transparent)]
    Crc(#[from] CrcMismatch),
    /// Beyond what the topic takes.
    #[error("record batch of {bytes} bytes is larger than max.message.bytes, {max_bytes}")]
    TooLarge {
        /// The batch's size.
        bytes: usize,
        /// The topic's limit.
        max_bytes: usize,
    },
    /// A codec that Kafka does not have.
    #[error("compression codec {id} is not known")]
    UnknownCodec {
        /// The codec's number.
        id: u8,
    },
    /// zstd in a request that must not carry it (KIP-110).
    #[error("zstd needs produce version 7 or above: upgrade the client or choose another codec")]
    ZstdTooOld,
    /// Offsets are the broker's to give.
    #[error("record batch from a client must have base offset 0, not {0}")]
    BaseOffset(i64),
    /// Not as many records as offsets.
    #[error("record count {count} does not fit last offset delta {last_offset_delta}")]
    Count {
        /// The record count.
        count: i32,
        /// The last offset delta, to be the count less one.
        last_offset_delta: i32,
    },
    /// More records than could lie in the bytes.
    #[error("{count} records cannot lie in {payload_bytes} bytes")]
    CountBeyondPayload {
        /// The record count.
        count: i32,
        /// The bytes after the header.
        payload_bytes: usize,
    },
    /// Transaction markers are the broker's to write.
    #[error("clients may not write control batches")]
    Control,
    /// Delete horizons are compaction's to set.
    #[error("clients may not set a delete horizon")]
    DeleteHorizon,
    /// Half an idempotent producer.
    #[error("producer id {producer_id} without a valid epoch and sequence: {epoch}, {sequence}")]
    Producer {
        /// The producer id.
        producer_id: i64,
        /// The producer epoch.
        epoch: i16,
        /// The base sequence.
        sequence: i32,
    },
    /// Only a producer with an id can be in a transaction.
    #[error("transactional record batch without a producer id")]
    TransactionalWithoutProducer,
    /// The time of the append is the broker's to set.
    #[error("clients may not set the timestamp type to LogAppendTime")]
    LogAppendTime,
    /// Too old or too far ahead.
    #[error("maximal timestamp {timestamp} is outside the allowed span from {from} to {to}")]
    Timestamp {
        /// The batch's maximal timestamp.
        timestamp: Timestamp,
        /// The smallest allowed.
        from: Timestamp,
        /// The largest allowed.
        to: Timestamp,
    },
}

impl Rejection {
    /// What a Produce response says of it.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Malformed(_) | Self::Crc(_) => ErrorCode::CORRUPT_MESSAGE,
            Self::TooLarge { .. } => ErrorCode::MESSAGE_TOO_LARGE,
            Self::UnknownCodec { .. } | Self::ZstdTooOld => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            Self::LogAppendTime | Self::Timestamp { .. } => ErrorCode::INVALID_TIMESTAMP,
            Self::NoBatch
            | Self::SeveralBatches { .. }
            | Self::UnsupportedMagic { .. }
            | Self::BaseOffset(_)
            | Self::Count { .. }
            | Self::CountBeyondPayload { .. }
            | Self::Control
            | Self::DeleteHorizon
            | Self::Producer { .. }
            | Self::TransactionalWithoutProducer => ErrorCode::INVALID_RECORD,
        }
    }
}

impl From<batch::Error> for Rejection {
    fn from(error: batch::Error) -> Self {
        match error {
            batch::Error::UnsupportedMagic { magic, .. } => Self::UnsupportedMagic { magic },
            batch::Error::Trailing { trailing, .. } => Self::SeveralBatches { trailing },
            batch::Error::Truncated { .. } | batch::Error::LyingLength { .. } => {
                Self::Malformed(error)
            }
        }
    }
}

/// Checks the records that a Produce request of version 3 or above holds for one partition.
///
/// # Errors
/// The first reason, in Kafka's order, why they cannot be appended.
pub fn validate_produced(records: Bytes, rules: &ProduceRules) -> Result<VerifiedBatch, Rejection> {
    if records.is_empty() {
        return Err(Rejection::NoBatch);
    }
    let batch = Batch::parse(records)?;
    let header = batch.header();
    if header.base_offset.0 != 0 {
        return Err(Rejection::BaseOffset(header.base_offset.0));
    }
    if header.size() > rules.max_batch_bytes {
        let max_bytes = rules.max_batch_bytes;
        return Err(Rejection::TooLarge { bytes: header.size(), max_bytes });
    }
    // The bytes first, their meaning after: a flipped bit is answered CORRUPT_MESSAGE, which a
    // producer retries, and not by whatever field it happened to hit.
    let batch = batch.verify()?;
    check_codec(batch.header().attributes, rules)?;
    check_count(batch.header())?;
    check_flags(batch.header())?;
    check_timestamps(batch.header(), rules)?;
    Ok(batch)
}

fn check_codec(attributes: Attributes, rules: &ProduceRules) -> Result<(), Rejection> {
    match attributes.compression() {
        None => Err(Rejection::UnknownCodec { id: attributes.codec_id() }),
        Some(Compression::Zstd) if !rules.zstd => Err(Rejection::ZstdTooOld),
        Some(_) => Ok(()),
    }
}

fn check_count(header: &BatchHeader) -> Result<(), Rejection> {
    let &BatchHeader { record_count: count, last_offset_delta, .. } = header;
    if count < 1 || last_offset_delta != count - 1 {
        return Err(Rejection::Count { count, last_offset_delta });
    }
    let payload_bytes = header.size() - HEADER_BYTES;
    let plain = header.attributes.compression() == Some(Compression::None);
    if plain && count as usize > payload_bytes / SMALLEST_RECORD_BYTES {
        return Err(Rejection::CountBeyondPayload { count, payload_bytes });
    }
    Ok(())
}

fn check_flags(header: &BatchHeader) -> Result<(), Rejection> {
    let attributes = header.attributes;
    if attributes.is_control() {
        return Err(Rejection::Control);
    }
    if attributes.has_delete_horizon() {
        return Err(Rejection::DeleteHorizon);
    }
    if header.has_producer() && (header.base_sequence.0 < 0 || header.producer_epoch.0 < 0) {
        return Err(Rejection::Producer {
            producer_id: header.producer_id.0,
            epoch: header.producer_epoch.0,
            sequence: header.base_sequence.0,
        });
    }
    if attributes.is_transactional() && !header.has_producer() {
        return Err(Rejection::TransactionalWithoutProducer);
    }
    Ok(())
}

fn check_timestamps(header: &BatchHeader, rules: &ProduceRules) -> Result<(), Rejection> {
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(Rejection::LogAppendTime);
    }
    let timestamp = header.max_timestamp;
    match rules.timestamps {
        Some((from, to)) if timestamp != Timestamp::NONE => {
            if timestamp < from || timestamp > to {
                return Err(Rejection::Timestamp { timestamp, from, to });
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
