//! SyncGroup (key 14): the leader hands in assignments, each member takes out its own.

use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// From the leader: everybody's assignment.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 14, versions = "0-5", flexible = "4+")]
pub struct SyncGroupRequest {
    /// The group.
    pub group_id: ByteString,
    /// The group's generation.
    pub generation_id: i32,
    /// The member.
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(versions = "3+", nullable = "3+", default = null)]
    pub group_instance_id: Option<ByteString>,
    /// What kind of group it is, as in `consumer`.
    #[kafka(versions = "5+", nullable = "5+", default = null, ignorable)]
    pub protocol_type: Option<ByteString>,
    /// The assignment protocol that was chosen.
    #[kafka(versions = "5+", nullable = "5+", default = null, ignorable)]
    pub protocol_name: Option<ByteString>,
    /// The assignments.
    pub assignments: Vec<SyncGroupRequestAssignment>,
}

/// A member's assignment.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct SyncGroupRequestAssignment {
    /// The member.
    pub member_id: ByteString,
    /// What the leader chose for the member.
    pub assignment: Bytes,
}

/// The member's own assignment.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 14, versions = "0-5", flexible = "4+")]
pub struct SyncGroupResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What kind of group it is, as in `consumer`.
    #[kafka(versions = "5+", nullable = "5+", default = null, ignorable)]
    pub protocol_type: Option<ByteString>,
    /// The assignment protocol that was chosen.
    #[kafka(versions = "5+", nullable = "5+", default = null, ignorable)]
    pub protocol_name: Option<ByteString>,
    /// What the leader chose for the member.
    pub assignment: Bytes,
}
