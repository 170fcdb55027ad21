//! How proxies and coordinators reach the broker that owns a partition.
//!
//! [`BrokerClient`] is one broker as seen by its callers: in the same process the calls go straight
//! to the partitions' tasks and bytes are shared; across processes the gRPC client implements the
//! same trait. [`Brokers`] finds the client for a node.
//!
//! Order: appends handed over by one caller, one after the other, to one partition are judged in
//! that order. Durable is durable: an [`Appended`] for [`Acks::Durable`] is given only for a batch
//! that every later owner will find.

mod append;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod read;
mod report;
mod tail;

use std::sync::Arc;

use async_trait::async_trait;
use weir_ids::{LeaderEpoch, NodeId, Offset, Timestamp, TopicPartition};

pub use append::{
    Acks, Append, AppendError, Appended, Origin, Receipt, Refused, Resolver, receipt,
};
pub use read::{
    Entries, Isolation, Offsets, Places, Read, ReadError, ReadOutcome, TailEvent, TimestampMatch,
};
pub use report::{SessionReport, Thin};
pub use tail::{TailSink, TailSource, tail};

/// One broker.
#[async_trait]
pub trait BrokerClient: Send + Sync {
    /// Hands over appends in order and returns as soon as they are queued, with one [`Receipt`] an
    /// append in the same order. Waits only while the broker's buffers are full: callers are slowed,
    /// not refused.
    async fn append(&self, appends: Vec<Append>) -> Vec<Receipt>;

    /// Reads what is visible now; never waits for more. One answer a read, in the same order.
    async fn read(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>>;

    /// The offsets of partitions as their owner knows them. One answer a partition, in order.
    async fn offsets(&self, partitions: Vec<TopicPartition>) -> Vec<Result<Offsets, ReadError>>;

    /// The first visible batch that ends at `from` or behind it and may hold a record at or after `timestamp`
    /// (`Timestamp(i64::MAX)` finds nothing), for the caller to look into. If it finds nothing there, it asks again for
    /// what follows.
    async fn find_timestamp(
        &self,
        partition: TopicPartition,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<TimestampMatch, ReadError>;

    /// The visible batch with the largest timestamp, for ListOffsets -3 (KIP-734).
    async fn find_max_timestamp(
        &self,
        partition: TopicPartition,
    ) -> Result<TimestampMatch, ReadError>;

    /// The largest epoch at or below `epoch` that wrote something, and the offset at which it ended
    /// (KIP-320). `None` when no such epoch is known.
    async fn epoch_end(
        &self,
        partition: TopicPartition,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError>;

    /// Moves the log start to `before` (`None`: to the durable end) and returns it once that is
    /// recorded.
    async fn delete_records(
        &self,
        partition: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, ReadError>;

    /// Everything that the broker's session refers to, for the collector, which tells it what had better be written
    /// once more.
    async fn references(&self, thin: Thin) -> Result<SessionReport, ReadError>;

    /// Opens a stream of news about partitions with a waiting reader.
    fn tail(&self) -> TailSource;
}

/// Finds brokers by node.
pub trait Brokers: Send + Sync {
    /// The client of `node`; `None` when no such broker is known to live.
    fn broker(&self, node: NodeId) -> Option<Arc<dyn BrokerClient>>;
}
