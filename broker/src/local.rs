//! The broker as its own process reaches it: calls go straight to the shards, bytes are shared.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use weir_ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};

use crate::{
    Broker,
    client::{
        Append, AppendError, BrokerClient, Offsets, Read, ReadError, ReadOutcome, Receipt,
        SessionReport, TailSource, Thin, TimestampMatch, receipt, tail,
    },
    partition::Partition,
    shard::{QueuedAppend, ShardHandle},
};

/// A broker of this process. Cheap to clone.
#[derive(Clone)]
pub struct LocalBroker {
    broker: Arc<Broker>,
    next_reader: Arc<AtomicU64>,
}

impl LocalBroker {
    pub(crate) fn new(broker: Arc<Broker>) -> Self {
        Self { broker, next_reader: Arc::new(AtomicU64::new(1)) }
    }

    fn shard(&self, partition: TopicPartition) -> &ShardHandle {
        ShardHandle::of(self.broker.shards(), partition).1
    }

    /// Proves that this broker owned its partitions when the call began.
    async fn prove(&self, partition: TopicPartition) -> Result<(), ReadError> {
        let proved = self.broker.standing().prove().await;
        if proved { Ok(()) } else { Err(ReadError::NotOwner(partition)) }
    }

    /// Asks what only the owner may answer: not one that has begun to give the partition up.
    async fn ask_owner<T: Send + 'static>(
        &self,
        partition: TopicPartition,
        question: impl FnOnce(&Partition) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let ask =
            move |partition: &mut Partition| (!partition.is_frozen()).then(|| question(partition));
        let answer = self.shard(partition).ask(partition, ask).await;
        answer.flatten().ok_or(ReadError::NotOwner(partition))
    }

    /// Reads; that nothing lies where something was asked for is only the owner's to say.
    async fn read_proved(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>> {
        let mut answers = self.read_once(&reads).await;
        let places: Vec<usize> =
            (0..reads.len()).filter(|place| is_beyond(&answers[*place])).collect();
        if places.is_empty() {
            return answers;
        }
        let proved = self.broker.standing().prove().await;
        let asked: Vec<Read> = places.iter().map(|place| reads[*place]).collect();
        let again = if proved { self.read_once(&asked).await } else { Vec::new() };
        for (place, read) in places.iter().zip(&asked) {
            answers[*place] = Err(ReadError::NotOwner(read.partition));
        }
        for (place, answer) in places.into_iter().zip(again) {
            answers[place] = answer;
        }
        answers
    }

    async fn read_once(&self, reads: &[Read]) -> Vec<Result<ReadOutcome, ReadError>> {
        let shards = self.broker.shards();
        let mut answers: Vec<Result<ReadOutcome, ReadError>> =
            reads.iter().map(|read| Err(ReadError::NotOwner(read.partition))).collect();
        let mut by_shard: BTreeMap<usize, Vec<(usize, Read)>> = BTreeMap::new();
        for (place, read) in reads.iter().enumerate() {
            let shard = ShardHandle::of(shards, read.partition).0;
            by_shard.entry(shard).or_default().push((place, *read));
        }
        let asked: Vec<_> =
            by_shard.into_iter().map(|(shard, reads)| shards[shard].read(reads)).collect();
        for answer in asked {
            for (place, answer) in answer.await.unwrap_or_default() {
                answers[place] = answer;
            }
        }
        answers
    }
}

/// Whether the answer is that the log does not reach to the offset.
fn is_beyond(answer: &Result<ReadOutcome, ReadError>) -> bool {
    matches!(answer, Err(ReadError::OutOfRange { offset, durable, .. }) if offset > durable)
}

fn refused(appends: &[Append], what: &str) -> Vec<Receipt> {
    let refuse = |append: &Append| {
        let (resolver, receipt) = receipt(append.partition);
        resolver.resolve(Err(AppendError::Storage(what.to_owned())));
        receipt
    };
    appends.iter().map(refuse).collect()
}

#[async_trait]
impl BrokerClient for LocalBroker {
    async fn append(&self, appends: Vec<Append>) -> Vec<Receipt> {
        let lens = appends.iter().map(|append| append.records.len());
        // While nothing can be made durable, room would not come: say so instead of waiting.
        let reserved = tokio::select! {
            biased;
            what = self.broker.trouble().arises() => return refused(&appends, &what),
            reserved = self.broker.buffers().reserve(lens) => reserved,
        };
        let shards = self.broker.shards();
        let mut by_shard: Vec<Vec<QueuedAppend>> = shards.iter().map(|_| Vec::new()).collect();
        let mut receipts = Vec::with_capacity(appends.len());
        for (append, reserved) in appends.into_iter().zip(reserved) {
            let (resolver, receipt) = receipt(append.partition);
            receipts.push(receipt);
            let shard = ShardHandle::of(shards, append.partition).0;
            by_shard[shard].push(QueuedAppend { append, resolver, reserved });
        }
        for (shard, appends) in shards.iter().zip(by_shard).filter(|(_, a)| !a.is_empty()) {
            shard.append(appends);
        }
        receipts
    }

    async fn read(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>> {
        let answers = self.read_proved(reads).await;
        let given = answers.iter().flatten().map(|outcome| outcome.entries.tail_bytes());
        self.broker.metrics().read_bytes.inc_by(given.sum());
        answers
    }

    async fn offsets(&self, partitions: Vec<TopicPartition>) -> Vec<Result<Offsets, ReadError>> {
        if !self.broker.standing().prove().await {
            return partitions.into_iter().map(|it| Err(ReadError::NotOwner(it))).collect();
        }
        let mut answers = Vec::with_capacity(partitions.len());
        for partition in partitions {
            answers.push(self.ask_owner(partition, Partition::offsets).await);
        }
        answers
    }

    async fn find_timestamp(
        &self,
        partition: TopicPartition,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<TimestampMatch, ReadError> {
        self.prove(partition).await?;
        let find = move |partition: &Partition| partition.find_timestamp(timestamp, from);
        self.ask_owner(partition, find).await
    }

    async fn find_max_timestamp(
        &self,
        partition: TopicPartition,
    ) -> Result<TimestampMatch, ReadError> {
        self.prove(partition).await?;
        self.ask_owner(partition, |partition| partition.find_max_timestamp()).await
    }

    async fn epoch_end(
        &self,
        partition: TopicPartition,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        self.prove(partition).await?;
        self.ask_owner(partition, move |partition| partition.epoch_end(epoch)).await
    }

    async fn delete_records(
        &self,
        partition: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, ReadError> {
        self.broker.delete_records(partition, before).await
    }

    async fn references(&self, thin: Thin) -> Result<SessionReport, ReadError> {
        self.broker.references(thin).await.map_err(|gone| ReadError::Storage(gone.to_string()))
    }

    fn tail(&self) -> TailSource {
        let reader = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let (sink, mut interest, source) = tail();
        let broker = Arc::clone(&self.broker);
        self.broker.part().spawn("tail", move |stop| async move {
            loop {
                let change = tokio::select! {
                    biased;
                    () = stop.requested() => break,
                    change = interest.recv() => change,
                };
                let Some((partition, wanted)) = change else { break };
                let (_, shard) = ShardHandle::of(broker.shards(), partition);
                if wanted {
                    shard.subscribe(reader, partition, sink.clone());
                } else {
                    shard.unsubscribe(reader, partition);
                }
            }
            broker.shards().iter().for_each(|shard| shard.reader_gone(reader));
        });
        source
    }
}
