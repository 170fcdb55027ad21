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
    Broker, BrokerDeps, BrokerSettings, LocalBroker, Named, SlotSettings, Tending, TopicRules,
    client::{
        Acks, Append, BrokerClient, Brokers, Entries, Isolation, Origin, Read, SessionReport, Thin,
    },
    collector::{Collector, CollectorDeps, CollectorSettings},
    fsck::{Fsck, Plan, Rebuilt, founder},
};
use weir_ids::{
    LeaderEpoch, NodeId, Offset, PartitionIndex, SessionId, Slot, TopicId, TopicPartition,
};
use weir_meta::{
    Metadata, Sealing,
    model::{Assignment, Cluster, Log, Record, Seal, Session, Topic, TopicState, Wal},
    store::{Memory, MetaStore, Txn, list},
    views::View,
};
use weir_protocol::records::{BatchBuilder, split};
use weir_runtime::{Runtime, Seeded, SystemClock, Tasks};
use weir_segment_store::{
    ObjectName, Reader, ReaderSettings, Retry, RetrySettings, Store,
    journal::{
        AppendJournal, AppendJournalSettings, Journal, ObjectJournal, ObjectJournalSettings,
        append::{
            FENCE_MAGIC,
            memory::{FileFate, FileRequest, MemoryFiles},
        },
        object::{FORGOTTEN, is_kept},
    },
    testing::{Fate, FaultyObjects, Request, Tree},
};

const CLUSTER: Uuid = Uuid::from_u128(1);
pub(crate) const PARTITIONS: u32 = 4;
pub(crate) const NODES: u32 = 2;
/// A file that is shorter was never begun: its writer may make it again.
const BEGUN_BYTES: usize = 128;
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
struct Nodes(Mutex<BTreeMap<NodeId, (SessionId, LocalBroker)>>);

impl Brokers for Nodes {
    fn broker(&self, node: NodeId) -> Option<Arc<dyn BrokerClient>> {
        Some(Arc::new(self.0.lock().unwrap().get(&node)?.1.clone()))
    }
}

/// What outlives a broker.
pub(crate) struct World {
    objects: FaultyObjects,
    /// Write-ahead logs, if they are in files.
    files: Option<MemoryFiles>,
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
        metadata.join_cluster("events", &CLUSTER.to_string()).await.unwrap();
        let view = View::follow(metadata.clone(), &tasks).await.unwrap();
        let calm = Arc::new(AtomicBool::new(false));
        let is_calm = Arc::clone(&calm);
        let objects = FaultyObjects::new(move |request: Request, path: &str| {
            if is_calm.load(Ordering::Relaxed) { Fate::Done } else { fate(request, path) }
        });
        let runtime = Runtime::new(SystemClock, Seeded::new(3));
        let (files, nodes) = (None, Arc::default());
        Self { objects, files, calm, metadata, view, runtime, nodes, tasks }
    }

    /// One with write-ahead logs in files, which does to a request for them what `files` says.
    pub(crate) async fn over_files(
        fate: impl Fn(Request, &str) -> Fate + Send + Sync + 'static,
        files: impl Fn(FileRequest, &str) -> FileFate + Send + Sync + 'static,
    ) -> Self {
        let world = Self::new(fate).await;
        let is_calm = Arc::clone(&world.calm);
        let files = MemoryFiles::with(move |request: FileRequest, path: &str| {
            if is_calm.load(Ordering::Relaxed) { FileFate::Done } else { files(request, path) }
        });
        Self { files: Some(files), ..world }
    }

    /// From now on all goes well.
    pub(crate) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    /// The store as a process with troubles sees it.
    fn store(&self) -> Store {
        let retry = Retry::new(self.runtime.clone(), RetrySettings::default());
        self.over(self.objects.clone(), self.files.clone()).retrying(retry)
    }

    /// The store as it is.
    pub(crate) fn truth(&self) -> Store {
        let objects = self.objects.with(|_: Request, _: &str| Fate::Done);
        self.over(objects, self.files.as_ref().map(MemoryFiles::faultless))
    }

    fn over(&self, objects: FaultyObjects, files: Option<MemoryFiles>) -> Store {
        match files {
            Some(files) => Store::new(Arc::new(Tree { objects, files }), None),
            None => Store::new(Arc::new(objects), None),
        }
    }

    /// The logs as a process with troubles sees them.
    fn journal(&self) -> Arc<dyn Journal> {
        self.journal_over(self.store(), self.files.clone())
    }

    /// The logs as they are.
    pub(crate) fn true_journal(&self) -> Arc<dyn Journal> {
        self.journal_over(self.truth(), self.files.as_ref().map(MemoryFiles::faultless))
    }

    fn journal_over(&self, store: Store, files: Option<MemoryFiles>) -> Arc<dyn Journal> {
        let runtime = self.runtime.clone();
        match files {
            Some(files) => {
                let settings = AppendJournalSettings { file_bytes: 2_500, ..Default::default() };
                Arc::new(AppendJournal::new(Arc::new(files), CLUSTER, runtime, settings))
            }
            None => {
                let settings = ObjectJournalSettings::default();
                Arc::new(ObjectJournal::new(store, CLUSTER, runtime, settings))
            }
        }
    }

    /// Whether it is in the nature of this object never to be deleted.
    pub(crate) async fn is_for_ever(&self, name: ObjectName) -> bool {
        match name {
            ObjectName::WalFile { .. } => {
                let bytes = self.truth().get(name).await.unwrap();
                bytes.starts_with(&FENCE_MAGIC) || bytes.len() < BEGUN_BYTES
            }
            // It says all by its name.
            ObjectName::WalSlot { slot, .. } if self.files.is_some() => slot == FORGOTTEN,
            name => is_kept(&self.truth(), name).await.unwrap().unwrap(),
        }
    }

    pub(crate) async fn objects(&self) -> BTreeSet<ObjectName> {
        self.truth().list(None).await.unwrap().into_iter().map(|(name, _)| name).collect()
    }

    /// How much is stored.
    pub(crate) async fn bytes(&self) -> u64 {
        self.truth().list(None).await.unwrap().into_iter().map(|(_, bytes)| bytes).sum()
    }

    pub(crate) fn collector_deps(&self) -> CollectorDeps {
        CollectorDeps {
            node: NodeId(1),
            metadata: self.metadata.clone(),
            store: self.store(),
            journal: self.journal(),
            view: self.view.clone(),
            brokers: Arc::clone(&self.nodes) as Arc<dyn Brokers>,
        }
    }

    pub(crate) fn collector(&self, grace: Duration) -> Collector {
        let settings = CollectorSettings { grace, ..CollectorSettings::default() };
        Collector::new(self.collector_deps(), settings)
    }

    pub(crate) fn fsck(&self) -> Fsck {
        Fsck::new(self.metadata.clone(), self.truth(), self.true_journal())
    }

    /// The metadata are lost while nobody lives, and brought back.
    pub(crate) async fn lose_metadata(&mut self) -> Rebuilt {
        self.nodes.0.lock().unwrap().clear();
        self.metadata = Metadata::new(Arc::new(Memory::new()));
        let id = founder(&self.truth(), None).await.unwrap().unwrap();
        let cluster = Cluster { id: id.to_string(), name: String::new(), format: Cluster::FORMAT };
        let plan = Plan { cluster, node: NodeId(1), base: None };
        let rebuilt = self.fsck().rebuild(plan).await.unwrap();
        self.view = View::follow(self.metadata.clone(), &self.tasks).await.unwrap();
        rebuilt
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
            journal: self.journal(),
            session: Session { node, rpc: None, zone: None },
        };
        let settings = BrokerSettings {
            buffer_bytes: 8 << 20,
            slots: SlotSettings::default(),
            shards: 2,
            sole: false,
            tending: Tending {
                fold_after: 3,
                page_entries: 2,
                retention_interval: Duration::from_secs(1),
                compaction_interval: Duration::from_secs(1),
                compaction_bytes: 1 << 20,
                ..Tending::default()
            },
        };
        for _ in 0..PATIENCE {
            let tasks = Tasks::new();
            let Ok(broker) = Broker::start(deps(), settings.clone(), &tasks).await else {
                self.condemn_unborn().await;
                continue;
            };
            let (client, session) = (broker.client(), broker.session());
            self.nodes.0.lock().unwrap().insert(node, (session, client.clone()));
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

    /// Condemns the sessions that were begun for brokers which did not start.
    async fn condemn_unborn(&self) {
        let (wals, _) = list(self.metadata.store(), Wal::PREFIX).await.unwrap();
        for entry in &wals {
            let session = Wal::session(&entry.key).unwrap();
            let is_born = self.nodes.0.lock().unwrap().values().any(|(born, _)| *born == session);
            if !is_born && Wal::decode(entry).unwrap().sealed.is_none() {
                self.condemn(session).await;
            }
        }
    }

    /// What a broker does to one whose partitions it needs.
    pub(crate) async fn end(&self, session: SessionId) {
        let journal = self.true_journal();
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

    /// All objects that are named there, as the store has it.
    pub(crate) async fn all(&self, named: Named) -> BTreeSet<ObjectName> {
        let reader = Reader::new(self.truth(), ReaderSettings::default());
        named.all(&reader).await.unwrap()
    }

    /// A batch of one record.
    pub(crate) fn batch(&self, value: &[u8]) -> Bytes {
        let mut builder = BatchBuilder::new();
        builder.push(self.runtime.now(), None, Some(value), &[]).unwrap();
        builder.build().unwrap().into_batch().into_bytes()
    }

    /// Every value of a partition, as its owner says and the store has it.
    pub(crate) async fn read(&self, life: &Life, partition: u32) -> Vec<Vec<u8>> {
        let reader = Reader::new(self.truth(), ReaderSettings::default());
        let (mut values, mut offset) = (Vec::new(), Offset(0));
        loop {
            let isolation = Isolation::ReadUncommitted;
            let (partition, epoch, max_bytes) = (id(partition), None, 3_000);
            let read = Read { partition, epoch, offset, max_bytes, isolation };
            let outcome = life.client.read(vec![read]).await.pop().unwrap().unwrap();
            let bytes: Bytes = match outcome.entries {
                Entries::None => return values,
                Entries::Tail(pieces) => pieces.concat().into(),
                Entries::Stored(places) => {
                    let references = places.references(&reader, offset).await.unwrap();
                    let read = reader.read(&references[0], offset, max_bytes).await;
                    read.unwrap().0.concat().into()
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
        self.client.references(Thin::default()).await.unwrap()
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
