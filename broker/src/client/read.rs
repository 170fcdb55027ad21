//! Reading.

use bytes::Bytes;
use weir_ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use weir_segment_store::{ReadError as StoredError, Reader, Reference, pages::PageRef};

/// Which records a reader may see.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Isolation {
    /// Everything durable.
    #[default]
    ReadUncommitted,
    /// Only what no open transaction may still take back.
    ReadCommitted,
}

/// A question for records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Read {
    /// Of which partition.
    pub partition: TopicPartition,
    /// The leader epoch that the client believes in (KIP-320); `None` takes whichever there is.
    pub epoch: Option<LeaderEpoch>,
    /// From which offset; the batch that holds it is returned whole.
    pub offset: Offset,
    /// Stop before exceeding this, but return at least one batch.
    pub max_bytes: u32,
    /// What may be seen.
    pub isolation: Isolation,
}

/// A partition's offsets at one moment: `log_start ≤ stable ≤ durable`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offsets {
    /// The epoch of the owner that says so.
    pub epoch: LeaderEpoch,
    /// The first offset.
    pub log_start: Offset,
    /// The last stable offset: no open transaction lies below.
    pub stable: Offset,
    /// The high watermark: everything below is durable and visible.
    pub durable: Offset,
}

impl Offsets {
    /// The first offset that a reader of this isolation may not see yet.
    pub fn visible(&self, isolation: Isolation) -> Offset {
        match isolation {
            Isolation::ReadUncommitted => self.durable,
            Isolation::ReadCommitted => self.stable,
        }
    }
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct ReadOutcome {
    /// The partition's offsets.
    pub offsets: Offsets,
    /// The records, or where they are.
    pub entries: Entries,
}

/// Records, or where they are.
#[derive(Clone, Debug)]
pub enum Entries {
    /// Nothing visible at this offset yet.
    None,
    /// Whole batches from the broker's tail, in order, in as many shared slices as they happen to
    /// be in.
    Tail(Vec<Bytes>),
    /// They are in the store: read them there, from the asked offset on, in this order. Ends before
    /// what the tail holds.
    Stored(Places),
}

impl Entries {
    /// Bytes of records that came from the tail.
    pub fn tail_bytes(&self) -> u64 {
        match self {
            Self::Tail(slices) => slices.iter().map(|slice| slice.len() as u64).sum(),
            Self::None | Self::Stored(_) => 0,
        }
    }
}

/// Where in the store records are.
#[derive(Clone, Debug)]
pub enum Places {
    /// There.
    Known(Vec<Reference>),
    /// Where this page says.
    Listed(PageRef),
}

impl Places {
    /// How much is there, if that is known; more if the first of it lies before what was asked for.
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Known(references) => {
                Some(references.iter().map(|it| u64::from(it.data.len)).sum())
            }
            Self::Listed(_) => None,
        }
    }

    /// The references from the one on that holds `from`.
    ///
    /// # Errors
    /// When the page can't be read.
    pub async fn references(
        self,
        reader: &Reader,
        from: Offset,
    ) -> Result<Vec<Reference>, StoredError> {
        match self {
            Self::Known(references) => Ok(references),
            Self::Listed(page) => reader.references(&page, from, Timestamp(i64::MIN)).await,
        }
    }
}

/// What a search by timestamp found. The caller looks into the batch for the exact record.
#[derive(Clone, Debug)]
pub enum TimestampMatch {
    /// No visible record.
    None,
    /// In this batch.
    Batch(Bytes),
    /// In the batches of this stored range.
    Stored(Reference),
    /// In those of a stored range that this page lists.
    Paged(PageRef),
}

/// Why a read was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum ReadError {
    /// This broker does not own the partition: refresh and try another.
    #[error("this broker does not own {0}")]
    NotOwner(TopicPartition),
    /// The offset lies outside the log.
    #[error("offset {offset} lies outside {log_start}..={durable}")]
    OutOfRange {
        /// The offset asked for.
        offset: Offset,
        /// The first offset.
        log_start: Offset,
        /// The high watermark.
        durable: Offset,
    },
    /// The client's epoch is older than the partition's.
    #[error("epoch {asked} is older than the current one, {current}")]
    FencedEpoch {
        /// The client's.
        asked: LeaderEpoch,
        /// The owner's.
        current: LeaderEpoch,
    },
    /// The client's epoch is newer than the partition's.
    #[error("epoch {asked} is newer than the current one, {current}")]
    UnknownEpoch {
        /// The client's.
        asked: LeaderEpoch,
        /// The owner's.
        current: LeaderEpoch,
    },
    /// Metadata or storage did not do its part; try again.
    #[error("{0}")]
    Storage(String),
}

/// News about a partition with a waiting reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TailEvent {
    /// More became visible, or the subscription has just begun.
    Advanced {
        /// Its offsets now.
        offsets: Offsets,
        /// How many bytes of records have become durable since this owner opened the partition:
        /// the difference of two events is what lies between them.
        bytes: u64,
    },
    /// This broker does not own the partition, or no longer; the subscription has ended.
    Lost,
}
