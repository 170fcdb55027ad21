//! `creations/{topic id}`, `deletions/{topic id}`: what the controller has begun and not finished.
//!
//! ```text
//! creations/7f1f…
//! {"v":1,"name":"orders","from":0,"to":50000}      logs from ≤ partition < to are being made
//! deletions/7f1f…
//! {"v":1,"name":"orders"}                          its logs are being dropped and removed
//! ```
//!
//! Both need more transactions than one when a topic is large. A controller that is elected finds
//! these keys and goes on: what was being made is removed again (nobody was told of it), what was
//! being removed is removed.

use serde::{Deserialize, Serialize};
use weir_ids::TopicId;

use super::codec::Record;
use crate::store::Key;

/// Partitions that are being made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Creation {
    /// The topic's name.
    pub name: String,
    /// The first partition that is new.
    pub from: u32,
    /// The partition behind the last.
    pub to: u32,
}

impl Record for Creation {}

impl Creation {
    /// The keys of all creations.
    pub const PREFIX: &'static str = "creations/";

    /// The key of the creation of partitions of `topic`.
    pub fn key(topic: TopicId) -> Key {
        format!("{}{topic}", Self::PREFIX).into()
    }

    /// The topic in a key.
    pub fn topic(key: &Key) -> Option<TopicId> {
        key.as_str().strip_prefix(Self::PREFIX)?.parse().ok().map(TopicId)
    }
}

/// A topic whose logs are being removed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Deletion {
    /// The name that it had.
    pub name: String,
}

impl Record for Deletion {}

impl Deletion {
    /// The keys of all deletions.
    pub const PREFIX: &'static str = "deletions/";

    /// The key of the deletion of `topic`.
    pub fn key(topic: TopicId) -> Key {
        format!("{}{topic}", Self::PREFIX).into()
    }

    /// The topic in a key.
    pub fn topic(key: &Key) -> Option<TopicId> {
        key.as_str().strip_prefix(Self::PREFIX)?.parse().ok().map(TopicId)
    }
}
