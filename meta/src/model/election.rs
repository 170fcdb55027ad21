//! `controller`: who changes the cluster at present. `collector`: who deletes what is not needed.
//!
//! ```text
//! controller                          leased
//! {"v":1,"node":2}
//! collector                           leased
//! {"v":1,"node":2}
//! ```
//!
//! Whoever creates the key is elected until it is gone. Every change that a controller makes
//! compares the revision at which it created the key, so a controller that was replaced without
//! noticing changes nothing.

use serde::{Deserialize, Serialize};
use weir_ids::NodeId;

use super::codec::Record;
use crate::store::Key;

/// The holder of an office.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Leadership {
    /// Its node.
    pub node: NodeId,
}

impl Record for Leadership {}

impl Leadership {
    /// The key of the controller.
    pub fn key() -> Key {
        "controller".into()
    }

    /// The key of the collector.
    pub fn collector() -> Key {
        "collector".into()
    }
}
