//! Which sessions the logs of all partitions still need.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{ClaimNumber, SessionId, TopicPartition};
use weir_meta::{
    Error, Metadata,
    model::{Log, LogState, Record, Wal},
    store::{Revision, list},
};

/// All logs and sessions as of about one moment.
pub(crate) struct Census {
    /// The sessions' logs.
    pub(crate) wals: BTreeMap<SessionId, (Wal, Revision)>,
    /// Every partition whose log somebody has claimed and not dropped.
    pub(crate) claimed: Vec<TopicPartition>,
    /// The sessions that hold a part of some partition's log which nobody else has adopted.
    pub(crate) needed: BTreeSet<SessionId>,
}

impl Census {
    pub(crate) async fn take(metadata: &Metadata) -> Result<Self, Error> {
        // Sessions first: one that is begun later is needed by nobody yet.
        let (entries, _) = list(metadata.store(), Wal::PREFIX).await?;
        let mut wals = BTreeMap::new();
        for entry in &entries {
            if let Some(session) = Wal::session(&entry.key) {
                wals.insert(session, (Wal::decode(entry)?, entry.mod_revision));
            }
        }
        let (entries, _) = list(metadata.store(), Log::PREFIX).await?;
        let (mut claimed, mut needed) = (Vec::new(), BTreeSet::new());
        for entry in &entries {
            let log = Log::decode(entry)?;
            let Some(owner) = log.owner else { continue };
            if log.state != LogState::Dropped {
                claimed.extend(Log::partition(&entry.key));
            }
            let adopted = wals.get(&owner.session);
            let adopted = adopted.map_or(ClaimNumber::NONE, |(wal, _)| wal.adopted_through());
            let sessions = log.inherited.iter().map(|part| part.session).chain([owner.session]);
            needed.extend(sessions.filter(|session| log.needs(*session, adopted)));
        }
        Ok(Self { wals, claimed, needed })
    }
}
