//! The crate `kafka-protocol`, an implementation that owes nothing to ours, as a witness: for every
//! message and version that both know, it reads what we write and writes the same bytes.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable, Message as Theirs};
use proptest::prelude::*;
use weir_protocol::Message as Ours;
use weir_protocol::codec::Versions;
use weir_protocol::messages::*;

use crate::made_up;
use crate::subjects::recode;

/// Versions that both know.
fn shared<O: Ours, T: Theirs>() -> Versions {
    let theirs = T::VERSIONS;
    Versions::new(O::VERSIONS.min.max(theirs.min), O::VERSIONS.max.min(theirs.max))
}

fn agree<O: Ours + std::fmt::Debug, T: Theirs + Decodable + Encodable>(choices: &[u8]) {
    for version in shared::<O, T>().iter() {
        let name = O::MESSAGE.name;
        let bytes = Bytes::from(made_up::message(O::MESSAGE, version, choices));
        let ours = recode::<O>(bytes, version).unwrap().bytes;

        let mut unread = ours.clone();
        let theirs = T::decode(&mut unread, version)
            .unwrap_or_else(|error| panic!("{name} {version} is not read: {error}"));
        assert!(unread.is_empty(), "{name} {version}: {} bytes are not read", unread.len());
        let mut written = BytesMut::new();
        theirs
            .encode(&mut written, version)
            .unwrap_or_else(|error| panic!("{name} {version} is not written: {error}"));
        assert_eq!(written, ours, "{name} {version}");
    }
}

macro_rules! witness {
    ($($test:ident: $($name:ident),*;)*) => {
        $(
            proptest! {
                #![proptest_config(ProptestConfig::with_cases(64))]
                #[test]
                fn $test(choices in made_up::choices()) {
                    $(agree::<$name, kafka_protocol::messages::$name>(&choices);)*
                }
            }
        )*

        #[test]
        fn the_witness_knows_nearly_all_versions() {
            let mut partly = Vec::new();
            $($(
                let known = shared::<$name, kafka_protocol::messages::$name>();
                if known != <$name as Ours>::VERSIONS {
                    partly.push((stringify!($name), known));
                }
            )*)*
            // For the versions beyond these, made-up values and the JSON schemas vouch alone.
            assert_eq!(partly, PARTLY_KNOWN);
        }
    };
}

/// What the witness knows of the messages that it does not know whole.
const PARTLY_KNOWN: &[(&str, Versions)] = &[
    ("ListOffsetsRequest", Versions::new(1, 10)),
    ("ListOffsetsResponse", Versions::new(1, 10)),
    ("OffsetCommitRequest", Versions::new(2, 9)),
    ("OffsetFetchRequest", Versions::new(1, 9)),
    ("InitProducerIdRequest", Versions::new(0, 5)),
];

witness! {
    produce: ProduceRequest, ProduceResponse;
    fetch: FetchRequest, FetchResponse;
    list_offsets: ListOffsetsRequest, ListOffsetsResponse;
    metadata: MetadataRequest, MetadataResponse;
    offset_commit: OffsetCommitRequest, OffsetCommitResponse;
    offset_fetch: OffsetFetchRequest, OffsetFetchResponse;
    find_coordinator: FindCoordinatorRequest, FindCoordinatorResponse;
    join_group: JoinGroupRequest, JoinGroupResponse;
    heartbeat: HeartbeatRequest, HeartbeatResponse;
    leave_group: LeaveGroupRequest, LeaveGroupResponse;
    sync_group: SyncGroupRequest, SyncGroupResponse;
    describe_groups: DescribeGroupsRequest, DescribeGroupsResponse;
    list_groups: ListGroupsRequest, ListGroupsResponse;
    sasl: SaslHandshakeRequest, SaslHandshakeResponse, SaslAuthenticateRequest,
        SaslAuthenticateResponse;
    api_versions: ApiVersionsRequest, ApiVersionsResponse;
    topics: CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
        CreatePartitionsRequest, CreatePartitionsResponse;
    records: DeleteRecordsRequest, DeleteRecordsResponse, OffsetForLeaderEpochRequest,
        OffsetForLeaderEpochResponse;
    init_producer_id: InitProducerIdRequest, InitProducerIdResponse;
    describe_configs: DescribeConfigsRequest, DescribeConfigsResponse;
    delete_groups: DeleteGroupsRequest, DeleteGroupsResponse;
    describe_cluster: DescribeClusterRequest, DescribeClusterResponse;
    headers: RequestHeader, ResponseHeader;
    consumer_protocol: ConsumerProtocolSubscription, ConsumerProtocolAssignment;
}
