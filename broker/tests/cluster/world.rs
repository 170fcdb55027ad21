//! Several brokers over one object store and one metadata store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::time::{Instant, interval, timeout};
use uuid::Uuid;
use weir_broker::{
    BrokerDeps, BrokerRole, BrokerSettings, SlotSettings, Tending,
    client::{
        Acks, Append, AppendError, Appended, BrokerClient, Entries, Isolation, Offsets, Origin,
        Places, Read, ReadError,
    },
};
use weir_ids::{
    LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId,
    TopicPartition,
};
use weir_meta::{
    Metadata,
    model::{Assignment, Log, Record, Session, Topic, TopicState},
    store::{Memory, MetaStore, Txn},
    views::View,
};
use weir_protocol::records::{BatchBuilder, split};
use weir_runtime::{Runtime, Seeded, SystemClock, Tasks};
use weir_segment_store::{
    Reader, ReaderSettings, Retry, RetrySettings, Store,
    journal::{ObjectJournal, ObjectJournalSettings},
    testing::FaultyObjects,
};

const CLUSTER: Uuid = Uuid::from_u128(1);
const TOPIC: TopicId = TopicId(Uuid::from_u128(77));
pub(crate) const PARTITIONS: u32 = 4;
/// In simulated time.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn id(partition: u32) -> TopicPartition {
    TopicPartition::new(TOPIC, PartitionIndex(partition))
}

/// What outlives brokers.
pub(crate) struct World {
    objects: FaultyObjects,
    pub(crate) store: Arc<dyn MetaStore>,
    pub(crate) runtime: Runtime,
    nodes: Vec<NodeId>,
    /// How many short ranges become one, and how many references go to a page, at nodes that start from now on.
    pub(crate) fold_after: usize,
    pub(crate) page_entries: usize,
}

/// A node with a broker.
pub(crate) struct Node {
    pub(crate) role: Arc<BrokerRole>,
    pub(crate) client: Arc<dyn BrokerClient>,
    reader: Reader,
    tasks: Tasks,
}

impl World {
    /// A topic whose partitions all belong to node 1.
    pub(crate) async fn new(objects: FaultyObjects) -> Self {
        Self::over(objects, Arc::new(Memory::new())).await
    }

    /// The same, with its metadata in `store`.
    pub(crate) async fn over(objects: FaultyObjects, store: Arc<dyn MetaStore>) -> Self {
        let topic = Topic {
            id: TOPIC,
            partitions: PARTITIONS,
            replication_factor: 1,
            configs: BTreeMap::new(),
            internal: false,
            highest_epoch: LeaderEpoch::NONE,
            state: TopicState::Live,
        };
        let nodes = vec![NodeId(1); PARTITIONS as usize];
        let assignment = Assignment { nodes: nodes.clone() };
        let mut txn = Txn::new()
            .put(Topic::key("events"), topic.encode())
            .put(Assignment::key(TOPIC), assignment.encode());
        for partition in 0..PARTITIONS {
            txn = txn.put(Log::key(id(partition)), Log::new(LeaderEpoch::NONE).encode());
        }
        store.txn(txn).await.unwrap();
        let runtime = Runtime::new(SystemClock, Seeded::new(3));
        Self { objects, store, runtime, nodes, fold_after: 3, page_entries: 1_024 }
    }

    /// A node that is up.
    pub(crate) async fn node(&self, number: u32) -> Node {
        self.node_with(number, Arc::clone(&self.store)).await
    }

    /// A node whose way to the metadata is `store`.
    pub(crate) async fn node_with(&self, number: u32, store: Arc<dyn MetaStore>) -> Node {
        let runtime = self.runtime.clone();
        let retry = Retry::new(runtime.clone(), RetrySettings::default());
        let objects = Store::new(Arc::new(self.objects.clone()), None).retrying(retry);
        let settings = ObjectJournalSettings::default();
        let journal = ObjectJournal::new(objects.clone(), CLUSTER, runtime.clone(), settings);
        let metadata = Metadata::new(store);
        let tasks = Tasks::new();
        let view = View::follow(metadata.clone(), &tasks).await.unwrap();
        let deps = BrokerDeps {
            cluster: CLUSTER,
            node: NodeId(number),
            runtime,
            metadata,
            store: objects.clone(),
            journal: Arc::new(journal),
            session: Session { node: NodeId(number), rpc: None, zone: None },
        };
        let settings = BrokerSettings {
            buffer_bytes: 1 << 20,
            slots: SlotSettings::default(),
            shards: 2,
            sole: false,
            tending: Tending {
                fold_after: self.fold_after,
                page_entries: self.page_entries,
                retention_interval: Duration::from_secs(1),
                compaction_interval: Duration::from_secs(1),
                compaction_bytes: 1 << 20,
                ..Tending::default()
            },
        };
        let role = BrokerRole::start(deps, settings, view, &tasks).await.unwrap();
        Node {
            client: role.client(),
            role,
            reader: Reader::new(objects, ReaderSettings::default()),
            tasks,
        }
    }

    /// Sets a config of the topic.
    pub(crate) async fn configure(&self, name: &str, value: &str) {
        let topic = self.store.get(&Topic::key("events")).await.unwrap().unwrap();
        let mut topic = Topic::decode(&topic).unwrap();
        topic.configs.insert(name.to_owned(), value.to_owned());
        self.store.txn(Txn::new().put(Topic::key("events"), topic.encode())).await.unwrap();
    }

    /// Gives a partition to a node.
    pub(crate) async fn assign(&mut self, partition: u32, node: u32) {
        self.nodes[partition as usize] = NodeId(node);
        let assignment = Assignment { nodes: self.nodes.clone() };
        self.store.txn(Txn::new().put(Assignment::key(TOPIC), assignment.encode())).await.unwrap();
    }

    /// A batch with this value.
    pub(crate) fn batch(&self, value: &str, producer: Option<(i64, i32)>) -> Bytes {
        let mut builder = BatchBuilder::new();
        if let Some((id, sequence)) = producer {
            builder = builder.producer(ProducerId(id), ProducerEpoch(0), Sequence(sequence));
        }
        builder.push(self.runtime.now(), None, Some(value.as_bytes()), &[]).unwrap();
        builder.build().unwrap().into_batch().into_bytes()
    }
}

/// The offset, key and value of a record; a tombstone has no value.
pub(crate) type Kept = (i64, String, Option<String>);

impl World {
    /// A batch with these keys and values.
    pub(crate) fn keyed(&self, of: &[(&str, Option<&str>)]) -> Bytes {
        let mut builder = BatchBuilder::new();
        for (key, value) in of {
            let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
            builder.push(self.runtime.now(), key, value, &[]).unwrap();
        }
        builder.build().unwrap().into_batch().into_bytes()
    }
}

impl Node {
    /// All keyed records of a partition.
    pub(crate) async fn kept(&self, partition: u32) -> Vec<Kept> {
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let mut kept = Vec::new();
        let Offsets { log_start: mut offset, durable, .. } = self.offsets(partition).await;
        while offset < durable {
            let bytes = self.bytes(partition, offset).await.unwrap().unwrap();
            for batch in split(bytes) {
                let batch = batch.unwrap().verify().unwrap();
                for record in batch.records(1 << 20).unwrap().map(Result::unwrap) {
                    let (key, value) = (text(record.key.unwrap()), record.value.map(text));
                    kept.extend((record.offset >= offset).then_some((record.offset.0, key, value)));
                }
                offset = batch.header().next_offset();
            }
        }
        kept
    }

    pub(crate) async fn try_append(
        &self,
        partition: u32,
        records: Bytes,
    ) -> Result<Appended, AppendError> {
        let append = Append {
            partition: id(partition),
            epoch: None,
            records,
            acks: Acks::Durable,
            expected: None,
            origin: Origin::Client,
        };
        self.client.append(vec![append]).await.pop().unwrap().await
    }

    /// Appends, once this node owns the partition.
    pub(crate) async fn append(&self, partition: u32, records: Bytes) -> i64 {
        let append = async || match self.try_append(partition, records.clone()).await {
            Ok(appended) => Some(appended.base.0),
            // The same batch again: an idempotent producer finds it if it is there.
            Err(AppendError::NotOwner(_) | AppendError::Unclear(_) | AppendError::Storage(_)) => {
                None
            }
            Err(error) => panic!("{error}"),
        };
        until("the node owns the partition", append).await
    }

    /// The partition's offsets, once this node owns it.
    pub(crate) async fn offsets(&self, partition: u32) -> Offsets {
        until("the node tells offsets", async || self.try_offsets(partition).await.ok()).await
    }

    pub(crate) async fn try_offsets(&self, partition: u32) -> Result<Offsets, ReadError> {
        self.client.offsets(vec![id(partition)]).await.pop().unwrap()
    }

    /// All values of a partition, once this node owns it.
    pub(crate) async fn read(&self, partition: u32) -> Vec<String> {
        until("the node reads", async || self.try_read(partition).await.ok()).await
    }

    async fn try_read(&self, partition: u32) -> Result<Vec<String>, ReadError> {
        let mut values = Vec::new();
        let mut offset = self.offsets(partition).await.log_start;
        while let Some(bytes) = self.bytes(partition, offset).await? {
            offset = take_values(bytes, offset, &mut values);
        }
        Ok(values)
    }

    /// Some batches from `offset` on; `None` if there are none.
    async fn bytes(&self, partition: u32, offset: Offset) -> Result<Option<Bytes>, ReadError> {
        let read = Read {
            partition: id(partition),
            epoch: None,
            offset,
            max_bytes: 2_000,
            isolation: Isolation::ReadUncommitted,
        };
        let outcome = self.client.read(vec![read]).await.pop().unwrap()?;
        Ok(match outcome.entries {
            Entries::None => None,
            Entries::Tail(pieces) => Some(pieces.concat().into()),
            Entries::Stored(places) => {
                let references = places.references(&self.reader, offset).await.unwrap();
                let read = self.reader.read(&references[0], offset, 2_000).await;
                let (pieces, _) = read.map_err(|error| ReadError::Storage(error.to_string()))?;
                Some(pieces.concat().into())
            }
        })
    }

    /// How many stored ranges a partition has from its beginning on, if nothing of it is in memory.
    pub(crate) async fn ranges(&self, partition: u32) -> usize {
        let offset = self.offsets(partition).await.log_start;
        let isolation = Isolation::ReadUncommitted;
        let read =
            Read { partition: id(partition), epoch: None, offset, max_bytes: 1 << 30, isolation };
        match self.client.read(vec![read]).await.pop().unwrap().unwrap().entries {
            Entries::Stored(Places::Known(references)) => references.len(),
            other => panic!("{other:?}"),
        }
    }

    /// Whether a page says where a partition begins.
    pub(crate) async fn is_paged(&self, partition: u32) -> bool {
        let offset = self.offsets(partition).await.log_start;
        let (partition, isolation) = (id(partition), Isolation::ReadUncommitted);
        let read = Read { partition, epoch: None, offset, max_bytes: 1, isolation };
        let outcome = self.client.read(vec![read]).await.pop().unwrap().unwrap();
        matches!(outcome.entries, Entries::Stored(Places::Listed(_)))
    }

    /// What is shown under a name.
    pub(crate) fn metric(&self, name: &str) -> String {
        let (mut registry, mut shown) = (Registry::default(), String::new());
        self.role.register_metrics(&mut registry);
        encode(&mut shown, &registry).unwrap();
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned());
        shown.lines().find_map(value).unwrap()
    }

    /// Makes a checkpoint.
    pub(crate) async fn checkpoint(&self) -> bool {
        match self.role.present() {
            Some(broker) => broker.checkpoint().await,
            None => false,
        }
    }

    /// Ends without order.
    pub(crate) async fn die(self) {
        self.tasks.shutdown().await.unwrap();
    }

    /// Ends in order.
    pub(crate) async fn end(self) {
        self.role.shutdown().await.unwrap();
        self.tasks.shutdown().await.unwrap();
    }
}

fn take_values(bytes: Bytes, from: Offset, values: &mut Vec<String>) -> Offset {
    let (mut next, mut expected) = (from, from);
    for batch in split(bytes) {
        let batch = batch.unwrap().verify().unwrap();
        for record in batch.records(1 << 20).unwrap() {
            let record = record.unwrap();
            if record.offset >= from {
                assert_eq!(record.offset, expected, "offsets are dense");
                expected = record.offset.plus(1);
                values.push(String::from_utf8(record.value.unwrap().to_vec()).unwrap());
            }
        }
        next = batch.header().next_offset();
    }
    next
}

/// Asks again and again until there is an answer; paused time passes meanwhile.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        let mut ticks = interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    };
    let begun = Instant::now();
    let Ok(answer) = timeout(PATIENCE, asking).await else {
        panic!("{what}: not within {:?}", begun.elapsed());
    };
    answer
}
