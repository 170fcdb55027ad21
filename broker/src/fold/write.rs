//! Writing one object of what was in many, and having partitions refer to it.

use std::collections::BTreeSet;

use weir_ids::TopicPartition;
use weir_segment_store::{
    ObjectName,
    object::{Header, Kind},
};

use super::{
    Folded,
    gather::{Read, gather},
    task::{Failed, FolderDeps},
};
use crate::shard::ShardHandle;

impl FolderDeps {
    pub(super) fn header(&self, number: u64, kind: Kind) -> Header {
        let Self { cluster, session, .. } = *self;
        Header { cluster, session, number, put_id: self.runtime.random_u64(), kind }
    }

    /// Writes an object, and has the next checkpoint list what has changed by that. Returns the partitions that do not
    /// refer to all that was written of them, as they have changed meanwhile; and how long it is.
    pub(crate) async fn write(
        &self,
        reads: Vec<Read>,
    ) -> Result<(BTreeSet<TopicPartition>, u64), Failed> {
        let number = self.numbers.next();
        let name = ObjectName::Sorted { session: self.session, number };
        let gathered = gather(&self.header(number, Kind::Sorted), reads);
        let len = gathered.body.len;
        let _named = self.folding.name(name);
        self.store.create(name, &gathered.body.parts).await?;
        Ok((self.replace(gathered.folded(name)).await?, len))
    }

    /// Tells the shards. Returns the partitions that have changed meanwhile.
    async fn replace(&self, folded: Vec<Folded>) -> Result<BTreeSet<TopicPartition>, Failed> {
        let mut by_shard: Vec<Vec<Folded>> = self.shards.iter().map(|_| Vec::new()).collect();
        for folded in folded {
            by_shard[ShardHandle::of(&self.shards, folded.due.partition).0].push(folded);
        }
        let mut refused = BTreeSet::new();
        for (shard, folded) in self.shards.iter().zip(by_shard) {
            if folded.is_empty() {
                continue;
            }
            let ids: Vec<TopicPartition> = folded.iter().map(|it| it.due.partition).collect();
            let mut changed = Vec::with_capacity(ids.len());
            for (id, done) in ids.into_iter().zip(shard.folded(folded).await?) {
                if done {
                    changed.push(id);
                } else {
                    refused.insert(id);
                }
            }
            self.checkpoints.folded(changed);
        }
        Ok(refused)
    }
}
