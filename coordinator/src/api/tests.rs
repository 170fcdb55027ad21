//! Requests in their versions, through to a log in memory and back.

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use uuid::Uuid;
use weir_ids::{Timestamp, TopicId};
use weir_protocol::{
    ErrorCode,
    messages::{
        DeleteGroupsRequest, DescribeGroupsRequest, HeartbeatRequest, JoinGroupRequest,
        JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetCommitRequest,
        OffsetFetchRequest, OffsetFetchResponse, SyncGroupRequest,
        join_group::JoinGroupRequestProtocol,
        leave_group::MemberIdentity,
        offset_commit::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_fetch::{
            OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
        },
        sync_group::SyncGroupRequestAssignment,
    },
};
use weir_runtime::{Clock, Runtime, Seeded, Tasks};

use crate::{
    client::{Caller, CoordinatorClient},
    cluster::Topic,
    coordinator::{Coordinator, OFFSETS_TOPIC},
    settings::Settings,
    testing::{FakeBroker, FakeCluster, topic},
};

const ORDERS: u128 = 0x0a;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

struct Office {
    coordinator: Coordinator,
    cluster: Arc<FakeCluster>,
    broker: Arc<FakeBroker>,
    tasks: Tasks,
}

fn orders() -> Topic {
    topic("orders", ORDERS, 3)
}

fn id(id: u128) -> TopicId {
    TopicId(Uuid::from_u128(id))
}

fn v(api_version: i16) -> Caller {
    Caller { client_id: "app".into(), client_host: "/10.0.0.1".into(), api_version }
}

impl Office {
    fn open() -> Self {
        let broker = Arc::new(FakeBroker::default());
        let cluster = FakeCluster::new(Arc::clone(&broker), vec![orders()]);
        let tasks = Tasks::new();
        let coordinator = Coordinator::start(
            Runtime::new(Noon, Seeded::new(1)),
            &tasks,
            Settings::dev(),
            Arc::clone(&cluster) as _,
            Arc::clone(&broker) as _,
        );
        Self { coordinator, cluster, broker, tasks }
    }

    async fn join(&self, version: i16, request: JoinGroupRequest) -> JoinGroupResponse {
        self.coordinator.join_group(v(version), request).await
    }

    async fn member(&self, group: &str) -> JoinGroupResponse {
        let joined = self.join(3, join(group)).await;
        assert_eq!(joined.error_code, ErrorCode::NONE);
        let sync = SyncGroupRequest {
            group_id: group.into(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            assignments: vec![SyncGroupRequestAssignment {
                member_id: joined.member_id.clone(),
                assignment: Bytes::from_static(b"all"),
            }],
            ..SyncGroupRequest::default()
        };
        let synced = self.coordinator.sync_group(v(3), sync).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (ErrorCode::NONE, &b"all"[..]));
        joined
    }

    async fn commit(&self, version: i16, request: OffsetCommitRequest) -> Vec<ErrorCode> {
        let response = self.coordinator.offset_commit(v(version), request).await;
        let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.map(|partition| partition.error_code).collect()
    }

    async fn fetch(&self, version: i16, request: OffsetFetchRequest) -> OffsetFetchResponse {
        self.coordinator.offset_fetch(v(version), request).await
    }

    /// What is committed for partition 0 of `orders`.
    async fn committed(&self, group: &str) -> i64 {
        let topics = vec![named("orders", &[0])];
        let response = self.fetch(8, fetch_of(group, Some(topics))).await;
        assert_eq!(response.groups[0].error_code, ErrorCode::NONE);
        response.groups[0].topics[0].partitions[0].committed_offset
    }
}

fn join(group: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".into(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: Bytes::from_static(b"topics"),
        }],
        ..JoinGroupRequest::default()
    }
}

fn commit_of(group: &str, topics: Vec<OffsetCommitRequestTopic>) -> OffsetCommitRequest {
    OffsetCommitRequest { group_id: group.into(), topics, ..OffsetCommitRequest::default() }
}

fn offset(partition: i32, offset: i64) -> OffsetCommitRequestPartition {
    OffsetCommitRequestPartition {
        partition_index: partition,
        committed_offset: offset,
        committed_leader_epoch: 4,
        committed_metadata: Some("note".into()),
    }
}

fn in_topic(name: &str, partitions: Vec<OffsetCommitRequestPartition>) -> OffsetCommitRequestTopic {
    OffsetCommitRequestTopic { name: name.into(), topic_id: TopicId::NIL, partitions }
}

fn named(name: &str, partitions: &[i32]) -> OffsetFetchRequestTopics {
    OffsetFetchRequestTopics {
        name: name.into(),
        topic_id: TopicId::NIL,
        partition_indexes: partitions.to_vec(),
    }
}

fn fetch_of(group: &str, topics: Option<Vec<OffsetFetchRequestTopics>>) -> OffsetFetchRequest {
    let group = OffsetFetchRequestGroup { group_id: group.into(), topics, ..Default::default() };
    OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() }
}

#[tokio::test(start_paused = true)]
async fn the_topic_is_created_when_it_is_first_needed() {
    let office = Office::open();
    // A question about groups needs none: there are no groups.
    let listed = office.coordinator.list_groups(v(5), ListGroupsRequest::default()).await;
    assert!(listed.groups.is_empty());
    assert!(crate::cluster::Cluster::topic_by_name(&*office.cluster, OFFSETS_TOPIC).is_none());
    office.member("g").await;
    let made = crate::cluster::Cluster::topic_by_name(&*office.cluster, OFFSETS_TOPIC);
    assert_eq!(made.unwrap().partitions, 50);
}

#[tokio::test(start_paused = true)]
async fn while_the_topic_can_not_be_created_clients_are_told_to_try_again() {
    let office = Office::open();
    office.cluster.set_creatable(false);
    let joined = office.join(9, join("g")).await;
    assert_eq!(joined.error_code, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    office.cluster.set_creatable(true);
    office.member("g").await;
}

#[tokio::test(start_paused = true)]
async fn joining_means_in_each_version_what_it_says() {
    let office = Office::open();
    let first = office.join(4, join("v4")).await;
    assert_eq!(first.error_code, ErrorCode::MEMBER_ID_REQUIRED);
    assert!(first.member_id.starts_with("app-"));
    assert_eq!((first.generation_id, first.protocol_name), (-1, Some(ByteString::new())));
    let second = JoinGroupRequest { member_id: first.member_id.clone(), ..join("v4") };
    let second = office.join(4, second).await;
    assert_eq!((second.error_code, second.member_id), (ErrorCode::NONE, first.member_id));
    assert_eq!((second.generation_id, second.members.len()), (1, 1));
    assert_eq!(second.protocol_type.as_deref(), Some("consumer"));

    let refused = office.join(7, JoinGroupRequest { protocols: Vec::new(), ..join("v7") }).await;
    assert_eq!(refused.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(refused.protocol_name, None);

    // The oldest version has no rebalance timeout: its session timeout stands for it.
    let oldest = JoinGroupRequest { rebalance_timeout_ms: -1, ..join("v0") };
    assert_eq!(office.join(0, oldest).await.error_code, ErrorCode::NONE);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_joined_is_refused_before_anything_is_created() {
    let office = Office::open();
    let member = JoinGroupRequest { member_id: "m".into(), ..join("") };
    let no_name = office.join(9, member).await;
    assert_eq!((no_name.error_code, &*no_name.member_id), (ErrorCode::INVALID_GROUP_ID, "m"));
    for session_timeout_ms in [-1, 5_999, 1_800_001] {
        let refused = office.join(9, JoinGroupRequest { session_timeout_ms, ..join("g") }).await;
        assert_eq!(refused.error_code, ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    let stranger = office.join(9, JoinGroupRequest { member_id: "m".into(), ..join("g") }).await;
    assert_eq!(stranger.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
}

#[tokio::test(start_paused = true)]
async fn heartbeats_and_syncs_without_a_group_are_refused() {
    let office = Office::open();
    let heartbeat = |group: &str| HeartbeatRequest { group_id: group.into(), ..Default::default() };
    let no_name = office.coordinator.heartbeat(v(4), heartbeat("")).await;
    assert_eq!(no_name.error_code, ErrorCode::INVALID_GROUP_ID);
    let unknown = office.coordinator.heartbeat(v(4), heartbeat("g")).await;
    assert_eq!(unknown.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let sync = |group: &str| SyncGroupRequest { group_id: group.into(), ..Default::default() };
    let no_name = office.coordinator.sync_group(v(4), sync("")).await;
    assert_eq!(no_name.error_code, ErrorCode::INVALID_GROUP_ID);
    let unknown = office.coordinator.sync_group(v(4), sync("g")).await;
    assert_eq!(unknown.error_code, ErrorCode::UNKNOWN_MEMBER_ID);
    let without_protocol = office.coordinator.sync_group(v(5), sync("g")).await;
    assert_eq!(without_protocol.error_code, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[tokio::test(start_paused = true)]
async fn members_leave_alone_and_together() {
    let office = Office::open();
    let leave = |group: &str| LeaveGroupRequest { group_id: group.into(), ..Default::default() };
    let a = office.member("g").await;
    let old = LeaveGroupRequest { member_id: "stranger".into(), ..leave("g") };
    let left = office.coordinator.leave_group(v(2), old).await;
    assert_eq!((left.error_code, left.members.len()), (ErrorCode::UNKNOWN_MEMBER_ID, 0));
    let identity = |member: &ByteString| MemberIdentity {
        member_id: member.clone(),
        group_instance_id: None,
        reason: None,
    };
    let both = vec![identity(&a.member_id), identity(&"stranger".into())];
    let left = LeaveGroupRequest { members: both, ..leave("g") };
    let left = office.coordinator.leave_group(v(5), left).await;
    assert_eq!(left.error_code, ErrorCode::NONE);
    let codes: Vec<_> = left.members.iter().map(|member| member.error_code).collect();
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID]);
    let no_name = office.coordinator.leave_group(v(5), leave("")).await;
    assert_eq!(no_name.error_code, ErrorCode::INVALID_GROUP_ID);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_committed_by_name_and_fetched_by_id() {
    let office = Office::open();
    let topics = vec![in_topic("orders", vec![offset(0, 7), offset(2, 9)])];
    assert_eq!(office.commit(9, commit_of("g", topics)).await, [ErrorCode::NONE; 2]);
    let by_id = |topic| OffsetFetchRequestTopics {
        name: ByteString::new(),
        topic_id: id(topic),
        partition_indexes: vec![0, 1, 2],
    };
    let request = fetch_of("g", Some(vec![by_id(ORDERS), by_id(0xbad)]));
    let topics = office.fetch(10, request).await.groups.remove(0).topics;
    assert_eq!((topics[0].topic_id, topics[1].topic_id), (id(ORDERS), id(0xbad)));
    let of = |topic: usize| {
        topics[topic]
            .partitions
            .iter()
            .map(|p| (p.committed_offset, p.error_code))
            .collect::<Vec<_>>()
    };
    let none = ErrorCode::NONE;
    assert_eq!(of(0), [(7, none), (-1, none), (9, none)]);
    assert_eq!(of(1), [(-1, ErrorCode::UNKNOWN_TOPIC_ID); 3]);
    let first = &topics[0].partitions[0];
    assert_eq!((first.committed_leader_epoch, first.metadata.as_deref()), (4, Some("note")));
    let missing = &topics[0].partitions[1];
    assert_eq!((missing.committed_leader_epoch, missing.metadata.as_deref()), (-1, Some("")));
}

#[tokio::test(start_paused = true)]
async fn offsets_are_committed_by_id() {
    let office = Office::open();
    let topic = |id| OffsetCommitRequestTopic {
        name: ByteString::new(),
        topic_id: id,
        partitions: vec![offset(0, 7)],
    };
    let request = commit_of("g", vec![topic(id(ORDERS)), topic(id(0xbad))]);
    let codes = office.commit(10, request).await;
    assert_eq!(codes, [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_ID]);
    assert_eq!(office.committed("g").await, 7);
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_committed_is_refused_by_partition() {
    let office = Office::open();
    let long = |chars: usize| OffsetCommitRequestPartition {
        // Counted as Java does: each takes three bytes here.
        committed_metadata: Some("€".repeat(chars).into()),
        ..offset(2, 1)
    };
    let topics = vec![
        in_topic("orders", vec![offset(0, 7), offset(3, 1), offset(-1, 1), long(4097), long(4096)]),
        in_topic("nowhere", vec![offset(0, 1)]),
    ];
    let codes = office.commit(8, commit_of("g", topics)).await;
    let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    let too_large = ErrorCode::OFFSET_METADATA_TOO_LARGE;
    assert_eq!(codes, [ErrorCode::NONE, unknown, unknown, too_large, ErrorCode::NONE, unknown]);
    assert_eq!(office.committed("g").await, 7);
    // With nothing left to commit, nobody is asked.
    let nothing = vec![in_topic("nowhere", vec![offset(0, 1)])];
    assert_eq!(office.commit(8, commit_of("other", nothing)).await, [unknown]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_a_generation_to_no_group_has_an_error_for_each_age() {
    let office = Office::open();
    let request = || OffsetCommitRequest {
        generation_id_or_member_epoch: 3,
        member_id: "m".into(),
        ..commit_of("g", vec![in_topic("orders", vec![offset(0, 7)])])
    };
    assert_eq!(office.commit(8, request()).await, [ErrorCode::ILLEGAL_GENERATION]);
    assert_eq!(office.commit(9, request()).await, [ErrorCode::GROUP_ID_NOT_FOUND]);
}

#[tokio::test(start_paused = true)]
async fn all_offsets_of_several_groups_come_at_once() {
    let office = Office::open();
    for (group, at) in [("a", 1), ("b", 2)] {
        let topics = vec![in_topic("orders", vec![offset(0, at), offset(1, at)])];
        office.commit(8, commit_of(group, topics)).await;
    }
    let group = |id: &str| OffsetFetchRequestGroup {
        group_id: id.into(),
        topics: None,
        ..OffsetFetchRequestGroup::default()
    };
    for version in [8, 9, 10] {
        let groups = vec![group("a"), group("nobody"), group("b")];
        let request = OffsetFetchRequest { groups, require_stable: true, ..Default::default() };
        let response = office.fetch(version, request).await;
        let offsets: Vec<Vec<i64>> = response
            .groups
            .iter()
            .map(|group| {
                let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
                partitions.map(|partition| partition.committed_offset).collect()
            })
            .collect();
        assert_eq!(offsets, [vec![1, 1], vec![], vec![2, 2]]);
        assert_eq!(response.groups[0].topics[0].topic_id, id(ORDERS));
    }
}

#[tokio::test(start_paused = true)]
async fn the_old_form_of_a_fetch_is_answered_in_the_old_form() {
    let office = Office::open();
    office.commit(2, commit_of("g", vec![in_topic("orders", vec![offset(0, 7)])])).await;
    let topic = OffsetFetchRequestTopic { name: "orders".into(), partition_indexes: vec![0, 1] };
    let request = OffsetFetchRequest {
        group_id: "g".into(),
        topics: Some(vec![topic]),
        ..OffsetFetchRequest::default()
    };
    let response = office.fetch(5, request.clone()).await;
    let offsets = response.topics[0].partitions.iter().map(|p| p.committed_offset);
    assert_eq!(offsets.collect::<Vec<_>>(), [7, -1]);
    let all = OffsetFetchRequest { topics: None, ..request.clone() };
    assert_eq!(office.fetch(2, all).await.topics[0].partitions.len(), 1);

    // An error has its own field from version 2 on; before, each partition carries it.
    office.tasks.shutdown().await.unwrap();
    let refused = office.fetch(7, request.clone()).await;
    assert_eq!((refused.error_code, refused.topics.len()), (ErrorCode::NOT_COORDINATOR, 0));
    let refused = office.fetch(1, request).await;
    let codes = refused.topics[0].partitions.iter().map(|p| p.error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [ErrorCode::NOT_COORDINATOR; 2]);
}

#[tokio::test(start_paused = true)]
async fn an_offset_of_a_topic_that_was_created_again_is_not_of_it() {
    let office = Office::open();
    office.commit(8, commit_of("g", vec![in_topic("orders", vec![offset(0, 7)])])).await;
    office.cluster.set_topics(vec![topic("orders", 0x0b, 3), crate::testing::offsets_topic(50)]);
    assert_eq!(office.committed("g").await, -1);
    let all = office.fetch(8, fetch_of("g", None)).await;
    assert!(all.groups[0].topics.is_empty());
    office.commit(8, commit_of("g", vec![in_topic("orders", vec![offset(0, 1)])])).await;
    assert_eq!(office.committed("g").await, 1);
}

#[tokio::test(start_paused = true)]
async fn groups_are_described_listed_and_deleted_across_shards() {
    let office = Office::open();
    let member = office.member("live").await;
    office.commit(8, commit_of("idle", vec![in_topic("orders", vec![offset(0, 7)])])).await;

    let describe = || DescribeGroupsRequest {
        groups: vec!["live".into(), "idle".into(), "none".into()],
        include_authorized_operations: true,
    };
    let groups = office.coordinator.describe_groups(v(5), describe()).await.groups;
    let states: Vec<_> = groups.iter().map(|group| &*group.group_state).collect();
    assert_eq!(states, ["Stable", "Empty", "Dead"]);
    let ids: Vec<_> = groups.iter().map(|group| &*group.group_id).collect();
    assert_eq!(ids, ["live", "idle", "none"]);
    let live = &groups[0];
    assert_eq!((&*live.protocol_type, &*live.protocol_data), ("consumer", "range"));
    assert_eq!(live.authorized_operations, 3400);
    let described = &live.members[0];
    assert_eq!(described.member_id, member.member_id);
    assert_eq!((&*described.client_id, &*described.client_host), ("app", "/10.0.0.1"));
    assert_eq!(&described.member_metadata[..], b"topics");
    assert_eq!(&described.member_assignment[..], b"all");
    let newer = office.coordinator.describe_groups(v(6), describe()).await.groups;
    assert_eq!(newer[2].error_code, ErrorCode::GROUP_ID_NOT_FOUND);

    let listed = |states: &'static [&'static str], types: &'static [&'static str]| {
        let coordinator = office.coordinator.clone();
        async move {
            let names = |names: &[&str]| names.iter().map(|name| ByteString::from(*name)).collect();
            let request =
                ListGroupsRequest { states_filter: names(states), types_filter: names(types) };
            let groups = coordinator.list_groups(v(5), request).await.groups;
            let mut ids: Vec<_> = groups.iter().map(|group| group.group_id.to_string()).collect();
            ids.sort();
            ids
        }
    };
    assert_eq!(listed(&[], &[]).await, ["idle", "live"]);
    assert_eq!(listed(&["stable", "Dead"], &["Classic"]).await, ["live"]);
    assert_eq!(listed(&[" EMPTY"], &[]).await, ["idle"]);
    assert!(listed(&[], &["consumer"]).await.is_empty());

    let request =
        DeleteGroupsRequest { groups_names: vec!["live".into(), "idle".into(), "none".into()] };
    let deleted = office.coordinator.delete_groups(v(2), request).await.results;
    let codes: Vec<_> = deleted.iter().map(|result| result.error_code).collect();
    let expected = [ErrorCode::NON_EMPTY_GROUP, ErrorCode::NONE, ErrorCode::GROUP_ID_NOT_FOUND];
    assert_eq!(codes, expected);
    assert_eq!(office.committed("idle").await, -1);
}

#[tokio::test(start_paused = true)]
async fn the_shards_of_a_topic_that_is_there_are_loaded_at_the_start() {
    let office = Office::open();
    office.commit(8, commit_of("g", vec![in_topic("orders", vec![offset(0, 7)])])).await;
    let next = Coordinator::start(
        Runtime::new(Noon, Seeded::new(2)),
        &office.tasks,
        Settings::dev(),
        Arc::clone(&office.cluster) as _,
        Arc::clone(&office.broker) as _,
    );
    let next = Office { coordinator: next, ..Office::open() };
    assert_eq!(next.committed("g").await, 7);
    let listed = next.coordinator.list_groups(v(0), ListGroupsRequest::default()).await;
    assert_eq!(listed.groups.len(), 1);
}
