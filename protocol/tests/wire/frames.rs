//! Whole frames by hand: classic requests and responses, byte for byte.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol::codec::Records;
use weir_protocol::messages::fetch::{FetchableTopicResponse, PartitionData};
use weir_protocol::messages::metadata::MetadataRequestTopic;
use weir_protocol::messages::*;
use weir_protocol::{
    ApiKey, ErrorCode, Message as _, RequestBody, RequestError, RequestFrame, decode_response,
    encode_request, encode_response,
};

/// Bytes from hex digits; spaces set values apart.
fn hex(text: &str) -> Bytes {
    let digits: Vec<_> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

#[test]
fn api_versions_3_request() {
    //               key  ver  correlation client "rdkafka"        tags
    let frame =
        hex("0012 0003 00000001 0007 72646b61666b61 00 0b 6c696272646b61666b61 06 322e332e30 00");
    let request = RequestFrame::parse(frame.clone()).unwrap();
    assert_eq!((request.api, request.version), (ApiKey::ApiVersions, 3));
    assert_eq!(request.correlation_id, 1);
    assert_eq!(request.client_id.as_deref(), Some("rdkafka"));
    let body: ApiVersionsRequest = request.decode().unwrap();
    assert_eq!(body.client_software_name, "librdkafka");
    assert_eq!(body.client_software_version, "2.3.0");

    let encoded = encode_request(3, 1, Some("rdkafka".into()), &body).unwrap().into_bytes();
    assert_eq!(encoded[..4], (frame.len() as i32).to_be_bytes());
    assert_eq!(encoded[4..], frame);
}

#[test]
fn api_versions_response_header_is_version_0_for_ever() {
    let body = ApiVersionsResponse {
        error_code: ErrorCode::UNSUPPORTED_VERSION,
        api_keys: vec![api_versions::ApiVersion { api_key: 18, min_version: 0, max_version: 4 }],
        ..Default::default()
    };
    let encode = |version| encode_response(version, 7, &body).unwrap().into_bytes();
    assert_eq!(encode(0), hex("00000010 00000007 0023 00000001 0012 0000 0004"));
    assert_eq!(encode(3), hex("00000013 00000007 0023 02 0012 0000 0004 00 00000000 00"));
    let (id, decoded) = decode_response::<ApiVersionsResponse>(encode(3).slice(4..), 3).unwrap();
    assert_eq!((id, decoded), (7, body));
}

#[test]
fn unknown_api_versions_version_is_told_apart_without_parsing() {
    // What follows the correlation id is of a version to come and need not make sense.
    let error = RequestFrame::parse(hex("0012 0063 0000002a ffff ff ff")).unwrap_err();
    assert_eq!(error, RequestError::ApiVersions { version: 99, correlation_id: 42 });
}

#[test]
fn what_is_not_served_is_refused_by_name() {
    let refused = |frame| RequestFrame::parse(hex(frame)).unwrap_err().to_string();
    assert_eq!(refused("0004 0001 00000000 ffff"), "API key 4 (version 1) is not served");
    // Produce 0 is offered, for old librdkafka, and refused.
    assert_eq!(refused("0000 0000 00000000 ffff"), "Produce version 0 is not served: 0-11 are");
    // Produce 12 can be decoded, and is not offered.
    assert_eq!(refused("0000 000c 00000000 ffff 00"), "Produce version 12 is not served: 0-11 are");
    assert_eq!(
        refused("0012 0003 00"),
        "cannot decode frame at byte 4: 4 bytes are needed and 1 are left"
    );
}

#[test]
fn metadata_tells_all_topics_from_none() {
    let topics = |version: &str, list: &str| {
        let frame = hex(&format!("0003 {version} 00000000 ffff {list}"));
        let body = RequestFrame::parse(frame).unwrap().into_body().unwrap();
        let RequestBody::Metadata(request) = body else { panic!("another request") };
        request.topics
    };
    assert_eq!(topics("0000", "00000000"), Some(vec![]));
    assert_eq!(topics("0001", "ffffffff"), None);
    let named = |name: &'static str| MetadataRequestTopic {
        name: Some(ByteString::from_static(name)),
        ..Default::default()
    };
    assert_eq!(topics("0001", "00000002 0001 61 0001 62"), Some(vec![named("a"), named("b")]));
    // Version 0 has no null.
    let frame = RequestFrame::parse(hex("0003 0000 00000000 ffff ffffffff")).unwrap();
    assert_eq!(
        frame.into_body().unwrap_err().to_string(),
        "cannot decode MetadataRequest (MetadataRequest.Topics) at byte 14: null is not allowed here"
    );
}

#[test]
fn produce_3_request_shares_its_records() {
    let frame = hex(
        "0000 0003 00000005 ffff  ffff ffff 000003e8  00000001 0001 74  00000001 00000002 00000003 aabbcc",
    );
    let records_at = frame.as_ptr_range().end as usize - 3;
    let request: ProduceRequest = RequestFrame::parse(frame).unwrap().decode().unwrap();
    assert_eq!((request.acks, request.timeout_ms), (-1, 1000));
    assert_eq!(request.transactional_id, None);
    let partition = &request.topic_data[0].partition_data[0];
    assert_eq!(partition.index, 2);
    let records = partition.records.clone().unwrap().into_bytes();
    assert_eq!(records, hex("aabbcc"));
    assert_eq!(records.as_ptr() as usize, records_at, "copied");
}

#[test]
fn fetch_response_sends_records_as_they_are() {
    let chunks: Vec<_> = (0..3u8).map(|byte| Bytes::from(vec![byte; 4096])).collect();
    let body = FetchResponse {
        responses: vec![FetchableTopicResponse {
            topic: "t".into(),
            partitions: vec![PartitionData {
                high_watermark: 9,
                records: Some(chunks.iter().cloned().collect::<Records>()),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let parts = encode_response(4, 1, &body).unwrap();
    let sent: Vec<_> = parts.iter().map(|part| part.as_ptr()).collect();
    for chunk in &chunks {
        assert!(sent.contains(&chunk.as_ptr()), "copied");
    }
    assert_eq!(parts.iter().len(), 4, "a head and the three chunks");
    let frame = parts.into_bytes().slice(4..);
    let (_, decoded) = decode_response::<FetchResponse>(frame, 4).unwrap();
    assert_eq!(decoded.responses[0].partitions[0].records, body.responses[0].partitions[0].records);
}

#[test]
fn secrets_are_not_printed() {
    let request = SaslAuthenticateRequest { auth_bytes: Bytes::from_static(b"\0user\0hunter2") };
    let printed = format!("{:?}", RequestBody::from(request));
    assert!(!printed.contains("hunter2") && printed.contains("13 secret bytes"), "{printed}");
}

#[test]
fn find_coordinator_0_and_4() {
    let request = |frame| -> FindCoordinatorRequest {
        RequestFrame::parse(hex(frame)).unwrap().decode().unwrap()
    };
    //                     header              key
    let old = request("000a 0000 00000001 ffff 0005 67726f7570");
    assert_eq!((&*old.key, old.key_type), ("group", 0));
    //                     header                 type keys          tags
    let new = request("000a 0004 00000001 ffff 00 00 02 06 67726f7570 00");
    assert_eq!((&*new.key, new.coordinator_keys), ("", vec!["group".into()]));
}

#[test]
fn join_group_5_request() {
    let frame = hex(
        "000b 0005 00000002 0001 63  0001 67 00002710 00007530 0000 ffff 0008 636f6e73756d6572 \
         00000001 0005 72616e6765 00000002 abcd",
    );
    let request: JoinGroupRequest = RequestFrame::parse(frame).unwrap().decode().unwrap();
    let expected = JoinGroupRequest {
        group_id: "g".into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 30_000,
        protocol_type: "consumer".into(),
        protocols: vec![join_group::JoinGroupRequestProtocol {
            name: "range".into(),
            metadata: hex("abcd"),
        }],
        ..Default::default()
    };
    assert_eq!(request, expected);
}

#[test]
fn produce_10_response_tells_the_new_leader_in_tags() {
    let body = ProduceResponse {
        responses: vec![produce::TopicProduceResponse {
            name: "t".into(),
            partition_responses: vec![produce::PartitionProduceResponse {
                error_code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
                base_offset: -1,
                current_leader: produce::LeaderIdAndEpoch { leader_id: 2, leader_epoch: 9 },
                ..Default::default()
            }],
            ..Default::default()
        }],
        node_endpoints: vec![produce::NodeEndpoint {
            node_id: 2,
            host: "h".into(),
            port: 9092,
            rack: None,
        }],
        ..Default::default()
    };
    let frame = encode_response(10, 3, &body).unwrap().into_bytes();
    let expected =
        hex("0000004a 00000003 00  02 02 74  02 00000000 0006 ffffffffffffffff ffffffffffffffff \
         ffffffffffffffff 01 00  01 00 09 00000002 00000009 00  00  00000000 \
         01 00 0d 02 00000002 02 68 00002384 00 00");
    assert_eq!(frame, expected);
    assert_eq!(decode_response(frame.slice(4..), 10).unwrap(), (3, body));
}

#[test]
fn a_committed_offset_as_kafka_keeps_it() {
    let value = OffsetCommitValue {
        offset: 42,
        leader_epoch: 3,
        metadata: "m".into(),
        commit_timestamp: 1000,
        ..Default::default()
    };
    let bytes = value.encode_versioned(3).unwrap();
    assert_eq!(bytes, hex("0003 000000000000002a 00000003 0001 6d 00000000000003e8"));
    assert_eq!(OffsetCommitValue::decode_versioned(bytes).unwrap(), value);
}

#[test]
fn an_old_client_is_answered_with_what_its_version_has() {
    use weir_protocol::messages::list_offsets::{
        ListOffsetsPartitionResponse, ListOffsetsTopicResponse,
    };
    let partition = ListOffsetsPartitionResponse {
        offset: 7,
        timestamp: 5,
        leader_epoch: 3,
        ..Default::default()
    };
    let topic = ListOffsetsTopicResponse { name: "t".into(), partitions: vec![partition] };
    let response = ListOffsetsResponse { topics: vec![topic], ..Default::default() };
    for (version, epoch) in [(2, -1), (3, -1), (4, 3), (7, 3)] {
        let mut bytes = encode_response(version, 1, &response).unwrap().into_bytes();
        let frame = bytes.split_off(4);
        let (_, read) = decode_response::<ListOffsetsResponse>(frame, version).unwrap();
        let found = &read.topics[0].partitions[0];
        assert_eq!((found.offset, found.leader_epoch), (7, epoch), "version {version}");
    }
}
