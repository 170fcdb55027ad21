//! Reading.

use bytes::Bytes;
use tokio::sync::mpsc;
use weir_ids::{LeaderEpoch, Offset, TopicPartition};
use weir_segment_store::Reference;

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
    Stored(Vec<Reference>),
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
}

/// Why a read was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    /// More became visible.
    Advanced {
        /// Where.
        partition: TopicPartition,
        /// Its offsets now.
        offsets: Offsets,
        /// How many bytes of records this subscription has seen become durable in the partition
        /// since it began.
        bytes: u64,
    },
    /// This broker no longer owns the partition; the subscription has ended.
    Lost(TopicPartition),
}

/// A stream of [`TailEvent`]s. Events of one partition may be merged when the reader is slow: the
/// newest stands for all.
pub struct TailSource {
    /// Asks for news of a partition from now on (`true`), or no more (`false`).
    interest: mpsc::Sender<(TopicPartition, bool)>,
    /// The news.
    events: mpsc::Receiver<Vec<TailEvent>>,
}

/// A broker's end of a [`TailSource`].
pub struct TailSink {
    /// What the reader asks for, in order.
    pub interest: mpsc::Receiver<(TopicPartition, bool)>,
    /// Where news goes.
    pub events: mpsc::Sender<Vec<TailEvent>>,
}

/// How many requests and how many batches of news may wait in a [`TailSource`].
const TAIL_QUEUE: usize = 1024;

/// The two ends of a stream of news.
pub fn tail() -> (TailSink, TailSource) {
    let (ask, interest) = mpsc::channel(TAIL_QUEUE);
    let (events, news) = mpsc::channel(TAIL_QUEUE);
    (TailSink { interest, events }, TailSource { interest: ask, events: news })
}

impl TailSource {
    /// Asks for news of `partition`. The first event tells its offsets as they are now, so that
    /// nothing is missed between a read and the subscription.
    pub async fn subscribe(&self, partition: TopicPartition) {
        let _ = self.interest.send((partition, true)).await;
    }

    /// Asks for no more news of `partition`.
    pub async fn unsubscribe(&self, partition: TopicPartition) {
        let _ = self.interest.send((partition, false)).await;
    }

    /// The next news; `None` when the broker is gone.
    pub async fn next(&mut self) -> Option<Vec<TailEvent>> {
        self.events.recv().await
    }
}
