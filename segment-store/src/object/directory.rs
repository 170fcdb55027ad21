//! The directory of a body: a line a chunk, so that one partition's records are found without
//! reading the others'.

use bytes::{BufMut, BytesMut};
use uuid::Uuid;
use weir_ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};
use weir_protocol::records::crc32c;

use super::{
    Error, FOOTER_BYTES, Header,
    batch_index::{self, BatchEntry},
    checked,
    frame::Footer,
};
use crate::{
    ByteRange, ObjectName, Reference,
    wire::{Cursor, Malformed, put_signed, put_varint},
};

/// A run of record batches of one partition, written under one leader epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Whose records.
    pub partition: TopicPartition,
    /// Who wrote them.
    pub epoch: LeaderEpoch,
    /// First offset.
    pub base: Offset,
    /// Last offset.
    pub last: Offset,
    /// The largest timestamp in it.
    pub max_timestamp: Timestamp,
    /// The batches, counted from the start of the body.
    pub data: ByteRange,
    /// Their index, counted from the start of the body.
    pub index: ByteRange,
}

impl Chunk {
    /// The reference to this chunk of a body that begins at `origin` of `object`.
    pub fn reference(&self, object: ObjectName, origin: u64) -> Reference {
        let place = |range: ByteRange| ByteRange { at: origin + range.at, len: range.len };
        Reference {
            object,
            base: self.base,
            last: self.last,
            epoch: self.epoch,
            max_timestamp: self.max_timestamp,
            data: place(self.data),
            index: place(self.index),
        }
    }
}

/// What a body holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directory {
    /// The chunks in the order of their bytes.
    pub chunks: Vec<Chunk>,
    pub(super) footer: Footer,
}

const LEAST_BYTES: usize = 8;

impl Directory {
    /// Reads the directory of a whole body.
    ///
    /// # Errors
    /// When the body is not whole, of a newer format, or rotten.
    pub fn of_body(body: &[u8]) -> Result<Self, Error> {
        match Self::of_end(body, body.len() as u64)? {
            End::Read(directory) => Ok(directory),
            End::Needs(_) => Err(Error::NotAnObject("its directory lies outside it")),
        }
    }

    /// Reads the directory from the last bytes of a body of `body_len` bytes, if all batch indexes
    /// lie in those too.
    ///
    /// # Errors
    /// As for [`Directory::of_body`].
    pub fn of_end(end: &[u8], body_len: u64) -> Result<End, Error> {
        let footer = footer_of(end, body_len)?;
        let Some(start) = footer.place_in(end, footer.directory_at) else {
            return Ok(End::Needs(body_len - footer.directory_at));
        };
        let directory = Self::decode(&end[start..end.len() - FOOTER_BYTES], footer)?;
        let indexes_at = directory.data_len();
        Ok(match footer.place_in(end, indexes_at) {
            Some(_) => End::Read(directory),
            None => End::Needs(body_len - indexes_at),
        })
    }

    /// Whose body it is.
    pub fn header(&self) -> &Header {
        &self.footer.header
    }

    /// Where a whole body's directory is, whatever state it is in.
    ///
    /// # Errors
    /// When the footer can't be read, so that nobody knows.
    pub fn place(body: &[u8]) -> Result<ByteRange, Error> {
        let footer = footer_of(body, body.len() as u64)?;
        Ok(ByteRange { at: footer.directory_at, len: footer.directory_len })
    }

    /// The CRC32C of header and chunks that was computed when the body was written.
    pub fn data_crc(&self) -> u32 {
        self.footer.data_crc
    }

    /// How many bytes of the body are header and chunks.
    pub fn data_len(&self) -> u64 {
        self.chunks.first().map_or(self.footer.directory_at, |first| first.index.at)
    }

    /// Reads the index of `chunk` from the body, or from as much of its end as has the indexes.
    ///
    /// # Errors
    /// When the index is rotten or does not lead from the chunk's first to its last byte and offset.
    pub fn batches(&self, body: &[u8], chunk: &Chunk) -> Result<Vec<BatchEntry>, Error> {
        let start = self.footer.place_in(body, chunk.index.at).unwrap_or(usize::MAX);
        let end = start.saturating_add(chunk.index.len as usize);
        let index = body.get(start..end).ok_or(Error::NotAnObject("an index lies outside it"))?;
        batches_of(index, chunk.base, chunk.last, chunk.data.len)
    }

    fn decode(bytes: &[u8], footer: Footer) -> Result<Self, Error> {
        let content = checked(bytes, "directory")?;
        let chunks = lines(&mut Cursor::new(content), &footer)
            .map_err(|error| Error::Malformed { part: "directory", error })?;
        Ok(Self { chunks, footer })
    }
}

/// What the end of a body comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// All that it says of its chunks.
    Read(Directory),
    /// Too little: this many bytes are needed.
    Needs(u64),
}

fn footer_of(end: &[u8], body_len: u64) -> Result<Footer, Error> {
    let footer = Footer::decode(end)?;
    if footer.body_len != body_len {
        return Err(Error::NotAnObject("its length is not what its footer says"));
    }
    Ok(footer)
}

/// Reads an index and holds it against what the directory or a reference says of its chunk.
///
/// # Errors
/// When the index is rotten or does not lead from the first to the last byte and offset.
pub(crate) fn batches_of(
    index: &[u8],
    base: Offset,
    last: Offset,
    data_len: u32,
) -> Result<Vec<BatchEntry>, Error> {
    let batches = batch_index::decode(index)?;
    let bytes: u64 = batches.iter().map(|batch| u64::from(batch.bytes)).sum();
    let ends = (batches.first().map(|b| b.base), batches.last().map(|b| b.last));
    if bytes != u64::from(data_len) || ends != (Some(base), Some(last)) {
        return Err(Error::NotAnObject("a batch index contradicts the directory"));
    }
    Ok(batches)
}

pub(super) fn encode(chunks: &[Chunk]) -> BytesMut {
    let mut to = BytesMut::with_capacity(16 + chunks.len() * 40);
    let mut topics: Vec<TopicId> = chunks.iter().map(|chunk| chunk.partition.topic).collect();
    topics.sort_unstable();
    topics.dedup();
    put_varint(&mut to, topics.len() as u64);
    for topic in &topics {
        to.put_slice(topic.0.as_bytes());
    }
    put_varint(&mut to, chunks.len() as u64);
    for chunk in chunks {
        let topic = topics.partition_point(|topic| *topic < chunk.partition.topic);
        put_varint(&mut to, topic as u64);
        put_varint(&mut to, u64::from(chunk.partition.partition.0));
        put_signed(&mut to, i64::from(chunk.epoch.0));
        put_varint(&mut to, chunk.base.0 as u64);
        put_varint(&mut to, (chunk.last.0 - chunk.base.0) as u64);
        put_signed(&mut to, chunk.max_timestamp.0);
        put_varint(&mut to, u64::from(chunk.data.len));
        put_varint(&mut to, u64::from(chunk.index.len));
    }
    let crc = crc32c(&to);
    to.put_u32_le(crc);
    to
}

fn lines(from: &mut Cursor<'_>, footer: &Footer) -> Result<Vec<Chunk>, Malformed> {
    let topics = from.count(16, "count of topics")?;
    let topics: Vec<TopicId> = (0..topics)
        .map(|_| Ok(TopicId(Uuid::from_bytes(from.array("topic id")?))))
        .collect::<Result<_, Malformed>>()?;
    let count = from.count(LEAST_BYTES, "count of chunks")?;
    let mut chunks = Vec::with_capacity(count);
    let (mut data_at, mut index_at) = (super::HEADER_BYTES as u64, 0u64);
    for _ in 0..count {
        let topic: usize = from.narrow("topic")?;
        let topic = *topics.get(topic).ok_or_else(|| from.malformed("no such topic"))?;
        let partition = PartitionIndex(from.narrow("partition")?);
        let epoch = LeaderEpoch(from.narrow_signed("leader epoch")?);
        let base: i64 = from.narrow("base offset")?;
        let last = base.checked_add(from.narrow("span of offsets")?);
        let last = last.ok_or_else(|| from.malformed("offsets run over"))?;
        let max_timestamp = Timestamp(from.signed("timestamp")?);
        let data = ByteRange { at: data_at, len: from.narrow("length of data")? };
        let index = ByteRange { at: index_at, len: from.narrow("length of index")? };
        data_at += u64::from(data.len);
        index_at += u64::from(index.len);
        chunks.push(Chunk {
            partition: TopicPartition::new(topic, partition),
            epoch,
            base: Offset(base),
            last: Offset(last),
            max_timestamp,
            data,
            index,
        });
    }
    from.finish("bytes behind the directory")?;
    if data_at.checked_add(index_at) != Some(footer.directory_at) {
        return Err(from.malformed("chunks and indexes do not fill the body"));
    }
    for chunk in &mut chunks {
        chunk.index.at += data_at;
    }
    Ok(chunks)
}
