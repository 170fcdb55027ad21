//! Requests that need more of the cluster than their own file: asked as a connection asks them.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use weir_ids::NodeId;
use weir_meta::{
    model::{Node, Record},
    store::Txn,
    views::Snapshot,
};
use weir_protocol::{
    ErrorCode, ResponseBody,
    messages::{
        CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest,
        DescribeConfigsRequest, FindCoordinatorRequest, InitProducerIdRequest, JoinGroupRequest,
        ListOffsetsRequest, MetadataRequest, MetadataResponse, SaslAuthenticateRequest,
        SaslHandshakeRequest,
        create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic},
        create_topics::{
            CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreatableTopicResult,
        },
        delete_topics::{DeletableTopicResult, DeleteTopicState},
        describe_configs::DescribeConfigsResource,
        list_offsets::{ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsTopic},
        metadata::{MetadataRequestTopic, MetadataResponseTopic},
    },
    records::Compression,
};
use weir_segment_store::{
    ObjectName,
    object::{Header, Kind},
    pages, testing as objects,
};

use super::{fetch, patience::PATIENCE, produce};
use crate::{
    settings::Settings,
    testing::{Fixture, HERE, at, call, node, produced, put_node, record, topic_id},
};

const TOPICS: &[(&str, u128, u32)] =
    &[("orders", 1, 3), ("clicks", 2, 1), ("__consumer_offsets", 9, 2)];

macro_rules! ask {
    ($fixture:expr, $version:expr, $request:expr, $kind:ident) => {
        match $fixture.ask($version, $request).await {
            ResponseBody::$kind(response) => response,
            other => panic!("{other:?}"),
        }
    };
}

fn by_name(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(name.into()), ..MetadataRequestTopic::default() }
}

fn by_id(id: u128) -> MetadataRequestTopic {
    MetadataRequestTopic { name: None, topic_id: topic_id(id) }
}

async fn metadata(
    fixture: &Fixture,
    version: i16,
    topics: Option<Vec<MetadataRequestTopic>>,
) -> MetadataResponse {
    let request =
        MetadataRequest { topics, allow_auto_topic_creation: false, ..MetadataRequest::default() };
    ask!(fixture, version, request, Metadata)
}

fn names(topics: &[MetadataResponseTopic]) -> Vec<&str> {
    topics.iter().map(|topic| topic.name.as_deref().unwrap_or("-")).collect()
}

#[tokio::test]
async fn metadata_tells_all_topics_or_none_as_the_version_has_it() {
    let fixture = Fixture::start(TOPICS).await;
    let all = ["__consumer_offsets", "clicks", "orders"];
    assert_eq!(names(&metadata(&fixture, 0, Some(Vec::new())).await.topics), all);
    assert!(metadata(&fixture, 1, Some(Vec::new())).await.topics.is_empty());
    assert_eq!(names(&metadata(&fixture, 13, None).await.topics), all);
}

#[tokio::test]
async fn metadata_tells_brokers_partitions_and_the_cluster() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.write(at(1, 2), produced(1, 1, Compression::None));
    let latest =
        ListOffsetsPartition { partition_index: 2, timestamp: -1, current_leader_epoch: -1 };
    list_offsets(&fixture, 8, 0, vec![latest]).await;

    let response = metadata(&fixture, 13, Some(vec![by_name("orders"), by_id(9)])).await;
    let [broker] = &response.brokers[..] else { panic!("one broker") };
    assert_eq!((broker.node_id, &*broker.host, broker.port), (1, "127.0.0.1", 9092));
    assert_eq!(response.controller_id, 1, "a listed broker");
    assert_eq!(response.cluster_id.as_deref(), Some("a-cluster"));
    assert_eq!(response.cluster_authorized_operations, i32::MIN);
    let [orders, offsets] = &response.topics[..] else { panic!("two topics") };
    assert_eq!((orders.topic_id, orders.is_internal), (topic_id(1), false));
    assert_eq!(orders.topic_authorized_operations, i32::MIN);
    assert_eq!(orders.partitions.len(), 3);
    let last = &orders.partitions[2];
    assert_eq!((last.partition_index, last.leader_id, last.leader_epoch), (2, 1, 3));
    assert_eq!(orders.partitions[0].leader_epoch, -1, "nobody has told it yet");
    assert_eq!((&last.replica_nodes[..], &last.isr_nodes[..]), (&[1][..], &[1][..]));
    assert_eq!((offsets.name.as_deref(), offsets.is_internal), (Some("__consumer_offsets"), true));
}

#[tokio::test]
async fn metadata_has_an_error_for_each_topic_that_is_not_there() {
    let fixture = Fixture::start(TOPICS).await;
    let codes = async |version, topics: Vec<MetadataRequestTopic>| {
        let response = metadata(&fixture, version, Some(topics)).await;
        response.topics.iter().map(|topic| topic.error_code.0).collect::<Vec<_>>()
    };
    let long = "x".repeat(250);
    let asked = ["nothing", "", ".", "..", "a/b", &long, "orders", "orders"].map(by_name);
    assert_eq!(codes(5, asked.to_vec()).await, [3, 17, 17, 17, 17, 17, 0], "each topic once");
    assert_eq!(codes(12, vec![by_id(77), by_id(0), by_id(1)]).await, [100, 100, 0]);
    assert_eq!(codes(11, vec![by_id(1), by_id(0)]).await, [42, 42], "ids came with version 12");
}

#[tokio::test]
async fn metadata_creates_topics_only_if_cluster_and_client_both_want_it() {
    let fixture = Fixture::start(TOPICS).await;
    let asking = |allow_auto_topic_creation| MetadataRequest {
        topics: Some(vec![by_name("new"), by_name("bad name")]),
        allow_auto_topic_creation,
        ..MetadataRequest::default()
    };
    let response = ask!(fixture, 8, asking(false), Metadata);
    assert_eq!(response.topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let response = ask!(fixture, 8, asking(true), Metadata);
    assert_eq!(response.topics[0].error_code, ErrorCode::NONE);
    assert_eq!(
        (response.topics[0].partitions.len(), response.topics[0].partitions[0].leader_id),
        (1, 1)
    );
    assert_eq!(response.topics[1].error_code, ErrorCode::INVALID_TOPIC_EXCEPTION);

    let settings = Settings { auto_create_topics: false, ..Settings::default() };
    let fixture = Fixture::with(settings, TOPICS).await;
    let response = ask!(fixture, 8, asking(true), Metadata);
    assert_eq!(response.topics[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
}

#[tokio::test]
async fn clients_are_shown_the_proxies_of_their_zone() {
    let fixture = Fixture::start(&[("orders", 1, 300)]).await;
    let store = fixture.cluster.metadata.store();
    for (node, zone) in [(2, "a"), (3, "a"), (4, "b")] {
        put_node(store, NodeId(node), "proxy", Some(zone)).await;
    }
    let seen =
        |snapshot: &weir_meta::views::Snapshot| (snapshot.proxies().count() == 4).then_some(());
    let soon = Instant::now() + Duration::from_secs(5);
    fixture.cluster.view.wait_for(soon, seen).await.unwrap();
    let mut call = crate::testing::call(12);
    call.client_id = Some("app;weir_zone=a;x".into());
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let answer = fixture.handlers.handle(&call, request.into()).await.unwrap();
    let ResponseBody::Metadata(response) = answer.into_body() else { panic!("metadata") };
    assert_eq!(response.brokers.len(), 4);
    assert_eq!(response.brokers[3].rack.as_deref(), Some("b"));
    // Every node here is a broker too, so owners are leaders: all partitions are on this one.
    assert!(response.topics[0].partitions.iter().all(|partition| partition.leader_id == 1));
    let find = FindCoordinatorRequest {
        coordinator_keys: (0..100).map(|i| format!("group-{i}").into()).collect(),
        ..FindCoordinatorRequest::default()
    };
    call.version = 6;
    let answer = fixture.handlers.handle(&call, find.into()).await.unwrap();
    let ResponseBody::FindCoordinator(found) = answer.into_body() else { panic!("coordinators") };
    let nodes: Vec<i32> = found.coordinators.iter().map(|found| found.node_id).collect();
    assert!(nodes.iter().all(|node| [2, 3].contains(node)), "{nodes:?}");
    assert!(nodes.contains(&2) && nodes.contains(&3));
}

/// The proxy drains, and another is there if `others`.
async fn drain(fixture: &Fixture, others: bool) {
    let store = fixture.cluster.metadata.store();
    let soon = Instant::now() + Duration::from_secs(5);
    let drains = Node { draining: true, ..node("127.0.0.1", None) };
    store.txn(Txn::new().put(Node::key(HERE), drains.encode())).await.unwrap();
    let seen = |now: &Snapshot| now.is_draining(HERE).then_some(());
    fixture.cluster.view.wait_for(soon, seen).await.unwrap();
    if others {
        put_node(store, NodeId(2), "proxy", None).await;
        let seen = |now: &Snapshot| now.node(NodeId(2)).map(drop);
        fixture.cluster.view.wait_for(soon, seen).await.unwrap();
    }
}

#[tokio::test]
async fn a_proxy_that_drains_is_shown_and_leads_nothing_if_another_is_there() {
    let fixture = Fixture::start(&[("orders", 1, 30)]).await;
    let request = || MetadataRequest { topics: None, ..MetadataRequest::default() };
    for (others, brokers, leader) in [(false, vec![1], 1), (true, vec![1, 2], 2)] {
        drain(&fixture, others).await;
        let response = ask!(fixture, 12, request(), Metadata);
        let shown: Vec<i32> = response.brokers.iter().map(|broker| broker.node_id).collect();
        assert_eq!(shown, brokers);
        let partitions = &response.topics[0].partitions;
        assert!(partitions.iter().all(|partition| partition.leader_id == leader));
    }
}

#[tokio::test]
async fn a_proxy_that_drains_sends_clients_to_another_if_there_is_one() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.write(at(1, 0), record());
    for (others, error_code, leader) in
        [(false, ErrorCode::NONE, -1), (true, ErrorCode::NOT_LEADER_OR_FOLLOWER, 2)]
    {
        drain(&fixture, others).await;
        let fetched = ask!(fixture, 16, fetch::tests::request(&[(0, 0)]), Fetch);
        let partition = &fetched.responses[0].partitions[0];
        let current = &partition.current_leader;
        assert_eq!((partition.error_code, current.leader_id), (error_code, leader));

        let sent = produce::tests::request(-1, &[(0, record())]);
        let appending = produce::begin(&fixture.handlers, call(11), sent).await;
        let answer = appending.answer(Arc::clone(&fixture.handlers)).await;
        let produce::Outcome::Answer(answer) = answer else { panic!("acks were asked for") };
        let partition = &answer.responses[0].partition_responses[0];
        let current = &partition.current_leader;
        assert_eq!((partition.error_code, current.leader_id), (error_code, leader));
    }
    let written = fixture.broker.log(at(1, 0)).len();
    assert_eq!(written, 2, "what is refused is not written");
    // Who asks for no answer would not come again.
    let sent = produce::tests::request(0, &[(0, record())]);
    let appending = produce::begin(&fixture.handlers, call(11), sent).await;
    appending.answer(Arc::clone(&fixture.handlers)).await;
    assert_eq!(fixture.broker.log(at(1, 0)).len(), 3);
}

async fn list_offsets(
    fixture: &Fixture,
    version: i16,
    isolation_level: i8,
    partitions: Vec<ListOffsetsPartition>,
) -> Vec<ListOffsetsPartitionResponse> {
    let topics = vec![ListOffsetsTopic { name: "orders".into(), partitions }];
    let request = ListOffsetsRequest { isolation_level, topics, ..ListOffsetsRequest::default() };
    let response = ask!(fixture, version, request, ListOffsets);
    response.topics.into_iter().flat_map(|topic| topic.partitions).collect()
}

fn offset_at(timestamp: i64) -> ListOffsetsPartition {
    ListOffsetsPartition { partition_index: 0, timestamp, current_leader_epoch: -1 }
}

#[tokio::test]
async fn offsets_of_the_ends_and_of_times_are_exact() {
    let fixture = Fixture::start(TOPICS).await;
    // Timestamps 1000..1005, then 1000..1003, compressed.
    fixture.broker.write(at(1, 0), produced(5, 100, Compression::Zstd));
    fixture.broker.write(at(1, 0), produced(3, 100, Compression::Gzip));
    fixture.broker.trim(at(1, 0), 1);
    for (timestamp, offset, found) in [
        (-1, 8, -1),
        (-2, 1, -1),
        (-3, 4, 1004),
        (-4, 1, -1),
        (-5, -1, -1),
        (-6, -1, -1),
        (0, 1, 1001),
        (1003, 3, 1003),
        (1004, 4, 1004),
        (1005, -1, -1),
    ] {
        let [located] = &list_offsets(&fixture, 11, 0, vec![offset_at(timestamp)]).await[..] else {
            panic!("one partition");
        };
        let expected = (ErrorCode::NONE, offset, found);
        let got = (located.error_code, located.offset, located.timestamp);
        assert_eq!(got, expected, "at {timestamp}");
    }
}

#[tokio::test(start_paused = true)]
async fn offset_lookups_have_errors_of_their_own() {
    let fixture = Fixture::start(TOPICS).await;
    let code = async |version, partition| {
        list_offsets(&fixture, version, 0, vec![partition]).await[0].error_code
    };
    assert_eq!(code(6, offset_at(-3)).await, ErrorCode::UNSUPPORTED_VERSION);
    let unknown = ListOffsetsPartition { partition_index: 3, ..offset_at(-1) };
    assert_eq!(code(6, unknown).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    for (epoch, expected) in [(2, 74), (3, 0), (4, 75)] {
        let believing = ListOffsetsPartition { current_leader_epoch: epoch, ..offset_at(-1) };
        assert_eq!(code(6, believing).await.0, expected);
    }
    let twice = list_offsets(&fixture, 6, 0, vec![offset_at(-1), offset_at(-2)]).await;
    assert!(twice.iter().all(|partition| partition.error_code == ErrorCode::INVALID_REQUEST));
    fixture.broker.lose(at(1, 0));
    let began = Instant::now();
    assert_eq!(code(6, offset_at(-1)).await, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert!(began.elapsed() <= PATIENCE, "{:?}", began.elapsed());
    let change = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        fixture.broker.find(at(1, 0));
    };
    let (code, ()) = tokio::join!(code(6, offset_at(-1)), change);
    assert_eq!(code, ErrorCode::NONE, "it has moved");
}

#[tokio::test]
async fn times_are_found_in_the_store_too() {
    let fixture = Fixture::start(TOPICS).await;
    let object = ObjectName::Sorted { session: weir_ids::SessionId(5), number: 1 };
    // The timestamps of these are their offsets.
    let batches: Vec<_> = (0..5_i64).map(|i| objects::batch(3, i * 10, 10)).collect();
    let chunks = vec![objects::chunk(at(1, 0), 3, &batches)];
    let body = objects::body(weir_ids::SessionId(5), weir_ids::Slot(1), chunks);
    fixture.store.create(object, &body.parts).await.unwrap();
    fixture.broker.store(at(1, 0), vec![body.chunks[0].reference(object, 0)], 50);
    let located = list_offsets(&fixture, 11, 0, vec![offset_at(33)]).await;
    let got = (located[0].offset, located[0].timestamp, located[0].leader_epoch);
    assert_eq!(got, (33, 33, 3));
}

/// Two ranges of fifty offsets, which are their timestamps, listed by a page.
async fn paged(fixture: &Fixture) {
    let (session, object) =
        (weir_ids::SessionId(5), ObjectName::Sorted { session: weir_ids::SessionId(5), number: 1 });
    let batches: Vec<_> = (0..10_i64).map(|i| objects::batch(3, i * 10, 10)).collect();
    let chunks = batches.chunks(5).map(|of_one| objects::chunk(at(1, 0), 3, of_one)).collect();
    let body = objects::body(session, weir_ids::Slot(1), chunks);
    fixture.store.create(object, &body.parts).await.unwrap();
    let references = body.chunks.iter().map(|chunk| chunk.reference(object, 0)).collect();
    let name = ObjectName::Pages { session, number: 2 };
    let header =
        Header { cluster: objects::CLUSTER, session, number: 2, put_id: 1, kind: Kind::Pages };
    let mut builder = pages::Builder::new(name, &header);
    let entries = pages::Entries::References(references);
    let page = builder.add(&pages::Page { partition: at(1, 0), entries });
    fixture.store.create(name, &builder.finish()).await.unwrap();
    fixture.broker.page(at(1, 0), page, 100);
}

#[tokio::test]
async fn times_are_found_through_pages_too_and_not_among_what_is_gone() {
    let fixture = Fixture::start(TOPICS).await;
    paged(&fixture).await;
    let at_time = async |time| list_offsets(&fixture, 11, 0, vec![offset_at(time)]).await[0].offset;
    assert_eq!(at_time(73).await, 73);
    assert_eq!(at_time(-3).await, 99);
    assert_eq!(at_time(100).await, -1);
    // A range, and within it a batch, begin with records that are gone.
    fixture.broker.trim(at(1, 0), 55);
    assert_eq!(at_time(0).await, 55);
    assert_eq!(at_time(56).await, 56);
    assert_eq!(at_time(-3).await, 99);
}

#[tokio::test]
async fn producers_get_numbers_that_nobody_had() {
    let fixture = Fixture::start(TOPICS).await;
    let plain = InitProducerIdRequest { transactional_id: None, ..Default::default() };
    let first = ask!(fixture, 5, plain.clone(), InitProducerId);
    let second = ask!(fixture, 5, plain.clone(), InitProducerId);
    assert_eq!((first.error_code, first.producer_epoch), (ErrorCode::NONE, 0));
    assert_ne!(first.producer_id, second.producer_id);
    let transactional = InitProducerIdRequest { transactional_id: Some("t".into()), ..plain };
    let refused = ask!(fixture, 5, transactional, InitProducerId);
    assert_eq!(refused.error_code, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!((refused.producer_id, refused.producer_epoch), (-1, -1));
}

#[tokio::test]
async fn coordinators_are_found_one_by_one_or_many_at_once() {
    let fixture = Fixture::start(TOPICS).await;
    let one = FindCoordinatorRequest { key: "g".into(), ..FindCoordinatorRequest::default() };
    let found = ask!(fixture, 0, one.clone(), FindCoordinator);
    assert_eq!((found.error_code, found.node_id, found.port), (ErrorCode::NONE, 1, 9092));
    let transactional = FindCoordinatorRequest { key_type: 1, ..one };
    let found = ask!(fixture, 3, transactional, FindCoordinator);
    assert_eq!(found.error_code, ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
    assert_eq!(found.error_message.as_deref(), Some("transactions are not supported yet"));
    let many = FindCoordinatorRequest {
        coordinator_keys: vec!["a".into(), "b".into()],
        ..FindCoordinatorRequest::default()
    };
    let found = ask!(fixture, 6, many.clone(), FindCoordinator);
    let keys: Vec<_> =
        found.coordinators.iter().map(|found| (&*found.key, found.node_id)).collect();
    assert_eq!(keys, [("a", 1), ("b", 1)]);
    let shares = FindCoordinatorRequest { key_type: 2, ..many };
    let found = ask!(fixture, 6, shares, FindCoordinator);
    assert_eq!(found.coordinators[0].error_code, ErrorCode::INVALID_REQUEST);
}

#[tokio::test]
async fn group_requests_reach_the_coordinators_with_who_asks() {
    let fixture = Fixture::start(TOPICS).await;
    let joined = ask!(fixture, 9, JoinGroupRequest::default(), JoinGroup);
    assert_eq!(joined.member_id, "tester@/10.0.0.7");
}

#[tokio::test]
async fn sasl_comes_at_a_wrong_time() {
    let fixture = Fixture::start(TOPICS).await;
    let response = ask!(fixture, 1, SaslHandshakeRequest::default(), SaslHandshake);
    assert_eq!(response.error_code, ErrorCode::ILLEGAL_SASL_STATE);
    let response = ask!(fixture, 2, SaslAuthenticateRequest::default(), SaslAuthenticate);
    assert_eq!(response.error_code, ErrorCode::ILLEGAL_SASL_STATE);
}

fn wanted(name: &str, num_partitions: i32, replication_factor: i16) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions,
        replication_factor,
        ..CreatableTopic::default()
    }
}

fn with_config(topic: CreatableTopic, name: &str, value: Option<&str>) -> CreatableTopic {
    let config = CreatableTopicConfig { name: name.into(), value: value.map(Into::into) };
    CreatableTopic { configs: vec![config], ..topic }
}

async fn create(
    fixture: &Fixture,
    topics: Vec<CreatableTopic>,
    validate_only: bool,
) -> Vec<CreatableTopicResult> {
    let request = CreateTopicsRequest { topics, timeout_ms: 10_000, validate_only };
    ask!(fixture, 7, request, CreateTopics).topics
}

#[tokio::test]
async fn created_topics_can_be_used_at_once_and_say_what_they_are() {
    let fixture = Fixture::start(TOPICS).await;
    let fancy = with_config(wanted("fancy", 4, 3), "retention.ms", Some("60000"));
    let created = create(&fixture, vec![wanted("plain", -1, -1), fancy], false).await;
    assert_eq!((created[0].error_code, created[0].num_partitions), (ErrorCode::NONE, 1));
    assert_eq!((created[1].num_partitions, created[1].replication_factor), (4, 3));
    let configs = created[1].configs.as_ref().unwrap();
    let of = |name: &str| configs.iter().find(|config| config.name == name).unwrap();
    let retention = of("retention.ms");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("60000"), 1));
    let policy = of("cleanup.policy");
    assert_eq!((policy.value.as_deref(), policy.config_source), (Some("delete"), 5));
    let seen = metadata(&fixture, 12, Some(vec![by_name("fancy")])).await;
    assert_eq!(seen.topics[0].topic_id, created[1].topic_id);
    assert_eq!(seen.topics[0].partitions.len(), 4);
    assert_eq!(seen.topics[0].partitions[3].leader_epoch, 3, "its owner has answered");
}

#[tokio::test]
async fn creation_is_refused_topic_by_topic_and_validated_without_effect() {
    let fixture = Fixture::start(TOPICS).await;
    let by_hand = |count: i32, partition_index| {
        let assignments = vec![CreatableReplicaAssignment { partition_index, broker_ids: vec![1] }];
        CreatableTopic { assignments, ..wanted("by-hand", count, -1) }
    };
    for (topic, code) in [
        (wanted("orders", 1, 1), 36),
        (wanted("bad name", 1, 1), 17),
        (wanted("none", 0, 1), 37),
        (wanted("none", -2, 1), 37),
        (wanted("much", 1, 0), 38),
        (wanted("much", 1, 4), 38),
        (with_config(wanted("odd", 1, 1), "retention.mss", Some("1")), 40),
        (with_config(wanted("odd", 1, 1), "retention.ms", Some("soon")), 40),
        (with_config(wanted("odd", 1, 1), "retention.ms", None), 40),
        (by_hand(3, 0), 42),
        (by_hand(-1, 1), 39),
        (by_hand(-1, 0), 0),
    ] {
        let name = topic.name.clone();
        let result = &create(&fixture, vec![topic], true).await[0];
        assert_eq!(result.error_code.0, code, "{name}: {:?}", result.error_message);
        assert_eq!(result.error_message.is_some(), code != 0);
    }
    let twice = vec![wanted("two", 1, 1), wanted("one", 1, 1), wanted("two", 2, 1)];
    let results = create(&fixture, twice, true).await;
    let codes: Vec<_> = results.iter().map(|result| (&*result.name, result.error_code.0)).collect();
    assert_eq!(codes, [("one", 0), ("two", 42)], "one result a topic");
    assert_eq!(names(&metadata(&fixture, 12, None).await.topics).len(), 3, "nothing was created");
}

#[tokio::test(start_paused = true)]
async fn a_topic_whose_owner_does_not_answer_times_out_and_is_there_nevertheless() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.disown_all();
    let began = Instant::now();
    let results = create(&fixture, vec![wanted("slow", 2, 1)], false).await;
    assert_eq!(results[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert!(began.elapsed() <= Duration::from_secs(10));
    assert!(fixture.cluster.view.now().topic("slow").is_some());
}

#[tokio::test]
async fn topics_grow_and_never_shrink() {
    let fixture = Fixture::start(TOPICS).await;
    let grow = async |topics, validate_only| {
        let request = CreatePartitionsRequest { topics, timeout_ms: 10_000, validate_only };
        ask!(fixture, 3, request, CreatePartitions).results
    };
    let to =
        |name: &str, count| CreatePartitionsTopic { name: name.into(), count, assignments: None };
    let assigned = |count, brokers: usize| CreatePartitionsTopic {
        assignments: Some(vec![CreatePartitionsAssignment { broker_ids: vec![1] }; brokers]),
        ..to("orders", count)
    };
    for (topic, code) in [
        (to("nothing", 5), 3),
        (to("orders", 3), 37),
        (to("orders", 2), 37),
        (to("orders", -1), 37),
        (assigned(5, 1), 39),
        (assigned(5, 2), 0),
        (to("__consumer_offsets", 5), 42),
    ] {
        let name = topic.name.clone();
        let result = &grow(vec![topic], true).await[0];
        assert_eq!(result.error_code.0, code, "{name}: {:?}", result.error_message);
    }
    let results = grow(vec![to("orders", 5), to("clicks", 2), to("clicks", 3)], false).await;
    let codes: Vec<_> = results.iter().map(|result| (&*result.name, result.error_code.0)).collect();
    assert_eq!(codes, [("orders", 0), ("clicks", 42)]);
    let seen = metadata(&fixture, 12, Some(vec![by_name("orders")])).await;
    assert_eq!(seen.topics[0].partitions.len(), 5);
}

#[tokio::test]
async fn topics_are_deleted_by_name_or_id() {
    let fixture = Fixture::start(TOPICS).await;
    let delete = async |version, topics, topic_names| -> Vec<DeletableTopicResult> {
        let request = DeleteTopicsRequest { topics, topic_names, timeout_ms: 10_000 };
        ask!(fixture, version, request, DeleteTopics).responses
    };
    let named = |name: Option<&str>, id| DeleteTopicState {
        name: name.map(Into::into),
        topic_id: topic_id(id),
    };
    let results = delete(
        6,
        vec![
            named(Some("orders"), 0),
            named(None, 77),
            named(Some("nothing"), 0),
            named(None, 0),
            named(Some("__consumer_offsets"), 0),
        ],
        Vec::new(),
    )
    .await;
    let codes: Vec<_> = results.iter().map(|result| result.error_code.0).collect();
    assert_eq!(codes, [0, 100, 3, 42, 42]);
    assert_eq!((results[0].name.as_deref(), results[0].topic_id), (Some("orders"), topic_id(1)));
    assert!(results[1].error_message.is_some() && results[1].name.is_none());
    let results = delete(5, Vec::new(), vec!["clicks".into(), "orders".into()]).await;
    let codes: Vec<_> = results.iter().map(|result| result.error_code.0).collect();
    assert_eq!(codes, [0, 3]);
    assert_eq!(names(&metadata(&fixture, 12, None).await.topics), ["__consumer_offsets"]);
}

#[tokio::test]
async fn configs_are_described_whole() {
    let fixture = Fixture::start(TOPICS).await;
    let topic = with_config(wanted("fancy", 1, 1), "cleanup.policy", Some("compact"));
    create(&fixture, vec![topic], false).await;
    let resource = |resource_type, name: &str, keys: Option<&[&str]>| DescribeConfigsResource {
        resource_type,
        resource_name: name.into(),
        configuration_keys: keys.map(|keys| keys.iter().map(|key| (*key).into()).collect()),
    };
    let request = DescribeConfigsRequest {
        resources: vec![
            resource(2, "fancy", None),
            resource(2, "fancy", Some(&["cleanup.policy", "no.such.config"])),
            resource(2, "nothing", None),
            resource(2, "bad name", None),
            resource(4, "1", None),
            resource(4, "", None),
            resource(4, "2", None),
            resource(77, "x", None),
        ],
        include_synonyms: true,
        include_documentation: true,
    };
    let results = ask!(fixture, 4, request, DescribeConfigs).results;
    let codes: Vec<_> = results.iter().map(|result| result.error_code.0).collect();
    assert_eq!(codes, [0, 0, 3, 17, 0, 0, 42, 42]);
    assert_eq!(results[0].configs.len(), weir_meta::topic_config::TOPIC_CONFIGS.len());
    let [policy] = &results[1].configs[..] else { panic!("one config") };
    assert_eq!((policy.value.as_deref(), policy.config_source), (Some("compact"), 1));
    assert_eq!((policy.config_type, policy.read_only, policy.is_sensitive), (7, false, false));
    let synonyms: Vec<_> = policy
        .synonyms
        .iter()
        .map(|synonym| (&*synonym.name, synonym.value.as_deref().unwrap(), synonym.source))
        .collect();
    let expected = [("cleanup.policy", "compact", 1), ("log.cleanup.policy", "delete", 5)];
    assert_eq!(synonyms, expected);
    assert!(policy.documentation.as_ref().is_some_and(|text| text.ends_with('.')));
    let of = |name: &str| results[4].configs.iter().find(|config| config.name == name).unwrap();
    assert_eq!(of("node.id").value.as_deref(), Some("1"));
    assert_eq!(of("auto.create.topics.enable").value.as_deref(), Some("true"));
    assert!(of("message.max.bytes").read_only);
    assert!(results[5].configs.is_empty());
}

#[tokio::test]
async fn the_cluster_is_described() {
    let fixture = Fixture::start(TOPICS).await;
    let request = DescribeClusterRequest {
        include_cluster_authorized_operations: true,
        ..DescribeClusterRequest::default()
    };
    let response = ask!(fixture, 2, request.clone(), DescribeCluster);
    assert_eq!((response.error_code, &*response.cluster_id), (ErrorCode::NONE, "a-cluster"));
    assert_eq!((response.controller_id, response.brokers[0].broker_id), (1, HERE.0 as i32));
    assert_eq!(response.cluster_authorized_operations, 0x1fa0);
    for (endpoint_type, code) in [(2, 114), (3, 115)] {
        let request = DescribeClusterRequest { endpoint_type, ..request.clone() };
        assert_eq!(ask!(fixture, 2, request, DescribeCluster).error_code.0, code);
    }
}
