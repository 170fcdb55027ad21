//! Every message, in a form that tests can go through.

use bytes::Bytes;
use weir_protocol::codec::{DecodeError, Decoder, Encoder, MessageSchema};
use weir_protocol::messages::*;
use weir_protocol::{ApiKey, Message};

/// A message, without its type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    /// What it is.
    pub(crate) schema: &'static MessageSchema,
    /// Reads bytes, writes what was read, and sees that this reads back as the same.
    pub(crate) recode: fn(Bytes, i16) -> Result<Recoded, DecodeError>,
}

/// Bytes that were read and written again.
#[derive(Debug)]
pub(crate) struct Recoded {
    /// What was written.
    pub(crate) bytes: Bytes,
    /// Bytes that the reader left behind.
    pub(crate) left: usize,
}

/// Reads and writes a message of type `M`.
pub(crate) fn recode<M: Message + std::fmt::Debug>(
    bytes: Bytes,
    version: i16,
) -> Result<Recoded, DecodeError> {
    let mut d = Decoder::new(bytes);
    let message = M::decode(&mut d, version)?;
    let mut e = Encoder::new();
    message.encode(&mut e, version).unwrap();
    let bytes = e.finish().into_bytes();
    let again = M::decode(&mut Decoder::new(bytes.clone()), version).unwrap();
    assert_eq!(again, message, "version {version}");
    Ok(Recoded { bytes, left: d.remaining() })
}

macro_rules! subjects {
    ($($name:ident),* $(,)?) => {
        /// Every message there is.
        pub(crate) const SUBJECTS: &[Subject] =
            &[$(Subject { schema: $name::MESSAGE, recode: recode::<$name> }),*];
    };
}

subjects! {
    ProduceRequest, ProduceResponse, FetchRequest, FetchResponse, ListOffsetsRequest,
    ListOffsetsResponse, MetadataRequest, MetadataResponse, OffsetCommitRequest,
    OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, JoinGroupRequest, JoinGroupResponse, HeartbeatRequest,
    HeartbeatResponse, LeaveGroupRequest, LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
    DescribeGroupsRequest, DescribeGroupsResponse, ListGroupsRequest, ListGroupsResponse,
    SaslHandshakeRequest, SaslHandshakeResponse, ApiVersionsRequest, ApiVersionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteTopicsRequest, DeleteTopicsResponse,
    InitProducerIdRequest, InitProducerIdResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    SaslAuthenticateRequest, SaslAuthenticateResponse, CreatePartitionsRequest,
    CreatePartitionsResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, DeleteGroupsRequest, DeleteGroupsResponse, DescribeClusterRequest,
    DescribeClusterResponse, RequestHeader, ResponseHeader, OffsetCommitKey, OffsetCommitValue,
    GroupMetadataKey, GroupMetadataValue, ConsumerProtocolSubscription, ConsumerProtocolAssignment,
}

#[test]
fn no_api_is_left_out() {
    for api in ApiKey::ALL {
        for schema in [api.request(), api.response()] {
            assert!(
                SUBJECTS.iter().any(|subject| subject.schema.name == schema.name),
                "{} is not among the subjects",
                schema.name,
            );
        }
    }
}
