//! What each request comes to: one file an API.
//!
//! A handler decides in functions without I/O (plans, answers, checks) and moves data at its edges.
//! It knows the cluster from a view that may lag; what may not lag it asks the owner of the
//! partition.

mod admin;
mod api_versions;
mod codes;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod errors;
mod fetch;
mod find_coordinator;
mod groups;
mod init_producer_id;
mod list_offsets;
mod metadata;
mod offset_for_leader_epoch;
mod operations;
mod owners;
mod patience;
mod produce;
mod sasl;

use std::{future::Future, sync::Arc};

use bytestring::ByteString;
use futures::FutureExt;
use tokio::{sync::Semaphore, time::Instant};
use weir_broker::client::{BrokerClient, Brokers};
use weir_coordinator::CoordinatorClient;
use weir_ids::{NodeId, TopicPartition};
use weir_meta::{ProducerIds, controller::Controller, model::Role, views::View};
use weir_protocol::{
    ApiKey, Message, RequestBody, RequestError, RequestFrame, ResponseBody,
    codec::{DECODED_BYTES_FLOOR, DECODED_BYTES_MAX, DECODED_BYTES_PER_FRAME_BYTE, Encoder, Parts},
    messages::ResponseHeader,
};
use weir_runtime::Stop;
use weir_segment_store::Reader;

use crate::{
    ahead::Ahead,
    budget::{ByteBudget, Reservation},
    connection::{Frame, Peer, PendingReply, Reply, Response, Service, Shared},
    routing::{Owners, Shown},
    tail::{Tail, Tails},
};

/// Requests up to this size are decoded without asking for memory: there is one of them a
/// connection, and connections are counted.
const SMALL_REQUEST_BYTES: usize = 4096;
/// Answers up to this size are made without asking for memory.
const SMALL_ANSWER_BYTES: usize = 16 * 1024;
/// What a decoded request usually takes for each byte of its frame; the codec's limit is four
/// times that.
const KEPT_BYTES_PER_FRAME_BYTE: usize = 4;

pub(crate) use fetch::Sessions;

/// Answers the requests of all connections.
pub(crate) struct Handlers {
    pub(crate) shared: Arc<Shared>,
    pub(crate) here: NodeId,
    pub(crate) cluster_id: ByteString,
    pub(crate) view: View,
    pub(crate) brokers: Arc<dyn Brokers>,
    pub(crate) coordinators: Arc<dyn CoordinatorClient>,
    pub(crate) controller: Arc<dyn Controller>,
    pub(crate) reader: Reader,
    pub(crate) ahead: Ahead,
    pub(crate) tails: Tails,
    pub(crate) owners: Owners,
    pub(crate) fetch_sessions: fetch::Sessions,
    /// Since when there is a proxy.
    pub(crate) began: Instant,
    /// Turns for reading behind the tail.
    pub(crate) lagging_reads: Semaphore,
    /// A turn for decompressing a batch to look up a time.
    pub(crate) time_lookups: Semaphore,
    pub(crate) producer_ids: ProducerIds,
    /// Memory for decoded requests.
    pub(crate) decoded: ByteBudget,
    /// Nobody waits for anything when this is requested.
    pub(crate) stop: Stop,
}

/// What is remembered of a connection from one request to the next.
#[derive(Default)]
pub(crate) struct Conversation {
    fetches: fetch::Kept,
    appends: produce::Lanes,
}

/// A request's circumstances.
pub(crate) struct Call {
    pub(crate) peer: Peer,
    pub(crate) conversation: Arc<Conversation>,
    pub(crate) version: i16,
    pub(crate) client_id: Option<ByteString>,
    pub(crate) arrived: Instant,
}

/// A response, and the response memory that it holds.
pub(crate) struct Answer {
    body: ResponseBody,
    memory: Reservation,
}

/// Why a request is not answered: its connection is closed.
pub(crate) type Unanswered = String;

impl Answer {
    #[cfg(test)]
    pub(crate) fn into_body(self) -> ResponseBody {
        self.body
    }

    /// An answer too small to count.
    fn of(body: impl Into<ResponseBody>) -> Self {
        Self { body: body.into(), memory: Reservation::none() }
    }
}

/// What a response repeats of its request.
#[derive(Clone, Copy)]
struct Return {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
}

impl Handlers {
    /// What this client sees of the cluster.
    fn shown(&self, call: &Call) -> Shown {
        Shown::to(&call.peer, call.client_id.as_ref(), self.here, &self.view.now())
    }

    /// Whether clients are to go to other proxies: this one drains, and others stay.
    pub(crate) fn turns_away(&self) -> bool {
        self.view.with(|now| now.is_draining(self.here)) && self.others_stay()
    }

    /// Whether there are other proxies that stay.
    pub(crate) fn others_stay(&self) -> bool {
        self.view.with(|now| {
            let others = now.staying(Role::Proxy).filter(|(id, _)| *id != self.here);
            others.filter(|(id, _)| !now.is_draining(*id)).any(|(_, node)| node.kafka.is_some())
        })
    }

    /// Notes from where partitions move, and keeps nothing of topics that are gone, until `stop`.
    pub(crate) async fn follow_topics(&self, stop: Stop) {
        let mut changes = self.view.changes();
        let mut before = self.view.now();
        loop {
            let snapshot = tokio::select! {
                biased;
                () = stop.requested() => return,
                snapshot = changes.next() => snapshot,
            };
            for (partition, from) in snapshot.moved_since(&before) {
                self.owners.moves(partition, from);
            }
            if self.owners.topic_count() > snapshot.topic_count() {
                self.owners.retain(|topic| snapshot.topic_by_id(topic).is_some());
            }
            before = snapshot;
        }
    }

    /// The broker that owns a partition, or is to own it.
    fn owner(&self, partition: TopicPartition) -> Option<Arc<dyn BrokerClient>> {
        self.brokers.broker(self.owner_node(partition)?)
    }

    /// The node of that broker.
    fn owner_node(&self, partition: TopicPartition) -> Option<NodeId> {
        self.view.with(|now| self.owners.owner(partition, now))
    }

    /// The news of a broker, if it lives.
    fn tail(&self, owner: NodeId) -> Option<Arc<Tail>> {
        let broker = self.brokers.broker(owner)?;
        Some(self.tails.of(owner, &broker))
    }

    pub(crate) async fn handle(
        &self,
        call: &Call,
        body: RequestBody,
    ) -> Result<Answer, Unanswered> {
        Ok(match body {
            RequestBody::Fetch(request) => fetch::handle(self, call, request).await,
            RequestBody::ApiVersions(request) => {
                Answer::of(api_versions::handle(&request, call.version))
            }
            RequestBody::SaslHandshake(_) => Answer::of(sasl::handshake()),
            RequestBody::SaslAuthenticate(_) => Answer::of(sasl::authenticate()),
            RequestBody::ListOffsets(request) => list_offsets::handle(self, call, request).await,
            RequestBody::Metadata(request) => metadata::handle(self, call, request).await?,
            RequestBody::InitProducerId(request) => init_producer_id::handle(self, request).await,
            RequestBody::DescribeConfigs(request) => {
                describe_configs::handle(self, call, request).await?
            }
            RequestBody::DescribeCluster(request) => describe_cluster::handle(self, call, &request),
            RequestBody::FindCoordinator(request) => {
                find_coordinator::handle(self, call, request).await?
            }
            RequestBody::CreateTopics(request) => create_topics::handle(self, request).await?,
            RequestBody::CreatePartitions(request) => {
                create_partitions::handle(self, request).await
            }
            RequestBody::DeleteRecords(request) => delete_records::handle(self, request).await,
            RequestBody::OffsetForLeaderEpoch(request) => {
                offset_for_leader_epoch::handle(self, request).await
            }
            RequestBody::DeleteTopics(request) => delete_topics::handle(self, call, request).await,
            body => {
                let (api, caller) = (body.api(), groups::caller(call));
                let answer = groups::forward(&*self.coordinators, caller, body).await;
                answer.ok_or_else(|| format!("{api} is not served"))?
            }
        })
    }

    /// Memory for what a frame of `len` bytes may decode to.
    async fn decoding(&self, len: usize) -> Reservation {
        if is_small(len) {
            return Reservation::none();
        }
        let most = len * DECODED_BYTES_PER_FRAME_BYTE + DECODED_BYTES_FLOOR;
        self.decoded.reserve(most.min(DECODED_BYTES_MAX)).await
    }

    /// Produce: decoded and handed over now, answered in turn.
    async fn begin_produce(
        self: &Arc<Self>,
        call: Call,
        frame: Frame,
        request: RequestFrame,
    ) -> PendingReply {
        let back = Return::to(&request);
        let Frame { bytes, memory } = frame;
        let decoding = self.decoding(bytes.len()).await;
        let request = match request.decode() {
            Ok(request) => request,
            Err(error) => return close(error),
        };
        drop(decoding);
        let appending = produce::begin(self, call, request).await;
        let handlers = Arc::clone(self);
        async move {
            let outcome = appending.answer(Arc::clone(&handlers)).await;
            // Until then it might have been sent again.
            drop(memory);
            match outcome {
                produce::Outcome::Answer(response) => handlers.reply(back, Answer::of(response)),
                produce::Outcome::Unanswered(Ok(())) => Reply::Silence,
                produce::Outcome::Unanswered(Err(code)) => {
                    handlers.shared.metrics.error(ApiKey::Produce, code);
                    Reply::Close(format!("a produce request with acks=0 failed: {code}"))
                }
            }
        }
        .boxed()
    }

    /// Anything else: begins when it is polled.
    ///
    /// Fetches wait by the thousand, so they should not hold room for what they are not: the others
    /// are in a box of their own. A block keeps what it captures once, a function would twice.
    #[expect(clippy::manual_async_fn, reason = "see above")]
    fn work(
        self: Arc<Self>,
        call: Call,
        frame: Frame,
        request: RequestFrame,
    ) -> impl Future<Output = Reply> {
        async move {
            let back = Return::to(&request);
            let len = frame.bytes.len();
            let mut decoded = match is_small(len) {
                true => Reservation::none(),
                false => Box::pin(self.decoding(len)).await,
            };
            let body = match request.into_body() {
                Ok(body) => body,
                Err(error) => return Reply::Close(error.to_string()),
            };
            decoded.shrink_to(len * KEPT_BYTES_PER_FRAME_BYTE);
            let answer = match body {
                RequestBody::Fetch(request) => Ok(fetch::handle(&self, &call, request).await),
                body => Box::pin(self.handle(&call, body)).await,
            };
            // Names in the request are slices of the frame.
            drop((frame, decoded));
            answer.map_or_else(Reply::Close, |answer| self.reply(back, answer))
        }
    }

    /// Memory for an answer of `parts` parts that a few bytes of request each can ask for.
    async fn room(&self, parts: usize, bytes_a_part: usize) -> Result<Reservation, Unanswered> {
        let bytes = parts.saturating_mul(bytes_a_part);
        if bytes <= SMALL_ANSWER_BYTES {
            return Ok(Reservation::none());
        }
        let total = self.shared.settings.response_memory_bytes;
        if bytes > total {
            return Err(format!(
                "the answer would take {bytes} bytes, more than the {total} there are"
            ));
        }
        Ok(self.shared.response_memory.reserve(bytes).await)
    }

    fn reply(&self, back: Return, answer: Answer) -> Reply {
        let Answer { body, mut memory } = answer;
        errors::visit(&body, |code| self.shared.metrics.error(back.api, code));
        match back.encode(&body) {
            Ok(parts) => {
                // The structures that it was made of are gone by then.
                memory.shrink_to(parts.len());
                Reply::Send(Response { parts, memory })
            }
            Err(error) => {
                let Return { api, version, .. } = back;
                tracing::error!(%api, version, %error, "an answer could not be encoded");
                Reply::Close(error.to_string())
            }
        }
    }
}

impl Service for Arc<Handlers> {
    type Conversation = Conversation;

    async fn begin(
        &self,
        peer: &Peer,
        conversation: &Arc<Conversation>,
        frame: Frame,
    ) -> PendingReply {
        let request = match RequestFrame::parse(frame.bytes.clone()) {
            Ok(request) => request,
            Err(RequestError::ApiVersions { correlation_id, .. }) => {
                self.shared.metrics.request(ApiKey::ApiVersions);
                let back = Return { api: ApiKey::ApiVersions, version: 0, correlation_id };
                let answer = Answer::of(api_versions::unsupported());
                return std::future::ready(self.reply(back, answer)).boxed();
            }
            Err(error) => return close(error),
        };
        self.shared.metrics.request(request.api);
        let call = Call::new(peer, conversation, &request);
        if request.api == ApiKey::Produce {
            return self.begin_produce(call, frame, request).await;
        }
        Arc::clone(self).work(call, frame, request).boxed()
    }
}

impl Call {
    fn new(peer: &Peer, conversation: &Arc<Conversation>, request: &RequestFrame) -> Self {
        let (peer, conversation) = (peer.clone(), Arc::clone(conversation));
        let (version, client_id) = (request.version, request.client_id.clone());
        Self { peer, conversation, version, client_id, arrived: Instant::now() }
    }
}

impl Return {
    fn to(request: &RequestFrame) -> Self {
        let RequestFrame { api, version, correlation_id, .. } = *request;
        Self { api, version, correlation_id }
    }

    fn encode(self, body: &ResponseBody) -> Result<Parts, weir_protocol::codec::EncodeError> {
        Encoder::frame(|e| {
            let header = ResponseHeader { correlation_id: self.correlation_id };
            header.encode(e, self.api.response_header_version(self.version))?;
            body.encode(e, self.version)
        })
    }
}

/// Whether a frame of `len` bytes is decoded without asking for memory.
fn is_small(len: usize) -> bool {
    len <= SMALL_REQUEST_BYTES
}

fn close(error: impl std::fmt::Display) -> PendingReply {
    std::future::ready(Reply::Close(error.to_string())).boxed()
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod tests;
