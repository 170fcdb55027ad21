//! `node-ids`: the first node id that has not been given to any node that asked for one.
//!
//! ```text
//! node-ids
//! {"v":1,"next":1003}
//! ```
//!
//! No id is given twice: a node that has only been away may still use its own.

use serde::{Deserialize, Serialize};
use weir_ids::NodeId;

use super::codec::Record;
use crate::store::Key;

/// The first id that is given. Those below are for operators to give, as with Kafka's
/// `reserved.broker.max.id`.
pub const FIRST_GIVEN_NODE_ID: NodeId = NodeId(1_001);

/// What the next node gets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NextNodeId {
    /// Its id.
    pub next: NodeId,
}

impl Record for NextNodeId {}

impl NextNodeId {
    /// Its key.
    pub fn key() -> Key {
        "node-ids".into()
    }
}
