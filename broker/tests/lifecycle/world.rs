//! A broker's surroundings, which outlive it, and one of its lives.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use uuid::Uuid;
use weir_broker::{
    Broker, BrokerDeps, BrokerSettings, LocalBroker, OpenError, SlotSettings, Tending, TopicRules,
    client::{
        Acks, Append, AppendError, BrokerClient, Entries, Isolation, Origin, Read, ReadError,
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
};
use weir_protocol::records::{BatchBuilder, split};
use weir_runtime::{Runtime, Seeded, SystemClock, Tasks};
use weir_segment_store::{
    Reader, ReaderSettings, Retry, RetrySettings, Store,
    journal::{FileJournal, FileJournalSettings, Journal, ObjectJournal, ObjectJournalSettings},
    testing::FaultyObjects,
};

const CLUSTER: Uuid = Uuid::from_u128(1);
pub(crate) const PARTITIONS: u32 = 5;

pub(crate) fn id(partition: u32) -> TopicPartition {
    TopicPartition::new(TopicId(Uuid::from_u128(77)), PartitionIndex(partition))
}

pub(crate) fn durable(partition: TopicPartition, records: Bytes) -> Append {
    let (acks, origin) = (Acks::Durable, Origin::Client);
    Append { partition, epoch: None, records, acks, expected: None, origin }
}

/// Where records are kept.
pub(crate) enum Place {
    /// On a disk that does what it should.
    Directory(tempfile::TempDir),
    /// In an object store that may not.
    Objects(FaultyObjects),
}

impl Place {
    pub(crate) fn directory() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("objects")).unwrap();
        Self::Directory(directory)
    }

    fn open(&self, runtime: &Runtime) -> (Store, Arc<dyn Journal>) {
        let runtime = runtime.clone();
        match self {
            Self::Directory(directory) => {
                let root = directory.path();
                let settings = FileJournalSettings { file_bytes: 64 << 10, ..Default::default() };
                let journal = FileJournal::new(root, CLUSTER, runtime, settings);
                let store = Store::local(&root.join("objects"), root.to_owned()).unwrap();
                (store, Arc::new(journal))
            }
            Self::Objects(objects) => {
                let retry = Retry::new(runtime.clone(), RetrySettings::default());
                let store = Store::new(Arc::new(objects.clone()), None).retrying(retry);
                let settings = ObjectJournalSettings::default();
                let journal = ObjectJournal::new(store.clone(), CLUSTER, runtime, settings);
                (store, Arc::new(journal))
            }
        }
    }
}

/// What outlives a broker.
pub(crate) struct World {
    place: Place,
    metadata: Metadata,
    pub(crate) runtime: Runtime,
    buffer_bytes: u64,
}

/// One life of a broker.
pub(crate) struct Life {
    pub(crate) broker: Arc<Broker>,
    pub(crate) client: LocalBroker,
    tasks: Tasks,
    reader: Reader,
}

impl World {
    pub(crate) async fn new(place: Place, buffer_bytes: u64) -> Self {
        Self::with(place, Arc::new(Memory::new()), buffer_bytes).await
    }

    /// A world whose metadata is kept in `store`.
    pub(crate) async fn with(place: Place, store: Arc<dyn MetaStore>, buffer_bytes: u64) -> Self {
        let topic = Topic {
            id: id(0).topic,
            partitions: PARTITIONS,
            replication_factor: 1,
            configs: BTreeMap::new(),
            internal: false,
            highest_epoch: LeaderEpoch::NONE,
            state: TopicState::Live,
        };
        let mut txn = Txn::new().put(Topic::key("events"), topic.encode());
        let nodes = vec![NodeId(1); PARTITIONS as usize];
        txn = txn.put(Assignment::key(id(0).topic), Assignment { nodes }.encode());
        for partition in 0..PARTITIONS {
            txn = txn.put(Log::key(id(partition)), Log::new(LeaderEpoch::NONE).encode());
        }
        store.txn(txn).await.unwrap();
        let metadata = Metadata::new(store);
        let runtime = Runtime::new(SystemClock, Seeded::new(3));
        Self { place, metadata, runtime, buffer_bytes }
    }

    /// Whether requests to the store may fail.
    pub(crate) fn is_faulty(&self) -> bool {
        matches!(self.place, Place::Objects(_))
    }

    /// A life in which all partitions are open.
    pub(crate) async fn life(&self) -> Life {
        let life = self.begin().await;
        life.open().await.unwrap();
        life
    }

    /// A life in which none is yet.
    pub(crate) async fn begin(&self) -> Life {
        let (store, journal) = self.place.open(&self.runtime);
        let deps = BrokerDeps {
            cluster: CLUSTER,
            node: NodeId(1),
            runtime: self.runtime.clone(),
            metadata: self.metadata.clone(),
            store: store.clone(),
            journal,
            session: Session { node: NodeId(1), rpc: None, zone: None },
        };
        let settings = BrokerSettings {
            buffer_bytes: self.buffer_bytes,
            slots: SlotSettings::default(),
            shards: 2,
            sole: true,
            tending: Tending {
                page_entries: 2,
                retention_interval: std::time::Duration::from_secs(1),
                compaction_interval: std::time::Duration::from_secs(1),
                compaction_bytes: 1 << 20,
                ..Tending::default()
            },
        };
        let tasks = Tasks::new();
        let broker = Broker::start(deps, settings, &tasks).await.unwrap();
        let client = broker.client();
        Life { broker, client, tasks, reader: Reader::new(store, ReaderSettings::default()) }
    }

    /// A batch with these values.
    pub(crate) fn batch(&self, values: &[Vec<u8>], producer: Option<(i64, i32)>) -> Bytes {
        let mut builder = BatchBuilder::new();
        if let Some((id, sequence)) = producer {
            builder = builder.producer(ProducerId(id), ProducerEpoch(0), Sequence(sequence));
        }
        for value in values {
            builder.push(self.runtime.now(), None, Some(value), &[]).unwrap();
        }
        builder.build().unwrap().into_batch().into_bytes()
    }
}

impl Life {
    /// Opens all partitions; the first error of any.
    pub(crate) async fn open(&self) -> Result<(), OpenError> {
        let rules = Arc::new(TopicRules::default());
        let assigned = (0..PARTITIONS).map(|p| (id(p), Arc::clone(&rules))).collect();
        self.broker.open(assigned).await.into_iter().collect()
    }

    /// Appends durably and returns the first offset.
    pub(crate) async fn append(&self, partition: u32, records: Bytes) -> Result<i64, AppendError> {
        let receipts = self.client.append(vec![durable(id(partition), records)]).await;
        receipts.into_iter().next().unwrap().await.map(|appended| appended.base.0)
    }

    /// All values from `from` on, each with its offset.
    pub(crate) async fn read(
        &self,
        partition: u32,
        from: i64,
    ) -> Result<Vec<(i64, Vec<u8>)>, ReadError> {
        const MAX_BYTES: u32 = 3_000;
        let mut values = Vec::new();
        let mut offset = Offset(from);
        loop {
            let read = Read {
                partition: id(partition),
                epoch: None,
                offset,
                max_bytes: MAX_BYTES,
                isolation: Isolation::ReadUncommitted,
            };
            let outcome = self.client.read(vec![read]).await.pop().unwrap()?;
            let bytes: Bytes = match outcome.entries {
                Entries::None => return Ok(values),
                Entries::Tail(pieces) => pieces.concat().into(),
                Entries::Stored(places) => {
                    let references = places.references(&self.reader, offset).await.unwrap();
                    let read = self.reader.read(&references[0], offset, MAX_BYTES).await;
                    read.unwrap().0.concat().into()
                }
            };
            for batch in split(bytes) {
                let batch = batch.unwrap().verify().unwrap();
                for record in batch.records(1 << 20).unwrap() {
                    let record = record.unwrap();
                    if record.offset >= offset {
                        values.push((record.offset.0, record.value.unwrap().to_vec()));
                    }
                }
                offset = batch.header().next_offset();
            }
        }
    }

    /// Ends without order: nothing is flushed on purpose, checkpointed or sealed.
    pub(crate) async fn die(self) {
        self.tasks.shutdown().await.unwrap();
    }

    /// Ends in order.
    pub(crate) async fn end(self) {
        self.broker.shutdown().await.unwrap();
        self.tasks.shutdown().await.unwrap();
    }
}
