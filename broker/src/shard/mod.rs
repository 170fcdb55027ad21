//! Shards: partitions are spread over a few of them, one task each. A partition is only ever
//! touched by its shard's task, so it needs no lock.
//!
//! A shard takes what waits for it in one go, and hands all that was accepted to the write-ahead log
//! together. Its queue is bounded by what feeds it: appends hold room in the broker's buffers, reads
//! and questions have a caller each that waits, news of slots is bounded by the slots in flight.

mod task;
mod tend;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::{mpsc, oneshot};
use weir_ids::{LeaderEpoch, Offset, TopicId, TopicPartition};
use weir_segment_store::{ObjectName, checkpoint::Listing};

pub(crate) use task::Shard;
use tend::Tend;

use crate::{
    Named, TopicRules,
    client::{Append, Read, ReadError, ReadOutcome, Resolver, TailSink},
    partition::{Claimed, Partition},
};

/// An append with what it holds.
pub(crate) struct QueuedAppend {
    pub(crate) append: Append,
    pub(crate) resolver: Resolver,
    /// Room taken in the broker's buffers.
    pub(crate) reserved: u64,
}

/// A chunk that has become durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DurableChunk {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) last: Offset,
}

/// Where a partition's log is to begin, under an epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogStart {
    pub(crate) partition: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    pub(crate) offset: Offset,
}

/// Reads with their places in the answer.
pub(crate) type Reads = Vec<(usize, Read)>;
/// Answers with their places.
pub(crate) type ReadAnswers = Vec<(usize, Result<ReadOutcome, ReadError>)>;
/// A question to a partition, which may not be here.
pub(crate) type Question = Box<dyn FnOnce(Option<&mut Partition>) + Send>;

/// What checkpoints say of partitions, as far as they are known here.
pub(crate) type Listings = Vec<(TopicPartition, Listing)>;
/// What a shard's partitions refer to.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) named: Named,
    /// How many bytes of objects those that are open refer to, pages aside.
    pub(crate) bytes: BTreeMap<ObjectName, u64>,
    /// Those that are open.
    pub(crate) partitions: Vec<TopicPartition>,
}

enum Message {
    Append(Vec<QueuedAppend>),
    Read(Reads, oneshot::Sender<ReadAnswers>),
    Ask(Vec<(TopicPartition, Question)>),
    Expect(Vec<TopicPartition>),
    Unexpect(Vec<TopicPartition>),
    Open(Vec<Claimed>, oneshot::Sender<()>),
    Close(Vec<TopicPartition>),
    Freeze(Vec<TopicPartition>, oneshot::Sender<()>),
    Cover(Vec<TopicPartition>),
    Uncover(Vec<TopicPartition>),
    Listings(Vec<TopicPartition>, oneshot::Sender<Listings>),
    Covered(oneshot::Sender<Vec<TopicPartition>>),
    References(oneshot::Sender<Held>),
    Passed(oneshot::Sender<Vec<(TopicPartition, u64)>>),
    Tend(Tend),
    Durable(Vec<DurableChunk>),
    Trouble(Option<String>),
    Checkpointed(Vec<(TopicPartition, LeaderEpoch, Listing)>),
    Evict(Vec<DurableChunk>),
    Subscribe(u64, TopicPartition, TailSink),
    Unsubscribe(u64, TopicPartition),
    ReaderGone(u64),
    Rules(TopicId, Arc<TopicRules>),
    Drain(oneshot::Sender<()>),
}

/// The shard has ended: what it held is not known any more, which is not the same as nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broker is ending")]
pub(crate) struct Gone;

/// A way to a shard. Cheap to clone. A shard that has ended answers nothing: its callers see their
/// answers dropped.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    sender: mpsc::UnboundedSender<Message>,
}

/// What a shard's task reads.
pub(crate) struct ShardInbox(mpsc::UnboundedReceiver<Message>);

impl ShardHandle {
    pub(crate) fn new() -> (Self, ShardInbox) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender }, ShardInbox(receiver))
    }

    /// The shard of `partition` among `shards`: neighbours lie apart.
    pub(crate) fn of(shards: &[ShardHandle], partition: TopicPartition) -> (usize, &ShardHandle) {
        let (high, low) = partition.topic.0.as_u64_pair();
        let place = (high ^ low).wrapping_add(u64::from(partition.partition.0));
        let index = (place % shards.len() as u64) as usize;
        (index, &shards[index])
    }

    fn send(&self, message: Message) {
        let _ = self.sender.send(message);
    }

    pub(crate) fn append(&self, appends: Vec<QueuedAppend>) {
        self.send(Message::Append(appends));
    }

    pub(crate) fn read(&self, reads: Reads) -> oneshot::Receiver<ReadAnswers> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Read(reads, answer));
        answered
    }

    /// Asks a partition something. `None` when it is not here, or the shard has ended.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        partition: TopicPartition,
        question: impl FnOnce(&mut Partition) -> T + Send + 'static,
    ) -> Option<T> {
        self.ask_all(vec![(partition, question)]).await.ok()?.pop().flatten()
    }

    /// Asks several partitions, in order; `None` for each that is not here.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn ask_all<T: Send + 'static>(
        &self,
        questions: Vec<(TopicPartition, impl FnOnce(&mut Partition) -> T + Send + 'static)>,
    ) -> Result<Vec<Option<T>>, Gone> {
        let mut boxed: Vec<(TopicPartition, Question)> = Vec::with_capacity(questions.len());
        let mut answers = Vec::with_capacity(questions.len());
        for (partition, question) in questions {
            let (answer, answered) = oneshot::channel();
            let question = move |partition: Option<&mut Partition>| {
                let _ = answer.send(partition.map(question));
            };
            boxed.push((partition, Box::new(question)));
            answers.push(answered);
        }
        self.send(Message::Ask(boxed));
        let mut found = Vec::with_capacity(answers.len());
        for answer in answers {
            found.push(answer.await.map_err(|_| Gone)?);
        }
        Ok(found)
    }

    /// What its partitions refer to.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn references(&self) -> Result<Held, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::References(answer));
        answered.await.map_err(|_| Gone)
    }

    /// Bytes of records that went in and out of its partitions since this was last asked, of those that have
    /// had any.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn passed(&self) -> Result<Vec<(TopicPartition, u64)>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Passed(answer));
        answered.await.map_err(|_| Gone)
    }

    /// Partitions that are about to be opened: appends to them wait.
    pub(crate) fn expect(&self, partitions: Vec<TopicPartition>) {
        self.send(Message::Expect(partitions));
    }

    /// Partitions that are not opened for now: appends to them are refused.
    pub(crate) fn unexpect(&self, partitions: Vec<TopicPartition>) {
        self.send(Message::Unexpect(partitions));
    }

    /// Opens partitions; returns when they serve.
    pub(crate) async fn open(&self, claimed: Vec<Claimed>) {
        let (done, opened) = oneshot::channel();
        self.send(Message::Open(claimed, done));
        let _ = opened.await;
    }

    /// Gives partitions up, and forgets what was covered of them.
    pub(crate) fn close(&self, partitions: Vec<TopicPartition>) {
        self.send(Message::Close(partitions));
    }

    /// Accepts no more appends for these partitions, which are still read from; what was accepted
    /// before has been handed to the log on return.
    pub(crate) async fn freeze(&self, partitions: Vec<TopicPartition>) {
        let (done, frozen) = oneshot::channel();
        self.send(Message::Freeze(partitions, done));
        let _ = frozen.await;
    }

    /// Gives partitions up that were released: checkpoints go on covering them.
    pub(crate) fn cover(&self, partitions: Vec<TopicPartition>) {
        self.send(Message::Cover(partitions));
    }

    /// Forgets what is covered of these partitions.
    pub(crate) fn uncover(&self, partitions: Vec<TopicPartition>) {
        self.send(Message::Uncover(partitions));
    }

    /// What checkpoints say of these partitions, each under the epoch in which this session owned
    /// it last; those that are not known here are left out.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn listings(&self, partitions: Vec<TopicPartition>) -> Result<Listings, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Listings(partitions, answer));
        answered.await.map_err(|_| Gone)
    }

    /// The partitions that were released and are still covered.
    ///
    /// # Errors
    /// When the shard has ended.
    pub(crate) async fn covered(&self) -> Result<Vec<TopicPartition>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.send(Message::Covered(answer));
        answered.await.map_err(|_| Gone)
    }

    /// Accepts no more appends; what was accepted before has been handed to the log on return.
    pub(crate) async fn drain(&self) {
        let (done, drained) = oneshot::channel();
        self.send(Message::Drain(done));
        let _ = drained.await;
    }

    pub(crate) fn durable(&self, chunks: Vec<DurableChunk>) {
        self.send(Message::Durable(chunks));
    }

    /// The log takes no writes for now, or takes them again.
    pub(crate) fn trouble(&self, trouble: Option<String>) {
        self.send(Message::Trouble(trouble));
    }

    /// A checkpoint with these lines has been written.
    pub(crate) fn checkpointed(&self, lines: Vec<(TopicPartition, LeaderEpoch, Listing)>) {
        self.send(Message::Checkpointed(lines));
    }

    /// What has been checkpointed up to here may leave the tail.
    pub(crate) fn evict(&self, chunks: Vec<DurableChunk>) {
        self.send(Message::Evict(chunks));
    }

    pub(crate) fn subscribe(&self, reader: u64, partition: TopicPartition, sink: TailSink) {
        self.send(Message::Subscribe(reader, partition, sink));
    }

    pub(crate) fn unsubscribe(&self, reader: u64, partition: TopicPartition) {
        self.send(Message::Unsubscribe(reader, partition));
    }

    /// A reader has gone away with all its subscriptions.
    pub(crate) fn reader_gone(&self, reader: u64) {
        self.send(Message::ReaderGone(reader));
    }

    /// A topic's configuration has changed.
    pub(crate) fn rules(&self, topic: TopicId, rules: Arc<TopicRules>) {
        self.send(Message::Rules(topic, rules));
    }
}
