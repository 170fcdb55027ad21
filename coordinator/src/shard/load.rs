//! Reading a shard's whole log into an image.
//!
//! Ends at the durable end that was seen last. If an append of an earlier life is still on its way,
//! the end moves once more; then the first conditional append conflicts, and the shard loads again.

use bytes::Bytes;
use weir_ids::{Offset, TopicPartition};
use weir_protocol::records::{self as batches, Batch};

use super::log::{Chunk, LogError, LogReader};
use crate::{cluster::Cluster, image::Image, records::Change};

/// What is read at once.
const CHUNK_BYTES: u32 = 1 << 20;

/// What one batch may decompress to. The coordinator's own are not compressed.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// What the log said.
#[derive(Debug)]
pub(super) struct Loaded {
    /// The state.
    pub(super) image: Image,
    /// The offset behind the last record.
    pub(super) next: Offset,
    /// What the log holds, in bytes.
    pub(super) bytes: usize,
    /// Whether the log holds records of protocols that are not known here. They must not be
    /// compacted away.
    pub(super) has_unknown: bool,
}

/// Reads the log of `partition` from start to end.
pub(super) async fn load(
    cluster: &dyn Cluster,
    reader: &dyn LogReader,
    partition: TopicPartition,
) -> Result<Loaded, LogError> {
    let owner = cluster.owner(partition).ok_or(LogError::NoOwner(partition))?;
    let offsets = owner.offsets(vec![partition]).await.pop();
    let mut offsets = offsets.ok_or(LogError::NoOwner(partition))??;
    let mut loader = Loader::new(partition, offsets.log_start);
    while loader.next < offsets.durable {
        let before = loader.next;
        let chunk = reader.read(partition, before, CHUNK_BYTES).await?;
        // A former owner may have answered, who knows less.
        offsets.durable = offsets.durable.max(chunk.offsets.durable);
        loader.take(chunk)?;
        if loader.next == before {
            return Err(loader.malformed("nothing is there, but the log goes on".to_owned()));
        }
    }
    Ok(loader.finish())
}

struct Loader {
    partition: TopicPartition,
    image: Image,
    next: Offset,
    bytes: usize,
    skipped: u64,
    has_unknown: bool,
}

impl Loader {
    fn new(partition: TopicPartition, start: Offset) -> Self {
        let image = Image::default();
        Self { partition, image, next: start, bytes: 0, skipped: 0, has_unknown: false }
    }

    fn take(&mut self, chunk: Chunk) -> Result<(), LogError> {
        // A broker's slices are cut where its batches happen to be, heads apart from bodies.
        let run = match <[Bytes; 1]>::try_from(chunk.batches) {
            Ok([run]) => run,
            Err(slices) => slices.concat().into(),
        };
        for batch in batches::split(run) {
            let batch = batch.map_err(|error| self.malformed(error.to_string()))?;
            self.take_batch(&batch)?;
        }
        Ok(())
    }

    fn take_batch(&mut self, batch: &Batch) -> Result<(), LogError> {
        let header = *batch.header();
        if header.last_offset() < self.next {
            return Ok(());
        }
        // It may begin behind what is expected: log compaction leaves gaps.
        if !header.attributes.is_control() {
            let records = batch.records(BATCH_BYTES_MAX);
            for record in records.map_err(|error| self.malformed(error.to_string()))? {
                let record = record.map_err(|error| self.malformed(error.to_string()))?;
                if record.offset >= self.next {
                    self.take_record(&record);
                }
            }
        }
        self.bytes += header.size();
        self.next = header.next_offset();
        Ok(())
    }

    /// Takes over a record, or skips it if it is not understood: one warning tells of the first.
    fn take_record(&mut self, record: &batches::Record) {
        let change = Change::decode(record.key.as_deref(), record.value.as_deref());
        let Err(error) = change.and_then(|change| self.image.apply(change)) else { return };
        self.has_unknown = true;
        self.skipped += 1;
        if self.skipped == 1 {
            let (partition, offset) = (self.partition, record.offset);
            tracing::warn!(%partition, %offset, %error, "skipped a record that is not understood");
        }
    }

    fn malformed(&self, reason: String) -> LogError {
        LogError::Malformed { partition: self.partition, at: self.next, reason }
    }

    fn finish(self) -> Loaded {
        let Self { image, next, bytes, has_unknown, .. } = self;
        if self.skipped > 1 {
            let (partition, records) = (self.partition, self.skipped);
            tracing::warn!(%partition, records, "skipped records that are not understood");
        }
        Loaded { image, next, bytes, has_unknown }
    }
}
