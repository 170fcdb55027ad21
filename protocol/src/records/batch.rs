//! The header of a batch, as a view over the bytes that it came in.
//!
//! [`Batch::parse`] checks what must hold for any batch, stored or produced: that it is whole, that
//! its length is honest, that its magic is 2. What a *client* may write is narrower and is decided
//! in [`validate`](super::validate); whether the payload is intact is [`Batch::verify`].

use bytes::Bytes;
use weir_ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::attributes::Attributes;
use super::crc::crc32c;

/// The bytes of a batch before its records.
pub const HEADER_BYTES: usize = 61;
/// The base offset and the length: what the length field does not count.
pub const PREFIX_BYTES: usize = 12;
/// The only magic there is in Weir.
pub const MAGIC: i8 = 2;

pub(super) mod at {
    //! Where the fields lie.
    pub(in super::super) const LENGTH: usize = 8;
    pub(in super::super) const LEADER_EPOCH: usize = 12;
    pub(in super::super) const MAGIC: usize = 16;
    pub(in super::super) const CRC: usize = 17;
    pub(in super::super) const ATTRIBUTES: usize = 21;
    pub(in super::super) const LAST_OFFSET_DELTA: usize = 23;
    pub(in super::super) const BASE_TIMESTAMP: usize = 27;
    pub(in super::super) const MAX_TIMESTAMP: usize = 35;
    pub(in super::super) const PRODUCER_ID: usize = 43;
    pub(in super::super) const PRODUCER_EPOCH: usize = 51;
    pub(in super::super) const BASE_SEQUENCE: usize = 53;
    pub(in super::super) const RECORD_COUNT: usize = 57;
}

/// Why bytes are not a batch. `position` counts from the start of what was given to parse.
///
/// In stored bytes each of these is corruption; from a client, CORRUPT_MESSAGE, except for the
/// magic, which is INVALID_RECORD.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
pub enum Error {
    /// The bytes end before the batch does.
    #[error("record batch at byte {position} needs {needed} bytes but only {available} are there")]
    Truncated {
        /// Where the batch starts.
        position: usize,
        /// How long it claims to be, or the header's length if even that is cut.
        needed: usize,
        /// What there is.
        available: usize,
    },
    /// The length field is too small for a header.
    #[error("record batch at byte {position} claims a length of {length}, below the smallest, 49")]
    LyingLength {
        /// Where the batch starts.
        position: usize,
        /// The length field.
        length: i32,
    },
    /// A message set of the formats before Kafka 0.11, or no batch at all.
    #[error("record batch at byte {position} has magic {magic}, but only magic 2 is supported")]
    UnsupportedMagic {
        /// Where the batch starts.
        position: usize,
        /// The magic byte.
        magic: i8,
    },
    /// One batch was asked for and more bytes follow it.
    #[error("{trailing} bytes follow the record batch that ends at byte {position}")]
    Trailing {
        /// Where the first batch ends.
        position: usize,
        /// How many bytes follow.
        trailing: usize,
    },
}

/// The CRC in a batch's header is not that of its bytes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
#[error("record batch crc is {stored:#010x} in its header but {computed:#010x} over its bytes")]
pub struct CrcMismatch {
    /// What the header says.
    pub stored: u32,
    /// What the bytes give.
    pub computed: u32,
}

/// The fields of a batch header. They are what the bytes say, no more: a count can be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of the first record; 0 from a producer.
    pub base_offset: Offset,
    /// What follows the first 12 bytes. At least 49.
    pub length: i32,
    /// The epoch of the leader that appended it; -1 from a producer.
    pub leader_epoch: LeaderEpoch,
    /// CRC-32C from the attributes to the end.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: Attributes,
    /// The last record's offset less the first's.
    pub last_offset_delta: i32,
    /// The first record's timestamp, or the delete horizon.
    pub base_timestamp: Timestamp,
    /// The largest timestamp of a record, or the time of the append.
    pub max_timestamp: Timestamp,
    /// The producer, if it is idempotent or transactional.
    pub producer_id: ProducerId,
    /// The producer's generation.
    pub producer_epoch: ProducerEpoch,
    /// The first record's sequence number, -1 if there is no producer id.
    pub base_sequence: Sequence,
    /// How many records there are. Compaction leaves fewer than offsets.
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header of the batch at the start of `bytes` and checks that the whole batch is
    /// there. `position` is only for errors: where `bytes` lies in what the caller reads.
    ///
    /// # Errors
    /// If the batch is cut, its length is a lie or its magic is not 2.
    pub fn parse(bytes: &[u8], position: usize) -> Result<Self, Error> {
        let available = bytes.len();
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            // An old message set can be shorter than our header: name it rather than its end.
            return match bytes.get(at::MAGIC).map(|magic| *magic as i8) {
                Some(magic) if magic != MAGIC => Err(Error::UnsupportedMagic { position, magic }),
                _ => Err(Error::Truncated { position, needed: HEADER_BYTES, available }),
            };
        };
        let magic = header[at::MAGIC] as i8;
        if magic != MAGIC {
            return Err(Error::UnsupportedMagic { position, magic });
        }
        let fields = Self::read(header);
        let size = usize::try_from(fields.length).unwrap_or(0).saturating_add(PREFIX_BYTES);
        if size < HEADER_BYTES {
            return Err(Error::LyingLength { position, length: fields.length });
        }
        if size > available {
            return Err(Error::Truncated { position, needed: size, available });
        }
        Ok(fields)
    }

    /// The bytes of the batch, header included.
    #[must_use]
    pub fn size(&self) -> usize {
        // `parse` has refused any length below the header's.
        self.length as usize + PREFIX_BYTES
    }

    /// The offset of the last record.
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        self.base_offset.plus(i64::from(self.last_offset_delta))
    }

    /// The offset after the last record: where the next batch starts in a log without holes.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        self.last_offset().plus(1)
    }

    /// Whether an idempotent or transactional producer wrote it.
    #[must_use]
    pub fn has_producer(&self) -> bool {
        self.producer_id.0 >= 0
    }

    /// The last record's sequence number; that of the first if there is none.
    #[must_use]
    pub fn last_sequence(&self) -> Sequence {
        if self.base_sequence.0 < 0 {
            return self.base_sequence;
        }
        self.base_sequence.plus(u32::try_from(self.last_offset_delta).unwrap_or(0))
    }

    pub(super) fn read(header: &[u8; HEADER_BYTES]) -> Self {
        Self {
            base_offset: Offset(i64::from_be_bytes(field(header, 0))),
            length: i32::from_be_bytes(field(header, at::LENGTH)),
            leader_epoch: LeaderEpoch(i32::from_be_bytes(field(header, at::LEADER_EPOCH))),
            crc: u32::from_be_bytes(field(header, at::CRC)),
            attributes: Attributes(i16::from_be_bytes(field(header, at::ATTRIBUTES))),
            last_offset_delta: i32::from_be_bytes(field(header, at::LAST_OFFSET_DELTA)),
            base_timestamp: Timestamp(i64::from_be_bytes(field(header, at::BASE_TIMESTAMP))),
            max_timestamp: Timestamp(i64::from_be_bytes(field(header, at::MAX_TIMESTAMP))),
            producer_id: ProducerId(i64::from_be_bytes(field(header, at::PRODUCER_ID))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(header, at::PRODUCER_EPOCH))),
            base_sequence: Sequence(i32::from_be_bytes(field(header, at::BASE_SEQUENCE))),
            record_count: i32::from_be_bytes(field(header, at::RECORD_COUNT)),
        }
    }

    pub(super) fn write(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
        put(0, &self.base_offset.0.to_be_bytes());
        put(at::LENGTH, &self.length.to_be_bytes());
        put(at::LEADER_EPOCH, &self.leader_epoch.0.to_be_bytes());
        put(at::MAGIC, &MAGIC.to_be_bytes());
        put(at::CRC, &self.crc.to_be_bytes());
        put(at::ATTRIBUTES, &self.attributes.0.to_be_bytes());
        put(at::LAST_OFFSET_DELTA, &self.last_offset_delta.to_be_bytes());
        put(at::BASE_TIMESTAMP, &self.base_timestamp.0.to_be_bytes());
        put(at::MAX_TIMESTAMP, &self.max_timestamp.0.to_be_bytes());
        put(at::PRODUCER_ID, &self.producer_id.0.to_be_bytes());
        put(at::PRODUCER_EPOCH, &self.producer_epoch.0.to_be_bytes());
        put(at::BASE_SEQUENCE, &self.base_sequence.0.to_be_bytes());
        put(at::RECORD_COUNT, &self.record_count.to_be_bytes());
        header
    }
}

fn field<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&header[at..at + N]);
    field
}

/// One whole batch: its fields and the bytes they were read from. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

impl Batch {
    /// Takes `bytes` as exactly one batch.
    ///
    /// # Errors
    /// If they are less, more, or no batch at all.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let header = BatchHeader::parse(&bytes, 0)?;
        let trailing = bytes.len() - header.size();
        if trailing > 0 {
            return Err(Error::Trailing { position: header.size(), trailing });
        }
        Ok(Self { header, bytes })
    }

    /// Cuts the batch off the front of `bytes`; `position` as in [`BatchHeader::parse`].
    pub(super) fn parse_first(bytes: &mut Bytes, position: usize) -> Result<Self, Error> {
        let header = BatchHeader::parse(bytes, position)?;
        Ok(Self { header, bytes: bytes.split_to(header.size()) })
    }

    /// A batch whose header was written, not read.
    pub(super) fn assembled(header: BatchHeader, bytes: Bytes) -> Self {
        debug_assert_eq!(header.size(), bytes.len());
        Self { header, bytes }
    }

    /// The fields.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The whole batch.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// What follows the header: the records, compressed or not.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES..)
    }

    /// Compares the CRC in the header with that of the bytes: the one pass over a batch.
    ///
    /// # Errors
    /// If they differ.
    pub fn verify(self) -> Result<VerifiedBatch, CrcMismatch> {
        let stored = self.header.crc;
        let computed = crc32c(&self.bytes[at::ATTRIBUTES..]);
        if stored == computed {
            Ok(VerifiedBatch(self))
        } else {
            Err(CrcMismatch { stored, computed })
        }
    }
}

/// A batch whose CRC was compared, or that was built in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBatch(pub(super) Batch);

impl VerifiedBatch {
    /// The batch without the proof.
    #[must_use]
    pub fn into_batch(self) -> Batch {
        self.0
    }
}

impl std::ops::Deref for VerifiedBatch {
    type Target = Batch;

    fn deref(&self) -> &Batch {
        &self.0
    }
}
