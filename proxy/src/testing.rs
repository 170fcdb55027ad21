//! What tests put around the handlers: a cluster in memory, a broker that is a log in memory, and
//! coordinators that answer nothing in particular.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{sync::Semaphore, time::Instant};
use uuid::Uuid;
use weir_broker::client::{
    Acks, Append, AppendError, Appended, BrokerClient, Brokers, Entries, Offsets, Places, Read,
    ReadError, ReadOutcome, Receipt, Refused, Resolver, SessionReport, TailEvent, TailSink,
    TailSource, Thin, TimestampMatch, receipt, tail,
};
use weir_coordinator::{Caller, CoordinatorClient};
use weir_ids::{
    LeaderEpoch, NodeId, Offset, PartitionIndex, SessionId, Timestamp, TopicId, TopicPartition,
};
use weir_meta::{
    Metadata, ProducerIds,
    controller::{self, LocalController, NoProbe},
    model::{Assignment, HostPort, Node, Record, Role, Session, Topic, TopicState},
    store::{self, MetaStore, Txn},
    views::View,
};
use weir_protocol::{
    RequestBody, ResponseBody,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse,
        HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse,
        LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest, ListGroupsResponse,
        OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse,
        SyncGroupRequest, SyncGroupResponse,
    },
    records::{BatchBuilder, Compression, Patcher, ProduceRules, validate_produced},
};
use weir_runtime::{Runtime, Tasks};
use weir_segment_store::{Reader, ReaderSettings, Reference, Store, pages::PageRef};

use crate::{
    ProxyDeps,
    ahead::Ahead,
    budget::ByteBudget,
    connection::{Peer, Shared},
    handlers::{Call, Handlers, Sessions},
    listener::Endpoint,
    routing::Owners,
    settings::Settings,
    tail::Tails,
};

/// The node of everything in tests.
pub(crate) const HERE: NodeId = NodeId(1);
/// The largest batch that the broker in memory takes.
pub(crate) const BATCH_BYTES_MAX: usize = 2 << 20;

/// The topic whose id is this number.
pub(crate) fn topic_id(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

/// Partition `index` of topic `number`.
pub(crate) fn at(number: u128, index: u32) -> TopicPartition {
    TopicPartition::new(topic_id(number), PartitionIndex(index))
}

/// A batch of `count` records with `bytes` bytes each, as a producer sends it. Record *i* has
/// timestamp 1000 + *i*.
pub(crate) fn produced(count: usize, bytes: usize, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new().compression(compression);
    let value: Vec<u8> = (0..bytes).map(|i| (i * 7) as u8).collect();
    for i in 0..count {
        builder.push(Timestamp(1000 + i as i64), Some(b"key"), Some(&value), &[]).unwrap();
    }
    builder.build().unwrap().into_batch().into_bytes()
}

/// One record of 100 bytes.
pub(crate) fn record() -> Bytes {
    produced(1, 100, Compression::None)
}

/// A cluster in memory.
pub(crate) struct Cluster {
    pub(crate) metadata: Metadata,
    pub(crate) view: View,
}

impl Cluster {
    /// One node that is everything, and the topics `name`, id, partitions.
    pub(crate) async fn start(tasks: &Tasks, topics: &[(&str, u128, u32)]) -> Self {
        let metadata = Metadata::new(Arc::new(store::Memory::new()));
        put_node(metadata.store(), HERE, "127.0.0.1", None).await;
        let session = Session { node: HERE, rpc: None, zone: None };
        let alive = Txn::new().put(Session::key(SessionId(1)), session.encode());
        metadata.store().txn(alive).await.unwrap();
        for (name, number, partitions) in topics {
            put_topic(metadata.store(), name, *number, *partitions).await;
        }
        let view = View::follow(metadata.clone(), tasks).await.unwrap();
        Self { metadata, view }
    }

    async fn controller(&self, tasks: &Tasks) -> LocalController {
        let settings = controller::Settings::default();
        let runtime = Runtime::system();
        let (metadata, view) = (self.metadata.clone(), self.view.clone());
        let probe = Arc::new(NoProbe);
        let controller =
            LocalController::start(metadata, view, runtime, HERE, settings, probe, tasks);
        controller.elected().await;
        controller
    }
}

/// Registers a node that is broker and proxy, though its broker has no session.
pub(crate) async fn put_node(store: &dyn MetaStore, id: NodeId, host: &str, zone: Option<&str>) {
    let node = node(host, zone);
    store.txn(Txn::new().put(Node::key(id), node.encode())).await.unwrap();
}

/// What such a node is registered as.
pub(crate) fn node(host: &str, zone: Option<&str>) -> Node {
    Node {
        roles: vec![Role::Broker, Role::Coordinator, Role::Proxy, Role::Controller],
        kafka: Some(HostPort { host: host.into(), port: 9092 }),
        rpc: None,
        http: None,
        zone: zone.map(str::to_owned),
        draining: false,
    }
}

/// Writes a topic whose partitions are all assigned to this node.
pub(crate) async fn put_topic(store: &dyn MetaStore, name: &str, number: u128, partitions: u32) {
    let id = topic_id(number);
    let topic = Topic {
        id,
        partitions,
        replication_factor: 1,
        configs: BTreeMap::new(),
        internal: name.starts_with("__"),
        highest_epoch: LeaderEpoch::NONE,
        state: TopicState::Live,
    };
    let nodes = Assignment { nodes: vec![HERE; partitions as usize] };
    let txn =
        Txn::new().put(Topic::key(name), topic.encode()).put(Assignment::key(id), nodes.encode());
    assert!(store.txn(txn).await.unwrap().is_committed());
}

/// The handlers of one proxy, and what they work with.
pub(crate) struct Fixture {
    pub(crate) handlers: Arc<Handlers>,
    pub(crate) broker: Arc<FakeBroker>,
    pub(crate) cluster: Cluster,
    pub(crate) store: Store,
    pub(crate) tasks: Tasks,
}

impl Fixture {
    pub(crate) async fn start(topics: &[(&str, u128, u32)]) -> Self {
        Self::with(Settings::default(), topics).await
    }

    pub(crate) async fn with(settings: Settings, topics: &[(&str, u128, u32)]) -> Self {
        let tasks = Tasks::new();
        let cluster = Cluster::start(&tasks, topics).await;
        let controller = cluster.controller(&tasks).await;
        let broker = FakeBroker::start(&tasks);
        let objects = Arc::new(object_store::memory::InMemory::new());
        let store = Store::new(objects, None);
        let reader = Reader::new(store.clone(), ReaderSettings::default());
        let handlers = Handlers {
            here: HERE,
            cluster_id: "a-cluster".into(),
            view: cluster.view.clone(),
            brokers: Arc::new(OneBroker(Arc::clone(&broker))),
            coordinators: Arc::new(NoGroups),
            controller: Arc::new(controller),
            ahead: Ahead::new(reader.clone(), tasks.child()),
            reader,
            tails: Tails::new(tasks.child(), settings.idle_subscriptions_max),
            owners: Owners::default(),
            began: Instant::now(),
            fetch_sessions: Sessions::new(settings.fetch_session_memory_bytes),
            lagging_reads: Semaphore::new(settings.lagging_reads_max),
            time_lookups: Semaphore::new(1),
            producer_ids: ProducerIds::new(cluster.metadata.clone(), tasks.child()),
            decoded: ByteBudget::new(settings.decoded_memory_bytes),
            stop: tasks.stop(),
            shared: Arc::new(Shared::new(settings)),
        };
        Self { handlers: Arc::new(handlers), broker, cluster, store, tasks }
    }

    /// What a proxy of the same cluster and broker is started with.
    pub(crate) fn deps(&self) -> ProxyDeps {
        ProxyDeps {
            tasks: self.tasks.clone(),
            view: self.cluster.view.clone(),
            brokers: Arc::clone(&self.handlers.brokers),
            coordinators: Arc::clone(&self.handlers.coordinators),
            controller: Arc::clone(&self.handlers.controller),
            reader: self.handlers.reader.clone(),
            producer_ids: self.handlers.producer_ids.clone(),
        }
    }

    /// Asks in version `version`.
    pub(crate) async fn ask(&self, version: i16, body: impl Into<RequestBody>) -> ResponseBody {
        self.handlers.handle(&call(version), body.into()).await.unwrap().into_body()
    }
}

/// A call from nowhere in particular.
pub(crate) fn call(version: i16) -> Call {
    let endpoint =
        Endpoint { name: "test".into(), host: "127.0.0.1".into(), port: 9092, zone: String::new() };
    let peer =
        Peer { address: SocketAddr::from(([10, 0, 0, 7], 4711)), endpoint: Arc::new(endpoint) };
    let conversation = Arc::default();
    Call { peer, conversation, version, client_id: Some("tester".into()), arrived: Instant::now() }
}

/// Lets tasks do what they can do without time passing.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

struct OneBroker(Arc<FakeBroker>);

impl Brokers for OneBroker {
    fn broker(&self, node: NodeId) -> Option<Arc<dyn BrokerClient>> {
        (node == HERE).then(|| Arc::clone(&self.0) as Arc<dyn BrokerClient>)
    }
}

/// A log in memory for each partition that is asked for; owns them all.
pub(crate) struct FakeBroker {
    state: Mutex<State>,
    tasks: Tasks,
    this: Weak<FakeBroker>,
    pub(crate) reads: AtomicUsize,
    /// Its buffers are full for ever.
    full: AtomicBool,
    refusing: AtomicUsize,
}

#[derive(Default)]
struct State {
    logs: BTreeMap<TopicPartition, Log>,
    sinks: Vec<(TailSink, BTreeSet<TopicPartition>)>,
    /// Appends stay unanswered.
    holding: bool,
    held: Vec<(TopicPartition, Resolver, Result<Appended, AppendError>)>,
    lost: BTreeSet<TopicPartition>,
    owns_nothing: bool,
}

struct Log {
    epoch: LeaderEpoch,
    log_start: i64,
    durable: i64,
    next: i64,
    bytes: u64,
    batches: Vec<(i64, i64, Bytes)>,
    page: Option<PageRef>,
    stored: Vec<Reference>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            epoch: LeaderEpoch(3),
            log_start: 0,
            durable: 0,
            next: 0,
            bytes: 0,
            batches: Vec::new(),
            page: None,
            stored: Vec::new(),
        }
    }
}

impl Log {
    fn offsets(&self) -> Offsets {
        Offsets {
            epoch: self.epoch,
            log_start: Offset(self.log_start),
            stable: Offset(self.durable),
            durable: Offset(self.durable),
        }
    }

    fn news(&self) -> TailEvent {
        TailEvent::Advanced { offsets: self.offsets(), bytes: self.bytes }
    }

    fn append(&mut self, records: Bytes) -> Result<Appended, AppendError> {
        let rules = ProduceRules { max_batch_bytes: BATCH_BYTES_MAX, zstd: true, timestamps: None };
        let batch = validate_produced(records, &rules).map_err(Refused::from)?;
        let (base, count) = (self.next, i64::from(batch.header().record_count));
        let bytes = Patcher::new().patch(batch, Offset(base), self.epoch).to_bytes();
        self.next += count;
        self.batches.push((base, base + count - 1, bytes));
        Ok(Appended {
            base: Offset(base),
            last: Offset(base + count - 1),
            log_append_time: None,
            log_start: Offset(self.log_start),
            epoch: self.epoch,
        })
    }

    fn read(&self, read: &Read) -> Result<ReadOutcome, ReadError> {
        let offsets = self.offsets();
        let current = self.epoch;
        match read.epoch {
            Some(asked) if asked < current => {
                return Err(ReadError::FencedEpoch { asked, current });
            }
            Some(asked) if asked > current => {
                return Err(ReadError::UnknownEpoch { asked, current });
            }
            _ => {}
        }
        let Offsets { log_start, durable, .. } = offsets;
        let offset = read.offset;
        if offset < log_start || offset > durable {
            return Err(ReadError::OutOfRange { offset, log_start, durable });
        }
        if let Some(page) = self.page.filter(|page| page.last >= offset) {
            return Ok(ReadOutcome { offsets, entries: Entries::Stored(Places::Listed(page)) });
        }
        let stored: Vec<_> = self.stored.iter().filter(|r| r.last >= offset).copied().collect();
        if !stored.is_empty() {
            return Ok(ReadOutcome { offsets, entries: Entries::Stored(Places::Known(stored)) });
        }
        let mut slices = Vec::new();
        let mut len = 0;
        for (_, last, bytes) in &self.batches {
            if *last < offset.0 || *last >= self.durable {
                continue;
            }
            if len > 0 && len + bytes.len() > read.max_bytes as usize {
                break;
            }
            len += bytes.len();
            // In two pieces, as a broker has them.
            slices.push(bytes.slice(..16));
            slices.push(bytes.slice(16..));
        }
        let entries = if slices.is_empty() { Entries::None } else { Entries::Tail(slices) };
        Ok(ReadOutcome { offsets, entries })
    }
}

impl FakeBroker {
    pub(crate) fn start(tasks: &Tasks) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            state: Mutex::default(),
            tasks: tasks.child(),
            this: this.clone(),
            reads: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            refusing: AtomicUsize::new(0),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends durably, whether it holds or not.
    pub(crate) fn write(&self, partition: TopicPartition, records: Bytes) {
        let mut state = self.state();
        state.logs.entry(partition).or_default().append(records).unwrap();
        state.make_durable(partition);
    }

    /// Answers no append from now on.
    pub(crate) fn hold(&self) {
        self.state().holding = true;
    }

    /// Takes no append from now on: its buffers stay full.
    pub(crate) fn take_nothing(&self) {
        self.full.store(true, Ordering::Relaxed);
    }

    /// How many appends it does not take.
    pub(crate) fn refusing(&self) -> usize {
        self.refusing.load(Ordering::Relaxed)
    }

    /// Answers what was held, the last first if `backwards`.
    pub(crate) fn release(&self, backwards: bool) {
        let mut state = self.state();
        state.holding = false;
        let mut held = std::mem::take(&mut state.held);
        if backwards {
            held.reverse();
        }
        for (partition, resolver, result) in held {
            state.make_durable(partition);
            resolver.resolve(result);
        }
    }

    /// How many appends wait for their answer.
    pub(crate) fn held(&self) -> usize {
        self.state().held.len()
    }

    /// The bytes of all batches of a partition, by base offset.
    pub(crate) fn log(&self, partition: TopicPartition) -> Vec<(i64, Bytes)> {
        let state = self.state();
        let batches = state.logs.get(&partition).map_or(&[][..], |log| &log.batches);
        batches.iter().map(|(base, _, bytes)| (*base, bytes.clone())).collect()
    }

    /// Owns the partition no more.
    pub(crate) fn lose(&self, partition: TopicPartition) {
        let mut state = self.state();
        state.lost.insert(partition);
        for (sink, interests) in &mut state.sinks {
            if interests.remove(&partition) {
                sink.push(partition, TailEvent::Lost);
            }
        }
    }

    /// Owns nothing, and answers for nothing.
    pub(crate) fn disown_all(&self) {
        self.state().owns_nothing = true;
    }

    /// Owns it again, under the next epoch.
    pub(crate) fn find(&self, partition: TopicPartition) {
        self.state().lost.remove(&partition);
        self.next_epoch(partition);
    }

    /// Gives up what was held: whether it was appended is not known.
    pub(crate) fn forget_held(&self) {
        let held = std::mem::take(&mut self.state().held);
        held.into_iter().for_each(|(partition, resolver, _)| {
            resolver.resolve(Err(AppendError::Unclear(partition)));
        });
    }

    /// Owns it under the next epoch.
    pub(crate) fn next_epoch(&self, partition: TopicPartition) {
        let mut state = self.state();
        let log = state.logs.entry(partition).or_default();
        log.epoch = log.epoch.next();
        state.tell(partition);
    }

    /// Forgets the records below an offset.
    pub(crate) fn trim(&self, partition: TopicPartition, log_start: i64) {
        self.state().logs.entry(partition).or_default().log_start = log_start;
    }

    /// Where everything up to `next` is is listed by `page`.
    pub(crate) fn page(&self, partition: TopicPartition, page: PageRef, next: i64) {
        self.store(partition, Vec::new(), next);
        self.state().logs.entry(partition).or_default().page = Some(page);
    }

    /// Everything up to `next` is where `references` say.
    pub(crate) fn store(&self, partition: TopicPartition, references: Vec<Reference>, next: i64) {
        let mut state = self.state();
        let log = state.logs.entry(partition).or_default();
        log.stored = references;
        log.next = next;
        log.durable = next;
    }
}

impl State {
    fn is_lost(&self, partition: TopicPartition) -> bool {
        self.owns_nothing || self.lost.contains(&partition)
    }

    fn make_durable(&mut self, partition: TopicPartition) {
        let log = self.logs.entry(partition).or_default();
        let sizes = log.batches.iter().filter(|(base, ..)| *base >= log.durable);
        log.bytes += sizes.map(|(_, _, bytes)| bytes.len() as u64).sum::<u64>();
        log.durable = log.next;
        self.tell(partition);
    }

    fn tell(&mut self, partition: TopicPartition) {
        let news = self.logs.entry(partition).or_default().news();
        for (sink, interests) in &self.sinks {
            if interests.contains(&partition) {
                sink.push(partition, news);
            }
        }
    }

    fn interest(&mut self, place: usize, partition: TopicPartition, wanted: bool) {
        let lost = self.is_lost(partition);
        let news = self.logs.entry(partition).or_default().news();
        let (sink, interests) = &mut self.sinks[place];
        if lost {
            sink.push(partition, TailEvent::Lost);
        } else if wanted {
            interests.insert(partition);
            sink.push(partition, news);
        } else {
            interests.remove(&partition);
        }
    }
}

#[async_trait]
impl BrokerClient for FakeBroker {
    async fn append(&self, appends: Vec<Append>) -> Vec<Receipt> {
        if self.full.load(Ordering::Relaxed) {
            self.refusing.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        let append = |Append { partition, epoch, records, acks, .. }| {
            let (resolver, receipt) = receipt(partition);
            let log = state.logs.entry(partition).or_default();
            let current = log.epoch;
            let result = match epoch.filter(|asked| *asked != current) {
                _ if state.is_lost(partition) => Err(AppendError::NotOwner(partition)),
                Some(asked) => Err(AppendError::WrongEpoch { partition, asked, current }),
                None => state.logs.entry(partition).or_default().append(records),
            };
            if state.holding && acks == Acks::Durable {
                state.held.push((partition, resolver, result));
            } else {
                state.make_durable(partition);
                resolver.resolve(result);
            }
            receipt
        };
        appends.into_iter().map(append).collect()
    }

    async fn read(&self, reads: Vec<Read>) -> Vec<Result<ReadOutcome, ReadError>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let mut state = self.state();
        let read = |read: Read| {
            if state.is_lost(read.partition) {
                return Err(ReadError::NotOwner(read.partition));
            }
            state.logs.entry(read.partition).or_default().read(&read)
        };
        reads.into_iter().map(read).collect()
    }

    async fn offsets(&self, partitions: Vec<TopicPartition>) -> Vec<Result<Offsets, ReadError>> {
        let mut state = self.state();
        let offsets = |partition: TopicPartition| {
            if state.is_lost(partition) {
                return Err(ReadError::NotOwner(partition));
            }
            Ok(state.logs.entry(partition).or_default().offsets())
        };
        partitions.into_iter().map(offsets).collect()
    }

    async fn find_timestamp(
        &self,
        partition: TopicPartition,
        timestamp: Timestamp,
        from: Offset,
    ) -> Result<TimestampMatch, ReadError> {
        let mut state = self.state();
        let log = state.logs.entry(partition).or_default();
        let paged = log.page.filter(|it| it.last >= from && it.max_timestamp >= timestamp);
        if let Some(page) = paged {
            return Ok(TimestampMatch::Paged(page));
        }
        let may = |r: &&Reference| r.last >= from && r.max_timestamp >= timestamp;
        if let Some(reference) = log.stored.iter().find(may) {
            return Ok(TimestampMatch::Stored(*reference));
        }
        let header = |bytes: &Bytes| weir_protocol::records::BatchHeader::parse(bytes, 0).unwrap();
        let mut batches = log.batches.iter().filter(|(_, last, _)| *last >= from.0);
        let found = batches.find(|(.., b)| header(b).max_timestamp >= timestamp);
        Ok(found.map_or(TimestampMatch::None, |(.., bytes)| TimestampMatch::Batch(bytes.clone())))
    }

    async fn find_max_timestamp(
        &self,
        partition: TopicPartition,
    ) -> Result<TimestampMatch, ReadError> {
        let mut state = self.state();
        let log = state.logs.entry(partition).or_default();
        let header = |bytes: &Bytes| weir_protocol::records::BatchHeader::parse(bytes, 0).unwrap();
        if let Some(page) = log.page {
            return Ok(TimestampMatch::Paged(page));
        }
        let latest = log.batches.iter().max_by_key(|(.., bytes)| header(bytes).max_timestamp);
        Ok(latest.map_or(TimestampMatch::None, |(.., bytes)| TimestampMatch::Batch(bytes.clone())))
    }

    async fn epoch_end(
        &self,
        _: TopicPartition,
        _: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, ReadError> {
        Ok(None)
    }

    async fn delete_records(
        &self,
        _: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, ReadError> {
        Ok(before.unwrap_or(Offset::ZERO))
    }

    async fn references(&self, _: Thin) -> Result<SessionReport, ReadError> {
        Err(ReadError::Storage("refers to nothing".to_owned()))
    }

    fn tail(&self) -> TailSource {
        let (sink, mut interests, source) = tail();
        let place = {
            let mut state = self.state();
            state.sinks.push((sink, BTreeSet::new()));
            state.sinks.len() - 1
        };
        let this = self.this.upgrade().expect("it is being asked");
        self.tasks.spawn("fake tail", move |stop| async move {
            loop {
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    interest = interests.recv() => match interest {
                        Some((partition, wanted)) => {
                            this.state().interest(place, partition, wanted);
                        }
                        None => return,
                    }
                }
            }
        });
        source
    }
}

/// Coordinators without groups.
pub(crate) struct NoGroups;

#[async_trait]
impl CoordinatorClient for NoGroups {
    async fn join_group(&self, caller: Caller, _: JoinGroupRequest) -> JoinGroupResponse {
        // Tells what it was told, so that a test can look.
        let member_id = format!("{}@{}", caller.client_id, caller.client_host).into();
        JoinGroupResponse { member_id, ..JoinGroupResponse::default() }
    }

    async fn sync_group(&self, _: Caller, _: SyncGroupRequest) -> SyncGroupResponse {
        SyncGroupResponse::default()
    }

    async fn heartbeat(&self, _: Caller, _: HeartbeatRequest) -> HeartbeatResponse {
        HeartbeatResponse::default()
    }

    async fn leave_group(&self, _: Caller, _: LeaveGroupRequest) -> LeaveGroupResponse {
        LeaveGroupResponse::default()
    }

    async fn offset_commit(&self, _: Caller, _: OffsetCommitRequest) -> OffsetCommitResponse {
        OffsetCommitResponse::default()
    }

    async fn offset_fetch(&self, _: Caller, _: OffsetFetchRequest) -> OffsetFetchResponse {
        OffsetFetchResponse::default()
    }

    async fn describe_groups(&self, _: Caller, _: DescribeGroupsRequest) -> DescribeGroupsResponse {
        DescribeGroupsResponse::default()
    }

    async fn list_groups(&self, _: Caller, _: ListGroupsRequest) -> ListGroupsResponse {
        ListGroupsResponse::default()
    }

    async fn delete_groups(&self, _: Caller, _: DeleteGroupsRequest) -> DeleteGroupsResponse {
        DeleteGroupsResponse::default()
    }
}
