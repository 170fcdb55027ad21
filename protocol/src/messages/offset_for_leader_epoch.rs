//! OffsetForLeaderEpoch (key 23): where leader epochs ended (KIP-101, KIP-320).

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Epochs whose ends are asked for.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 23, versions = "2-4", flexible = "4+")]
pub struct OffsetForLeaderEpochRequest {
    /// Which broker asks; -1: a client, -2: unknown.
    #[kafka(versions = "3+", default = -2, ignorable)]
    pub replica_id: i32,
    /// The topics.
    pub topics: Vec<OffsetForLeaderTopic>,
}

/// A topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetForLeaderTopic {
    /// Its name.
    pub topic: ByteString,
    /// Its partitions.
    pub partitions: Vec<OffsetForLeaderPartition>,
}

/// A partition.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetForLeaderPartition {
    /// Which.
    pub partition: i32,
    /// The epoch that the client believes to be the present one; -1: none.
    #[kafka(versions = "2+", default = -1, ignorable)]
    pub current_leader_epoch: i32,
    /// The epoch whose end is asked for.
    pub leader_epoch: i32,
}

/// Where they ended.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 23, versions = "2-4", flexible = "4+")]
pub struct OffsetForLeaderEpochResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "2+", ignorable)]
    pub throttle_time_ms: i32,
    /// The topics.
    pub topics: Vec<OffsetForLeaderTopicResult>,
}

/// A topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetForLeaderTopicResult {
    /// Its name.
    pub topic: ByteString,
    /// Its partitions.
    pub partitions: Vec<EpochEndOffset>,
}

/// Where an epoch of a partition ended.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct EpochEndOffset {
    /// What went wrong.
    pub error_code: ErrorCode,
    /// Which partition.
    pub partition: i32,
    /// The largest epoch at or below the one that was asked for; -1: none.
    #[kafka(versions = "1+", default = -1, ignorable)]
    pub leader_epoch: i32,
    /// The offset behind its last record; -1: none.
    #[kafka(default = -1)]
    pub end_offset: i64,
}
