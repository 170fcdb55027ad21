//! OffsetFetch (key 9): how far a group had consumed.

use bytestring::ByteString;
use weir_ids::TopicId;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Groups and partitions whose offsets are wanted.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 9, versions = "1-10", flexible = "6+")]
pub struct OffsetFetchRequest {
    /// The group.
    #[kafka(versions = "0-7")]
    pub group_id: ByteString,
    /// The topics; null: all.
    #[kafka(versions = "0-7", nullable = "2-7")]
    pub topics: Option<Vec<OffsetFetchRequestTopic>>,
    /// The groups.
    #[kafka(versions = "8+")]
    pub groups: Vec<OffsetFetchRequestGroup>,
    /// Whether offsets of open transactions are an error rather than left out.
    #[kafka(versions = "7+")]
    pub require_stable: bool,
}

/// Partitions of a topic, in a request for one group.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "0-7")]
pub struct OffsetFetchRequestTopic {
    /// The topic.
    pub name: ByteString,
    /// The partitions.
    pub partition_indexes: Vec<i32>,
}

/// A group's part of the request.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "8+")]
pub struct OffsetFetchRequestGroup {
    /// The group.
    pub group_id: ByteString,
    /// The member (KIP-848); null: classic.
    #[kafka(versions = "9+", nullable = "9+", default = null, ignorable)]
    pub member_id: Option<ByteString>,
    /// The member's epoch (KIP-848); -1: classic.
    #[kafka(versions = "9+", default = -1, ignorable)]
    pub member_epoch: i32,
    /// The topics; null: all.
    #[kafka(nullable = "8+")]
    pub topics: Option<Vec<OffsetFetchRequestTopics>>,
}

/// Partitions of a topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetFetchRequestTopics {
    /// The topic.
    #[kafka(versions = "8-9", ignorable)]
    pub name: ByteString,
    /// The topic's id.
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: TopicId,
    /// The partitions.
    #[kafka(versions = "8+")]
    pub partition_indexes: Vec<i32>,
}

/// The offsets that were committed.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 9, versions = "1-10", flexible = "6+")]
pub struct OffsetFetchResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    /// The topics.
    #[kafka(versions = "0-7")]
    pub topics: Vec<OffsetFetchResponseTopic>,
    /// What went wrong.
    #[kafka(versions = "2-7", ignorable)]
    pub error_code: ErrorCode,
    /// The groups.
    #[kafka(versions = "8+")]
    pub groups: Vec<OffsetFetchResponseGroup>,
}

/// A topic's offsets, in a response for one group.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "0-7")]
pub struct OffsetFetchResponseTopic {
    /// The topic.
    pub name: ByteString,
    /// Its partitions.
    pub partitions: Vec<OffsetFetchResponsePartition>,
}

/// A partition's offset, in a response for one group.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "0-7")]
pub struct OffsetFetchResponsePartition {
    /// The partition.
    pub partition_index: i32,
    /// The next offset to consume; -1: nothing is committed.
    pub committed_offset: i64,
    /// The leader epoch of the record before the offset; -1: unknown.
    #[kafka(versions = "5-7", default = -1, ignorable)]
    pub committed_leader_epoch: i32,
    /// The note of the client that committed.
    #[kafka(nullable = "0-7")]
    pub metadata: Option<ByteString>,
    /// What went wrong.
    pub error_code: ErrorCode,
}

/// A group's offsets.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "8+")]
pub struct OffsetFetchResponseGroup {
    /// The group.
    pub group_id: ByteString,
    /// The topics.
    pub topics: Vec<OffsetFetchResponseTopics>,
    /// What went wrong.
    pub error_code: ErrorCode,
}

/// A topic's offsets.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetFetchResponseTopics {
    /// The topic.
    #[kafka(versions = "8-9", ignorable)]
    pub name: ByteString,
    /// The topic's id.
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: TopicId,
    /// Its partitions.
    #[kafka(versions = "8+")]
    pub partitions: Vec<OffsetFetchResponsePartitions>,
}

/// A partition's offset.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "8+")]
pub struct OffsetFetchResponsePartitions {
    /// The partition.
    pub partition_index: i32,
    /// The next offset to consume; -1: nothing is committed.
    pub committed_offset: i64,
    /// The leader epoch of the record before the offset; -1: unknown.
    #[kafka(default = -1, ignorable)]
    pub committed_leader_epoch: i32,
    /// The note of the client that committed.
    #[kafka(nullable = "8+")]
    pub metadata: Option<ByteString>,
    /// What went wrong.
    pub error_code: ErrorCode,
}
