//! Metadata (key 3): the brokers, and topics with their partitions' leaders.

use bytestring::ByteString;
use weir_ids::TopicId;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// Topics to describe.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 3, versions = "0-13", flexible = "9+")]
pub struct MetadataRequest {
    /// The topics; null, or empty in version 0: all.
    #[kafka(nullable = "1+")]
    pub topics: Option<Vec<MetadataRequestTopic>>,
    /// Whether the server may create what it does not know.
    #[kafka(versions = "4+", default = true)]
    pub allow_auto_topic_creation: bool,
    /// Whether to say what the client may do to the cluster.
    #[kafka(versions = "8-10")]
    pub include_cluster_authorized_operations: bool,
    /// Whether to say what the client may do to topics.
    #[kafka(versions = "8+")]
    pub include_topic_authorized_operations: bool,
}

/// A topic, by name or id.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct MetadataRequestTopic {
    /// The topic's id.
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: TopicId,
    /// The topic; null if it is asked for by id.
    #[kafka(nullable = "10+")]
    pub name: Option<ByteString>,
}

/// Brokers and topics.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 3, versions = "0-13", flexible = "9+")]
pub struct MetadataResponse {
    /// How long the client is asked to pause.
    #[kafka(versions = "3+", ignorable)]
    pub throttle_time_ms: i32,
    /// The brokers.
    pub brokers: Vec<MetadataResponseBroker>,
    /// The cluster's name.
    #[kafka(versions = "2+", nullable = "2+", default = null, ignorable)]
    pub cluster_id: Option<ByteString>,
    /// The broker that takes changes of the cluster.
    #[kafka(versions = "1+", default = -1, ignorable)]
    pub controller_id: i32,
    /// The topics.
    pub topics: Vec<MetadataResponseTopic>,
    /// What the client may do to the cluster; the smallest number: not asked for.
    #[kafka(versions = "8-10", default = i32::MIN)]
    pub cluster_authorized_operations: i32,
    /// What went wrong.
    #[kafka(versions = "13+", ignorable)]
    pub error_code: ErrorCode,
}

/// A broker that serves clients.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct MetadataResponseBroker {
    /// The broker.
    pub node_id: i32,
    /// Its host.
    pub host: ByteString,
    /// Its port.
    pub port: i32,
    /// Its rack.
    #[kafka(versions = "1+", nullable = "1+", default = null, ignorable)]
    pub rack: Option<ByteString>,
}

/// A topic.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct MetadataResponseTopic {
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The topic; null if its id is unknown.
    #[kafka(nullable = "12+")]
    pub name: Option<ByteString>,
    /// The topic's id.
    #[kafka(versions = "10+", ignorable)]
    pub topic_id: TopicId,
    /// Whether the topic belongs to the cluster itself.
    #[kafka(versions = "1+", ignorable)]
    pub is_internal: bool,
    /// Its partitions.
    pub partitions: Vec<MetadataResponsePartition>,
    /// What the client may do to the topic; the smallest number: not asked for.
    #[kafka(versions = "8+", default = i32::MIN)]
    pub topic_authorized_operations: i32,
}

/// A partition.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct MetadataResponsePartition {
    /// What went wrong.
    pub error_code: ErrorCode,
    /// The partition.
    pub partition_index: i32,
    /// The leader; -1: none.
    pub leader_id: i32,
    /// Its epoch.
    #[kafka(versions = "7+", default = -1, ignorable)]
    pub leader_epoch: i32,
    /// The replicas.
    pub replica_nodes: Vec<i32>,
    /// The replicas in sync.
    pub isr_nodes: Vec<i32>,
    /// The replicas that are not there.
    #[kafka(versions = "5+", ignorable)]
    pub offline_replicas: Vec<i32>,
}
