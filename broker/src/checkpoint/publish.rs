//! Publishing what is written, and trimming the log below it.

use weir_ids::Slot;
use weir_segment_store::ObjectName;

use super::{failed::Failed, task::Checkpointer};
use crate::{Named, shard::ShardHandle};

impl Checkpointer {
    /// Publishes the last checkpoint that is written, drops the chain before a full one, and trims the log.
    pub(super) async fn publish(&mut self) -> Result<(), Failed> {
        if let Some(pointer) = &self.unpublished {
            self.deps.metadata.publish_checkpoint(self.deps.session, pointer).await?;
            self.trim_below = Some(pointer.covers_below);
            self.unpublished = None;
            self.outlived = Named::default();
            self.tell_starts();
            let before = std::mem::replace(&mut self.published, self.chain);
            tracing::debug!(number = self.chain.last, "published a checkpoint");
            if self.deps.sole && before.full > 0 && before.full < self.chain.full {
                self.drop_chain(before.full..self.chain.full).await;
            }
        }
        if let Some(below) = self.trim_below {
            self.trim(below).await?;
            self.trim_below = None;
        }
        Ok(())
    }

    /// Where logs begin is published: readers may know.
    pub(super) fn tell_starts(&mut self) {
        let mut by_shard = vec![Vec::new(); self.deps.shards.len()];
        for start in std::mem::take(&mut self.unpublished_starts) {
            by_shard[ShardHandle::of(&self.deps.shards, start.partition).0].push(start);
        }
        for (shard, starts) in self.deps.shards.iter().zip(by_shard) {
            if !starts.is_empty() {
                shard.start_at(starts);
            }
        }
    }

    /// Deletes checkpoints that the newest full one stands in for. What fails stays until the next
    /// sweep.
    async fn drop_chain(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let name = ObjectName::Checkpoint { session: self.deps.session, number };
            if let Err(error) = self.deps.store.delete(name).await {
                tracing::warn!(%error, "an old checkpoint is not deleted");
            }
        }
    }

    async fn trim(&self, below: Slot) -> Result<(), Failed> {
        let session = self.deps.session;
        self.deps.metadata.trim(session, below).await?;
        if self.deps.sole {
            let named = self.named.clone().all(&self.reader).await?;
            self.deps.journal.trim(session, below, &|name| named.contains(name)).await?;
        }
        Ok(())
    }
}
