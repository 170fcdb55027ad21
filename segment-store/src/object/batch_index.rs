//! The index of a chunk: an entry a record batch, column by column.
//!
//! ```text
//! count · first offset ·
//! gap before each batch · span of offsets of each · bytes of each ·
//! maximal timestamp of each (delta) · flags of each ·
//! producer table: count, then id and epoch of each ·
//! producer of each batch (0: none, else place in the table + 1) ·
//! first sequence of each batch that has a producer (delta to what that producer's last implies) ·
//! CRC32C
//! ```
//!
//! Recovery reads these and nothing else: offsets, producers and their sequences and transaction
//! marks follow without touching a record.

use bytes::{BufMut, Bytes, BytesMut};
use weir_ids::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};
use weir_protocol::records::{BatchHeader, crc32c};

use super::{Error, checked};
use crate::wire::{Cursor, Malformed, put_signed, put_varint};

/// Marks of a batch that recovery needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatchFlags(pub u8);

impl BatchFlags {
    /// Part of a transaction.
    pub const TRANSACTIONAL: BatchFlags = BatchFlags(1);
    /// A control batch: ends a transaction.
    pub const CONTROL: BatchFlags = BatchFlags(2);
    /// The control batch commits; without it, it aborts.
    pub const COMMIT: BatchFlags = BatchFlags(4);

    /// Whether all of `other` are set.
    pub fn contains(self, other: BatchFlags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: BatchFlags) -> BatchFlags {
        BatchFlags(self.0 | other.0)
    }
}

/// Which producer wrote a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProducerMark {
    /// The producer.
    pub id: ProducerId,
    /// Its generation.
    pub epoch: ProducerEpoch,
    /// The sequence of the batch's first record; -1 in a control batch.
    pub first_sequence: Sequence,
}

/// One record batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchEntry {
    /// Its first offset.
    pub base: Offset,
    /// Its last offset.
    pub last: Offset,
    /// Its length.
    pub bytes: u32,
    /// The largest timestamp in it.
    pub max_timestamp: Timestamp,
    /// Who wrote it, if an idempotent or transactional producer did.
    pub producer: Option<ProducerMark>,
    /// Its marks.
    pub flags: BatchFlags,
}

impl From<&BatchHeader> for BatchEntry {
    fn from(header: &BatchHeader) -> Self {
        let mut flags = BatchFlags::default();
        if header.attributes.is_transactional() {
            flags = flags.with(BatchFlags::TRANSACTIONAL);
        }
        if header.attributes.is_control() {
            flags = flags.with(BatchFlags::CONTROL);
        }
        Self {
            base: header.base_offset,
            last: header.last_offset(),
            bytes: u32::try_from(header.size()).unwrap_or(u32::MAX),
            max_timestamp: header.max_timestamp,
            producer: header.has_producer().then_some(ProducerMark {
                id: header.producer_id,
                epoch: header.producer_epoch,
                first_sequence: header.base_sequence,
            }),
            flags,
        }
    }
}

impl BatchEntry {
    /// How many offsets it takes.
    pub fn count(&self) -> u32 {
        u32::try_from(self.last.0 - self.base.0 + 1).unwrap_or(u32::MAX)
    }
}

/// The fewest bytes that a batch takes in an index: one in each of six columns.
const LEAST_BYTES: usize = 6;
/// No batch is shorter than its own header.
const LEAST_BATCH_BYTES: u32 = 61;

pub(super) fn encode(batches: &[BatchEntry]) -> Bytes {
    let mut to = BytesMut::with_capacity(16 + batches.len() * 12);
    put_varint(&mut to, batches.len() as u64);
    let mut end = batches.first().map_or(0, |first| first.base.0);
    put_varint(&mut to, end as u64);
    for batch in batches {
        put_varint(&mut to, (batch.base.0 - end) as u64);
        end = batch.last.0 + 1;
    }
    for batch in batches {
        put_varint(&mut to, (batch.last.0 - batch.base.0) as u64);
    }
    for batch in batches {
        put_varint(&mut to, u64::from(batch.bytes));
    }
    let mut before = 0i64;
    for batch in batches {
        put_signed(&mut to, batch.max_timestamp.0.wrapping_sub(before));
        before = batch.max_timestamp.0;
    }
    for batch in batches {
        to.put_u8(batch.flags.0);
    }
    encode_producers(&mut to, batches);
    let crc = crc32c(&to);
    to.put_u32_le(crc);
    to.freeze()
}

fn encode_producers(to: &mut BytesMut, batches: &[BatchEntry]) {
    let mut table: Vec<(ProducerId, ProducerEpoch)> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for mark in batches.iter().filter_map(|batch| batch.producer) {
        places.entry((mark.id, mark.epoch)).or_insert_with(|| {
            table.push((mark.id, mark.epoch));
            table.len() - 1
        });
    }
    put_varint(to, table.len() as u64);
    for (id, epoch) in &table {
        put_signed(to, id.0);
        put_signed(to, i64::from(epoch.0));
    }
    for batch in batches {
        let place = batch.producer.map_or(0, |mark| places[&(mark.id, mark.epoch)] + 1);
        put_varint(to, place as u64);
    }
    let mut expected = vec![0i64; table.len()];
    for batch in batches {
        let Some(mark) = batch.producer else { continue };
        let place = places[&(mark.id, mark.epoch)];
        put_signed(to, i64::from(mark.first_sequence.0) - expected[place]);
        expected[place] = i64::from(mark.first_sequence.plus(batch.count()).0);
    }
}

/// Reads the index of a chunk.
///
/// # Errors
/// When the bytes are rotten. Never panics, never allocates more than in proportion to `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<BatchEntry>, Error> {
    let content = checked(bytes, "batch index")?;
    columns(&mut Cursor::new(content))
        .map_err(|error| Error::Malformed { part: "batch index", error })
}

fn columns(from: &mut Cursor<'_>) -> Result<Vec<BatchEntry>, Malformed> {
    let count = from.count(LEAST_BYTES, "count of batches")?;
    let mut base: i64 = from.narrow("first offset")?;
    let mut batches = Vec::with_capacity(count);
    let mut gaps = Vec::with_capacity(count);
    for _ in 0..count {
        gaps.push(from.narrow::<i64>("gap between batches")?);
    }
    for gap in gaps {
        let span: u32 = from.narrow("span of offsets")?;
        let first = base.checked_add(gap);
        let last = first.and_then(|first| first.checked_add(i64::from(span)));
        let next = last.and_then(|last| last.checked_add(1));
        let (Some(first), Some(last), Some(next)) = (first, last, next) else {
            return Err(from.malformed("offsets run over"));
        };
        batches.push(BatchEntry {
            base: Offset(first),
            last: Offset(last),
            bytes: 0,
            max_timestamp: Timestamp::NONE,
            producer: None,
            flags: BatchFlags::default(),
        });
        base = next;
    }
    for batch in &mut batches {
        batch.bytes = from.narrow("length of batch")?;
        if batch.bytes < LEAST_BATCH_BYTES {
            return Err(from.malformed("batch shorter than its header"));
        }
    }
    let mut before = 0i64;
    for batch in &mut batches {
        before = before.wrapping_add(from.signed("timestamp")?);
        batch.max_timestamp = Timestamp(before);
    }
    for batch in &mut batches {
        batch.flags = BatchFlags(from.u8("flags")?);
    }
    producers(from, &mut batches)?;
    from.finish("bytes behind the batch index")?;
    Ok(batches)
}

fn producers(from: &mut Cursor<'_>, batches: &mut [BatchEntry]) -> Result<(), Malformed> {
    let count = from.count(2, "count of producers")?;
    let mut table = Vec::with_capacity(count);
    for _ in 0..count {
        let id = ProducerId(from.signed("producer id")?);
        let epoch = ProducerEpoch(from.narrow_signed("producer epoch")?);
        table.push((id, epoch, 0i64));
    }
    let mut places = Vec::with_capacity(batches.len());
    for _ in 0..batches.len() {
        let place: usize = from.narrow("place of producer")?;
        if place > table.len() {
            return Err(from.malformed("no such producer in the table"));
        }
        places.push(place);
    }
    for (batch, place) in batches.iter_mut().zip(places) {
        let Some(place) = place.checked_sub(1) else { continue };
        let (id, epoch, expected) = &mut table[place];
        let sequence = expected.wrapping_add(from.signed("sequence")?);
        let first = i32::try_from(sequence).map_err(|_| from.malformed("sequence too large"))?;
        let first_sequence = Sequence(first);
        batch.producer = Some(ProducerMark { id: *id, epoch: *epoch, first_sequence });
        *expected = i64::from(first_sequence.plus(batch.count()).0);
    }
    Ok(())
}
