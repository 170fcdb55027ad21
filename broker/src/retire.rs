//! Clearing away what ended sessions left, once nobody needs it.
//!
//! Done only by a broker that is known to be the only one: what it refers to is then all that is
//! referred to, once all partitions are open. A session's chain and slots go when no `logs/` key needs the session; files that
//! records are still read from stay until they are referred to no more.

use std::collections::BTreeSet;

use weir_ids::{SessionId, Slot, TopicPartition};
use weir_meta::{Error as MetaError, model::Wal};
use weir_segment_store::{
    ObjectName, ReadError, Reader, ReaderSettings, checkpoint::MAX_DELTAS, journal,
};

use crate::{
    Broker, Named,
    partition::Partition,
    recovery::Census,
    shard::{Gone, ShardHandle},
};

/// What stands in the way; nothing is harmed by trying again later.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] MetaError),
    /// An object can't be deleted.
    #[error(transparent)]
    Store(#[from] weir_segment_store::StoreError),
    /// A page of what a partition refers to can't be read.
    #[error(transparent)]
    Page(#[from] ReadError),
    /// Files of a log can't be deleted.
    #[error(transparent)]
    Journal(#[from] journal::Error),
    /// The broker is ending.
    #[error("the broker is ending")]
    Ending,
}

impl Broker {
    /// Deletes the logs and checkpoints of ended sessions that nothing refers to any more. Returns
    /// how many sessions are gone altogether.
    ///
    /// # Errors
    /// At the first thing that can't be read or deleted.
    pub async fn retire_sessions(&self) -> Result<usize, RetireError> {
        let metadata = self.metadata();
        let census = Census::take(metadata).await?;
        let kept = self.referred_to(census.claimed).await.map_err(|Gone| RetireError::Ending)?;
        let Some(kept) = kept else { return Ok(0) };
        let reader = Reader::new(self.store().clone(), ReaderSettings::default());
        let kept = kept.all(&reader).await?;
        let mut gone = BTreeSet::new();
        for (session, (wal, _)) in &census.wals {
            let wanted = *session == self.session() || census.needed.contains(session);
            if wanted || wal.sealed.is_none() {
                continue;
            }
            self.delete_chain(*session, wal).await?;
            let keep = |name: &ObjectName| kept.contains(name);
            self.journal().trim(*session, Slot(u64::MAX), &keep).await?;
            if kept.iter().all(|name| name.session() != *session) {
                self.journal().forget(*session).await?;
                gone.insert(*session);
            }
        }
        if gone.is_empty() {
            return Ok(0);
        }
        Ok(metadata.remove_wals(&gone).await?.len())
    }

    async fn delete_chain(&self, session: SessionId, wal: &Wal) -> Result<(), RetireError> {
        let Some(newest) = wal.checkpoint.as_ref().map(|pointer| pointer.number) else {
            return Ok(());
        };
        for number in newest.saturating_sub(MAX_DELTAS)..=newest {
            self.store().delete(ObjectName::Checkpoint { session, number }).await?;
        }
        Ok(())
    }

    /// What these partitions refer to; `None` if one of them is not open: then nobody
    /// knows what it refers to.
    async fn referred_to(&self, partitions: Vec<TopicPartition>) -> Result<Option<Named>, Gone> {
        let mut by_shard = vec![Vec::new(); self.shards().len()];
        for partition in partitions {
            by_shard[ShardHandle::of(self.shards(), partition).0].push(partition);
        }
        let mut all = Named::default();
        for (shard, partitions) in self.shards().iter().zip(by_shard) {
            let named = |partition: &mut Partition| {
                let mut named = Named::default();
                partition.add_to(&mut named);
                named
            };
            let questions = partitions.into_iter().map(|partition| (partition, named)).collect();
            for named in shard.ask_all(questions).await? {
                let Some(named) = named else { return Ok(None) };
                all.merge(&named);
            }
        }
        Ok(Some(all))
    }
}
