//! The records of `__consumer_offsets` that classic groups leave: committed offsets and members.
//!
//! A key begins with 16 bits for its type, a value with 16 bits for its version.

use bytes::Bytes;
use bytestring::ByteString;
use weir_ids::TopicId;
use weir_protocol_derive::{Message, Struct};

/// The key of a committed offset: the group and partition.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(record_key, key = 1, versions = "0", flexible = "none")]
pub struct OffsetCommitKey {
    /// The group.
    #[kafka(versions = "0")]
    pub group: ByteString,
    /// The topic.
    #[kafka(versions = "0")]
    pub topic: ByteString,
    /// The partition.
    #[kafka(versions = "0")]
    pub partition: i32,
}

/// A committed offset.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(record_value, key = 1, versions = "0-4", flexible = "4+")]
pub struct OffsetCommitValue {
    /// The next offset to consume.
    pub offset: i64,
    /// Its leader epoch.
    #[kafka(versions = "3+", default = -1, ignorable)]
    pub leader_epoch: i32,
    /// The note of the client that committed.
    pub metadata: ByteString,
    /// When it was committed.
    pub commit_timestamp: i64,
    /// When it expires; -1: as the group does.
    #[kafka(versions = "1", default = -1, ignorable)]
    pub expire_timestamp: i64,
    /// The topic's id.
    #[kafka(versions = "4+", tag = 0, ignorable)]
    pub topic_id: TopicId,
}

/// The key of a group's state.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(record_key, key = 2, versions = "0", flexible = "none")]
pub struct GroupMetadataKey {
    /// The group.
    #[kafka(versions = "0")]
    pub group: ByteString,
}

/// The state of a classic group after a rebalance.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(record_value, key = 2, versions = "0-4", flexible = "4+")]
pub struct GroupMetadataValue {
    /// What kind of group it is, as in `consumer`.
    pub protocol_type: ByteString,
    /// The generation.
    pub generation: i32,
    /// The assignment protocol that was chosen; null: none.
    #[kafka(nullable = "0+")]
    pub protocol: Option<ByteString>,
    /// The member that assigns.
    #[kafka(nullable = "0+")]
    pub leader: Option<ByteString>,
    /// When the group entered its state; -1: unknown.
    #[kafka(versions = "2+", default = -1, ignorable)]
    pub current_state_timestamp: i64,
    /// The members.
    pub members: Vec<MemberMetadata>,
}

/// A member of the group.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct MemberMetadata {
    /// The member.
    pub member_id: ByteString,
    /// The name under which a static member comes back (KIP-345).
    #[kafka(versions = "3+", nullable = "3+", default = null, ignorable)]
    pub group_instance_id: Option<ByteString>,
    /// How the member calls itself.
    pub client_id: ByteString,
    /// The address that the member joined from.
    pub client_host: ByteString,
    /// How long a rebalance may wait for the member, in milliseconds; -1: the session timeout.
    #[kafka(versions = "1+", default = -1, ignorable)]
    pub rebalance_timeout: i32,
    /// How long the member may be silent, in milliseconds.
    pub session_timeout: i32,
    /// What it subscribes to, in the form of its protocol.
    pub subscription: Bytes,
    /// What the leader chose for the member.
    pub assignment: Bytes,
}
