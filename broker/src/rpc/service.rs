//! What a node with the broker role offers.

use std::{pin::Pin, sync::Arc};

use futures::{FutureExt, Stream, StreamExt, stream::FuturesUnordered};
use tokio::sync::mpsc;
use weir_ids::{LeaderEpoch, Offset, Timestamp};
use weir_rpc::{
    MESSAGE_BYTES_MAX,
    tonic::{self, Request, Response, Status, Streaming},
};
use weir_runtime::Tasks;

use super::{convert, wire};
use crate::{
    BrokerRole,
    client::{BrokerClient, Receipt},
};

/// How many messages wait for a reader that is slow.
const ANSWERS_WAITING: usize = 64;
/// How many answers a message has at most.
const ANSWERS_TOGETHER: usize = 256;

/// The service of `role`; what it does in the background belongs to `tasks`.
pub fn service(role: Arc<BrokerRole>, tasks: &Tasks) -> BrokerServer {
    serving(role.client(), Some(role), tasks)
}

/// The service of `client`.
pub(super) fn serving(
    client: Arc<dyn BrokerClient>,
    role: Option<Arc<BrokerRole>>,
    tasks: &Tasks,
) -> BrokerServer {
    wire::broker_server::BrokerServer::new(Service { client, role, tasks: tasks.clone() })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

type BrokerServer = wire::broker_server::BrokerServer<Service>;

/// See the module.
pub struct Service {
    client: Arc<dyn BrokerClient>,
    role: Option<Arc<BrokerRole>>,
    tasks: Tasks,
}

type Outgoing<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What is sent, as a stream.
fn outgoing<T: Send + 'static>(receiver: mpsc::Receiver<T>) -> Outgoing<T> {
    let next = |mut receiver: mpsc::Receiver<T>| async move {
        let message = receiver.recv().await?;
        Some((Ok(message), receiver))
    };
    Box::pin(futures::stream::unfold(receiver, next))
}

#[tonic::async_trait]
impl wire::broker_server::Broker for Service {
    type AppendStream = Outgoing<wire::Answers>;
    type TailStream = Outgoing<wire::News>;

    async fn append(
        &self,
        request: Request<Streaming<wire::Appends>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let (answers, outbox) = mpsc::channel(ANSWERS_WAITING);
        let (client, inbox) = (Arc::clone(&self.client), request.into_inner());
        self.tasks.spawn("append stream", |stop| async move {
            let (receipts, waiting) = mpsc::unbounded_channel();
            let hand_over = hand_over(&*client, inbox, receipts);
            tokio::select! {
                biased;
                () = stop.requested() => {}
                ((), ()) = async { tokio::join!(hand_over, answer(waiting, answers)) } => {}
            }
        });
        Ok(Response::new(outgoing(outbox)))
    }

    async fn tail(
        &self,
        request: Request<Streaming<wire::Interest>>,
    ) -> Result<Response<Self::TailStream>, Status> {
        let (news, outbox) = mpsc::channel(1);
        let (client, interests) = (Arc::clone(&self.client), request.into_inner());
        self.tasks.spawn("tail stream", |stop| async move {
            tokio::select! {
                biased;
                () = stop.requested() => {}
                () = super::tails::serve(&*client, interests, news) => {}
            }
        });
        Ok(Response::new(outgoing(outbox)))
    }

    async fn read(
        &self,
        request: Request<wire::Reads>,
    ) -> Result<Response<wire::ReadAnswers>, Status> {
        use wire::read_answer::Result as Told;
        let reads = request.into_inner().reads.into_iter().map(convert::read);
        let answers = self.client.read(reads.collect::<Result<_, _>>()?).await;
        let answers = answers.into_iter().map(|answer| {
            let told = match answer {
                Ok(outcome) => Told::Outcome(outcome.into()),
                Err(error) => Told::Error(convert::error(&error)),
            };
            wire::ReadAnswer { result: Some(told) }
        });
        Ok(Response::new(wire::ReadAnswers { answers: answers.collect() }))
    }

    async fn offsets(
        &self,
        request: Request<wire::Partitions>,
    ) -> Result<Response<wire::OffsetsAnswers>, Status> {
        use wire::offsets_answer::Result as Told;
        let partitions = convert::partitions(request.into_inner())?;
        let answers = self.client.offsets(partitions).await.into_iter().map(|answer| {
            let told = match answer {
                Ok(offsets) => Told::Offsets(offsets.into()),
                Err(error) => Told::Error(convert::error(&error)),
            };
            wire::OffsetsAnswer { result: Some(told) }
        });
        Ok(Response::new(wire::OffsetsAnswers { answers: answers.collect() }))
    }

    async fn find_timestamp(
        &self,
        request: Request<wire::TimestampQuestion>,
    ) -> Result<Response<wire::TimestampAnswer>, Status> {
        let wire::TimestampQuestion { partition, timestamp, from } = request.into_inner();
        let (partition, timestamp) = (convert::partition(partition)?, Timestamp(timestamp));
        let found = self.client.find_timestamp(partition, timestamp, Offset(from)).await;
        Ok(Response::new(timestamp_answer(found)))
    }

    async fn find_max_timestamp(
        &self,
        request: Request<wire::Partition>,
    ) -> Result<Response<wire::TimestampAnswer>, Status> {
        let partition = convert::partition(Some(request.into_inner()))?;
        let found = self.client.find_max_timestamp(partition).await;
        Ok(Response::new(timestamp_answer(found)))
    }

    async fn epoch_end(
        &self,
        request: Request<wire::EpochQuestion>,
    ) -> Result<Response<wire::EpochAnswer>, Status> {
        use wire::epoch_answer::Result as Told;
        let wire::EpochQuestion { partition, epoch } = request.into_inner();
        let partition = convert::partition(partition)?;
        let told = match self.client.epoch_end(partition, LeaderEpoch(epoch)).await {
            Ok(Some((epoch, end))) => {
                Told::End(wire::EpochEnd { epoch: Some(epoch.0), end: end.0 })
            }
            Ok(None) => Told::End(wire::EpochEnd::default()),
            Err(error) => Told::Error(convert::error(&error)),
        };
        Ok(Response::new(wire::EpochAnswer { result: Some(told) }))
    }

    async fn delete_records(
        &self,
        request: Request<wire::Deletion>,
    ) -> Result<Response<wire::DeletionAnswer>, Status> {
        use wire::deletion_answer::Result as Told;
        let wire::Deletion { partition, before } = request.into_inner();
        let partition = convert::partition(partition)?;
        let told = match self.client.delete_records(partition, before.map(Offset)).await {
            Ok(start) => Told::LogStart(start.0),
            Err(error) => Told::Error(convert::error(&error)),
        };
        Ok(Response::new(wire::DeletionAnswer { result: Some(told) }))
    }

    async fn references(
        &self,
        request: Request<wire::Thin>,
    ) -> Result<Response<wire::ReferencesAnswer>, Status> {
        use wire::references_answer::Result as Told;
        let thin = convert::thin(request.into_inner())?;
        let told = match self.client.references(thin).await {
            Ok(report) => Told::Report(report.into()),
            Err(error) => Told::Error(convert::error(&error)),
        };
        Ok(Response::new(wire::ReferencesAnswer { result: Some(told) }))
    }

    async fn session(
        &self,
        _request: Request<wire::Nothing>,
    ) -> Result<Response<wire::SessionAnswer>, Status> {
        let present = self.role.as_ref().and_then(|role| role.present());
        let session = present.map(|broker| broker.session().0);
        Ok(Response::new(wire::SessionAnswer { session }))
    }
}

fn timestamp_answer(
    found: Result<crate::client::TimestampMatch, crate::client::ReadError>,
) -> wire::TimestampAnswer {
    use wire::timestamp_answer::Result as Told;
    let told = match found {
        Ok(found) => Told::Found(found.into()),
        Err(error) => Told::Error(convert::error(&error)),
    };
    wire::TimestampAnswer { result: Some(told) }
}

/// Hands over what arrives, in order, until the stream ends. While the broker's buffers are full nothing
/// more is taken from it, and whoever sends is slowed.
async fn hand_over(
    client: &dyn BrokerClient,
    mut inbox: Streaming<wire::Appends>,
    receipts: mpsc::UnboundedSender<(u64, Receipt)>,
) {
    while let Ok(Some(wire::Appends { appends })) = inbox.message().await {
        let taken: Result<Vec<_>, Status> = appends.into_iter().map(wire::Append::take).collect();
        let Ok(taken) = taken else { return };
        let (numbers, appends): (Vec<_>, Vec<_>) = taken.into_iter().unzip();
        let handed = client.append(appends).await;
        for numbered in numbers.into_iter().zip(handed) {
            // Whoever answers lives as long as this.
            let _ = receipts.send(numbered);
        }
    }
}

/// Answers as the receipts come in, many together where they come together.
async fn answer(
    mut waiting: mpsc::UnboundedReceiver<(u64, Receipt)>,
    answers: mpsc::Sender<wire::Answers>,
) {
    use wire::answer::Result as Told;
    let numbered = |(number, receipt): (u64, Receipt)| async move {
        let result = match receipt.await {
            Ok(appended) => Told::Appended(appended.into()),
            Err(error) => Told::Error(convert::error(&error)),
        };
        wire::Answer { number, result: Some(result) }
    };
    let mut open = FuturesUnordered::new();
    let mut more = true;
    while more || !open.is_empty() {
        tokio::select! {
            biased;
            Some(first) = open.next() => {
                let mut together = vec![first];
                while together.len() < ANSWERS_TOGETHER
                    && let Some(Some(next)) = open.next().now_or_never()
                {
                    together.push(next);
                }
                if answers.send(wire::Answers { answers: together }).await.is_err() {
                    return;
                }
            }
            next = waiting.recv(), if more => match next {
                Some(next) => open.push(numbered(next)),
                None => more = false,
            },
        }
    }
}
