//! DeleteGroups (key 42).

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Groups to delete.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 42, versions = "0-2", flexible = "2+")]
pub struct DeleteGroupsRequest {
    /// The groups.
    pub groups_names: Vec<ByteString>,
}

/// What became of each.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 42, versions = "0-2", flexible = "2+")]
pub struct DeleteGroupsResponse {
    /// How long the client is asked to pause.
    pub throttle_time_ms: i32,
    /// The results.
    pub results: Vec<DeletableGroupResult>,
}

/// What became of a group.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DeletableGroupResult {
    /// The group.
    pub group_id: ByteString,
    /// What went wrong.
    pub error_code: ErrorCode,
}
