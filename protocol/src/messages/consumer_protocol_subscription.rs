//! What a member of a consumer group subscribes to: the metadata in its JoinGroup.

use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

/// A member's wishes, as the consumer's own protocol has them.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(data, versions = "0-3", flexible = "none")]
pub struct ConsumerProtocolSubscription {
    /// The topics.
    pub topics: Vec<ByteString>,
    /// What the assignor adds.
    #[kafka(nullable = "0+", default = null)]
    pub user_data: Option<Bytes>,
    /// What the member had before (KIP-429).
    #[kafka(versions = "1+", ignorable)]
    pub owned_partitions: Vec<TopicPartition>,
    /// The generation that the owned partitions are from; -1: unknown.
    #[kafka(versions = "2+", default = -1, ignorable)]
    pub generation_id: i32,
    /// The member's rack.
    #[kafka(versions = "3+", nullable = "3+", default = null, ignorable)]
    pub rack_id: Option<ByteString>,
}

/// Partitions of one topic.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "1+")]
pub struct TopicPartition {
    /// The topic.
    pub topic: ByteString,
    /// Its partitions.
    pub partitions: Vec<i32>,
}
