//! `assignments/{topic id}`: for each partition the node that should own it.
//!
//! ```text
//! assignments/7f1f…
//! {"v":1,"nodes":[1,2,3,1,2,3]}      by partition
//! ```
//!
//! Written by the controller alone. What *should* be: who owns a partition says its `logs/` key.
//! It is there from a topic's creation until its deletion begins, and a claim requires it: once it
//! is gone, no partition of the topic can be claimed.

use serde::{Deserialize, Serialize};
use weir_ids::{NodeId, TopicId};

use super::codec::Record;
use crate::store::Key;

/// The node of each partition, in order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// By partition.
    pub nodes: Vec<NodeId>,
}

impl Record for Assignment {}

impl Assignment {
    /// The keys of all assignments.
    pub const PREFIX: &'static str = "assignments/";

    /// The key of the assignment of `topic`.
    pub fn key(topic: TopicId) -> Key {
        format!("{}{topic}", Self::PREFIX).into()
    }

    /// The topic in an assignment's key.
    pub fn topic(key: &Key) -> Option<TopicId> {
        let id = key.as_str().strip_prefix(Self::PREFIX)?;
        id.parse().ok().map(TopicId)
    }
}
