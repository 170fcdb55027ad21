//! Appending.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::oneshot;
use weir_ids::{LeaderEpoch, Offset, ProducerEpoch, Sequence, Timestamp, TopicPartition};
use weir_protocol::records;

/// When an append is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acks {
    /// As soon as the batch has its offsets and is buffered (`acks=0` and `acks=1`). A crash may lose
    /// it.
    Buffered,
    /// When the batch is durable (`acks=all`).
    Durable,
}

/// Who appends: clients may not write what Weir itself may.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A Kafka client: no control batches.
    Client,
    /// A coordinator.
    Coordinator,
}

/// One batch for one partition.
#[derive(Clone, Debug)]
pub struct Append {
    /// Where to.
    pub partition: TopicPartition,
    /// The leader epoch that the caller believes in; `None` takes whichever there is.
    pub epoch: Option<LeaderEpoch>,
    /// The `records` field of a produce request: exactly one record batch of magic 2.
    pub records: Bytes,
    /// When to answer.
    pub acks: Acks,
    /// Append only if this is the next offset: how a coordinator makes sure that it is the only
    /// writer.
    pub expected: Option<Offset>,
    /// Who appends.
    pub origin: Origin,
}

/// An append that took place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The offset of the batch's first record; of the original batch if this one was a duplicate.
    pub base: Offset,
    /// The offset of its last record.
    pub last: Offset,
    /// The broker's time if the topic has `message.timestamp.type=LogAppendTime`.
    pub log_append_time: Option<Timestamp>,
    /// The partition's first offset.
    pub log_start: Offset,
    /// The epoch that it was written under.
    pub epoch: LeaderEpoch,
}

/// Why an append did not take place, or may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum AppendError {
    /// This broker does not own the partition. Surely not appended: refresh and try another.
    #[error("this broker does not own {0}")]
    NotOwner(TopicPartition),
    /// The caller's epoch is not the partition's. Surely not appended.
    #[error("epoch {asked} of {partition} is not the current one, {current}")]
    WrongEpoch {
        /// Which partition.
        partition: TopicPartition,
        /// The caller's epoch.
        asked: LeaderEpoch,
        /// The owner's.
        current: LeaderEpoch,
    },
    /// Ownership was lost, or the process is ending, before the batch was known to be durable. It
    /// may or may not be there.
    #[error("{0} was given up before the batch was known to be durable")]
    Unclear(TopicPartition),
    /// The batch breaks a rule of the format or of the topic.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The producer's sequence leaves a gap (KIP-98).
    #[error("sequence {found} of the producer does not follow {expected}")]
    OutOfOrderSequence {
        /// The sequence that comes next.
        expected: Sequence,
        /// The batch's.
        found: Sequence,
    },
    /// A newer generation of the producer has written (KIP-98).
    #[error("producer epoch {found} is older than {current}")]
    InvalidProducerEpoch {
        /// The newest seen.
        current: ProducerEpoch,
        /// The batch's.
        found: ProducerEpoch,
    },
    /// The next offset is not the expected one: somebody else has written.
    #[error("the next offset is {next}, not the expected {expected}")]
    Conflict {
        /// The expected next offset.
        expected: Offset,
        /// The real one.
        next: Offset,
    },
    /// The store does not take writes, for now: no space, or it fails. Not appended, or not yet.
    #[error("the store does not take writes: {0}")]
    Storage(String),
    /// The broker's buffers stayed full. Surely not appended.
    #[error("the broker's buffers are full")]
    Busy,
}

/// A batch that will never be accepted as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Refused {
    /// The batch itself is not right, or not what the topic takes.
    #[error(transparent)]
    Batch(#[from] records::Rejection),
    /// Records that do not fit the topic, each with its number in the batch (KIP-467).
    #[error("{} or more records do not fit the topic", .0.len())]
    Records(Vec<records::inspect::Unfit>),
    /// The topic asks for a look at each record, and they can't be read.
    #[error("the records can't be read: {0}")]
    Unreadable(String),
    /// Transactional batches are not served yet.
    #[error("transactional batches are not supported")]
    Transactional,
}

/// The answer to an append, which comes later. Dropping it does not undo the append.
pub struct Receipt {
    answer: oneshot::Receiver<Result<Appended, AppendError>>,
    partition: TopicPartition,
}

/// The other end of a [`Receipt`].
pub struct Resolver(oneshot::Sender<Result<Appended, AppendError>>);

/// A receipt for an append to `partition` and what answers it.
pub fn receipt(partition: TopicPartition) -> (Resolver, Receipt) {
    let (sender, answer) = oneshot::channel();
    (Resolver(sender), Receipt { answer, partition })
}

impl Resolver {
    /// Answers. Nobody may be listening any more.
    pub fn resolve(self, result: Result<Appended, AppendError>) {
        let _ = self.0.send(result);
    }
}

impl Future for Receipt {
    type Output = Result<Appended, AppendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let partition = self.partition;
        Pin::new(&mut self.answer)
            .poll(cx)
            .map(|answer| answer.unwrap_or(Err(AppendError::Unclear(partition))))
    }
}
