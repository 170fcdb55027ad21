//! A shard's log as the broker keeps it: reading it from a position on, appending to its end.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use weir_broker::client::{
    Acks, Append, AppendError, BrokerClient, Entries, Isolation, Offsets, Origin, Read, ReadError,
};
use weir_ids::{Offset, TopicPartition};
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::{ReadError as StoredError, Reader};

use crate::cluster::Cluster;

/// Reads a partition, wherever its records are.
#[async_trait]
pub trait LogReader: Send + Sync {
    /// Whole batches from the one that holds `from` on, about `max_bytes` of them; none if nothing
    /// is visible from there on.
    ///
    /// # Errors
    /// [`LogError`].
    async fn read(
        &self,
        partition: TopicPartition,
        from: Offset,
        max_bytes: u32,
    ) -> Result<Chunk, LogError>;
}

/// A piece of a partition.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The partition's offsets when it was read.
    pub offsets: Offsets,
    /// Whole batches in order, in as many slices as they happen to be in, cut anywhere.
    pub batches: Vec<Bytes>,
}

/// Why a shard's log can't be read. All of it is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// No broker is known to own the partition.
    #[error("no broker is known to own {0}")]
    NoOwner(TopicPartition),
    /// The owner refused.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A stored range can't be read.
    #[error("{partition} from offset {from}: {reason}")]
    Stored {
        /// Which partition.
        partition: TopicPartition,
        /// From where.
        from: Offset,
        /// What is wrong.
        reason: String,
    },
    /// What was read is not a run of batches.
    #[error("{partition} at offset {at}: {reason}")]
    Malformed {
        /// Which partition.
        partition: TopicPartition,
        /// Where.
        at: Offset,
        /// What is wrong.
        reason: String,
    },
}

/// Reads through the owner: from its tail, or from the store where the owner says.
pub struct BrokerLog {
    cluster: Arc<dyn Cluster>,
    stored: Reader,
}

impl BrokerLog {
    /// Reads through the owners that `cluster` knows.
    pub fn new(cluster: Arc<dyn Cluster>, stored: Reader) -> Self {
        Self { cluster, stored }
    }
}

#[async_trait]
impl LogReader for BrokerLog {
    async fn read(
        &self,
        partition: TopicPartition,
        from: Offset,
        max_bytes: u32,
    ) -> Result<Chunk, LogError> {
        let owner = self.cluster.owner(partition).ok_or(LogError::NoOwner(partition))?;
        let isolation = Isolation::ReadUncommitted;
        let read = Read { partition, epoch: None, offset: from, max_bytes, isolation };
        let outcome = owner.read(vec![read]).await.pop().ok_or(LogError::NoOwner(partition))??;
        let batches = match outcome.entries {
            Entries::None => Vec::new(),
            Entries::Tail(batches) => batches,
            Entries::Stored(places) => {
                let stored = |from| {
                    move |error: StoredError| LogError::Stored {
                        partition,
                        from,
                        reason: error.to_string(),
                    }
                };
                let references = places.references(&self.stored, from).await;
                let references = references.map_err(stored(from))?;
                let mut batches = Vec::new();
                let mut left = max_bytes;
                for reference in references.into_iter().filter(|part| part.last >= from) {
                    let read = self.stored.read(&reference, from.max(reference.base), left).await;
                    let (pieces, next) = read.map_err(stored(reference.base))?;
                    let bytes: usize = pieces.iter().map(Bytes::len).sum();
                    left = left.saturating_sub(u32::try_from(bytes).unwrap_or(left));
                    batches.extend(pieces);
                    if left == 0 || next <= reference.last {
                        break;
                    }
                }
                batches
            }
        };
        Ok(Chunk { offsets: outcome.offsets, batches })
    }
}

/// The append that a shard makes: durable, and only if nobody else has written.
pub(super) fn conditional(partition: TopicPartition, batch: Bytes, expected: Offset) -> Append {
    Append {
        partition,
        epoch: None,
        records: batch,
        acks: Acks::Durable,
        expected: (!is_planted(Bug::AppendWithoutCondition)).then_some(expected),
        origin: Origin::Coordinator,
    }
}

/// Hands over one append and waits for what becomes of it.
pub(super) async fn append(
    owner: &dyn BrokerClient,
    append: Append,
) -> Result<weir_broker::client::Appended, AppendError> {
    let partition = append.partition;
    match owner.append(vec![append]).await.pop() {
        Some(receipt) => receipt.await,
        None => Err(AppendError::Unclear(partition)),
    }
}

/// Whether an append that failed so has surely not taken place and may be made again as it is.
pub(super) fn surely_not_appended(error: &AppendError) -> bool {
    matches!(error, AppendError::NotOwner(_) | AppendError::WrongEpoch { .. } | AppendError::Busy)
}
