//! How values become bytes: JSON objects with a version.
//!
//! ```text
//! {"v":1, …the record's own fields}
//! ```

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::store::{Entry, Key, Remedy};

/// A value in the store. Its fields are those of one format version.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    /// The version that is written, and the newest that is read.
    const VERSION: u32 = 1;

    /// The value's bytes.
    fn encode(&self) -> Bytes {
        #[derive(Serialize)]
        struct Versioned<'a, T> {
            v: u32,
            #[serde(flatten)]
            record: &'a T,
        }
        let versioned = Versioned { v: Self::VERSION, record: self };
        // Records are maps with text for keys: the only thing that JSON could refuse.
        serde_json::to_vec(&versioned).map(Bytes::from).unwrap_or_default()
    }

    /// Reads an entry's value.
    ///
    /// # Errors
    /// [`ModelError`], naming the key.
    fn decode(entry: &Entry) -> Result<Self, ModelError> {
        Self::decode_bytes(&entry.key, &entry.value)
    }

    /// Reads the value under `key`.
    ///
    /// # Errors
    /// [`ModelError`], naming the key.
    fn decode_bytes(key: &Key, value: &Bytes) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Version {
            v: u32,
        }
        let damaged = |error: serde_json::Error| ModelError::Damaged {
            key: key.to_string(),
            reason: error.to_string(),
        };
        let Version { v } = serde_json::from_slice(value).map_err(damaged)?;
        if v > Self::VERSION {
            let (key, known) = (key.to_string(), Self::VERSION);
            return Err(ModelError::NewerVersion { key, found: v, known });
        }
        serde_json::from_slice(value).map_err(damaged)
    }
}

/// Why a value can't be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum ModelError {
    /// A newer version of Weir wrote it.
    #[error(
        "metadata {key} has version {found}, this version of weir knows up to {known}; upgrade this node"
    )]
    NewerVersion {
        /// The key.
        key: String,
        /// Its version.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// It is not what it should be.
    #[error("metadata {key} is damaged: {reason}; restore it from a backup")]
    Damaged {
        /// The key.
        key: String,
        /// What was found.
        reason: String,
    },
}

impl ModelError {
    /// Nothing that the caller can do helps.
    pub fn remedy(&self) -> Remedy {
        Remedy::Stop
    }
}
