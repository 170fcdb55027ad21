//! `import`: that a backup is being read into this metadata.
//!
//! ```text
//! import
//! {"v":1}
//! ```
//!
//! Written before the first entry of a backup and gone with the last: nobody founds a cluster beside it.

use serde::{Deserialize, Serialize};

use super::codec::Record;
use crate::store::Key;

/// A backup has not been read to its end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Import {}

impl Record for Import {}

impl Import {
    /// Its key.
    pub fn key() -> Key {
        "import".into()
    }
}
