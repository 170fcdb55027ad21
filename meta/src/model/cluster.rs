//! `cluster`: which cluster this store belongs to.
//!
//! ```text
//! cluster
//! {"v":1,"id":"0d4b7c4e-…","name":"prod","format":1}
//! ```
//!
//! Written once. Clients see the id and rely on it never changing.

use serde::{Deserialize, Serialize};

use super::codec::Record;
use crate::store::Key;

/// The cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cluster {
    /// Random, for ever the same.
    pub id: String,
    /// What its people call it.
    pub name: String,
    /// Of the layout of keys: [`Cluster::FORMAT`].
    pub format: u32,
}

impl Record for Cluster {}

impl Cluster {
    /// The layout of keys that this version writes, and the newest that it reads.
    pub const FORMAT: u32 = 1;

    /// Its key.
    pub fn key() -> Key {
        "cluster".into()
    }
}
