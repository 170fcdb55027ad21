//! A write-ahead log in an object store.
//!
//! ```text
//! {hh}/wal/{session:020}/{slot:020}     one object a slot
//! open/{session:020}                    slot 0, the open marker
//! ```
//!
//! Every slot is made by a conditional create and never changed. Several are in flight; they may land
//! in any order, but are answered in order ([`put`], [`writer`]). To end a session, somebody puts a
//! *fence* in the first slot that is absent ([`seal`]): from then on no create at that slot can
//! succeed, so the session can answer nothing more, wherever its writer is and whatever it believes.
//!
//! Invariants (each was violated by a looser reading; `docs/proof.md` has the model):
//! - "It exists already" says nothing by itself: the slot is read back. Own put id: it landed. A
//!   fence: the session is over. Nothing: the store was wrong, try again. Anything else: stop.
//! - A create whose fate is unclear is repeated under the same name with the same body; so is one that takes
//!   unusually long, beside the first.
//! - Slots are looked for by name, never in a listing: a listing hides holes that fill later.
//! - Fences and open markers are never deleted: a store forgets what is deleted, and would let a
//!   stalled writer come back.

mod condition;
mod kept;
mod put;
mod seal;
#[cfg(test)]
mod tests;
mod trim;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;
use weir_ids::{SessionId, Slot};
use weir_runtime::Runtime;

pub use kept::{FORGOTTEN, is_kept, may_be_kept};

use self::{
    put::{Body, Landing},
    trim::Trimmed,
    writer::ObjectWriter,
};
use super::{Checkpointing, Error, Journal, Sealed, Slots, StoredSlot, Writer};
use crate::{
    ObjectName, Retry, RetrySettings, Store, StoreError,
    hedge::Hedges,
    name::OPEN_PREFIX,
    object::{Header, Kind},
};

/// Settings of an [`ObjectJournal`].
#[derive(Clone, Debug)]
pub struct ObjectJournalSettings {
    /// How often and how patiently the store is asked. (Slots are sent until they land or the session
    /// is over.)
    pub retry: RetrySettings,
    /// How many slots are read at once when a session is ended.
    pub read_ahead: usize,
    /// How much of a slot's end is read at first: directory and indexes of most.
    pub end_bytes: u64,
}

impl Default for ObjectJournalSettings {
    fn default() -> Self {
        Self { retry: RetrySettings::default(), read_ahead: 16, end_bytes: 64 << 10 }
    }
}

/// The logs of all sessions in one object store. Clones share what they know.
#[derive(Clone)]
pub struct ObjectJournal {
    store: Store,
    cluster: Uuid,
    runtime: Runtime,
    retry: Retry,
    settings: ObjectJournalSettings,
    trimmed: Trimmed,
    hedges: Arc<Hedges>,
}

impl ObjectJournal {
    /// Logs in `store`, which must honour conditional creates; whether it does is found out with every log
    /// that is begun.
    pub fn new(
        store: Store,
        cluster: Uuid,
        runtime: Runtime,
        settings: ObjectJournalSettings,
    ) -> Self {
        let retry = Retry::new(runtime.clone(), settings.retry.clone());
        let store = store.retrying(retry.clone());
        let (trimmed, hedges) = (Trimmed::default(), Arc::default());
        Self { store, cluster, runtime, retry, settings, trimmed, hedges }
    }

    fn header(&self, session: SessionId, slot: Slot, kind: Kind) -> Header {
        let put_id = self.runtime.random_u64();
        Header { cluster: self.cluster, session, number: slot.0, put_id, kind }
    }
}

#[async_trait]
impl Journal for ObjectJournal {
    async fn open(&self, session: SessionId) -> Result<Box<dyn Writer>, Error> {
        let marker = Body::empty(&self.header(session, Slot::OPEN, Kind::OpenMarker));
        match self.put(&marker, Some(self.retry.attempts_max()), |_| {}).await? {
            Landing::Landed => {}
            Landing::Taken(_) => return Err(Error::Exists(session)),
        }
        self.check_condition(session).await?;
        self.trimmed.begin(session);
        Ok(Box::new(ObjectWriter::new(Arc::new(self.clone()), session)))
    }

    async fn seal(&self, session: SessionId, from: Slot) -> Result<Sealed, Error> {
        self.end_session(session, from).await
    }

    async fn read(
        &self,
        session: SessionId,
        from: Slot,
        below: Slot,
    ) -> Result<Option<Vec<StoredSlot>>, Error> {
        self.read_slots(session, from, below).await
    }

    fn look_ahead(&self, session: SessionId, from: Slot, below: Slot) -> Slots<'_> {
        self.read_ahead(session, from, below)
    }

    /// Each slot is an object, and read by itself. Of a slot of 8 MiB that a dozen partitions share each has more than
    /// half a MiB: read in one piece that costs no more than what is gathered.
    fn checkpointing(&self) -> Checkpointing {
        Checkpointing { slots: 512, in_place_bytes: 512 << 10 }
    }

    async fn trim(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        self.delete_below(session, below, keep).await
    }

    async fn forget(&self, session: SessionId) -> Result<(), Error> {
        self.end_session(session, FORGOTTEN).await.map(drop)
    }

    async fn is_forgotten(&self, session: SessionId) -> Result<bool, Error> {
        self.has_fence(session, FORGOTTEN).await
    }

    async fn sessions(&self) -> Result<Vec<SessionId>, Error> {
        let names = self.store.list(Some(OPEN_PREFIX)).await;
        let names = names.map_err(|error| unavailable(&error))?;
        let mut sessions: Vec<SessionId> =
            names.into_iter().map(|(name, _)| name.session()).collect();
        sessions.sort_unstable();
        Ok(sessions)
    }
}

fn name(session: SessionId, slot: Slot) -> ObjectName {
    ObjectName::WalSlot { session, slot }
}

fn unavailable(error: &StoreError) -> Error {
    Error::Unavailable { what: error.to_string() }
}

fn corrupt(name: ObjectName, what: String) -> Error {
    Error::Corrupt { path: name.to_string(), at: 0, what }
}
