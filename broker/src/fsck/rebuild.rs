//! Writing metadata anew, from objects.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use uuid::Uuid;
use weir_ids::{NodeId, PartitionIndex, ProducerId, SessionId, Slot, TopicPartition};
use weir_meta::{
    backup::{self, BackupError, Contents},
    model::{
        Cluster, Log, ModelError, NextProducerId, PRODUCER_IDS_PER_BLOCK, Record,
        SessionAllocation, Wal,
    },
    store::Key,
};
use weir_segment_store::{
    ByteRange, ObjectName, Store, StoreError, journal,
    object::{HEADER_BYTES, Header},
};

use super::{Fsck, Problem, logs::Logs, topics::Topics};
use crate::catalog::{self, CatalogError};

/// What has been rebuilt.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rebuilt {
    /// Topics that clients can see.
    pub topics: usize,
    /// Their partitions.
    pub partitions: usize,
    /// Sessions that were found and are ended.
    pub sessions: usize,
    /// Topics whose names nothing tells; these are their names now.
    pub named: Vec<String>,
    /// What is not all there: partitions that no broker will open.
    pub problems: Vec<Problem>,
}

/// What metadata are rebuilt by beside what is stored.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The cluster, unless the catalog knows it.
    pub cluster: Cluster,
    /// Who owns what nobody is known to own; the controller moves it.
    pub node: NodeId,
    /// A backup that counts instead of the newest catalog in the store.
    pub base: Option<Contents>,
}

/// Why nothing was rebuilt. Metadata that were empty still are.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The catalog can't be read.
    #[error("what topics are called can't be read: {0}")]
    Catalog(#[from] CatalogError),
    /// A value of it can't be read.
    #[error("what topics are called can't be read: {0}")]
    Model(#[from] ModelError),
    /// The metadata can't be written, or are not empty.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// The store can't be listed or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A log can't be read or ended.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// A log does not go back far enough.
    #[error(
        "the log of session {session} begins at slot {found}, but what is before slot {from} only is in checkpoints \
         that can be read; restore its checkpoints from a backup"
    )]
    Uncovered {
        /// The session.
        session: SessionId,
        /// The first slot that is there.
        found: Slot,
        /// The first that should be.
        from: Slot,
    },
}

/// By how much producer ids are above what can be seen: some were handed out and nobody has written with them.
const PRODUCERS_AHEAD: i64 = 1_000 * PRODUCER_IDS_PER_BLOCK;

/// The id of the cluster whose objects are in `store`, as `base`, the catalog or any object says; `None`: there are none.
///
/// # Errors
/// When the store can't be read.
pub async fn founder(store: &Store, base: Option<&Contents>) -> Result<Option<Uuid>, RebuildError> {
    let newest = catalog::newest(store).await?;
    let catalog = base.or(newest.as_ref().map(|(_, contents)| contents));
    let cluster = catalog.map(cluster).transpose()?.flatten();
    if let Some(id) = cluster.and_then(|cluster| Uuid::parse_str(&cluster.id).ok()) {
        return Ok(Some(id));
    }
    let header = ByteRange { at: 0, len: HEADER_BYTES as u32 };
    for (name, _) in store.list(None).await? {
        if let Ok(bytes) = store.get_range(name, header).await
            && let Ok(header) = Header::decode(&bytes)
        {
            return Ok(Some(header.cluster));
        }
    }
    Ok(None)
}

fn cluster(catalog: &Contents) -> Result<Option<Cluster>, ModelError> {
    let key = Cluster::key();
    catalog.entries.get(&key).map(|value| Cluster::decode_bytes(&key, value)).transpose()
}

impl Fsck {
    /// Writes the metadata anew, which must be empty: topics as a catalog knows them, everything else as logs and
    /// checkpoints tell. All nodes must be stopped: every session that is found is ended.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub async fn rebuild(&self, plan: Plan) -> Result<Rebuilt, RebuildError> {
        let newest = catalog::newest(&self.store).await?;
        let number = newest.as_ref().map_or(0, |(number, _)| *number);
        let catalog = plan.base.or(newest.map(|(_, contents)| contents)).unwrap_or_default();
        let listed = self.store.list(None).await?;
        let there: BTreeSet<ObjectName> = listed.into_iter().map(|(name, _)| name).collect();
        let mut highest = there.iter().map(|name| name.session().0).max().unwrap_or(0);
        let read = self.end_all(&there).await?;
        highest = highest.max(read.keys().last().map_or(0, |session| session.0));
        let last_owner = SessionId(highest.max(number).max(catalog.revision.0) + 1);
        let mut rebuilt = Rebuilt { sessions: read.len(), ..Rebuilt::default() };
        let logs = Logs::new(read, last_owner);
        let topics = Topics::of(&catalog, logs.partitions())?;
        let copied = catalog.entries.iter().filter(|(key, _)| catalog::is_copied(key));
        let mut entries: BTreeMap<Key, Bytes> =
            copied.map(|(key, value)| (key.clone(), value.clone())).collect();
        let cluster = cluster(&catalog)?.unwrap_or(plan.cluster);
        entries.insert(Cluster::key(), cluster.encode());
        let ids = SessionAllocation { node: plan.node, above: last_owner.0 };
        entries.insert(SessionAllocation::key(), ids.encode());
        entries.insert(NextProducerId::key(), next_producer(&catalog, &logs)?.encode());
        entries.extend(topics.entries(&catalog, plan.node)?);
        entries.extend(logs.wals().map(|(session, wal)| (Wal::key(session), wal.encode())));
        entries.extend(rebuilt.logs(&topics, &logs));
        rebuilt.named = topics.named;
        backup::import_entries(self.metadata.store(), entries).await?;
        Ok(rebuilt)
    }
}

impl Rebuilt {
    /// The logs of all partitions that clients can see.
    fn logs(&mut self, topics: &Topics, logs: &Logs) -> Vec<(Key, Bytes)> {
        let mut entries = Vec::new();
        for topic in topics.live() {
            self.topics += 1;
            for index in 0..topic.partitions {
                let partition = TopicPartition::new(topic.id, PartitionIndex(index));
                let log = logs.log(partition, topic.highest_epoch);
                self.problems.extend(logs.problem(partition, &log));
                entries.push((Log::key(partition), log.encode()));
            }
        }
        self.partitions = entries.len();
        entries
    }
}

/// Above all producer ids that were ever handed out.
fn next_producer(catalog: &Contents, logs: &Logs) -> Result<NextProducerId, ModelError> {
    let key = NextProducerId::key();
    let known = catalog.entries.get(&key);
    let known = known.map(|value| NextProducerId::decode_bytes(&key, value)).transpose()?;
    let known = known.map_or(0, |known| known.next.0);
    let seen = logs.highest_producer().map_or(0, |highest| highest.0.saturating_add(1));
    Ok(NextProducerId { next: ProducerId(known.max(seen).saturating_add(PRODUCERS_AHEAD)) })
}
