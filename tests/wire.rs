//! What every client relies on before it says anything of substance.

use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse, MetadataRequest};
use kafka_protocol::protocol::Decodable;
use weir_test_support::server_under_test;
use weir_test_support::wire::Connection;

const WEIR: &str = env!("CARGO_BIN_EXE_weir");

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = server_under_test(WEIR).unwrap();
    let mut connection = Connection::open(server.address()).unwrap();
    let (versions, metadata) = (ApiVersionsRequest::default(), MetadataRequest::default());
    let sent: Vec<(i32, i32)> = (0..100)
        .map(|_| (connection.send(0, &versions).unwrap(), connection.send(4, &metadata).unwrap()))
        .collect();
    for (first, second) in sent {
        connection.receive::<ApiVersionsRequest>(0, first).unwrap();
        connection.receive::<MetadataRequest>(4, second).unwrap();
    }
}

/// KIP-511: a client that is newer than the server learns what to speak.
#[test]
fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let server = server_under_test(WEIR).unwrap();
    let mut connection = Connection::open(server.address()).unwrap();
    // Key 18 in version 99, correlation 7, no client id, no tags; then a body that nobody can know.
    connection.send_frame(&[0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0, 0xff, 0xff, 0xff]).unwrap();
    let mut frame = connection.read_frame().unwrap().unwrap();
    assert_eq!(frame.split_to(4)[..], [0, 0, 0, 7]);
    let answer = ApiVersionsResponse::decode(&mut frame, 0).unwrap();
    assert_eq!(answer.error_code, 35);
    assert!(answer.api_keys.iter().any(|it| it.api_key == 18 && it.max_version >= 3));
}

#[test]
fn an_unsupported_version_of_anything_else_closes_the_connection() {
    let server = server_under_test(WEIR).unwrap();
    for key in [0, 1, 3, 11, 9_999] {
        let mut connection = Connection::open(server.address()).unwrap();
        let [high, low] = i16::to_be_bytes(key);
        connection.send_frame(&[high, low, 0, 99, 0, 0, 0, 7, 0xff, 0xff]).unwrap();
        assert_eq!(connection.read_frame().unwrap(), None, "key {key}");
    }
}
