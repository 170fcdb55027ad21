//! Which sessions the logs of all partitions still need.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{ClaimNumber, SessionId, TopicPartition};
use weir_meta::{
    Error, Metadata,
    model::{Log, LogState, Record, SessionAllocation, Wal},
    store::{Revision, list_together},
};

/// All logs and sessions as of one revision.
#[derive(Default)]
pub(crate) struct Census {
    /// The revision.
    pub(crate) revision: Revision,
    /// The highest id that a session can have by then; none before the first.
    pub(crate) highest: Option<SessionId>,
    /// The sessions' logs.
    pub(crate) wals: BTreeMap<SessionId, (Wal, Revision)>,
    /// Every partition whose log somebody has claimed and not dropped.
    pub(crate) claimed: Vec<TopicPartition>,
    /// The sessions that hold a part of some partition's log which nobody else has adopted.
    pub(crate) needed: BTreeSet<SessionId>,
    /// And of which partitions, in order.
    pub(crate) needs: Vec<(SessionId, TopicPartition)>,
}

impl Census {
    pub(crate) async fn take(metadata: &Metadata) -> Result<Self, Error> {
        let ids = SessionAllocation::key();
        let ([wals, logs, ids], revision) =
            list_together(metadata.store(), [Wal::PREFIX, Log::PREFIX, ids.as_str()]).await?;
        let highest = Some(SessionAllocation::highest(ids.first(), revision)?);
        let mut census = Self { revision, highest, ..Self::default() };
        for entry in &wals {
            if let Some(session) = Wal::session(&entry.key) {
                census.wals.insert(session, (Wal::decode(entry)?, entry.mod_revision));
            }
        }
        for entry in &logs {
            if let Some(partition) = Log::partition(&entry.key) {
                census.count(partition, &Log::decode(entry)?);
            }
        }
        census.needs.sort_unstable();
        census.needs.dedup();
        Ok(census)
    }

    /// Takes in a partition's log.
    pub(crate) fn count(&mut self, partition: TopicPartition, log: &Log) {
        let Some(owner) = log.owner else { return };
        if log.state != LogState::Dropped {
            self.claimed.push(partition);
        }
        let adopted = self.wals.get(&owner.session);
        let adopted = adopted.map_or(ClaimNumber::NONE, |(wal, _)| wal.adopted_through());
        let sessions = log.inherited.iter().map(|part| part.session).chain([owner.session]);
        for session in sessions.filter(|session| log.needs(*session, adopted)) {
            self.needed.insert(session);
            self.needs.push((session, partition));
        }
    }
}
