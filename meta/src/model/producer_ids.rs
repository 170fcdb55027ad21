//! `producer-ids`: the first producer id that has not been handed to anybody.
//!
//! ```text
//! producer-ids
//! {"v":1,"next":3000}
//! ```
//!
//! Handed out in blocks. A block whose hand-out was unclear is lost; there are enough.

use serde::{Deserialize, Serialize};
use weir_ids::ProducerId;

use super::codec::Record;
use crate::store::Key;

/// How many producer ids a block has.
pub const PRODUCER_IDS_PER_BLOCK: i64 = 1_000;

/// Where the next block begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NextProducerId {
    /// The next block's first id.
    pub next: ProducerId,
}

impl Record for NextProducerId {}

impl NextProducerId {
    /// Its key.
    pub fn key() -> Key {
        "producer-ids".into()
    }
}
