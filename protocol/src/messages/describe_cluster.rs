//! DescribeCluster (key 60): the brokers or controllers.

use bytestring::ByteString;
use weir_protocol_derive::{Message, Struct};

use crate::ErrorCode;

/// What to describe.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(request, key = 60, versions = "0-2", flexible = "0+")]
pub struct DescribeClusterRequest {
    /// Whether to say what the client may do to the cluster.
    pub include_cluster_authorized_operations: bool,
    /// 1: brokers; 2: controllers.
    #[kafka(versions = "1+", default = 1)]
    pub endpoint_type: i8,
    /// Whether to list fenced brokers too.
    #[kafka(versions = "2+")]
    pub include_fenced_brokers: bool,
}

/// The cluster's brokers or controllers.
#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(response, key = 60, versions = "0-2", flexible = "0+")]
pub struct DescribeClusterResponse {
    /// How long the client is asked to pause.
    pub throttle_time_ms: i32,
    /// What went wrong.
    pub error_code: ErrorCode,
    /// What went wrong, in words.
    #[kafka(nullable = "0+", default = null)]
    pub error_message: Option<ByteString>,
    /// 1: brokers; 2: controllers.
    #[kafka(versions = "1+", default = 1)]
    pub endpoint_type: i8,
    /// The cluster's name.
    pub cluster_id: ByteString,
    /// The broker that takes changes of the cluster.
    #[kafka(default = -1)]
    pub controller_id: i32,
    /// The brokers.
    pub brokers: Vec<DescribeClusterBroker>,
    /// What the client may do to the cluster; the smallest number: not asked for.
    #[kafka(default = i32::MIN)]
    pub cluster_authorized_operations: i32,
}

/// A broker or controller.
#[derive(Struct, Clone, Debug, PartialEq)]
pub struct DescribeClusterBroker {
    /// Its id.
    pub broker_id: i32,
    /// Its host.
    pub host: ByteString,
    /// Its port.
    pub port: i32,
    /// Its rack.
    #[kafka(nullable = "0+", default = null)]
    pub rack: Option<ByteString>,
    /// Whether it is fenced.
    #[kafka(versions = "2+")]
    pub is_fenced: bool,
}
