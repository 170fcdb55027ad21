//! DescribeGroups (key 15): state and members of groups.

use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Groups to describe.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 15, versions = "0-6", flexible = "5+")]
pub struct DescribeGroupsRequest {
    /// Their ids.
    pub groups: Vec<ByteString>,
    /// Whether to say what the client may do.
    #[kafka(versions = "3+")]
    pub include_authorized_operations: bool,
}

/// Their states and members.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 15, versions = "0-6", flexible = "5+")]
pub struct DescribeGroupsResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// The groups.
    pub groups: Vec<DescribedGroup>,
}

/// A group.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DescribedGroup {
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(versions = "6+", nullable = "6+", default = null)]
    pub error_message: Option<ByteString>,
    /// The group.
    pub group_id: ByteString,
    /// The state, as in `Stable`.
    pub group_state: ByteString,
    /// What kind of group it is, as in `consumer`.
    pub protocol_type: ByteString,
    /// The assignment protocol that was chosen.
    pub protocol_data: ByteString,
    /// The members.
    pub members: Vec<DescribedGroupMember>,
    /// What the client may do, a bit an operation; the smallest number: not asked for.
    #[kafka(versions = "3+", default = i32::MIN)]
    pub authorized_operations: i32,
}

/// A member.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DescribedGroupMember {
    /// The member.
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(versions = "4+", nullable = "4+", default = null, ignorable)]
    pub group_instance_id: Option<ByteString>,
    /// How the member calls itself.
    pub client_id: ByteString,
    /// The address that the member joined from.
    pub client_host: ByteString,
    /// What it subscribes to, in the form of its protocol.
    pub member_metadata: Bytes,
    /// What it is given, in the form of its protocol.
    pub member_assignment: Bytes,
}
