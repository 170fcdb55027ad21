//! What can go wrong with a store, and what the caller should do about it.

use super::{Key, LeaseId, Revision};

/// What a caller should do about an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remedy {
    /// Nothing is wrong with the request: try again after a while. After an unclear write, read
    /// first.
    Retry,
    /// The request can't be served as it is: the error says what to change.
    Fix,
    /// The store can't be trusted or is gone: give up.
    Stop,
}

/// Why a store did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum StoreError {
    /// The store did not take the request; a write was surely not applied.
    #[error("metadata store is not available: {reason}; try again")]
    Unavailable {
        /// What happened.
        reason: String,
    },
    /// The store took a write and its answer is lost: it may have been applied or not.
    #[error("it is not known whether a metadata write was applied: {reason}; read again")]
    Unclear {
        /// What happened.
        reason: String,
    },
    /// There is no room for the write, which was not applied. Reads go on.
    #[error("no space left for metadata in {place}; free some, writes then go on by themselves")]
    Full {
        /// Where.
        place: String,
    },
    /// That part of the history is gone. List again at a revision and watch from the next one.
    #[error("metadata history before revision {oldest} is gone; list again, then watch")]
    Compacted {
        /// The oldest revision that can still be watched from.
        oldest: Revision,
    },
    /// That revision does not exist yet: the store is older than what the caller has seen.
    #[error(
        "metadata revision {asked} is above the store's, {newest}; was it restored from a backup?"
    )]
    FutureRevision {
        /// The revision asked for.
        asked: Revision,
        /// The store's revision.
        newest: Revision,
    },
    /// The transaction is too long.
    #[error("metadata transaction of {count} operations or compares; at most {max} fit in one")]
    TooManyOperations {
        /// Its length.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// The transaction is too big.
    #[error("metadata transaction of {bytes} bytes; at most {max} fit in one")]
    TooLarge {
        /// Its keys and values.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The transaction writes a key twice, so its result would depend on the order.
    #[error("metadata transaction writes {key} twice; write it once")]
    DuplicateKey {
        /// The key.
        key: Key,
    },
    /// The lease has ended, and its keys are gone.
    #[error("lease {lease} has ended; open a new one")]
    LeaseNotFound {
        /// The lease.
        lease: LeaseId,
    },
    /// The store's own storage failed in a way that leaves its contents in doubt.
    #[error("metadata in {place} can't be trusted any more: {reason}; restart, and check the disk")]
    Broken {
        /// Where.
        place: String,
        /// What happened.
        reason: String,
    },
    /// The store was closed by this process.
    #[error("metadata store is closed")]
    Closed,
}

impl StoreError {
    /// Retry, fix or stop.
    pub fn remedy(&self) -> Remedy {
        match self {
            StoreError::Unavailable { .. }
            | StoreError::Unclear { .. }
            | StoreError::Full { .. } => Remedy::Retry,
            StoreError::Compacted { .. }
            | StoreError::TooManyOperations { .. }
            | StoreError::TooLarge { .. }
            | StoreError::DuplicateKey { .. }
            | StoreError::LeaseNotFound { .. } => Remedy::Fix,
            StoreError::FutureRevision { .. } | StoreError::Broken { .. } | StoreError::Closed => {
                Remedy::Stop
            }
        }
    }

    /// Whether a write that ended so may have been applied.
    pub fn is_unclear(&self) -> bool {
        matches!(self, StoreError::Unclear { .. } | StoreError::Broken { .. })
    }
}
