//! FindCoordinator (key 10): which broker speaks for a group or transactional id.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Groups or transactional ids.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 10, versions = "0-6", flexible = "3+")]
pub struct FindCoordinatorRequest {
    /// The id.
    #[kafka(versions = "0-3")]
    pub key: ByteString,
    /// 0: groups; 1: transactional ids; 2: share groups.
    #[kafka(versions = "1+")]
    pub key_type: i8,
    /// The ids.
    #[kafka(versions = "4+")]
    pub coordinator_keys: Vec<ByteString>,
}

/// Their coordinators.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 10, versions = "0-6", flexible = "3+")]
pub struct FindCoordinatorResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// What went wrong.
    #[kafka(versions = "0-3")]
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(versions = "1-3", nullable = "1-3", ignorable)]
    pub error_message: Option<ByteString>,
    /// The broker.
    #[kafka(versions = "0-3")]
    pub node_id: i32,
    /// Its host.
    #[kafka(versions = "0-3")]
    pub host: ByteString,
    /// Its port.
    #[kafka(versions = "0-3")]
    pub port: i32,
    /// A coordinator for each id.
    #[kafka(versions = "4+")]
    pub coordinators: Vec<Coordinator>,
}

/// The coordinator of one key.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "4+")]
pub struct Coordinator {
    /// The id.
    pub key: ByteString,
    /// The broker.
    pub node_id: i32,
    /// Its host.
    pub host: ByteString,
    /// Its port.
    pub port: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(nullable = "4+", ignorable)]
    pub error_message: Option<ByteString>,
}
