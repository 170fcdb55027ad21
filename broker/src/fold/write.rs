//! Writing one object of what was in many, and having partitions refer to it.

use std::collections::BTreeSet;

use weir_ids::TopicPartition;
use weir_segment_store::{
    ObjectName,
    object::{Header, Kind},
};

use super::{
    Folded, Named,
    gather::{Read, gather},
    task::{Failed, FolderDeps},
};
use crate::shard::ShardHandle;

/// An object that is written.
pub(super) struct Written {
    /// What has become of what.
    pub(super) folded: Vec<Folded>,
    pub(super) len: u64,
    /// To be kept until partitions name it.
    pub(super) named: Named,
}

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
        let Written { folded, len, named: _named } = self.write_sorted(reads).await?;
        Ok((self.replace(folded).await?, len))
    }

    /// Writes an object.
    pub(super) async fn write_sorted(&self, reads: Vec<Read>) -> Result<Written, Failed> {
        let number = self.numbers.next();
        let name = ObjectName::Sorted { session: self.session, number };
        let gathered = gather(&self.header(number, Kind::Sorted), reads);
        let (len, named) = (gathered.body.len, self.folding.name(name));
        self.store.create(name, &gathered.body.parts).await?;
        Ok(Written { folded: gathered.folded(name), len, named })
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
