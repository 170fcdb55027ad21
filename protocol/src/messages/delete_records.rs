//! DeleteRecords (key 21): logs begin later.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Partitions whose oldest records are to go.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 21, versions = "0-2", flexible = "2+")]
pub struct DeleteRecordsRequest {
    /// Their topics.
    pub topics: Vec<DeleteRecordsTopic>,
    /// How long to wait at most.
    pub timeout_ms: i32,
}

/// A topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DeleteRecordsTopic {
    /// Its name.
    pub name: ByteString,
    /// Its partitions.
    pub partitions: Vec<DeleteRecordsPartition>,
}

/// A partition.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DeleteRecordsPartition {
    /// Which.
    pub partition_index: i32,
    /// Records below go; -1: all that are visible.
    pub offset: i64,
}

/// What became of each.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 21, versions = "0-2", flexible = "2+")]
pub struct DeleteRecordsResponse {
    /// How long the client is asked to pause.
    pub throttle_time_ms: i32,
    /// The topics.
    pub topics: Vec<DeleteRecordsTopicResult>,
}

/// A topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DeleteRecordsTopicResult {
    /// Its name.
    pub name: ByteString,
    /// Its partitions.
    pub partitions: Vec<DeleteRecordsPartitionResult>,
}

/// What became of a partition.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DeleteRecordsPartitionResult {
    /// Which.
    pub partition_index: i32,
    /// Where its log begins now.
    pub low_watermark: i64,
    /// What went wrong.
    pub error_code: ErrorCode,
}
