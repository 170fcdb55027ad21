//! The brokers as one process reaches them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use weir_ids::{LeaderEpoch, NodeId, Offset, Timestamp, TopicPartition};
use weir_meta::views::View;
use weir_rpc::{
    Failed, Links, MESSAGE_BYTES_MAX,
    tonic::{Status, transport::Channel},
};

use super::{
    appends::{self, Stream},
    convert,
    shared::SharedReads,
    tails, wire,
    wire::broker_client::BrokerClient as Client,
};
use crate::client::{
    Append, BrokerClient, Brokers, Offsets, Read, ReadError, ReadOutcome, Receipt, SessionReport,
    TailSource, Thin, TimestampMatch, receipt,
};

/// The brokers as one process reaches them: its own directly, others over its links.
pub struct RemoteBrokers {
    links: Links,
    view: View,
    own: Option<(NodeId, Arc<dyn BrokerClient>)>,
    others: Mutex<BTreeMap<NodeId, Arc<RemoteBroker>>>,
}

impl RemoteBrokers {
    /// The brokers that `view` shows; `own` is that of this process.
    pub fn new(links: Links, view: View, own: Option<(NodeId, Arc<dyn BrokerClient>)>) -> Self {
        Self { links, view, own, others: Mutex::default() }
    }
}

impl Brokers for RemoteBrokers {
    fn broker(&self, node: NodeId) -> Option<Arc<dyn BrokerClient>> {
        if let Some((own, broker)) = &self.own
            && *own == node
        {
            return Some(Arc::clone(broker));
        }
        self.view.with(|now| now.session_of(node).is_some()).then(|| {
            let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
            let other = others.entry(node).or_insert_with(|| {
                let (links, stream) = (self.links.clone(), Mutex::default());
                Arc::new(RemoteBroker { links, node, stream, reads: SharedReads::default() })
            });
            Arc::clone(other) as Arc<dyn BrokerClient>
        })
    }
}

/// A broker of another process.
pub(super) struct RemoteBroker {
    links: Links,
    node: NodeId,
    stream: Mutex<Option<Stream>>,
    reads: SharedReads,
}

impl RemoteBroker {
    /// The stream to this broker, which is begun if there is none.
    fn stream(&self) -> Stream {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        match &*stream {
            Some(stream) if !stream.has_ended() => stream.clone(),
            _ => stream.insert(Stream::begin(&self.links, self.node)).clone(),
        }
    }

    async fn read_itself(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>> {
        use wire::read_answer::Result as Told;
        let partitions: Vec<TopicPartition> = reads.iter().map(|read| read.partition).collect();
        let question = wire::Reads { reads: reads.into_iter().map(Into::into).collect() };
        let asked = self.ask(
            async move |mut client| client.read(question).await,
            |wire::ReadAnswers { answers }| {
                let answers = as_many(answers, partitions.len())?.into_iter();
                let taken = answers.map(|answer| {
                    Ok(match answer.result.ok_or_else(|| convert::nonsense("no result"))? {
                        Told::Outcome(outcome) => Ok(convert::read_outcome(outcome)?),
                        Told::Error(error) => Err(convert::error_of(&error)?),
                    })
                });
                taken.collect::<Result<Vec<_>, Status>>()
            },
        );
        asked.await.unwrap_or_else(|_| not_owned(&partitions))
    }

    /// Asks, and takes the answer apart. One that makes no sense is none.
    async fn ask<A, T>(
        &self,
        ask: impl AsyncFnOnce(Client<Channel>) -> Result<weir_rpc::tonic::Response<A>, Status>,
        take: impl FnOnce(A) -> Result<T, Status>,
    ) -> Result<T, Failed> {
        let answer = self.links.call(self.node, |channel| {
            let client = Client::new(channel);
            ask(client
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX))
        });
        take(answer.await?).map_err(|status| {
            tracing::warn!(node = %self.node, %status, "a broker's answer can't be read");
            Failed::Broken
        })
    }
}

fn not_owned<T>(partitions: &[TopicPartition]) -> Vec<Result<T, ReadError>> {
    partitions.iter().map(|partition| Err(ReadError::NotOwner(*partition))).collect()
}

/// As many answers as questions, or none.
fn as_many<T>(answers: Vec<T>, questions: usize) -> Result<Vec<T>, Status> {
    match answers.len() == questions {
        true => Ok(answers),
        false => Err(convert::nonsense("not as many answers as questions")),
    }
}

fn timestamp_answer(
    answer: wire::TimestampAnswer,
) -> Result<Result<TimestampMatch, ReadError>, Status> {
    use wire::timestamp_answer::Result as Told;
    Ok(match answer.result.ok_or_else(|| convert::nonsense("no result"))? {
        Told::Found(found) => Ok(convert::timestamp_match(found)?),
        Told::Error(error) => Err(convert::error_of(&error)?),
    })
}

#[async_trait]
impl BrokerClient for RemoteBroker {
    async fn append(&self, appends: Vec<Append>) -> Vec<Receipt> {
        let (mut receipts, mut queued) = (Vec::new(), Vec::with_capacity(appends.len()));
        for append in appends {
            let (resolver, receipt) = receipt(append.partition);
            receipts.push(receipt);
            queued.push((append, resolver));
        }
        if let Err(back) = self.stream().send(queued).await {
            appends::refuse(back);
        }
        receipts
    }

    async fn read(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>> {
        self.reads.read(reads, |reads| self.read_itself(reads)).await
    }

    async fn offsets(&self, partitions: Vec<TopicPartition>) -> Vec<Result<Offsets, ReadError>> {
        use wire::offsets_answer::Result as Told;
        let question = partitions.iter().map(|partition| (*partition).into()).collect();
        let question = wire::Partitions { partitions: question };
        let asked = self.ask(
            async move |mut client| client.offsets(question).await,
            |wire::OffsetsAnswers { answers }| {
                let answers = as_many(answers, partitions.len())?.into_iter();
                let taken = answers.map(|answer| {
                    Ok(match answer.result.ok_or_else(|| convert::nonsense("no result"))? {
                        Told::Offsets(offsets) => Ok(offsets.into()),
                        Told::Error(error) => Err(convert::error_of(&error)?),
                    })
                });
                taken.collect::<Result<Vec<_>, Status>>()
            },
        );
        asked.await.unwrap_or_else(|_| not_owned(&partitions))
    }

    async fn find_timestamp(
        &self,
        partition: TopicPartition,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<TimestampMatch, ReadError> {
        let (of, timestamp, from) = (Some(partition.into()), timestamp.0, from.0);
        let question = wire::TimestampQuestion { partition: of, timestamp, from };
        let asking = async move |mut client: Client<Channel>| client.find_timestamp(question).await;
        let asked = self.ask(asking, timestamp_answer).await;
        asked.unwrap_or(Err(ReadError::NotOwner(partition)))
    }

    async fn find_max_timestamp(
        &self,
        partition: TopicPartition,
    ) -> Result<TimestampMatch, ReadError> {
        let question = wire::Partition::from(partition);
        let asking =
            async move |mut client: Client<Channel>| client.find_max_timestamp(question).await;
        let asked = self.ask(asking, timestamp_answer).await;
        asked.unwrap_or(Err(ReadError::NotOwner(partition)))
    }

    async fn epoch_end(
        &self,
        partition: TopicPartition,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        use wire::epoch_answer::Result as Told;
        let question = wire::EpochQuestion { partition: Some(partition.into()), epoch: epoch.0 };
        let asked = self.ask(
            async move |mut client| client.epoch_end(question).await,
            |answer: wire::EpochAnswer| {
                Ok(match answer.result.ok_or_else(|| convert::nonsense("no result"))? {
                    Told::End(wire::EpochEnd { epoch, end }) => {
                        Ok(epoch.map(|epoch| (LeaderEpoch(epoch), Offset(end))))
                    }
                    Told::Error(error) => Err(convert::error_of(&error)?),
                })
            },
        );
        asked.await.unwrap_or(Err(ReadError::NotOwner(partition)))
    }

    async fn delete_records(
        &self,
        partition: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, ReadError> {
        use wire::deletion_answer::Result as Told;
        let before = before.map(|offset| offset.0);
        let question = wire::Deletion { partition: Some(partition.into()), before };
        let asked = self.ask(
            async move |mut client| client.delete_records(question).await,
            |answer: wire::DeletionAnswer| {
                Ok(match answer.result.ok_or_else(|| convert::nonsense("no result"))? {
                    Told::LogStart(start) => Ok(Offset(start)),
                    Told::Error(error) => Err(convert::error_of(&error)?),
                })
            },
        );
        asked.await.unwrap_or(Err(ReadError::NotOwner(partition)))
    }

    async fn references(&self, thin: Thin) -> Result<SessionReport, ReadError> {
        use wire::references_answer::Result as Told;
        let asked = self.ask(
            async move |mut client| client.references(wire::Thin::from(thin.clone())).await,
            |answer: wire::ReferencesAnswer| {
                Ok(match answer.result.ok_or_else(|| convert::nonsense("no result"))? {
                    Told::Report(report) => Ok(convert::report(report)?),
                    Told::Error(error) => Err(convert::error_of(&error)?),
                })
            },
        );
        let failed = |failed: Failed| Err(ReadError::Storage(failed.to_string()));
        asked.await.unwrap_or_else(failed)
    }

    fn tail(&self) -> TailSource {
        tails::linked(&self.links, self.node)
    }
}
