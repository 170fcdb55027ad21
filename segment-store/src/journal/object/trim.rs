//! Deleting slots that are not needed any more; fences and open markers stay.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use weir_ids::{SessionId, Slot};

use super::{ObjectJournal, kept::EMPTY_BYTES_MAX, name, unavailable};
use crate::{ObjectName, journal::Error, name::slots_of};

/// How far the sessions were trimmed that this process writes. What they have answered below their
/// trim slot is known to be data, so that no listing is needed to delete it, and no fence is met.
#[derive(Clone, Default)]
pub(super) struct Trimmed(Arc<Mutex<BTreeMap<SessionId, Progress>>>);

#[derive(Clone, Default)]
struct Progress {
    /// Everything below is deleted.
    below: u64,
    /// Except these.
    left: BTreeSet<u64>,
}

impl Trimmed {
    pub(super) fn begin(&self, session: SessionId) {
        let progress = Progress { below: Slot::OPEN.next().0, left: BTreeSet::new() };
        self.lock().insert(session, progress);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Progress>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ObjectJournal {
    /// Deletes the slots of `session` below `below`, except what `keep` names.
    pub(super) async fn delete_below(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        let own = self.trimmed.lock().get(&session).cloned();
        match own.filter(|_| below != Slot(u64::MAX)) {
            Some(progress) => self.delete_own(session, below, keep, progress).await,
            None => self.delete_listed(session, below, keep).await,
        }
    }

    async fn delete_own(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
        progress: Progress,
    ) -> Result<(), Error> {
        let end = below.0.max(progress.below);
        let (left, doomed): (BTreeSet<u64>, Vec<u64>) = {
            let slots = progress.left.iter().copied().chain(progress.below..end);
            let (left, doomed): (Vec<u64>, Vec<u64>) =
                slots.partition(|slot| keep(&name(session, Slot(*slot))));
            (left.into_iter().collect(), doomed)
        };
        let names = doomed.into_iter().map(|slot| name(session, Slot(slot)));
        self.delete(names.collect()).await?;
        self.trimmed.lock().insert(session, Progress { below: end, left });
        Ok(())
    }

    /// For sessions of others. A listing may miss some: whoever sweeps comes again.
    async fn delete_listed(
        &self,
        session: SessionId,
        below: Slot,
        keep: &(dyn for<'a> Fn(&'a ObjectName) -> bool + Sync),
    ) -> Result<(), Error> {
        let listed = self.store.list(Some(&slots_of(session))).await;
        let listed = listed.map_err(|error| unavailable(&error))?;
        let doomed = listed.into_iter().filter(|(name, bytes)| {
            let covered = matches!(name, ObjectName::WalSlot { slot, .. } if *slot < below);
            covered && *bytes > EMPTY_BYTES_MAX && !keep(name)
        });
        self.delete(doomed.map(|(name, _)| name).collect()).await
    }

    async fn delete(&self, names: Vec<ObjectName>) -> Result<(), Error> {
        self.store.delete_all(&names).await.map_err(|error| unavailable(&error))
    }
}
