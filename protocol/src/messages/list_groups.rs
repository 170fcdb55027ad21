//! ListGroups (key 16): the groups that a broker coordinates.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Which groups to list.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 16, versions = "0-5", flexible = "3+")]
pub struct ListGroupsRequest {
    /// States of groups to list; empty: all.
    #[kafka(versions = "4+")]
    pub states_filter: Vec<ByteString>,
    /// Types of groups to list; empty: all.
    #[kafka(versions = "5+")]
    pub types_filter: Vec<ByteString>,
}

/// The groups.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 16, versions = "0-5", flexible = "3+")]
pub struct ListGroupsResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The groups.
    pub groups: Vec<ListedGroup>,
}

/// A group.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct ListedGroup {
    /// The group.
    pub group_id: ByteString,
    /// What kind of group it is, as in `consumer`.
    pub protocol_type: ByteString,
    /// The state, as in `Stable`.
    #[kafka(versions = "4+", ignorable)]
    pub group_state: ByteString,
    /// `classic`, `consumer`, ...
    #[kafka(versions = "5+", ignorable)]
    pub group_type: ByteString,
}
