//! Connections between the nodes of a cluster.
//!
//! A process has one connection to each node that it talks to ([`Links`]); everything travels on it, as
//! gRPC. It is pinged while it is idle too, and given up after three seconds of silence. A connection that
//! has broken stays broken: whoever had something on it learns so at once, all together, and the next call
//! makes another. So a stream never goes on behind its user's back after something on it was lost.
//!
//! Before anything else the two ends say who they are. An address that leads to another node, or to
//! another cluster's, is no way to the node that was meant.
//!
//! This crate knows no role: what is asked, and what the answers mean, is defined where the role is.

mod connection;
mod hello;
mod links;
pub mod promptness;
mod server;
#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use links::{Failed, Links, Peers};
pub use server::{BindError, Server};
pub use tonic;

use weir_ids::NodeId;

/// How a node is known to others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster's id.
    pub cluster: String,
    /// The node.
    pub node: NodeId,
}

/// What is answered for a role that a node does not have (yet, or any more).
pub fn no_such_role(role: &str) -> tonic::Status {
    tonic::Status::unavailable(format!("this node has no {role}"))
}

/// The largest message that is taken, in bytes: a request of the largest size that a client may send, and
/// what goes around it.
pub const MESSAGE_BYTES_MAX: usize = 256 << 20;
