//! Produce (key 0): batches of records for partitions.

use bytestring::ByteString;
use weir_ids::TopicId;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;
use crate::codec::Records;

/// Records for partitions.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 0, versions = "3-13", flexible = "9+")]
pub struct ProduceRequest {
    /// The transactional id; null for a producer without transactions.
    #[kafka(versions = "3+", nullable = "3+", default = null)]
    pub transactional_id: Option<ByteString>,
    /// 0: no answer; 1: the leader has it; -1: it is safe.
    pub acks: i16,
    /// How long to wait at most.
    pub timeout_ms: i32,
    /// The topics.
    pub topic_data: Vec<TopicProduceData>,
}

/// A topic's part of the request.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct TopicProduceData {
    /// The topic.
    #[kafka(versions = "0-12", ignorable)]
    pub name: ByteString,
    /// The topic's id.
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: TopicId,
    /// Its partitions.
    pub partition_data: Vec<PartitionProduceData>,
}

/// A partition's part of the request.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct PartitionProduceData {
    /// The partition.
    pub index: i32,
    /// The batch: one slice of the frame.
    #[kafka(nullable = "0+", default = null)]
    pub records: Option<Records>,
}

/// Where the records went.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 0, versions = "3-13", flexible = "9+")]
pub struct ProduceResponse {
    /// The topics.
    pub responses: Vec<TopicProduceResponse>,
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// Where the leaders named above listen.
    #[kafka(versions = "10+", tag = 0)]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// A topic's part of the response.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct TopicProduceResponse {
    /// The topic.
    #[kafka(versions = "0-12", ignorable)]
    pub name: ByteString,
    /// The topic's id.
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: TopicId,
    /// Its partitions.
    pub partition_responses: Vec<PartitionProduceResponse>,
}

/// What became of a partition's records.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct PartitionProduceResponse {
    /// The partition.
    pub index: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The offset of the first record.
    pub base_offset: i64,
    /// When they were appended; -1 if the topic keeps the clients' timestamps.
    #[kafka(versions = "2+", default = -1, ignorable)]
    pub log_append_time_ms: i64,
    /// The partition's first offset.
    #[kafka(versions = "5+", default = -1, ignorable)]
    pub log_start_offset: i64,
    /// The records because of which the batch was refused.
    #[kafka(versions = "8+", ignorable)]
    pub record_errors: Vec<BatchIndexAndErrorMessage>,
    /// What went wrong, in words.
    #[kafka(versions = "8+", nullable = "8+", default = null, ignorable)]
    pub error_message: Option<ByteString>,
    /// The leader, where the client's belief is older.
    #[kafka(versions = "10+", tag = 0)]
    pub current_leader: LeaderIdAndEpoch,
}

/// A record that is refused (KIP-467).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "8+")]
pub struct BatchIndexAndErrorMessage {
    /// The record's place in its batch.
    pub batch_index: i32,
    /// Why.
    #[kafka(nullable = "8+", default = null)]
    pub batch_index_error_message: Option<ByteString>,
}

/// A partition's leader, for a client that knows an older one (KIP-951).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "10+")]
pub struct LeaderIdAndEpoch {
    /// The leader; -1: none.
    #[kafka(default = -1)]
    pub leader_id: i32,
    /// Its leader epoch.
    #[kafka(default = -1)]
    pub leader_epoch: i32,
}

/// Where a leader named in this response listens (KIP-951).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "10+")]
pub struct NodeEndpoint {
    /// The broker.
    pub node_id: i32,
    /// Its host.
    pub host: ByteString,
    /// Its port.
    pub port: i32,
    /// Its rack.
    #[kafka(nullable = "10+", default = null)]
    pub rack: Option<ByteString>,
}
