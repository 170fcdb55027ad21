//! CreatePartitions (key 37): more partitions for topics.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Topics to grow.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 37, versions = "0-3", flexible = "2+")]
pub struct CreatePartitionsRequest {
    /// The topics.
    pub topics: Vec<CreatePartitionsTopic>,
    /// How long to wait at most.
    pub timeout_ms: i32,
    /// Whether to check only and change nothing.
    pub validate_only: bool,
}

/// A topic to grow.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct CreatePartitionsTopic {
    /// The topic.
    pub name: ByteString,
    /// Partitions that the topic is to have in all.
    pub count: i32,
    /// Where each new partition is to lie; null: the server chooses.
    #[kafka(nullable = "0+")]
    pub assignments: Option<Vec<CreatePartitionsAssignment>>,
}

/// The brokers that a new partition is to lie on.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct CreatePartitionsAssignment {
    /// The brokers.
    pub broker_ids: Vec<i32>,
}

/// What became of each.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 37, versions = "0-3", flexible = "2+")]
pub struct CreatePartitionsResponse {
    /// How long the client is asked to pause.
    pub throttle_time_ms: i32,
    /// The results.
    pub results: Vec<CreatePartitionsTopicResult>,
}

/// What became of a topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct CreatePartitionsTopicResult {
    /// The topic.
    pub name: ByteString,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(nullable = "0+", default = null)]
    pub error_message: Option<ByteString>,
}
