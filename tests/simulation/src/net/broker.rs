//! Brokers across the network.
//!
//! Appends of one process to one broker travel on one stream and keep their order. While there is no
//! connection they wait for one; if none can be made they were surely not appended. When the stream
//! breaks, everything on it that has no answer is unclear, and the next append begins a new one.
//!
//! Everything else is a call; one that is not answered says that this broker does not own the
//! partition, so that whoever asked looks at its view again.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use tokio::sync::mpsc;
use weir_broker::client::{
    Append, AppendError, Appended, BrokerClient, Brokers, Offsets, Read, ReadError, ReadOutcome,
    Receipt, Resolver, SessionReport, TailSource, Thin, TimestampMatch, receipt,
};
use weir_ids::{LeaderEpoch, NodeId, Offset, Timestamp, TopicPartition};
use weir_meta::views::View;

use super::{Links, ordered::ordered, serving, tail};

/// How many hand-overs wait for a stream; then whoever appends is slowed.
const QUEUED_MAX: usize = 256;

/// The brokers as one process reaches them: its own directly.
pub(crate) struct LinkedBrokers {
    links: Links,
    view: View,
    own: Option<(NodeId, Arc<dyn BrokerClient>)>,
}

impl LinkedBrokers {
    pub(crate) fn new(
        links: Links,
        view: View,
        own: Option<(NodeId, Arc<dyn BrokerClient>)>,
    ) -> Self {
        Self { links, view, own }
    }
}

impl Brokers for LinkedBrokers {
    fn broker(&self, node: NodeId) -> Option<Arc<dyn BrokerClient>> {
        match &self.own {
            Some((own, broker)) if *own == node => return Some(Arc::clone(broker)),
            _ => {}
        }
        self.view.with(|now| now.session_of(node).is_some()).then(|| {
            Arc::new(LinkedBroker { links: self.links.clone(), node }) as Arc<dyn BrokerClient>
        })
    }
}

/// A broker on another node.
pub(super) struct LinkedBroker {
    links: Links,
    node: NodeId,
}

/// An append on its way, and what its answer resolves.
type Queued = (Append, Resolver);

/// A stream of appends to one broker.
pub(super) struct AppendStream {
    queue: mpsc::Sender<Vec<Queued>>,
    ended: Arc<AtomicBool>,
}

impl LinkedBroker {
    /// The queue of the stream to this broker, which is begun if there is none.
    fn stream(&self) -> mpsc::Sender<Vec<Queued>> {
        let mut streams = self.links.streams();
        if let Some(stream) = streams.get(&self.node)
            && !stream.ended.load(Ordering::Relaxed)
        {
            return stream.queue.clone();
        }
        let (queue, queued) = mpsc::channel(QUEUED_MAX);
        let ended = Arc::new(AtomicBool::new(false));
        let stream = AppendStream { queue: queue.clone(), ended: Arc::clone(&ended) };
        streams.insert(self.node, stream);
        let (links, node) = (self.links.clone(), self.node);
        let running = async move { run(&links, node, queued, &ended).await };
        self.links.process().run(Box::pin(running));
        queue
    }

    async fn ask<T: Send + 'static>(
        &self,
        partition: TopicPartition,
        what: &str,
        ask: impl FnOnce(
            Arc<dyn BrokerClient>,
        ) -> futures::future::BoxFuture<'static, Result<T, ReadError>>
        + Send
        + 'static,
    ) -> Result<T, ReadError> {
        let asked = self.links.call(self.node, what, |services| services.broker.clone().map(ask));
        asked.await.unwrap_or(Err(ReadError::NotOwner(partition)))
    }
}

/// Runs a stream until its connection breaks.
async fn run(
    links: &Links,
    node: NodeId,
    mut queued: mpsc::Receiver<Vec<Queued>>,
    ended: &AtomicBool,
) {
    if let Ok(connection) = links.connect(node).await {
        let (from, to) = connection.ends();
        let net = links.net();
        let (sender, inbox) = ordered(net, from, to);
        let (answers, mut answered) = ordered(net, to, from);
        let server = Arc::clone(&connection.to);
        connection.to.process.run(Box::pin(serving::appends(server, inbox, answers)));
        let mut pending = BTreeMap::new();
        loop {
            tokio::select! {
                biased;
                () = connection.broken() => break,
                answer = answered.recv() => match answer {
                    Some((number, result)) => resolve(net, &mut pending, number, result),
                    None => break,
                },
                appends = queued.recv() => {
                    // The queue is held as long as the stream has not ended.
                    let Some(appends) = appends else { break };
                    let mut numbered = Vec::with_capacity(appends.len());
                    for (append, resolver) in appends {
                        let number = net.number();
                        trace_append(net, number, from, to, &append);
                        pending.insert(number, resolver);
                        numbered.push((number, append));
                    }
                    sender.send(numbered);
                }
            }
        }
        connection.break_now("its append stream ended");
        net.trace().line(format_args!("{from}-{to} append stream ends, {} unclear", pending.len()));
    }
    ended.store(true, Ordering::Relaxed);
    queued.close();
    while let Some(appends) = queued.recv().await {
        for (append, resolver) in appends {
            resolver.resolve(Err(AppendError::NotOwner(append.partition)));
        }
    }
}

fn trace_append(
    net: &super::Net,
    number: u64,
    from: super::Place,
    to: super::Place,
    append: &Append,
) {
    let TopicPartition { topic, partition } = append.partition;
    let mut expected = String::new();
    if let Some(offset) = append.expected {
        let _ = write!(expected, " at {offset}");
    }
    let (topic, bytes) = (topic.0.as_u128() >> 112, append.records.len());
    net.trace().line(format_args!(
        "{from}>{to} #{number} append {topic:04x}/{partition} {bytes} bytes{expected}"
    ));
}

fn resolve(
    net: &super::Net,
    pending: &mut BTreeMap<u64, Resolver>,
    number: u64,
    result: Result<Appended, AppendError>,
) {
    match &result {
        Ok(done) => {
            let (base, epoch) = (done.base, done.epoch);
            net.trace().line(format_args!("#{number} appended at {base} epoch {epoch}"));
        }
        Err(error) => net.trace().line(format_args!("#{number} {error}")),
    }
    if let Some(resolver) = pending.remove(&number) {
        resolver.resolve(result);
    }
}

#[async_trait]
impl BrokerClient for LinkedBroker {
    async fn append(&self, appends: Vec<Append>) -> Vec<Receipt> {
        let mut receipts = Vec::with_capacity(appends.len());
        let mut queued = Vec::with_capacity(appends.len());
        for append in appends {
            let (resolver, receipt) = receipt(append.partition);
            receipts.push(receipt);
            queued.push((append, resolver));
        }
        // The lock is not held while the queue is full.
        let stream = self.stream();
        if let Err(mpsc::error::SendError(queued)) = stream.send(queued).await {
            for (append, resolver) in queued {
                resolver.resolve(Err(AppendError::NotOwner(append.partition)));
            }
        }
        receipts
    }

    async fn read(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>> {
        let partitions: Vec<TopicPartition> = reads.iter().map(|read| read.partition).collect();
        let what = format!("read of {}", partitions.len());
        let asked = self.links.call(self.node, &what, move |services| {
            let broker = services.broker.clone()?;
            Some(Box::pin(async move { broker.read(reads).await }))
        });
        asked.await.unwrap_or_else(|_| not_owned(&partitions))
    }

    async fn offsets(&self, partitions: Vec<TopicPartition>) -> Vec<Result<Offsets, ReadError>> {
        let asked_of = partitions.clone();
        let what = format!("offsets of {}", partitions.len());
        let asked = self.links.call(self.node, &what, move |services| {
            let broker = services.broker.clone()?;
            Some(Box::pin(async move { broker.offsets(asked_of).await }))
        });
        asked.await.unwrap_or_else(|_| not_owned(&partitions))
    }

    async fn find_timestamp(
        &self,
        partition: TopicPartition,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<TimestampMatch, ReadError> {
        self.ask(partition, "find a timestamp", move |broker| {
            Box::pin(async move { broker.find_timestamp(partition, timestamp, from).await })
        })
        .await
    }

    async fn find_max_timestamp(
        &self,
        partition: TopicPartition,
    ) -> Result<TimestampMatch, ReadError> {
        self.ask(partition, "find the largest timestamp", move |broker| {
            Box::pin(async move { broker.find_max_timestamp(partition).await })
        })
        .await
    }

    async fn epoch_end(
        &self,
        partition: TopicPartition,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        self.ask(partition, "end of an epoch", move |broker| {
            Box::pin(async move { broker.epoch_end(partition, epoch).await })
        })
        .await
    }

    async fn delete_records(
        &self,
        partition: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, ReadError> {
        self.ask(partition, "delete records", move |broker| {
            Box::pin(async move { broker.delete_records(partition, before).await })
        })
        .await
    }

    async fn references(&self, thin: Thin) -> Result<SessionReport, ReadError> {
        let asked = self.links.call(self.node, "references", |services| {
            let broker = services.broker.clone()?;
            Some(Box::pin(async move { broker.references(thin).await }))
        });
        let failed = || Err(ReadError::Storage("the broker does not answer".to_owned()));
        asked.await.unwrap_or_else(|_| failed())
    }

    fn tail(&self) -> TailSource {
        tail::linked(self.links.clone(), self.node)
    }
}

fn not_owned<T>(partitions: &[TopicPartition]) -> Vec<Result<T, ReadError>> {
    partitions.iter().map(|partition| Err(ReadError::NotOwner(*partition))).collect()
}
