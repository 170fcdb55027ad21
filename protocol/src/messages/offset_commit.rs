//! OffsetCommit (key 8): how far a group has consumed.

use bytestring::ByteString;
use weir_ids::TopicId;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Offsets to keep for a group.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 8, versions = "2-10", flexible = "8+")]
pub struct OffsetCommitRequest {
    /// The group.
    pub group_id: ByteString,
    /// The generation, or the member's epoch (KIP-848); -1: no member commits.
    #[kafka(versions = "1+", default = -1, ignorable)]
    pub generation_id_or_member_epoch: i32,
    /// The member.
    #[kafka(versions = "1+", ignorable)]
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(versions = "7+", nullable = "7+", default = null)]
    pub group_instance_id: Option<ByteString>,
    /// How long to keep the offsets; -1: as the broker likes.
    #[kafka(versions = "2-4", default = -1, ignorable)]
    pub retention_time_ms: i64,
    /// The topics.
    pub topics: Vec<OffsetCommitRequestTopic>,
}

/// A topic's part of the request.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetCommitRequestTopic {
    /// The topic.
    #[kafka(versions = "0-9", ignorable)]
    pub name: ByteString,
    /// The topic's id.
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: Vec<OffsetCommitRequestPartition>,
}

/// An offset to keep.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetCommitRequestPartition {
    /// The partition.
    pub partition_index: i32,
    /// The next offset to consume.
    pub committed_offset: i64,
    /// The leader epoch of the record before the offset; -1: unknown.
    #[kafka(versions = "6+", default = -1, ignorable)]
    pub committed_leader_epoch: i32,
    /// A note of the client.
    #[kafka(nullable = "0+")]
    pub committed_metadata: Option<ByteString>,
}

/// Which of them are kept.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 8, versions = "2-10", flexible = "8+")]
pub struct OffsetCommitResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    /// The topics.
    pub topics: Vec<OffsetCommitResponseTopic>,
}

/// A topic's part of the response.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetCommitResponseTopic {
    /// The topic.
    #[kafka(versions = "0-9", ignorable)]
    pub name: ByteString,
    /// The topic's id.
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: Vec<OffsetCommitResponsePartition>,
}

/// Whether an offset is kept.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct OffsetCommitResponsePartition {
    /// The partition.
    pub partition_index: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
}
