//! What stands in the way of reading or changing the metadata, whatever the operation.

use crate::{
    model::ModelError,
    store::{Key, Remedy, StoreError},
};

/// Trouble that every operation on the metadata can meet.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Error {
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds can't be read.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Others changed the key each time that we tried to.
    #[error("metadata {key} is being changed by others all the time; try again")]
    Contended {
        /// The key.
        key: Key,
    },
}

impl Error {
    /// Retry, fix or stop.
    pub fn remedy(&self) -> Remedy {
        match self {
            Error::Store(error) => error.remedy(),
            Error::Model(error) => error.remedy(),
            Error::Contended { .. } => Remedy::Retry,
        }
    }

    /// Whether a change that ended so may have been made.
    pub fn is_unclear(&self) -> bool {
        matches!(self, Error::Store(error) if error.is_unclear())
    }
}
