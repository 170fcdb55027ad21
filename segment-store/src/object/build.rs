//! Making a body from record batches without touching their bytes.

use bytes::BytesMut;
use weir_ids::{LeaderEpoch, TopicPartition};

use super::{
    BatchEntry, Chunk, HEADER_BYTES, Header, batch_index, directory,
    frame::{FOOTER_BYTES, Footer},
};
use weir_protocol::records::Crc32c;

use crate::{ByteRange, Part};

/// The batches of one partition and leader epoch, in the order of their offsets.
pub struct ChunkSource<'a> {
    /// Whose records.
    pub partition: TopicPartition,
    /// Who wrote them.
    pub epoch: LeaderEpoch,
    /// An entry a batch; never empty.
    pub batches: &'a [BatchEntry],
    /// The bytes of all batches, in as many parts as they happen to be in.
    pub parts: Vec<Part>,
}

/// A body, ready to be written.
pub struct Body {
    /// Whose it is.
    pub header: Header,
    /// Its bytes, in order.
    pub parts: Vec<Part>,
    /// How many.
    pub len: u64,
    /// What it holds.
    pub chunks: Vec<Chunk>,
}

/// Makes a body chunk by chunk.
pub struct Builder {
    header: Header,
    parts: Vec<Part>,
    indexes: BytesMut,
    chunks: Vec<Chunk>,
    data_len: u64,
    sum: Crc32c,
}

impl Builder {
    /// Begins a body.
    pub fn new(header: &Header) -> Self {
        let encoded = header.encode();
        let mut sum = Crc32c::new();
        sum.update(&encoded);
        Self {
            header: *header,
            parts: vec![Part::Bytes(encoded)],
            indexes: BytesMut::new(),
            chunks: Vec::new(),
            data_len: HEADER_BYTES as u64,
            sum,
        }
    }

    /// Adds a chunk.
    ///
    /// # Panics
    /// When the chunk is empty, larger than 4 GiB, or its entries and bytes disagree: all of them
    /// are the caller's own making.
    pub fn add(&mut self, source: ChunkSource<'_>) {
        let (first, last) = (source.batches.first(), source.batches.last());
        let (first, last) = first.zip(last).expect("a chunk has a batch");
        let len: u64 = source.batches.iter().map(|batch| u64::from(batch.bytes)).sum();
        let part_len: u64 = source.parts.iter().map(|part| part.len() as u64).sum();
        assert_eq!(len, part_len, "index entries and bytes of {} disagree", source.partition);
        let len = u32::try_from(len).expect("a chunk is smaller than 4 GiB");
        let index = batch_index::encode(source.batches);
        let max_timestamp = source.batches.iter().map(|batch| batch.max_timestamp).max();
        self.chunks.push(Chunk {
            partition: source.partition,
            epoch: source.epoch,
            base: first.base,
            last: last.last,
            max_timestamp: max_timestamp.unwrap_or(first.max_timestamp),
            data: ByteRange { at: self.data_len, len },
            index: ByteRange { at: self.indexes.len() as u64, len: index.len() as u32 },
        });
        self.indexes.extend_from_slice(&index);
        self.data_len += u64::from(len);
        for part in source.parts {
            part.sum_into(&mut self.sum);
            self.parts.push(part);
        }
    }

    /// Bytes of records so far, header included.
    pub fn data_len(&self) -> u64 {
        self.data_len
    }

    /// Whether no chunk has been added.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Ends the body with indexes, directory and footer.
    pub fn finish(mut self) -> Body {
        let directory = directory::encode(&self.chunks);
        let directory_at = self.data_len + self.indexes.len() as u64;
        let body_len = directory_at + (directory.len() + FOOTER_BYTES) as u64;
        let mut end = self.indexes;
        end.reserve(directory.len() + FOOTER_BYTES);
        end.extend_from_slice(&directory);
        Footer {
            header: self.header,
            directory_at,
            directory_len: directory.len() as u32,
            data_crc: self.sum.finish(),
            body_len,
        }
        .put(&mut end);
        self.parts.push(Part::Bytes(end.freeze()));
        for chunk in &mut self.chunks {
            chunk.index.at += self.data_len;
        }
        Body { header: self.header, parts: self.parts, len: body_len, chunks: self.chunks }
    }
}
