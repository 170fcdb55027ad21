//! Opening a broker's session and keeping it registered.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use weir_ids::{NodeId, SessionId, Slot};
use weir_runtime::Stop;

use crate::{
    Error, Metadata,
    cas::{self, Step, Unclear, read},
    model::{Condemned, Record, Session, SessionAllocation, Wal},
    store::{Compare, LeaseId, Remedy, StoreError, Txn},
};

/// How long a session stays registered without a sign of life.
pub const SESSION_TTL: Duration = Duration::from_secs(3);

/// How long after it was sent a sign of life proves that nobody ends the session: nobody does within
/// that time of seeing that it is not registered.
pub const SESSION_PROOF: Duration = Duration::from_secs(2);

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
    /// Others may end it, and perhaps have begun to: open a new one.
    #[error("session {session} is condemned: others may end it; open a new one")]
    Condemned {
        /// The session.
        session: SessionId,
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
            RegisterError::Fenced { .. }
            | RegisterError::Condemned { .. }
            | RegisterError::Unknown { .. } => Remedy::Fix,
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
    /// When the request was sent that made it: the first sign of life.
    sent: Instant,
}

impl Metadata {
    /// A session id that was never given before, and its WAL's key. Whatever the answer, an id
    /// that the caller does not learn is never used.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn allocate_session(&self, node: NodeId) -> Result<SessionId, Error> {
        let (key, mut unclear) = (SessionAllocation::key(), Unclear::default());
        let mut written = None;
        for _ in 0..cas::ATTEMPTS_MAX {
            let found = read::<SessionAllocation>(self.store(), &key).await?;
            let above = found.as_ref().map_or(0, |found| found.value.above);
            let allocation = SessionAllocation { node, above };
            let compare = cas::unchanged(key.clone(), found.as_ref());
            let txn = Txn::new().when(compare).put(key.clone(), allocation.encode());
            if let Some(revision) = unclear.commit(self.store(), txn).await? {
                written = Some(SessionAllocation::id(above, revision));
                break;
            }
        }
        let id = written.ok_or_else(|| unclear.or(Error::Contended { key }))?;
        // The id is ours alone: what is there already is what we wrote.
        cas::update(self.store(), &Wal::key(id), |wal: Option<&Wal>| {
            Ok(if wal.is_some() { Step::Keep(id) } else { Step::Put(Wal::of(node), id) })
        })
        .await
    }

    /// Registers a session, or registers it again: requires that its WAL is unsealed and that it is
    /// not condemned.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub async fn register_session(
        &self,
        id: SessionId,
        session: &Session,
        ttl: Duration,
    ) -> Result<Registration, RegisterError> {
        let sent = Instant::now();
        let lease = self.store().grant(ttl).await.map_err(Error::from)?;
        let (key, mut unclear) = (Session::key(id), Unclear::default());
        for _ in 0..cas::ATTEMPTS_MAX {
            let wal = read::<Wal>(self.store(), &Wal::key(id)).await?;
            let wal = wal.ok_or(RegisterError::Unknown { session: id })?;
            if let Some(seal) = &wal.value.sealed {
                return Err(RegisterError::Fenced { session: id, at: seal.at });
            }
            if self.is_condemned(id).await? {
                return Err(RegisterError::Condemned { session: id });
            }
            let mut txn = Txn::new()
                .when(Compare::unchanged(Wal::key(id), wal.revision))
                .when(Compare::absent(Condemned::key(id)))
                .put_leased(key.clone(), session.encode(), lease);
            if wal.value.rpc != session.rpc {
                let wal = Wal { rpc: session.rpc.clone(), ..wal.value };
                txn = txn.put(Wal::key(id), wal.encode());
            }
            if unclear.commit(self.store(), txn).await?.is_some() {
                return Ok(Registration { id, session: session.clone(), ttl, lease, sent });
            }
        }
        Err(unclear.or(Error::Contended { key }).into())
    }
}

impl Registration {
    /// Keeps the session registered until `stop`, then takes the registration back. Registers again
    /// when the lease was lost, or the registration was taken away.
    ///
    /// `seen` is called at each sign of life that arrived, the first registration included, with
    /// the time at which it was *sent*: at some time after that the session was registered, and so
    /// not condemned.
    ///
    /// # Errors
    /// [`RegisterError::Fenced`] once the session has been ended, [`RegisterError::Condemned`] once
    /// others may end it, or what can't be retried.
    pub async fn keep(
        mut self,
        metadata: &Metadata,
        stop: Stop,
        mut seen: impl FnMut(Instant) + Send,
    ) -> Result<(), RegisterError> {
        let pause = self.ttl / SIGNS_PER_TTL;
        seen(self.sent);
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = sleep(pause) => {}
            }
            let sent = Instant::now();
            match timeout(pause, self.give_sign(metadata)).await {
                Ok(Ok(true)) => seen(sent),
                Ok(Ok(false) | Err(StoreError::LeaseNotFound { .. })) => {
                    match metadata.register_session(self.id, &self.session, self.ttl).await {
                        Ok(again) => {
                            self = again;
                            seen(self.sent);
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

    /// Gives the lease its whole time again; then whether the session is still registered with it.
    /// Who condemns a session takes the key away, and leaves the lease.
    async fn give_sign(&self, metadata: &Metadata) -> Result<bool, StoreError> {
        metadata.store().keep_alive(self.lease).await?;
        let entry = metadata.store().get(&Session::key(self.id)).await?;
        Ok(entry.is_some_and(|entry| entry.lease == Some(self.lease)))
    }
}
