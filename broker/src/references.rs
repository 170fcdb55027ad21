//! What this session tells the collector.

use crate::{
    Broker,
    client::SessionReport,
    shard::{Gone, ShardHandle},
};

impl Broker {
    /// Everything that this session refers to.
    ///
    /// References move from a recovery, or a fold, to a partition, and from there to checkpoints. They are asked
    /// in that order, so that one that moves meanwhile is seen on one side at least.
    ///
    /// # Errors
    /// When the broker is ending.
    pub(crate) async fn references(&self) -> Result<SessionReport, Gone> {
        let mut named = self.noted().named();
        named.objects.extend(self.folding().names());
        let mut partitions = Vec::new();
        for shard in self.shards().iter().map(ShardHandle::references) {
            let held = shard.await?;
            named.merge(&held.named);
            partitions.extend(held.partitions);
        }
        named.merge(&self.checkpoints().references().await?);
        Ok(SessionReport { session: self.session(), named, partitions })
    }
}
