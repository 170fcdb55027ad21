//! ListOffsets (key 2): the offsets that belong to times and to the ends of partitions.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Times to look up.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 2, versions = "1-11", flexible = "6+")]
pub struct ListOffsetsRequest {
    /// The follower; -1: a consumer.
    pub replica_id: i32,
    /// 0: all records; 1: committed ones.
    #[kafka(versions = "2+")]
    pub isolation_level: i8,
    /// The topics.
    pub topics: Vec<ListOffsetsTopic>,
    /// How long to wait for a remote tier.
    #[kafka(versions = "10+", ignorable)]
    pub timeout_ms: i32,
}

/// A topic's part of the request.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct ListOffsetsTopic {
    /// The topic.
    pub name: ByteString,
    /// Its partitions.
    pub partitions: Vec<ListOffsetsPartition>,
}

/// A time to look up in a partition.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct ListOffsetsPartition {
    /// The partition.
    pub partition_index: i32,
    /// The leader epoch that the client believes in; -1: it has none.
    #[kafka(versions = "4+", default = -1, ignorable)]
    pub current_leader_epoch: i32,
    /// -1: the end; -2: the start; -3: the latest timestamp; else a time in milliseconds.
    pub timestamp: i64,
}

/// The offsets of those times.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 2, versions = "1-11", flexible = "6+")]
pub struct ListOffsetsResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    /// The topics.
    pub topics: Vec<ListOffsetsTopicResponse>,
}

/// A topic's part of the response.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct ListOffsetsTopicResponse {
    /// The topic.
    pub name: ByteString,
    /// Its partitions.
    pub partitions: Vec<ListOffsetsPartitionResponse>,
}

/// The offset in a partition.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct ListOffsetsPartitionResponse {
    /// The partition.
    pub partition_index: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The record's timestamp; -1: none.
    #[kafka(versions = "1+", default = -1)]
    pub timestamp: i64,
    /// The offset; -1: none.
    #[kafka(versions = "1+", default = -1)]
    pub offset: i64,
    /// Its leader epoch.
    #[kafka(versions = "4+", default = -1)]
    pub leader_epoch: i32,
}
