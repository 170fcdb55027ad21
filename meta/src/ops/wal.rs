//! A session's WAL: publishing checkpoints, trimming, sealing.

use weir_ids::{SessionId, Slot};

use crate::{
    Error, Metadata,
    cas::{self, Step},
    model::{CheckpointPointer, Seal, SealRefused, TrimRefused, Wal, WalRefused},
    store::Remedy,
};

/// There is no such WAL in the metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("session {0} has no WAL in the metadata")]
pub struct WalLost(pub SessionId);

/// Why a checkpoint is not published.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CheckpointError {
    /// It must not be.
    #[error(transparent)]
    Refused(#[from] WalRefused),
    /// There is no such session.
    #[error(transparent)]
    Lost(#[from] WalLost),
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

/// Why a trim slot is not moved.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TrimError {
    /// It must not be.
    #[error(transparent)]
    Refused(#[from] TrimRefused),
    /// There is no such session.
    #[error(transparent)]
    Lost(#[from] WalLost),
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

/// Why a seal is not recorded.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealError {
    /// There is no such session.
    #[error(transparent)]
    Lost(#[from] WalLost),
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

/// What became of an attempt to seal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sealing {
    /// The WAL is sealed there, by this attempt or by an earlier one.
    Sealed(Seal),
    /// The owner has trimmed above the fence meanwhile: look again from this slot upward.
    BeginAgain {
        /// The trim slot now.
        trim: Slot,
    },
}

impl CheckpointError {
    /// Retry, fix or stop. [`WalRefused::Sealed`] ends the session.
    pub fn remedy(&self) -> Remedy {
        match self {
            CheckpointError::Refused(_) | CheckpointError::Lost(_) => Remedy::Fix,
            CheckpointError::Metadata(error) => error.remedy(),
        }
    }
}

impl SealError {
    /// Retry, fix or stop.
    pub fn remedy(&self) -> Remedy {
        match self {
            SealError::Lost(_) => Remedy::Fix,
            SealError::Metadata(error) => error.remedy(),
        }
    }
}

impl TrimError {
    /// Retry, fix or stop.
    pub fn remedy(&self) -> Remedy {
        match self {
            TrimError::Refused(_) | TrimError::Lost(_) => Remedy::Fix,
            TrimError::Metadata(error) => error.remedy(),
        }
    }
}

impl Metadata {
    /// Publishes a checkpoint of `session`. One that is published already is found to be.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub async fn publish_checkpoint(
        &self,
        session: SessionId,
        pointer: &CheckpointPointer,
    ) -> Result<(), CheckpointError> {
        cas::update(self.store(), &Wal::key(session), |wal: Option<&Wal>| {
            let wal = wal.ok_or(WalLost(session))?;
            if wal.checkpoint.as_ref() == Some(pointer) {
                return Ok(Step::Keep(()));
            }
            Ok(Step::Put(wal.with_checkpoint(pointer)?, ()))
        })
        .await
    }

    /// Moves the trim slot of a session that is not sealed; never back. What is below may be
    /// deleted once this has succeeded.
    ///
    /// # Errors
    /// [`TrimError`].
    pub async fn trim(&self, session: SessionId, trim: Slot) -> Result<(), TrimError> {
        self.move_trim(session, |wal| wal.with_trim(trim)).await
    }

    /// Moves the trim slot of a sealed session, for garbage collection.
    ///
    /// # Errors
    /// [`TrimError`].
    pub async fn trim_sealed(&self, session: SessionId, trim: Slot) -> Result<(), TrimError> {
        self.move_trim(session, |wal| wal.with_sealed_trim(trim)).await
    }

    async fn move_trim(
        &self,
        session: SessionId,
        moved: impl Fn(&Wal) -> Result<Wal, TrimRefused>,
    ) -> Result<(), TrimError> {
        cas::update(self.store(), &Wal::key(session), |wal: Option<&Wal>| {
            let wal = wal.ok_or(WalLost(session))?;
            let moved = moved(wal)?;
            Ok(if moved == *wal { Step::Keep(()) } else { Step::Put(moved, ()) })
        })
        .await
    }

    /// Records that a session's WAL has been fenced: from then on others may claim its partitions,
    /// and it may claim, checkpoint and trim no more. Call it only with the fence in place.
    ///
    /// # Errors
    /// [`SealError`].
    pub async fn seal(&self, session: SessionId, seal: Seal) -> Result<Sealing, SealError> {
        cas::update(self.store(), &Wal::key(session), |wal: Option<&Wal>| {
            let wal = wal.ok_or(WalLost(session))?;
            Ok(match wal.with_seal(seal.clone()) {
                Ok(sealed) => Step::Put(sealed, Sealing::Sealed(seal.clone())),
                Err(SealRefused::Already(seal)) => Step::Keep(Sealing::Sealed(seal)),
                Err(SealRefused::TrimmedAbove(trim)) => Step::Keep(Sealing::BeginAgain { trim }),
            })
        })
        .await
    }
}
