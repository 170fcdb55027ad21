//! What a member of a consumer group is given: the assignment in its SyncGroup.

use bytes::Bytes;
use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

/// A member's partitions, as the consumer's own protocol has them.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(data, versions = "0-3", flexible = "none")]
pub struct ConsumerProtocolAssignment {
    /// The partitions.
    pub assigned_partitions: Vec<TopicPartition>,
    /// What the assignor adds.
    #[kafka(nullable = "0+", default = null)]
    pub user_data: Option<Bytes>,
}

/// Partitions of one topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct TopicPartition {
    /// The topic.
    pub topic: ByteString,
    /// Its partitions.
    pub partitions: Vec<i32>,
}
