//! CreateTopics (key 19).

use bytestring::ByteString;
use weir_ids::TopicId;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Topics to create.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 19, versions = "2-7", flexible = "5+")]
pub struct CreateTopicsRequest {
    /// The topics.
    pub topics: Vec<CreatableTopic>,
    /// How long to wait at most.
    #[kafka(default = 60000)]
    pub timeout_ms: i32,
    /// Whether to check only and change nothing.
    #[kafka(versions = "1+")]
    pub validate_only: bool,
}

/// A topic to create.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct CreatableTopic {
    /// The topic.
    pub name: ByteString,
    /// How many partitions; -1: as the cluster's default.
    pub num_partitions: i32,
    /// How many replicas; -1: as the cluster's default.
    pub replication_factor: i16,
    /// Where each partition is to lie; empty: the server chooses.
    pub assignments: Vec<CreatableReplicaAssignment>,
    /// Settings that differ from the defaults.
    pub configs: Vec<CreatableTopicConfig>,
}

/// The brokers that a partition is to lie on.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct CreatableReplicaAssignment {
    /// The partition.
    pub partition_index: i32,
    /// The brokers.
    pub broker_ids: Vec<i32>,
}

/// A setting of the new topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct CreatableTopicConfig {
    /// The setting.
    pub name: ByteString,
    /// The value; null: the default.
    #[kafka(nullable = "0+")]
    pub value: Option<ByteString>,
}

/// What became of each.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 19, versions = "2-7", flexible = "5+")]
pub struct CreateTopicsResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    /// The topics.
    pub topics: Vec<CreatableTopicResult>,
}

/// What became of a topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct CreatableTopicResult {
    /// The topic.
    pub name: ByteString,
    /// The topic's id.
    #[kafka(versions = "7+", ignorable)]
    pub topic_id: TopicId,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(versions = "1+", nullable = "0+", ignorable)]
    pub error_message: Option<ByteString>,
    /// Why `configs` is null.
    #[kafka(versions = "5+", tag = 0, ignorable)]
    pub topic_config_error_code: ErrorCode,
    /// How many partitions; -1 if it may not be shown.
    #[kafka(versions = "5+", default = -1, ignorable)]
    pub num_partitions: i32,
    /// How many replicas; -1 if it may not be shown.
    #[kafka(versions = "5+", default = -1, ignorable)]
    pub replication_factor: i16,
    /// All settings; null if they may not be shown.
    #[kafka(versions = "5+", nullable = "5+", ignorable)]
    pub configs: Option<Vec<CreatableTopicConfigs>>,
}

/// A setting of the created topic.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "5+")]
pub struct CreatableTopicConfigs {
    /// The setting.
    pub name: ByteString,
    /// The value; null if it is a secret.
    #[kafka(nullable = "5+")]
    pub value: Option<ByteString>,
    /// Whether the setting can't be changed.
    pub read_only: bool,
    /// Where the value comes from: 1 topic, 4 static broker, 5 default, ...
    #[kafka(default = -1, ignorable)]
    pub config_source: i8,
    /// Whether the value is a secret; then it is null.
    pub is_sensitive: bool,
}
