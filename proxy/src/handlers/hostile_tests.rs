//! Requests that are nearly right: whatever bytes arrive, there is an answer or a closed
//! connection, no panic, and the memory that was taken comes back.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::time::timeout;
use weir_protocol::{
    ApiKey, Message, RequestBody,
    codec::Encoder,
    messages::{
        DescribeConfigsRequest, FetchRequest, FindCoordinatorRequest, ListOffsetsRequest,
        ProduceRequest, RequestHeader,
        describe_configs::DescribeConfigsResource,
        fetch::FetchTopic,
        list_offsets::ListOffsetsTopic,
        produce::{PartitionProduceData, TopicProduceData},
    },
};

use crate::{
    connection::{Frame, FrameMemory, Reply, Service},
    testing::{Fixture, call, record, topic_id},
};

/// Creating topics at random takes long and is tested by itself.
const LEFT_OUT: [ApiKey; 2] = [ApiKey::CreateTopics, ApiKey::CreatePartitions];

/// A request of an API in a version that does something.
fn request(api: ApiKey, version: i16) -> Bytes {
    let header = RequestHeader {
        request_api_key: api as i16,
        request_api_version: version,
        correlation_id: 7,
        client_id: Some("hostile".into()),
    };
    let body = body(api, version);
    let write = |e: &mut Encoder| {
        header.encode(e, api.request_header_version(version))?;
        body.encode(e, version)
    };
    let mut encoder = Encoder::new();
    write(&mut encoder).unwrap();
    encoder.finish().into_bytes()
}

/// Defaults, but for those that only do something if they name a partition.
fn body(api: ApiKey, version: i16) -> RequestBody {
    macro_rules! defaults {
        ($($name:ident)*) => {
            match api {
                ApiKey::Produce => produce(version).into(),
                ApiKey::Fetch => fetch(version).into(),
                ApiKey::ListOffsets => list_offsets().into(),
                $(ApiKey::$name => RequestBody::$name(Default::default()),)*
            }
        };
    }
    defaults!(
        Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup Heartbeat LeaveGroup SyncGroup
        DescribeGroups ListGroups SaslHandshake ApiVersions CreateTopics DeleteTopics
        DeleteRecords InitProducerId OffsetForLeaderEpoch DescribeConfigs SaslAuthenticate CreatePartitions DeleteGroups
        DescribeCluster
    )
}

fn produce(version: i16) -> ProduceRequest {
    let data = PartitionProduceData { records: Some(record().into()), ..Default::default() };
    let mut topic = TopicProduceData { partition_data: vec![data], ..Default::default() };
    if version >= 13 {
        topic.topic_id = topic_id(1);
    } else {
        topic.name = "orders".into();
    }
    let topic_data = vec![topic];
    ProduceRequest { transactional_id: None, acks: -1, topic_data, ..Default::default() }
}

fn fetch(version: i16) -> FetchRequest {
    let mut topic = FetchTopic { partitions: vec![Default::default()], ..Default::default() };
    if version >= 13 {
        topic.topic_id = topic_id(1);
    } else {
        topic.topic = "orders".into();
    }
    FetchRequest { topics: vec![topic], ..Default::default() }
}

fn list_offsets() -> ListOffsetsRequest {
    let topic = ListOffsetsTopic { name: "orders".into(), partitions: vec![Default::default()] };
    ListOffsetsRequest { topics: vec![topic], ..Default::default() }
}

fn apis() -> impl Strategy<Value = (ApiKey, i16)> {
    let served = ApiKey::ALL.iter().copied().filter(|api| !LEFT_OUT.contains(api));
    let versions = served.flat_map(|api| {
        let (advertised, decodable) = (api.advertised(), api.decodable());
        let versions = advertised.min.max(decodable.min)..=advertised.max.min(decodable.max);
        versions.map(move |version| (api, version))
    });
    prop::sample::select(versions.collect::<Vec<_>>())
}

/// Answers one frame; the reply.
async fn answer(fixture: &Fixture, memory: &FrameMemory, bytes: Bytes) -> Reply {
    let frame = Frame::whole(bytes, memory).await;
    let call = call(0);
    let pending = fixture.handlers.begin(&call.peer, &call.conversation, frame).await;
    timeout(Duration::from_secs(400), pending).await.expect("an answer within the longest wait")
}

fn run(frames: Vec<Bytes>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let fixture = Fixture::start(&[("orders", 1, 2)]).await;
        let memory = FrameMemory::new(&fixture.handlers.shared.settings);
        let free = memory.free_bytes();
        for bytes in frames {
            let reply = answer(&fixture, &memory, bytes).await;
            assert!(!matches!(&reply, Reply::Send(response) if response.parts.is_empty()));
        }
        assert_eq!(memory.free_bytes(), free);
        let shared = &fixture.handlers.shared;
        assert_eq!(shared.response_memory.free_bytes(), shared.response_memory.total_bytes());
        fixture.tasks.shutdown().await.unwrap();
    });
}

#[test]
fn every_api_is_answered_in_every_version_that_is_offered() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let fixture = Fixture::start(&[("orders", 1, 2)]).await;
        let memory = FrameMemory::new(&fixture.handlers.shared.settings);
        for api in ApiKey::ALL {
            for version in api.advertised().iter().filter(|version| api.accepts(*version)) {
                let reply = answer(&fixture, &memory, request(*api, version)).await;
                assert!(matches!(reply, Reply::Send(_)), "{api} {version}: {reply:?}");
            }
        }
    });
}

#[tokio::test]
async fn a_few_bytes_cannot_ask_for_gigabytes() {
    let fixture = Fixture::start(&[("orders", 1, 2)]).await;
    let resource = DescribeConfigsResource {
        resource_type: 2,
        resource_name: "orders".into(),
        configuration_keys: None,
    };
    let greedy = |count| DescribeConfigsRequest {
        resources: vec![resource.clone(); count],
        ..DescribeConfigsRequest::default()
    };
    let handlers = &fixture.handlers;
    let reason = handlers.handle(&call(4), greedy(500_000).into()).await.err().unwrap();
    assert!(reason.starts_with("the answer would take 5120000000 bytes"), "{reason}");
    assert!(handlers.handle(&call(4), greedy(100).into()).await.is_ok());
    let keys = vec!["k".into(); 2_000_000];
    let greedy = FindCoordinatorRequest { coordinator_keys: keys, ..Default::default() };
    assert!(handlers.handle(&call(6), greedy.into()).await.is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn requests_with_other_bytes(
        requests in prop::collection::vec(
            (apis(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)),
            1..20,
        ),
    ) {
        let spoiled = requests.into_iter().map(|((api, version), changes)| {
            let mut bytes = request(api, version).to_vec();
            for (place, byte) in changes {
                // The key and the version stay: others are another request.
                let place = 4 + place.index(bytes.len() - 4);
                bytes[place] = byte;
            }
            bytes.into()
        });
        run(spoiled.collect());
    }

    #[test]
    fn requests_that_are_cut_or_longer(
        requests in prop::collection::vec((apis(), 8..400_usize), 1..20),
    ) {
        let resized = requests.into_iter().map(|((api, version), len)| {
            let mut bytes = request(api, version).to_vec();
            bytes.resize(len, 0xff);
            bytes.into()
        });
        run(resized.collect());
    }
}
