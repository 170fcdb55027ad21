//! JoinGroup (key 11): a member enters its group, or enters it again for a rebalance.

use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// A member that wants in.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 11, versions = "0-9", flexible = "6+")]
pub struct JoinGroupRequest {
    /// The group.
    pub group_id: ByteString,
    /// How long the member may be silent.
    pub session_timeout_ms: i32,
    /// How long a rebalance may wait for the member; -1: the session timeout.
    #[kafka(versions = "1+", default = -1, ignorable)]
    pub rebalance_timeout_ms: i32,
    /// The member; empty for a new one.
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(versions = "5+", nullable = "5+", default = null)]
    pub group_instance_id: Option<ByteString>,
    /// What kind of group it is, as in `consumer`.
    pub protocol_type: ByteString,
    /// Assignment protocols, best first.
    pub protocols: Vec<JoinGroupRequestProtocol>,
    /// Why, for the log.
    #[kafka(versions = "8+", nullable = "8+", default = null, ignorable)]
    pub reason: Option<ByteString>,
}

/// An assignment protocol that the member knows, best first.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct JoinGroupRequestProtocol {
    /// The protocol.
    pub name: ByteString,
    /// What the member tells the leader. Goes out to it untouched.
    pub metadata: Bytes,
}

/// The new generation; for its leader, with all members.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 11, versions = "0-9", flexible = "6+")]
pub struct JoinGroupResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The group's generation.
    #[kafka(default = -1)]
    pub generation_id: i32,
    /// What kind of group it is, as in `consumer`.
    #[kafka(versions = "7+", nullable = "7+", default = null, ignorable)]
    pub protocol_type: Option<ByteString>,
    /// The assignment protocol that was chosen.
    #[kafka(nullable = "7+")]
    pub protocol_name: Option<ByteString>,
    /// The member that assigns.
    pub leader: ByteString,
    /// Whether the leader is to leave the assignment as it is (KIP-814).
    #[kafka(versions = "9+")]
    pub skip_assignment: bool,
    /// The member's id from now on.
    pub member_id: ByteString,
    /// All members if this one leads, else none.
    pub members: Vec<JoinGroupResponseMember>,
}

/// A member, for the leader to assign partitions to.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct JoinGroupResponseMember {
    /// The member.
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(versions = "5+", nullable = "5+", default = null, ignorable)]
    pub group_instance_id: Option<ByteString>,
    /// What the member tells the leader.
    pub metadata: Bytes,
}
