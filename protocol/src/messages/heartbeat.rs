//! Heartbeat (key 12): a member is alive.

use bytestring::ByteString;
use weir_protocol_derive::Message;

use crate::ErrorCode;

/// A member that is alive.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 12, versions = "0-4", flexible = "4+")]
pub struct HeartbeatRequest {
    /// The group.
    pub group_id: ByteString,
    /// The group's generation.
    pub generation_id: i32,
    /// The member.
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(versions = "3+", nullable = "3+", default = null)]
    pub group_instance_id: Option<ByteString>,
}

/// Whether it may go on.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 12, versions = "0-4", flexible = "4+")]
pub struct HeartbeatResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
}
