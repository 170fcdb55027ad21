//! LeaveGroup (key 13): members leave their group.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Members that leave.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 13, versions = "0-5", flexible = "4+")]
pub struct LeaveGroupRequest {
    /// The group.
    pub group_id: ByteString,
    /// The member.
    #[kafka(versions = "0-2")]
    pub member_id: ByteString,
    /// The members.
    #[kafka(versions = "3+")]
    pub members: Vec<MemberIdentity>,
}

/// A member that leaves.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "3+")]
pub struct MemberIdentity {
    /// The member.
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(nullable = "3+", default = null)]
    pub group_instance_id: Option<ByteString>,
    /// Why, for the log.
    #[kafka(versions = "5+", nullable = "5+", default = null, ignorable)]
    pub reason: Option<ByteString>,
}

/// Which of them have left.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 13, versions = "0-5", flexible = "4+")]
pub struct LeaveGroupResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The members.
    #[kafka(versions = "3+")]
    pub members: Vec<MemberResponse>,
}

/// What became of a member.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "3+")]
pub struct MemberResponse {
    /// The member.
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(nullable = "3+")]
    pub group_instance_id: Option<ByteString>,
    /// What went wrong.
    pub error_code: ErrorCode,
}
