//! Ending every session of which the store holds anything, and reading it.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt, stream};
use weir_ids::{ClaimNumber, SessionId, Slot};
use weir_meta::model::{CheckpointPointer, Wal};
use weir_segment_store::{ObjectName, checkpoint::Chain};

use super::{Fsck, REQUESTS, rebuild::RebuildError};
use crate::{
    Named,
    recovery::{SessionError, SessionLogs, by_partition, read_chain},
};

/// How many slots a crash may have left behind a hole.
const SLOTS_IN_FLIGHT: u64 = 64;

/// What the store holds of one session.
#[derive(Default)]
struct Held {
    checkpoints: BTreeSet<u64>,
    first_slot: Option<Slot>,
}

impl Fsck {
    /// Ends all sessions, and reads those that were not forgotten on purpose.
    pub(super) async fn end_all(
        &self,
        there: &BTreeSet<ObjectName>,
    ) -> Result<BTreeMap<SessionId, SessionLogs>, RebuildError> {
        let sessions = self.held(there).await?;
        let reads = sessions.into_iter().map(|(session, held)| self.end(session, held, there));
        let reads: Vec<_> = reads.collect();
        stream::iter(reads).buffer_unordered(REQUESTS).try_collect().await
    }

    async fn held(
        &self,
        there: &BTreeSet<ObjectName>,
    ) -> Result<BTreeMap<SessionId, Held>, RebuildError> {
        let mut sessions: BTreeMap<SessionId, Held> = BTreeMap::new();
        for session in self.journal.sessions().await? {
            sessions.entry(session).or_default();
        }
        for name in there {
            let held = sessions.entry(name.session()).or_default();
            match name {
                ObjectName::Checkpoint { number, .. } => drop(held.checkpoints.insert(*number)),
                ObjectName::WalSlot { slot, .. } if *slot != Slot::OPEN => {
                    held.first_slot = Some(held.first_slot.unwrap_or(*slot).min(*slot));
                }
                _ => {}
            }
        }
        let mut forgotten = BTreeSet::new();
        for session in sessions.keys() {
            if self.journal.is_forgotten(*session).await? {
                forgotten.insert(*session);
            }
        }
        sessions.retain(|session, _| !forgotten.contains(session));
        Ok(sessions)
    }

    async fn end(
        &self,
        session: SessionId,
        held: Held,
        there: &BTreeSet<ObjectName>,
    ) -> Result<(SessionId, SessionLogs), RebuildError> {
        let newest = self.newest_chain(session, &held, there).await?;
        let (checkpoint, chain) =
            newest.map_or_else(|| (None, Chain::empty()), |it| (Some(it.0), it.1));
        let from = chain.covers_below;
        if let Some(found) = held.first_slot
            && found.0 > from.0 + SLOTS_IN_FLIGHT
        {
            return Err(RebuildError::Uncovered { session, found, from });
        }
        let sealed = self.journal.seal(session, from).await?;
        let chunks = by_partition(sealed.slots.into_iter());
        let mut logs = SessionLogs::new(sealed.end, chain, chunks);
        logs.wal = Some(Wal { checkpoint, trim: from, ..Wal::default() });
        Ok((session, logs))
    }

    /// The newest checkpoint of a session of which everything is there. One may have been written and never published:
    /// what it says is true, but what it names may have been collected since. If there is none such, the newest that can
    /// be read: what it names is lost.
    async fn newest_chain(
        &self,
        session: SessionId,
        held: &Held,
        there: &BTreeSet<ObjectName>,
    ) -> Result<Option<(CheckpointPointer, Chain)>, RebuildError> {
        let mut readable = None;
        for number in held.checkpoints.iter().rev() {
            let object = ObjectName::Checkpoint { session, number: *number }.to_string();
            let mut pointer = CheckpointPointer {
                object,
                number: *number,
                covers_below: Slot::OPEN,
                adopted_through: ClaimNumber::NONE,
            };
            let chain = match read_chain(&self.store, &pointer).await {
                Ok((chain, _)) => chain,
                Err(SessionError::Store(error)) if error.may_heal() => return Err(error.into()),
                Err(error) => {
                    tracing::debug!(%session, number, %error, "a checkpoint that does not count");
                    continue;
                }
            };
            pointer.covers_below = chain.covers_below;
            pointer.adopted_through = chain.adopted_through;
            if self.is_whole(&chain, there).await {
                return Ok(Some((pointer, chain)));
            }
            readable.get_or_insert((pointer, chain));
        }
        Ok(readable)
    }

    async fn is_whole(&self, chain: &Chain, there: &BTreeSet<ObjectName>) -> bool {
        let mut named = Named::default();
        chain.partitions.values().for_each(|listing| named.add(listing));
        let Ok(objects) = named.all(&self.reader).await else { return false };
        let is_file = |name: &ObjectName| matches!(name, ObjectName::WalFile { .. });
        objects.iter().all(|name| there.contains(name) || is_file(name))
    }
}
