//! From an append to its answer: through a shard, a slot of the log and `fdatasync`, and back.
//!
//! The partition's own work is a part of it that can't be had alone. What a batch costs is seen where
//! many are in flight and share a slot; where one is, the disk decides. Batches are an idempotent
//! producer's, as the Java client makes them by default. Files lie below `TMPDIR`.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on fails")]

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    io::Write,
    sync::Arc,
};

use bytes::Bytes;
use divan::{
    Bencher,
    counter::{BytesCount, ItemsCount},
};
use tokio::runtime::Runtime as Tokio;
use uuid::Uuid;
use weir_broker::{
    Broker, BrokerDeps, BrokerSettings, LocalBroker, SlotSettings, Tending, TopicRules,
    client::{Acks, Append, BrokerClient, Origin},
};
use weir_ids::{
    LeaderEpoch, NodeId, PartitionIndex, ProducerEpoch, ProducerId, Sequence, TopicId,
    TopicPartition,
};
use weir_meta::{
    Metadata,
    model::{Assignment, Log, Record, Session, Topic, TopicState},
    store::{Memory, MetaStore, Txn},
};
use weir_protocol::records::BatchBuilder;
use weir_runtime::{Runtime, Seeded, SystemClock, Tasks};
use weir_segment_store::{
    Store,
    journal::{FileJournal, FileJournalSettings},
};

fn main() {
    warm_up();
    divan::main();
}

/// Memory that a virtual machine gets from its host for the first time is several times slower than
/// later: a slot that stays in place then seems slower than one that is copied and deleted. Takes
/// as much for the page cache as a benchmark does.
fn warm_up() {
    const WARM_BYTES: usize = 2 << 30;
    if std::env::args().any(|argument| argument == "--bench") {
        let mut file = tempfile::tempfile().unwrap();
        let piece = vec![1; 1 << 20];
        (0..WARM_BYTES / piece.len()).for_each(|_| file.write_all(&piece).unwrap());
    }
}

const CLUSTER: Uuid = Uuid::from_u128(1);
const NODE: NodeId = NodeId(1);
const BUFFER_BYTES: u64 = 256 << 20;
const PARTITIONS: u32 = 16;

fn id(partition: u32) -> TopicPartition {
    TopicPartition::new(TopicId(Uuid::from_u128(77)), PartitionIndex(partition))
}

/// What is appended.
#[derive(Clone, Copy)]
struct Load {
    batch_bytes: usize,
    /// Appends that wait for their answers at a time.
    in_flight: usize,
    /// Appends of one sample.
    count: usize,
    /// Partitions that take turns.
    partitions: u32,
}

const fn load(batch_bytes: usize, in_flight: usize, count: usize, partitions: u32) -> Load {
    Load { batch_bytes, in_flight, count, partitions }
}

const LOADS: &[Load] = &[
    load(1 << 10, 1, 64, 1),
    load(1 << 10, 16, 1024, 1),
    load(1 << 10, 256, 8192, 1),
    load(1 << 10, 256, 8192, PARTITIONS),
    load(64 << 10, 1, 64, 1),
    load(64 << 10, 16, 512, 1),
    load(64 << 10, 256, 1024, 1),
    load(64 << 10, 256, 1024, PARTITIONS),
];

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch_bytes, in_flight, partitions, .. } = self;
        write!(f, "{} KiB, {in_flight} in flight, {partitions} partitions", batch_bytes >> 10)
    }
}

#[divan::bench(args = LOADS, sample_count = 12, sample_size = 1)]
fn append(bencher: Bencher<'_, '_>, load: Load) {
    let tokio =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = tokio.block_on(World::new());
    let mut producer = Producer::new(load);
    tokio.block_on(run(&world.client, load, producer.batches()));
    bencher
        .counter(BytesCount::new(load.count * load.batch_bytes))
        .counter(ItemsCount::new(load.count))
        .with_inputs(|| producer.batches())
        .bench_local_values(|batches| tokio.block_on(run(&world.client, load, batches)));
    world.end(&tokio);
}

/// Appends all batches, `in_flight` at a time, and waits until all are durable.
async fn run(client: &LocalBroker, load: Load, batches: Vec<Append>) {
    let mut waiting = VecDeque::with_capacity(load.in_flight);
    for append in batches {
        if waiting.len() == load.in_flight
            && let Some(first) = waiting.pop_front()
        {
            answered(first).await;
        }
        waiting.extend(client.append(vec![append]).await);
    }
    for receipt in waiting {
        answered(receipt).await;
    }
}

async fn answered(receipt: weir_broker::client::Receipt) {
    receipt.await.unwrap();
}

/// An idempotent producer.
struct Producer {
    load: Load,
    sequences: Vec<i32>,
    value: Vec<u8>,
    runtime: Runtime,
}

impl Producer {
    fn new(load: Load) -> Self {
        // A record takes some bytes beside its value, and a batch 61.
        let value = vec![7; load.batch_bytes - 80];
        let runtime = Runtime::new(SystemClock, Seeded::new(3));
        Self { load, sequences: vec![0; load.partitions as usize], value, runtime }
    }

    fn batches(&mut self) -> Vec<Append> {
        (0..self.load.count).map(|number| self.batch(number)).collect()
    }

    fn batch(&mut self, number: usize) -> Append {
        let partition = number % self.sequences.len();
        let sequence = &mut self.sequences[partition];
        let (producer, epoch) = (ProducerId(7), ProducerEpoch(0));
        let mut builder = BatchBuilder::new().producer(producer, epoch, Sequence(*sequence));
        builder.push(self.runtime.now(), None, Some(&self.value), &[]).unwrap();
        *sequence += 1;
        let records: Bytes = builder.build().unwrap().into_batch().into_bytes();
        let partition = id(partition as u32);
        let (acks, origin) = (Acks::Durable, Origin::Client);
        Append { partition, epoch: None, records, acks, expected: None, origin }
    }
}

/// A broker with everything that it stands on.
struct World {
    client: LocalBroker,
    broker: Arc<Broker>,
    tasks: Tasks,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir(root.join("objects")).unwrap();
        let runtime = Runtime::new(SystemClock, Seeded::new(3));
        let settings = FileJournalSettings::default();
        let deps = BrokerDeps {
            cluster: CLUSTER,
            node: NODE,
            runtime: runtime.clone(),
            metadata: metadata().await,
            store: Store::local(&root.join("objects"), root.to_owned()).unwrap(),
            journal: Arc::new(FileJournal::new(root, CLUSTER, runtime, settings)),
            session: Session { node: NODE, rpc: None, zone: None },
        };
        let tasks = Tasks::new();
        let settings = BrokerSettings {
            buffer_bytes: BUFFER_BYTES,
            slots: SlotSettings::default(),
            shards: 2,
            sole: true,
            tending: Tending::default(),
        };
        let broker = Broker::start(deps, settings, &tasks).await.unwrap();
        let rules = Arc::new(TopicRules::default());
        let assigned = (0..PARTITIONS).map(|p| (id(p), Arc::clone(&rules))).collect();
        broker.open(assigned).await.into_iter().for_each(|opened| opened.unwrap());
        Self { client: broker.client(), broker, tasks, _directory: directory }
    }

    fn end(self, tokio: &Tokio) {
        tokio.block_on(async {
            self.broker.shutdown().await.unwrap();
            self.tasks.shutdown().await.unwrap();
        });
    }
}

/// One topic, whose partitions this node should own.
async fn metadata() -> Metadata {
    let store = Memory::new();
    let topic = Topic {
        id: id(0).topic,
        partitions: PARTITIONS,
        replication_factor: 1,
        configs: BTreeMap::new(),
        internal: false,
        highest_epoch: LeaderEpoch::NONE,
        state: TopicState::Live,
    };
    let nodes = vec![NODE; PARTITIONS as usize];
    let mut txn = Txn::new()
        .put(Topic::key("events"), topic.encode())
        .put(Assignment::key(topic.id), Assignment { nodes }.encode());
    for partition in 0..PARTITIONS {
        txn = txn.put(Log::key(id(partition)), Log::new(LeaderEpoch::NONE).encode());
    }
    store.txn(txn).await.unwrap();
    Metadata::new(Arc::new(store))
}
