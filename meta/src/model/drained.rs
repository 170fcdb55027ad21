//! `drained/{node}`: a node that an operator wants to have nothing.
//!
//! ```text
//! drained/0000000001                 ten digits, so that keys sort by node
//! {"v":1}
//! ```
//!
//! Written by the controller alone, and lasts until it is taken back, also when the node is restarted. A
//! node that is about to end says so itself, in `nodes/`.

use serde::{Deserialize, Serialize};
use weir_ids::NodeId;

use super::codec::Record;
use crate::store::Key;

/// That a node is to have nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Drained {}

impl Record for Drained {}

impl Drained {
    /// The keys of all drained nodes.
    pub const PREFIX: &'static str = "drained/";

    /// The key that drains node `id`.
    pub fn key(id: NodeId) -> Key {
        format!("{}{:010}", Self::PREFIX, id.0).into()
    }

    /// The node in a key.
    pub fn id(key: &Key) -> Option<NodeId> {
        key.as_str().strip_prefix(Self::PREFIX)?.parse().ok().map(NodeId)
    }
}
