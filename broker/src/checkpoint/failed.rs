//! Why a checkpoint was not made, and what follows from it.

use weir_meta::{
    CheckpointError, TrimError,
    model::{TrimRefused, WalRefused},
    store::{Remedy, StoreError as MetaStoreError},
};
use weir_segment_store::{ReadError, StoreError, journal};

use crate::shard::Gone;

/// Why a checkpoint was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("write {0}")]
    Store(#[from] StoreError),
    #[error("publish it: {0}")]
    Publish(#[from] CheckpointError),
    #[error("record what is trimmed: {0}")]
    Trim(#[from] TrimError),
    #[error("trim the log: {0}")]
    Journal(#[from] journal::Error),
    #[error("find out what of the log is still needed: {0}")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl Failed {
    /// Whether it is for lack of space: then producers are told instead of being kept waiting.
    pub(super) fn is_no_space(&self) -> bool {
        let meta = match self {
            Self::Store(StoreError::NoSpace(_)) | Self::Journal(journal::Error::NoSpace { .. }) => {
                return true;
            }
            Self::Publish(CheckpointError::Metadata(error))
            | Self::Trim(TrimError::Metadata(error)) => error,
            _ => return false,
        };
        matches!(meta, weir_meta::Error::Store(MetaStoreError::Full { .. }))
    }

    /// Whether the session is over: somebody else has ended it.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Publish(CheckpointError::Refused(WalRefused::Sealed(_)))
            | Self::Trim(TrimError::Refused(TrimRefused::Sealed(_))) => true,
            Self::Journal(error) => error.advice() == journal::Advice::Reopen,
            _ => false,
        }
    }

    /// Whether nothing sensible can follow.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Store(_) | Self::Read(_) | Self::Gone(_) => false,
            Self::Publish(error) => error.remedy() != Remedy::Retry,
            Self::Trim(error) => error.remedy() != Remedy::Retry,
            Self::Journal(error) => error.advice() != journal::Advice::Retry,
        }
    }
}
