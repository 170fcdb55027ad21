//! The controller on stores that work and stores that fail (`property`).

mod condemning;
mod elections;
mod property;
mod topics;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;
use weir_ids::{
    ClaimNumber, LeaderEpoch, NodeId, PartitionIndex, SessionId, Slot, TopicId, TopicPartition,
};
use weir_runtime::{Runtime, Seeded, SystemClock, Tasks};

use super::*;
use crate::{
    Metadata, OwnedChange, OwnedUpdate,
    model::{
        Assignment, Creation, Deletion, Log, Node, Record, Seal, Session, Topic, TopicState, Wal,
    },
    store::{Fault, Faulty, Memory, MetaStore, Operation, Txn, list},
    views::View,
};

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A runtime that gives topic ids which no other has given.
fn runtime() -> Runtime {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    Runtime::new(SystemClock, Seeded::new(STARTED.fetch_add(1, Ordering::Relaxed)))
}

/// One process with a controller.
struct Process {
    controller: LocalController,
    view: View,
    tasks: Tasks,
}

impl Process {
    async fn start(store: Arc<dyn MetaStore>, node: u32) -> Self {
        Self::probing(store, node, Arc::new(NoProbe)).await
    }

    async fn probing(store: Arc<dyn MetaStore>, node: u32, probe: Arc<dyn Probe>) -> Self {
        let metadata = Metadata::new(store);
        let tasks = Tasks::new();
        let view = View::follow(metadata.clone(), &tasks).await.unwrap();
        let settings = Settings { default_partitions: 3, default_replication_factor: 1 };
        let controller = LocalController::start(
            metadata,
            view.clone(),
            runtime(),
            NodeId(node),
            settings,
            probe,
            &tasks,
        );
        Self { controller, view, tasks }
    }

    async fn create(&self, name: &str, partitions: i32) -> Result<CreatedTopic, Error> {
        let partitions = Some(partitions);
        let wanted = CreateTopic { name: name.to_owned(), partitions, ..CreateTopic::default() };
        self.controller.create_topic(wanted).await
    }

    async fn delete(&self, name: &str) -> Result<DeletedTopic, Error> {
        self.controller.delete_topic(TopicRef::Name(name.to_owned())).await
    }

    async fn grow(&self, name: &str, total: i32) -> Result<(), Error> {
        let wanted = CreatePartitions {
            topic: name.to_owned(),
            total,
            assignments: None,
            validate_only: false,
        };
        self.controller.create_partitions(wanted).await
    }

    async fn alter(&self, name: &str, ops: &[(&str, ConfigOp)]) -> Result<(), Error> {
        let ops = ops.iter().map(|(name, op)| ((*name).to_owned(), op.clone())).collect();
        let wanted = AlterConfigs {
            topic: name.to_owned(),
            change: ConfigsChange::Incremental(ops),
            validate_only: false,
        };
        self.controller.alter_configs(wanted).await
    }
}

/// Registers a broker on `node` that never goes away by itself.
async fn broker(store: &dyn MetaStore, node: u32) -> SessionId {
    session(store, node, u64::from(node)).await
}

/// Registers session `id` of `node`.
async fn session(store: &dyn MetaStore, node: u32, id: u64) -> SessionId {
    let value = Session { node: NodeId(node), rpc: None, zone: None };
    let id = SessionId(id);
    let wal = Wal::of(NodeId(node));
    let txn = Txn::new().put(Session::key(id), value.encode()).put(Wal::key(id), wal.encode());
    store.txn(txn).await.unwrap();
    id
}

/// A store with a broker on node 1, and an elected controller there.
async fn rig() -> (Memory, Process) {
    let store = Memory::new();
    broker(&store, 1).await;
    let process = Process::start(Arc::new(store.clone()), 1).await;
    process.controller.elected().await;
    (store, process)
}

async fn keys(store: &dyn MetaStore, prefix: &str) -> Vec<String> {
    let (entries, _) = list(store, prefix).await.unwrap();
    entries.iter().map(|entry| entry.key.to_string()).collect()
}

/// Waits until nothing is under `prefix` any more.
async fn until_empty(store: &dyn MetaStore, prefix: &str) {
    let deadline = soon();
    while !keys(store, prefix).await.is_empty() {
        assert!(Instant::now() < deadline, "{prefix} is never emptied");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What must hold whenever no change is under way: every live topic has exactly its logs and its
/// assignment; logs of no topic belong to a deletion.
async fn check_consistency(store: &dyn MetaStore) {
    assert_eq!(keys(store, Creation::PREFIX).await, [""; 0], "a creation is left");
    let (topics, _) = list(store, Topic::PREFIX).await.unwrap();
    let mut wanted = BTreeSet::new();
    let mut assigned = BTreeSet::new();
    for entry in &topics {
        let topic = Topic::decode(entry).unwrap();
        assert_ne!(topic.state, TopicState::Deleting, "{} is stuck", entry.key);
        if topic.is_live() {
            for number in 0..topic.partitions {
                let partition = TopicPartition::new(topic.id, PartitionIndex(number));
                wanted.insert(Log::key(partition).to_string());
            }
            let key = Assignment::key(topic.id);
            let entry = store.get(&key).await.unwrap().expect("a live topic has an assignment");
            let nodes = Assignment::decode(&entry).unwrap().nodes;
            assert_eq!(nodes.len(), topic.partitions as usize);
            assigned.insert(key.to_string());
        }
    }
    let deleted: Vec<String> = keys(store, Deletion::PREFIX)
        .await
        .iter()
        .map(|key| key.replace(Deletion::PREFIX, Log::PREFIX))
        .collect();
    let logs: BTreeSet<String> = keys(store, Log::PREFIX)
        .await
        .into_iter()
        .filter(|key| !deleted.iter().any(|deleted| key.starts_with(deleted)))
        .collect();
    assert_eq!(logs, wanted, "logs differ from what the topics say");
    let assignments: BTreeSet<String> = keys(store, Assignment::PREFIX).await.into_iter().collect();
    assert_eq!(assignments, assigned);
}
