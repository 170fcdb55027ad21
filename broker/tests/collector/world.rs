//! Two nodes over one object store, whose brokers live and die, and a collector.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::time::{Instant, timeout};
use uuid::Uuid;
use weir_broker::{
    Broker, BrokerDeps, BrokerSettings, LocalBroker, SlotSettings, TopicRules,
    client::{
        Acks, Append, BrokerClient, Brokers, Entries, Isolation, Origin, Read, SessionReport,
    },
    collector::{Collector, CollectorDeps, CollectorSettings},
};
use weir_ids::{
    LeaderEpoch, NodeId, Offset, PartitionIndex, SessionId, Slot, TopicId, TopicPartition,
};
use weir_meta::{
    Metadata, Sealing,
    model::{Assignment, Log, Record, Seal, Session, Topic, TopicState},
    store::{Memory, MetaStore, Txn},
    views::View,
};
use weir_protocol::records::{BatchBuilder, split};
use weir_runtime::{Runtime, Seeded, SystemClock, Tasks};
use weir_segment_store::{
    ObjectName, Reader, Retry, RetrySettings, Store,
    journal::{Journal, ObjectJournal, ObjectJournalSettings},
    testing::{Fate, FaultyObjects, Request},
};

const CLUSTER: Uuid = Uuid::from_u128(1);
pub(crate) const PARTITIONS: u32 = 4;
pub(crate) const NODES: u32 = 2;
/// Long enough for whatever is under way to be over, in a store that fails.
const PATIENCE: usize = 50;

pub(crate) fn id(partition: u32) -> TopicPartition {
    TopicPartition::new(TopicId(Uuid::from_u128(77)), PartitionIndex(partition))
}

/// Lets time pass, which is paused.
pub(crate) async fn pass(time: Duration) {
    let _ = timeout(time, std::future::pending::<()>()).await;
}

/// The brokers by node.
#[derive(Default)]
struct Nodes(Mutex<BTreeMap<NodeId, LocalBroker>>);

impl Brokers for Nodes {
    fn broker(&self, node: NodeId) -> Option<Arc<dyn BrokerClient>> {
        Some(Arc::new(self.0.lock().unwrap().get(&node)?.clone()))
    }
}

/// What outlives a broker.
pub(crate) struct World {
    objects: FaultyObjects,
    /// While set, all goes well.
    calm: Arc<AtomicBool>,
    pub(crate) metadata: Metadata,
    view: View,
    runtime: Runtime,
    nodes: Arc<Nodes>,
    tasks: Tasks,
}

/// One life of a broker.
pub(crate) struct Life {
    pub(crate) broker: Arc<Broker>,
    pub(crate) client: LocalBroker,
    tasks: Tasks,
}

impl World {
    /// A world over an object store that does to a request what `fate` says.
    pub(crate) async fn new(fate: impl Fn(Request, &str) -> Fate + Send + Sync + 'static) -> Self {
        let store = Arc::new(Memory::new());
        let topic = Topic {
            id: id(0).topic,
            partitions: PARTITIONS,
            replication_factor: 1,
            configs: BTreeMap::new(),
            internal: false,
            highest_epoch: LeaderEpoch::NONE,
            state: TopicState::Live,
        };
        let nodes = vec![NodeId(1); PARTITIONS as usize];
        let mut txn = Txn::new()
            .put(Topic::key("events"), topic.encode())
            .put(Assignment::key(id(0).topic), Assignment { nodes }.encode());
        for partition in 0..PARTITIONS {
            txn = txn.put(Log::key(id(partition)), Log::new(LeaderEpoch::NONE).encode());
        }
        store.txn(txn).await.unwrap();
        let (metadata, tasks) = (Metadata::new(store), Tasks::new());
        let view = View::follow(metadata.clone(), &tasks).await.unwrap();
        let calm = Arc::new(AtomicBool::new(false));
        let is_calm = Arc::clone(&calm);
        let objects = FaultyObjects::new(move |request: Request, path: &str| {
            if is_calm.load(Ordering::Relaxed) { Fate::Done } else { fate(request, path) }
        });
        let runtime = Runtime::new(SystemClock, Seeded::new(3));
        Self { objects, calm, metadata, view, runtime, nodes: Arc::default(), tasks }
    }

    /// From now on all goes well.
    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// The store as a process with troubles sees it.
    fn store(&self) -> Store {
        let retry = Retry::new(self.runtime.clone(), RetrySettings::default());
        Store::new(Arc::new(self.objects.clone()), None).retrying(retry)
    }

    /// The store as it is.
    pub(crate) fn truth(&self) -> Store {
        Store::new(Arc::new(self.objects.with(|_: Request, _: &str| Fate::Done)), None)
    }

    pub(crate) fn journal(&self, store: Store) -> ObjectJournal {
        let settings = ObjectJournalSettings::default();
        ObjectJournal::new(store, CLUSTER, self.runtime.clone(), settings)
    }

    pub(crate) async fn objects(&self) -> BTreeSet<ObjectName> {
        self.truth().list(None).await.unwrap().into_iter().map(|(name, _)| name).collect()
    }

    pub(crate) fn collector_deps(&self) -> CollectorDeps {
        CollectorDeps {
            node: NodeId(1),
            metadata: self.metadata.clone(),
            store: self.store(),
            journal: Arc::new(self.journal(self.store())),
            view: self.view.clone(),
            brokers: Arc::clone(&self.nodes) as Arc<dyn Brokers>,
        }
    }

    pub(crate) fn collector(&self, grace: Duration) -> Collector {
        let settings = CollectorSettings { grace, ..CollectorSettings::default() };
        Collector::new(self.collector_deps(), settings)
    }

    /// Begins a life that has nothing open.
    pub(crate) async fn begin(&self, node: u32) -> Life {
        let node = NodeId(node);
        let deps = || BrokerDeps {
            cluster: CLUSTER,
            node,
            runtime: self.runtime.clone(),
            metadata: self.metadata.clone(),
            store: self.store(),
            journal: Arc::new(self.journal(self.store())),
            session: Session { node, rpc: None, zone: None },
        };
        let settings = BrokerSettings {
            buffer_bytes: 8 << 20,
            slots: SlotSettings::default(),
            shards: 2,
            sole: false,
        };
        for _ in 0..PATIENCE {
            let tasks = Tasks::new();
            let Ok(broker) = Broker::start(deps(), settings.clone(), &tasks).await else {
                continue;
            };
            let (client, session) = (broker.client(), broker.session());
            self.nodes.0.lock().unwrap().insert(node, client.clone());
            let soon = Instant::now() + Duration::from_secs(10);
            self.view.wait_for(soon, |now| now.session(session).cloned()).await.unwrap();
            return Life { broker, client, tasks };
        }
        panic!("no session is opened");
    }

    /// What the controller does to a session that is gone.
    pub(crate) async fn condemn(&self, session: SessionId) {
        let key = format!("condemned/{:020}", session.0);
        self.metadata.store().txn(Txn::new().put(key, r#"{"v":1}"#)).await.unwrap();
    }

    /// What a broker does to one whose partitions it needs.
    pub(crate) async fn end(&self, session: SessionId) {
        let journal = self.journal(self.truth());
        loop {
            // One that owned nothing may be forgotten already.
            let Some(wal) = self.metadata.wal(session).await.unwrap() else { return };
            let at = journal.seal(session, wal.value.trim).await.unwrap().end;
            let sealed = self.metadata.seal(session, Seal { at, detail: None }).await.unwrap();
            if matches!(sealed, Sealing::Sealed(_)) {
                return;
            }
        }
    }

    /// Ends everything that goes on in the background.
    pub(crate) async fn shutdown(self) {
        self.tasks.shutdown().await.unwrap();
    }

    /// A batch of one record.
    pub(crate) fn batch(&self, value: &[u8]) -> Bytes {
        let mut builder = BatchBuilder::new();
        builder.push(self.runtime.now(), None, Some(value), &[]).unwrap();
        builder.build().unwrap().into_batch().into_bytes()
    }

    /// Every value of a partition, as its owner says and the store has it.
    pub(crate) async fn read(&self, life: &Life, partition: u32) -> Vec<Vec<u8>> {
        let reader = Reader::new(self.truth(), 1 << 20);
        let (mut values, mut offset) = (Vec::new(), Offset(0));
        loop {
            let isolation = Isolation::ReadUncommitted;
            let (partition, epoch, max_bytes) = (id(partition), None, 3_000);
            let read = Read { partition, epoch, offset, max_bytes, isolation };
            let outcome = life.client.read(vec![read]).await.pop().unwrap().unwrap();
            let bytes: Bytes = match outcome.entries {
                Entries::None => return values,
                Entries::Tail(pieces) => pieces.concat().into(),
                Entries::Stored(references) => {
                    reader.read(&references[0], offset, max_bytes).await.unwrap()
                }
            };
            for batch in split(bytes) {
                let batch = batch.unwrap().verify().unwrap();
                for record in batch.records(4 << 20).unwrap() {
                    let record = record.unwrap();
                    if record.offset >= offset {
                        values.push(record.value.unwrap().to_vec());
                    }
                }
                offset = batch.header().next_offset();
            }
        }
    }
}

impl Life {
    /// Opens partitions, again and again while the store fails.
    pub(crate) async fn open(&self, mut partitions: Vec<u32>) {
        for _ in 0..PATIENCE {
            let rules = TopicRules { max_batch_bytes: 4 << 20, ..TopicRules::default() };
            let rules = Arc::new(rules);
            let assigned = partitions.iter().map(|p| (id(*p), Arc::clone(&rules))).collect();
            let results = self.broker.open(assigned).await;
            let failed = partitions.into_iter().zip(results).filter(|(_, r)| r.is_err());
            partitions = failed.map(|(partition, _)| partition).collect();
            if partitions.is_empty() {
                return;
            }
            pass(Duration::from_secs(1)).await;
        }
        panic!("{partitions:?} are not opened");
    }

    /// Appends durably and returns the first offset.
    pub(crate) async fn append(&self, partition: u32, records: Bytes) -> i64 {
        let (acks, origin) = (Acks::Durable, Origin::Client);
        let partition = id(partition);
        let append = Append { partition, epoch: None, records, acks, expected: None, origin };
        let receipt = self.client.append(vec![append]).await.into_iter().next().unwrap();
        receipt.await.unwrap().base.0
    }

    pub(crate) fn session(&self) -> SessionId {
        self.broker.session()
    }

    pub(crate) async fn report(&self) -> SessionReport {
        self.client.references().await.unwrap()
    }

    /// Ends without order.
    pub(crate) async fn die(self) -> SessionId {
        self.tasks.shutdown().await.unwrap();
        self.broker.session()
    }

    /// Ends in order.
    pub(crate) async fn end(self) -> SessionId {
        self.broker.shutdown().await.unwrap();
        self.die().await
    }
}

/// Where the trim of a session is, and where it is sealed.
pub(crate) async fn bounds(world: &World, session: SessionId) -> Option<(Slot, Option<Slot>)> {
    let wal = world.metadata.wal(session).await.unwrap()?.value;
    Some((wal.trim, wal.sealed.map(|seal| seal.at)))
}
