//! Fetch (key 1): records of partitions from given offsets, perhaps after a wait.

use bytestring::ByteString;
use uuid::Uuid;
use weir_ids::TopicId;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;
use crate::codec::Records;

/// Which partitions to read from where, and how long to wait for how much.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 1, versions = "4-18", flexible = "12+")]
pub struct FetchRequest {
    /// The cluster that a follower believes to be in.
    #[kafka(versions = "12+", nullable = "12+", default = null, tag = 0, ignorable)]
    pub cluster_id: Option<ByteString>,
    /// The follower; -1: a consumer.
    #[kafka(versions = "0-14", default = -1)]
    pub replica_id: i32,
    /// The follower, from version 15.
    #[kafka(versions = "15+", tag = 1)]
    pub replica_state: ReplicaState,
    /// How long to wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// How much to wait for.
    pub min_bytes: i32,
    /// How much to answer with at most.
    #[kafka(versions = "3+", default = i32::MAX, ignorable)]
    pub max_bytes: i32,
    /// 0: all records; 1: committed ones.
    #[kafka(versions = "4+", ignorable)]
    pub isolation_level: i8,
    /// The fetch session (KIP-227); 0: none.
    #[kafka(versions = "7+", ignorable)]
    pub session_id: i32,
    /// The session's epoch; 0: a new session, -1: none.
    #[kafka(versions = "7+", default = -1, ignorable)]
    pub session_epoch: i32,
    /// The topics.
    pub topics: Vec<FetchTopic>,
    /// What to drop from the session.
    #[kafka(versions = "7+")]
    pub forgotten_topics_data: Vec<ForgottenTopic>,
    /// The reader's rack.
    #[kafka(versions = "11+", ignorable)]
    pub rack_id: ByteString,
}

/// A follower, if one asks (KIP-903).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "15+")]
pub struct ReplicaState {
    /// The follower; -1: a consumer.
    #[kafka(default = -1)]
    pub replica_id: i32,
    /// The follower's epoch; -1: unknown.
    #[kafka(default = -1)]
    pub replica_epoch: i64,
}

/// A topic to read.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct FetchTopic {
    /// The topic.
    #[kafka(versions = "0-12", ignorable)]
    pub topic: ByteString,
    /// The topic's id.
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: Vec<FetchPartition>,
}

/// A partition to read.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct FetchPartition {
    /// The partition.
    pub partition: i32,
    /// The leader epoch that the client believes in; -1: it has none.
    #[kafka(versions = "9+", default = -1, ignorable)]
    pub current_leader_epoch: i32,
    /// The first offset wanted.
    pub fetch_offset: i64,
    /// The epoch of the last record that a follower has.
    #[kafka(versions = "12+", default = -1)]
    pub last_fetched_epoch: i32,
    /// A follower's first offset.
    #[kafka(versions = "5+", default = -1, ignorable)]
    pub log_start_offset: i64,
    /// How much of this partition to answer with at most.
    pub partition_max_bytes: i32,
    /// A follower's directory (KIP-853).
    #[kafka(versions = "17+", tag = 0, ignorable)]
    pub replica_directory_id: Uuid,
    /// The high watermark that a follower knows (KIP-1166).
    #[kafka(versions = "18+", default = i64::MAX, tag = 1, ignorable)]
    pub high_watermark: i64,
}

/// Partitions to drop from the fetch session.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct ForgottenTopic {
    /// The topic.
    #[kafka(versions = "7-12", ignorable)]
    pub topic: ByteString,
    /// The topic's id.
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: TopicId,
    /// Its partitions.
    #[kafka(versions = "7+")]
    pub partitions: Vec<i32>,
}

/// Records, and how far each partition reaches.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 1, versions = "4-18", flexible = "12+")]
pub struct FetchResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "1+", ignorable)]
    pub throttle_time_ms: i32,
    /// What went wrong.
    #[kafka(versions = "7+", ignorable)]
    pub error_code: ErrorCode,
    /// The fetch session (KIP-227); 0: none.
    #[kafka(versions = "7+")]
    pub session_id: i32,
    /// The topics.
    pub responses: Vec<FetchableTopicResponse>,
    /// Where the leaders named above listen.
    #[kafka(versions = "16+", tag = 0)]
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// A topic's part of the response.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct FetchableTopicResponse {
    /// The topic.
    #[kafka(versions = "0-12", ignorable)]
    pub topic: ByteString,
    /// The topic's id.
    #[kafka(versions = "13+", ignorable)]
    pub topic_id: TopicId,
    /// Its partitions.
    pub partitions: Vec<PartitionData>,
}

/// A partition's records and offsets.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct PartitionData {
    /// The partition.
    pub partition_index: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The offset behind what is committed.
    pub high_watermark: i64,
    /// The offset behind the last record that belongs to no open transaction.
    #[kafka(versions = "4+", default = -1, ignorable)]
    pub last_stable_offset: i64,
    /// The partition's first offset.
    #[kafka(versions = "5+", default = -1, ignorable)]
    pub log_start_offset: i64,
    /// The largest epoch and its end that the reader's log shares with this one.
    #[kafka(versions = "12+", tag = 0)]
    pub diverging_epoch: EpochEndOffset,
    /// The leader, where the client's belief is older.
    #[kafka(versions = "12+", tag = 1)]
    pub current_leader: LeaderIdAndEpoch,
    /// The snapshot to read instead of records that are gone.
    #[kafka(versions = "12+", tag = 2)]
    pub snapshot_id: SnapshotId,
    /// Aborted transactions among the records, for `read_committed`; null if the reader did not ask.
    #[kafka(versions = "4+", nullable = "4+", ignorable)]
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// A replica that the reader should turn to; -1: none.
    #[kafka(versions = "11+", default = -1)]
    pub preferred_read_replica: i32,
    /// The batches; sent as they are, without a copy.
    #[kafka(nullable = "0+", default = null)]
    pub records: Option<Records>,
}

/// Where the reader's log and the leader's part ways (KIP-595).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "12+")]
pub struct EpochEndOffset {
    /// The epoch.
    #[kafka(default = -1)]
    pub epoch: i32,
    /// The offset behind its end.
    #[kafka(default = -1)]
    pub end_offset: i64,
}

/// A partition's leader, for a client that knows an older one (KIP-951).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "12+")]
pub struct LeaderIdAndEpoch {
    /// The leader; -1: none.
    #[kafka(default = -1)]
    pub leader_id: i32,
    /// Its leader epoch.
    #[kafka(default = -1)]
    pub leader_epoch: i32,
}

/// A snapshot to read instead (KIP-630).
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct SnapshotId {
    /// The offset behind its end.
    #[kafka(default = -1)]
    pub end_offset: i64,
    /// The epoch.
    #[kafka(default = -1)]
    pub epoch: i32,
}

/// A transaction whose records are not to be shown.
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "4+")]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: i64,
    /// The transaction's first offset in this partition.
    pub first_offset: i64,
}

/// Where a leader named in this response listens (KIP-951).
#[derive(Struct, Clone, Debug, PartialEq)]
#[kafka(versions = "16+")]
pub struct NodeEndpoint {
    /// The broker.
    pub node_id: i32,
    /// Its host.
    pub host: ByteString,
    /// Its port.
    pub port: i32,
    /// Its rack.
    #[kafka(nullable = "16+", default = null)]
    pub rack: Option<ByteString>,
}
