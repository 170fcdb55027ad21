//! Groups over a real broker: created on first use, found again in the tail, in what was
//! checkpointed, and after a crash.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{sync::Arc, time::Duration};

use bytestring::ByteString;
use tempfile::TempDir;
use uuid::Uuid;
use weir_broker::{
    Broker, BrokerDeps, BrokerSettings, LocalBroker, SlotSettings, Tending,
    client::{BrokerClient, Brokers},
};
use weir_coordinator::{
    BrokerLog, Caller, Cluster, Coordinator, CoordinatorClient, OFFSETS_TOPIC, Settings,
    ViewedCluster,
};
use weir_ids::NodeId;
use weir_meta::{
    Metadata,
    controller::{
        Controller, CreateTopic, LocalController, NoProbe, Settings as ControllerSettings,
    },
    model::{Node, Role, Session},
    store::Memory,
    views::View,
};
use weir_protocol::{
    ErrorCode,
    messages::{
        HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
        SyncGroupRequest,
        join_group::JoinGroupRequestProtocol,
        offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::OffsetFetchRequestGroup,
        sync_group::SyncGroupRequestAssignment,
    },
};
use weir_runtime::{Runtime, Tasks};
use weir_segment_store::{
    Reader, ReaderSettings, Store,
    journal::{FileJournal, FileJournalSettings},
};

const CLUSTER: Uuid = Uuid::from_u128(1);
const NODE: NodeId = NodeId(1);
/// Few, so that a shard has several groups.
const PARTITIONS: u32 = 3;

/// What outlives a process.
struct World {
    directory: TempDir,
    metadata: Metadata,
}

/// A process.
struct Life {
    coordinator: Coordinator,
    broker: Arc<Broker>,
    view: View,
    tasks: Tasks,
}

struct OneBroker(LocalBroker);

impl Brokers for OneBroker {
    fn broker(&self, node: NodeId) -> Option<Arc<dyn BrokerClient>> {
        (node == NODE).then(|| Arc::new(self.0.clone()) as Arc<dyn BrokerClient>)
    }
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("objects")).unwrap();
        Self { directory, metadata: Metadata::new(Arc::new(Memory::new())) }
    }

    async fn life(&self) -> Life {
        let (runtime, tasks) = (Runtime::system(), Tasks::new());
        let root = self.directory.path();
        let store = Store::local(&root.join("objects"), root.to_owned()).unwrap();
        let journal = FileJournalSettings { file_bytes: 1 << 20, ..Default::default() };
        let journal = FileJournal::new(root, CLUSTER, runtime.clone(), journal);
        let deps = BrokerDeps {
            cluster: CLUSTER,
            node: NODE,
            runtime: runtime.clone(),
            metadata: self.metadata.clone(),
            store: store.clone(),
            journal: Arc::new(journal),
            session: Session { node: NODE, rpc: None, zone: None },
        };
        let settings = BrokerSettings {
            buffer_bytes: 8 << 20,
            slots: SlotSettings::default(),
            shards: 2,
            sole: true,
            tending: Tending::default(),
        };
        let broker = Broker::start(deps, settings, &tasks).await.unwrap();
        let lease = self.metadata.grant(Duration::from_secs(60)).await.unwrap();
        let node = Node {
            roles: vec![Role::Broker, Role::Coordinator],
            kafka: None,
            rpc: None,
            http: None,
            zone: None,
            draining: false,
        };
        self.metadata.register_node(NODE, &node, lease).await.unwrap();
        let view = View::follow(self.metadata.clone(), &tasks).await.unwrap();
        broker.follow(&view).await.unwrap();
        let controller = LocalController::start(
            self.metadata.clone(),
            view.clone(),
            runtime.clone(),
            NODE,
            ControllerSettings::default(),
            Arc::new(NoProbe),
            &tasks,
        );
        controller.elected().await;
        let orders =
            CreateTopic { name: "orders".to_owned(), partitions: Some(3), ..Default::default() };
        // In a later life it is there.
        let _ = controller.create_topic(orders).await;
        let brokers = Arc::new(OneBroker(broker.client()));
        let cluster: Arc<dyn Cluster> =
            Arc::new(ViewedCluster::new(NODE, view.clone(), Arc::new(controller), brokers));
        let reader =
            BrokerLog::new(Arc::clone(&cluster), Reader::new(store, ReaderSettings::default()));
        let settings = Settings { offsets_topic_partitions: PARTITIONS, ..Settings::dev() };
        let coordinator = Coordinator::start(runtime, &tasks, settings, cluster, Arc::new(reader));
        Life { coordinator, broker, view, tasks }
    }
}

fn v(api_version: i16) -> Caller {
    Caller { client_id: "app".into(), client_host: "/127.0.0.1".into(), api_version }
}

impl Life {
    /// Commits until it is acknowledged; a shard that loads sends the first attempt back.
    async fn commit(&self, group: &str, offset: i64) {
        loop {
            let partition = OffsetCommitRequestPartition {
                partition_index: 1,
                committed_offset: offset,
                ..OffsetCommitRequestPartition::default()
            };
            let topic = OffsetCommitRequestTopic {
                name: "orders".into(),
                partitions: vec![partition],
                ..OffsetCommitRequestTopic::default()
            };
            let request = OffsetCommitRequest {
                group_id: group.into(),
                topics: vec![topic],
                ..OffsetCommitRequest::default()
            };
            let answer = self.coordinator.offset_commit(v(8), request).await;
            match answer.topics[0].partitions[0].error_code {
                ErrorCode::NONE => return,
                error => assert!(error.is_retriable(), "{error}"),
            }
        }
    }

    async fn committed(&self, group: &str) -> Option<i64> {
        loop {
            let group = OffsetFetchRequestGroup {
                group_id: group.into(),
                topics: None,
                ..OffsetFetchRequestGroup::default()
            };
            let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
            let answer = self.coordinator.offset_fetch(v(8), request).await.groups.remove(0);
            if answer.error_code.is_none() {
                let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
                return partition.map(|partition| partition.committed_offset);
            }
            assert!(answer.error_code.is_retriable(), "{}", answer.error_code);
        }
    }

    /// One member, until it has its assignment. Returns its id.
    async fn member(&self, group: &str) -> ByteString {
        let join = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: "topics".into(),
            }],
            ..JoinGroupRequest::default()
        };
        let joined = loop {
            let joined = self.coordinator.join_group(v(3), join.clone()).await;
            if joined.error_code.is_none() {
                break joined;
            }
            assert!(joined.error_code.is_retriable(), "{}", joined.error_code);
        };
        let assignment = SyncGroupRequestAssignment {
            member_id: joined.member_id.clone(),
            assignment: "everything".into(),
        };
        let synced = self.coordinator.sync_group(
            v(3),
            SyncGroupRequest { assignments: vec![assignment], ..sync(group, &joined.member_id) },
        );
        assert_eq!(&synced.await.assignment[..], b"everything");
        joined.member_id
    }

    /// Ends without order.
    async fn die(self) {
        self.tasks.shutdown().await.unwrap();
    }

    /// Ends in order.
    async fn end(self) {
        self.coordinator.shutdown().await;
        self.broker.shutdown().await.unwrap();
        self.tasks.shutdown().await.unwrap();
    }
}

fn sync(group: &str, member: &ByteString) -> SyncGroupRequest {
    SyncGroupRequest {
        group_id: group.into(),
        generation_id: 1,
        member_id: member.clone(),
        ..SyncGroupRequest::default()
    }
}

#[tokio::test]
async fn groups_and_offsets_outlive_the_process() {
    let world = World::new();
    let life = world.life().await;
    let member = life.member("live").await;
    for offset in 0..20 {
        life.commit(&format!("group-{}", offset % 5), offset).await;
    }
    let topic = life.view.now().topic(OFFSETS_TOPIC).cloned().unwrap();
    assert!(topic.internal && topic.config.cleanup_policy.compact);
    assert_eq!(topic.partitions, PARTITIONS);
    // One part checkpointed, one only in the write-ahead log.
    assert!(life.broker.checkpoint().await);
    life.commit("group-0", 100).await;
    life.die().await;

    for ordered in [true, false] {
        let life = world.life().await;
        assert_eq!(life.committed("group-0").await, Some(100));
        for group in 1..5 {
            assert_eq!(life.committed(&format!("group-{group}")).await, Some(15 + group));
        }
        assert_eq!(life.committed("none").await, None);
        let heartbeat = HeartbeatRequest {
            group_id: "live".into(),
            generation_id: 1,
            member_id: member.clone(),
            ..HeartbeatRequest::default()
        };
        let alive = life.coordinator.heartbeat(v(3), heartbeat).await;
        assert_eq!(alive.error_code, ErrorCode::NONE);
        let synced = life.coordinator.sync_group(v(3), sync("live", &member)).await;
        assert_eq!(&synced.assignment[..], b"everything");
        if ordered { life.end().await } else { life.die().await }
    }
}

#[tokio::test]
async fn a_shutdown_sends_waiting_members_away() {
    let world = World::new();
    let life = world.life().await;
    life.member("g").await;
    let coordinator = life.coordinator.clone();
    let second = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 30_000,
        rebalance_timeout_ms: 300_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol { name: "range".into(), ..Default::default() }],
        ..JoinGroupRequest::default()
    };
    let (joined, ()) = futures::join!(coordinator.join_group(v(3), second), async {
        // The join waits for the first member as soon as that is told to rebalance.
        let heartbeat = |member: ByteString| HeartbeatRequest {
            group_id: "g".into(),
            generation_id: 1,
            member_id: member,
            ..HeartbeatRequest::default()
        };
        let described = weir_protocol::messages::DescribeGroupsRequest {
            groups: vec!["g".into()],
            ..Default::default()
        };
        let described = life.coordinator.describe_groups(v(0), described).await;
        let first = described.groups[0].members[0].member_id.clone();
        let rebalancing = ErrorCode::REBALANCE_IN_PROGRESS;
        while life.coordinator.heartbeat(v(3), heartbeat(first.clone())).await.error_code
            != rebalancing
        {}
        life.coordinator.shutdown().await;
    });
    assert_eq!(joined.error_code, ErrorCode::NOT_COORDINATOR);
    life.end().await;
}
