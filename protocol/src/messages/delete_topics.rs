//! DeleteTopics (key 20), by name or id.

use bytestring::ByteString;
use weir_ids::TopicId;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Topics to delete.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 20, versions = "1-6", flexible = "4+")]
pub struct DeleteTopicsRequest {
    /// The topics.
    #[kafka(versions = "6+")]
    pub topics: Vec<DeleteTopicState>,
    /// The topics.
    #[kafka(versions = "0-5", ignorable)]
    pub topic_names: Vec<ByteString>,
    /// How long to wait at most.
    pub timeout_ms: i32,
}

/// A topic to delete, by name or id.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "6+")]
pub struct DeleteTopicState {
    /// The topic; null if it is named by id.
    #[kafka(nullable = "6+", default = null)]
    pub name: Option<ByteString>,
    /// The topic's id.
    pub topic_id: TopicId,
}

/// What became of each.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 20, versions = "1-6", flexible = "4+")]
pub struct DeleteTopicsResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// The topics.
    pub responses: Vec<DeletableTopicResult>,
}

/// What became of a topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DeletableTopicResult {
    /// The topic; null if its id is unknown or secret.
    #[kafka(nullable = "6+")]
    pub name: Option<ByteString>,
    /// The topic's id.
    #[kafka(versions = "6+", ignorable)]
    pub topic_id: TopicId,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(versions = "5+", nullable = "5+", default = null, ignorable)]
    pub error_message: Option<ByteString>,
}
