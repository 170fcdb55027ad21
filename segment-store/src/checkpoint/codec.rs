//! The format of a checkpoint object.
//!
//! ```text
//! magic "WEIRCKP1" 8 · version 4 · session 8 · number 8 · full 8 · covers below 8 ·
//! adopted through 8 · count of topics, then 16 bytes each · count of partitions, then a line each:
//!   topic · partition · tag (1 whole, 2 delta, 3 gone) · listing
//! CRC32C of all before 4
//!
//! listing: epoch · log start · next · references · epoch starts · producers · from version 2 on: cleaned · pages
//! ```
//!
//! The head is fixed, all below it varints.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;
use weir_ids::{
    ClaimNumber, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence,
    SessionId, Slot, Timestamp, TopicId, TopicPartition,
};
use weir_protocol::records::crc32c;

use super::{Checkpoint, Line, Listing, PastBatch, ProducerState, REMEMBERED_BATCHES};
use crate::{
    pages::{get_refs, put_refs},
    reference,
    wire::{Cursor, Malformed, put_signed, put_varint},
};

/// How a checkpoint begins.
pub const MAGIC: [u8; 8] = *b"WEIRCKP1";
const VERSION: u32 = 2;
/// The oldest that is still read: its listings have no pages.
const OLDEST: u32 = 1;

/// Why bytes are not a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They are something else, or cut.
    #[error("not a whole checkpoint: {0}")]
    NotACheckpoint(&'static str),
    /// A newer Weir wrote it.
    #[error(
        "checkpoint format version {0} is newer than this Weir understands ({VERSION}): upgrade Weir"
    )]
    NewerVersion(u32),
    /// The checksum does not fit.
    #[error("the checkpoint fails its checksum: stored {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// The stored sum.
        stored: u32,
        /// The sum of the bytes as they are.
        computed: u32,
    },
    /// Bytes that are summed right but make no sense.
    #[error("the checkpoint is malformed: {0}")]
    Malformed(#[from] Malformed),
}

/// The bytes of a checkpoint.
pub fn encode(checkpoint: &Checkpoint) -> Bytes {
    let mut to = BytesMut::with_capacity(64 + checkpoint.partitions.len() * 64);
    to.put_slice(&MAGIC);
    to.put_u32_le(VERSION);
    for number in [
        checkpoint.session.0,
        checkpoint.number,
        checkpoint.full,
        checkpoint.covers_below.0,
        checkpoint.adopted_through.0,
    ] {
        to.put_u64_le(number);
    }
    let mut topics: Vec<TopicId> =
        checkpoint.partitions.iter().map(|(partition, _)| partition.topic).collect();
    topics.sort_unstable();
    topics.dedup();
    put_varint(&mut to, topics.len() as u64);
    topics.iter().for_each(|topic| to.put_slice(topic.0.as_bytes()));
    put_varint(&mut to, checkpoint.partitions.len() as u64);
    for (partition, line) in &checkpoint.partitions {
        put_varint(&mut to, topics.partition_point(|topic| *topic < partition.topic) as u64);
        put_varint(&mut to, u64::from(partition.partition.0));
        match line {
            Line::Whole(listing) => {
                to.put_u8(1);
                put_listing(&mut to, listing);
            }
            Line::Delta(listing) => {
                to.put_u8(2);
                put_listing(&mut to, listing);
            }
            Line::Gone => to.put_u8(3),
        }
    }
    let crc = crc32c(&to);
    to.put_u32_le(crc);
    to.freeze()
}

fn put_listing(to: &mut BytesMut, listing: &Listing) {
    put_signed(to, i64::from(listing.epoch.0));
    put_varint(to, listing.log_start.0 as u64);
    put_varint(to, listing.next.0 as u64);
    reference::put(to, &listing.references);
    put_varint(to, listing.epoch_starts.len() as u64);
    for (epoch, start) in &listing.epoch_starts {
        put_signed(to, i64::from(epoch.0));
        put_varint(to, start.0 as u64);
    }
    put_varint(to, listing.producers.len() as u64);
    for (id, producer) in &listing.producers {
        put_signed(to, id.0);
        put_signed(to, i64::from(producer.epoch.0));
        put_signed(to, producer.last_timestamp.0);
        put_varint(to, producer.batches.len() as u64);
        for batch in &producer.batches {
            put_signed(to, i64::from(batch.first.0));
            put_signed(to, i64::from(batch.last.0));
            put_varint(to, batch.base.0 as u64);
            put_varint(to, batch.end.0.wrapping_sub(batch.base.0) as u64);
        }
    }
    put_varint(to, listing.cleaned.0 as u64);
    put_refs(to, &listing.pages);
}

/// Reads a checkpoint.
///
/// # Errors
/// When the bytes are not one, of a newer format, or rotten. Never panics.
pub fn decode(bytes: &[u8]) -> Result<Checkpoint, DecodeError> {
    if bytes.len() < MAGIC.len() + 8 || bytes[..8] != MAGIC {
        return Err(DecodeError::NotACheckpoint("it does not begin with WEIRCKP1"));
    }
    let (content, stored) = bytes.split_at(bytes.len() - 4);
    let stored = u32::from_le_bytes([stored[0], stored[1], stored[2], stored[3]]);
    let computed = crc32c(content);
    if stored != computed {
        return Err(DecodeError::Checksum { stored, computed });
    }
    let mut from = Cursor::new(&content[8..]);
    let version = from.u32("version")?;
    match version {
        OLDEST..=VERSION => Ok(fields(&mut from, version)?),
        0 => Err(DecodeError::NotACheckpoint("its version is 0")),
        newer => Err(DecodeError::NewerVersion(newer)),
    }
}

fn fields(from: &mut Cursor<'_>, version: u32) -> Result<Checkpoint, Malformed> {
    let mut checkpoint = Checkpoint {
        session: SessionId(from.u64("session")?),
        number: from.u64("number")?,
        full: from.u64("full")?,
        covers_below: Slot(from.u64("covers below")?),
        adopted_through: ClaimNumber(from.u64("adopted through")?),
        partitions: Vec::new(),
    };
    let count = from.count(16, "count of topics")?;
    let topics: Vec<TopicId> = (0..count)
        .map(|_| Ok(TopicId(Uuid::from_bytes(from.array("topic id")?))))
        .collect::<Result<_, Malformed>>()?;
    let count = from.count(3, "count of partitions")?;
    for _ in 0..count {
        let topic: usize = from.narrow("topic")?;
        let topic = *topics.get(topic).ok_or_else(|| from.malformed("no such topic"))?;
        let partition = PartitionIndex(from.narrow("partition")?);
        let line = match from.u8("tag of a line")? {
            1 => Line::Whole(get_listing(from, version)?),
            2 => Line::Delta(get_listing(from, version)?),
            3 => Line::Gone,
            _ => return Err(from.malformed("unknown tag of a line")),
        };
        checkpoint.partitions.push((TopicPartition::new(topic, partition), line));
    }
    from.finish("bytes behind the checkpoint")?;
    Ok(checkpoint)
}

fn get_offset(from: &mut Cursor<'_>, what: &'static str) -> Result<Offset, Malformed> {
    Ok(Offset(from.narrow(what)?))
}

fn get_listing(from: &mut Cursor<'_>, version: u32) -> Result<Listing, Malformed> {
    let epoch = LeaderEpoch(from.narrow_signed("leader epoch")?);
    let log_start = get_offset(from, "log start")?;
    let next = get_offset(from, "next offset")?;
    let references = reference::get(from)?;
    let count = from.count(2, "count of epochs")?;
    let epoch_starts = (0..count)
        .map(|_| {
            let epoch = LeaderEpoch(from.narrow_signed("leader epoch")?);
            Ok((epoch, get_offset(from, "epoch start")?))
        })
        .collect::<Result<_, Malformed>>()?;
    let count = from.count(4, "count of producers")?;
    let mut producers = BTreeMap::new();
    for _ in 0..count {
        let id = ProducerId(from.signed("producer id")?);
        producers.insert(id, get_producer(from)?);
    }
    let (cleaned, pages) = match version {
        OLDEST => (Offset::ZERO, Vec::new()),
        _ => (get_offset(from, "cleaned offset")?, get_refs(from)?),
    };
    Ok(Listing { epoch, log_start, next, cleaned, pages, references, epoch_starts, producers })
}

fn get_producer(from: &mut Cursor<'_>) -> Result<ProducerState, Malformed> {
    let epoch = ProducerEpoch(from.narrow_signed("producer epoch")?);
    let last_timestamp = Timestamp(from.signed("timestamp")?);
    let count = from.count(4, "count of batches")?;
    if count > REMEMBERED_BATCHES {
        return Err(from.malformed("more batches of a producer than are remembered"));
    }
    let mut batches = Vec::with_capacity(count);
    for _ in 0..count {
        let first = Sequence(from.narrow_signed("first sequence")?);
        let last = Sequence(from.narrow_signed("last sequence")?);
        let base = get_offset(from, "base offset")?;
        let span: i64 = from.narrow("span of offsets")?;
        let end = base.0.checked_add(span).ok_or_else(|| from.malformed("offsets run over"))?;
        batches.push(PastBatch { first, last, base, end: Offset(end) });
    }
    Ok(ProducerState { epoch, last_timestamp, batches })
}
