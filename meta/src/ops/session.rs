//! Opening a broker's session and keeping it registered.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use weir_ids::{NodeId, SessionId, Slot};
use weir_runtime::Stop;

use crate::{
    Error, Metadata,
    cas::{self, Step, Unclear, read},
    model::{Record, Session, SessionAllocation, Wal},
    store::{Compare, LeaseId, Remedy, StoreError, Txn},
};

/// How long a session stays registered without a sign of life.
pub const SESSION_TTL: Duration = Duration::from_secs(9);

/// How often a sign of life is given within a lease's time.
const SIGNS_PER_TTL: u32 = 3;

/// Why a session is not registered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegisterError {
    /// It has been ended: open a new one.
    #[error("session {session} has been ended at slot {at}; open a new one")]
    Fenced {
        /// The session.
        session: SessionId,
        /// Where its WAL is sealed.
        at: Slot,
    },
    /// It has no WAL in the metadata: it was never allocated.
    #[error("session {session} has no WAL in the metadata; allocate one")]
    Unknown {
        /// The session.
        session: SessionId,
    },
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

impl RegisterError {
    /// Retry, fix or stop.
    pub fn remedy(&self) -> Remedy {
        match self {
            RegisterError::Fenced { .. } | RegisterError::Unknown { .. } => Remedy::Fix,
            RegisterError::Metadata(error) => error.remedy(),
        }
    }
}

/// A session that others see as alive as long as [`Registration::keep`] runs.
#[derive(Clone, Debug)]
pub struct Registration {
    id: SessionId,
    session: Session,
    ttl: Duration,
    lease: LeaseId,
}

impl Metadata {
    /// A session id that was never given before, and its WAL's key. Whatever the answer, an id
    /// that the caller does not learn is never used.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn allocate_session(&self, node: NodeId) -> Result<SessionId, Error> {
        let value = SessionAllocation { node }.encode();
        let written = self.store().txn(Txn::new().put(SessionAllocation::key(), value)).await?;
        let id = SessionId(written.revision().0);
        // The id is ours alone: what is there already is what we wrote.
        cas::update(self.store(), &Wal::key(id), |wal: Option<&Wal>| {
            Ok(if wal.is_some() { Step::Keep(id) } else { Step::Put(Wal::default(), id) })
        })
        .await
    }

    /// Registers a session, or registers it again: requires that its WAL is unsealed.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register_session(
        &self,
        id: SessionId,
        session: &Session,
        ttl: Duration,
    ) -> Result<Registration, RegisterError> {
        let lease = self.store().grant(ttl).await.map_err(Error::from)?;
        let (key, mut unclear) = (Session::key(id), Unclear::default());
        for _ in 0..cas::ATTEMPTS_MAX {
            let wal = read::<Wal>(self.store(), &Wal::key(id)).await?;
            let wal = wal.ok_or(RegisterError::Unknown { session: id })?;
            if let Some(seal) = &wal.value.sealed {
                return Err(RegisterError::Fenced { session: id, at: seal.at });
            }
            let txn = Txn::new().when(Compare::unchanged(Wal::key(id), wal.revision)).put_leased(
                key.clone(),
                session.encode(),
                lease,
            );
            if unclear.commit(self.store(), txn).await?.is_some() {
                return Ok(Registration { id, session: session.clone(), ttl, lease });
            }
        }
        Err(unclear.or(Error::Contended { key }).into())
    }
}

impl Registration {
    /// Keeps the session registered until `stop`, then takes the registration back; `seen` is
    /// called at each sign of life that arrived. Registers again when the lease was lost.
    ///
    /// # Errors
    /// [`RegisterError::Fenced`] once the session has been ended, or what can't be retried.
    pub async fn keep(
        mut self,
        metadata: &Metadata,
        stop: Stop,
        mut seen: impl FnMut() + Send,
    ) -> Result<(), RegisterError> {
        let pause = self.ttl / SIGNS_PER_TTL;
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = sleep(pause) => {}
            }
            match timeout(pause, metadata.store().keep_alive(self.lease)).await {
                Ok(Ok(())) => seen(),
                Ok(Err(StoreError::LeaseNotFound { .. })) => {
                    match metadata.register_session(self.id, &self.session, self.ttl).await {
                        Ok(again) => {
                            self = again;
                            seen();
                        }
                        Err(error) if error.remedy() == Remedy::Retry => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(Err(error)) if error.remedy() == Remedy::Stop => {
                    return Err(Error::from(error).into());
                }
                // No answer, or not now: the next sign of life may arrive.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        // If this does not arrive, the lease ends by itself.
        let _ = timeout(pause, metadata.store().revoke(self.lease)).await;
        Ok(())
    }
}
