//! What this session tells the collector.

use std::{collections::BTreeMap, sync::Arc};

use weir_segment_store::ObjectName;

use crate::{
    Broker,
    client::{SessionReport, Thin},
    shard::{Gone, ShardHandle},
};

impl Broker {
    /// Everything that this session refers to.
    ///
    /// References move from a recovery, or a fold, to a partition, and from there to checkpoints. They are asked
    /// in that order, so that one that moves meanwhile is seen on one side at least.
    ///
    /// What lies in `thin` objects is written once more, in the background.
    ///
    /// # Errors
    /// When the broker is ending.
    pub(crate) async fn references(&self, thin: Thin) -> Result<SessionReport, Gone> {
        if !thin.objects.is_empty() {
            self.thin().send_replace(Arc::new(thin));
        }
        let mut named = self.noted().named();
        named.objects.extend(self.folding().names());
        let (mut partitions, mut held) = (Vec::new(), BTreeMap::<ObjectName, u64>::new());
        for shard in self.shards().iter().map(ShardHandle::references) {
            let of_shard = shard.await?;
            named.merge(&of_shard.named);
            partitions.extend(of_shard.partitions);
            of_shard
                .bytes
                .into_iter()
                .for_each(|(object, bytes)| *held.entry(object).or_default() += bytes);
        }
        named.merge(&self.checkpoints().references().await?);
        Ok(SessionReport { session: self.session(), named, held, partitions })
    }
}
