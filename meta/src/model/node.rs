//! `nodes/{id}`: a process of the cluster that is probably alive.
//!
//! ```text
//! nodes/0000000001                   leased; ten digits, so that keys sort by node
//! {"v":1,"roles":["broker","proxy"],"kafka":{"host":"proxy-1","port":9092},
//!  "rpc":"10.0.1.7:9650","http":"10.0.1.7:9644","zone":"az-a"}
//! ```
//!
//! `"draining":true` is added when the process is about to end.

use serde::{Deserialize, Serialize};
use weir_ids::NodeId;

use super::codec::Record;
use crate::store::Key;

/// What a process does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Owns partitions.
    Broker,
    /// Keeps groups and transactions.
    Coordinator,
    /// Serves clients.
    Proxy,
    /// May be elected to change the cluster.
    Controller,
}

/// An address that clients are told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct HostPort {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// A process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Node {
    /// What it does.
    pub roles: Vec<Role>,
    /// Where Kafka clients reach it, if it is a proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kafka: Option<HostPort>,
    /// Where other roles reach it; `None`: only within its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<String>,
    /// Where it serves HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Its zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// It is about to end: it is to get no more work, and what it has is to be given to others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
}

impl Record for Node {}

impl Node {
    /// The keys of all nodes.
    pub const PREFIX: &'static str = "nodes/";

    /// The key of node `id`.
    pub fn key(id: NodeId) -> Key {
        format!("{}{:010}", Self::PREFIX, id.0).into()
    }

    /// The node in a key.
    pub fn id(key: &Key) -> Option<NodeId> {
        key.as_str().strip_prefix(Self::PREFIX)?.parse().ok().map(NodeId)
    }

    /// Whether it has `role`.
    pub fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
