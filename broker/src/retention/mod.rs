//! Where logs are to begin, looked at now and then.
//!
//! Nothing is written for a partition: the next checkpoint says it, and when that is published readers see it and the
//! collector finds that nobody needs what lies before. Ranges go whole: what shares one with a record that is to stay,
//! stays. Of what a page lists in sum, more than a segment of Kafka's, a part may go: that page is read.

mod expiry;

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use weir_ids::Offset;
use weir_runtime::Stop;
use weir_segment_store::Reader;

pub(crate) use expiry::Expiry;

use crate::{
    checkpoint::CheckpointHandle,
    partition::Expired,
    shard::{Gone, LogStart, ShardHandle},
    store_clock::StoreClock,
};

/// What retention works with.
pub(crate) struct Retention {
    pub(crate) shards: Arc<[ShardHandle]>,
    pub(crate) checkpoints: CheckpointHandle,
    pub(crate) reader: Reader,
    pub(crate) clock: StoreClock,
    /// How long after a look at all partitions the next begins.
    pub(crate) interval: Duration,
}

impl Retention {
    /// Looks at all partitions now and then, until `stop`.
    pub(crate) async fn run(self, stop: Stop) {
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = sleep(self.interval) => {}
            }
            tokio::select! {
                biased;
                () = stop.requested() => return,
                looked = self.look() => if looked.is_err() { return },
            }
        }
    }

    async fn look(&self) -> Result<(), Gone> {
        let Some(now) = self.clock.now().await else { return Ok(()) };
        for shard in &*self.shards {
            let mut starts = Vec::new();
            for expired in shard.expired(now).await? {
                let Expired { partition, epoch, .. } = expired;
                let offset = self.start(expired).await;
                starts.extend(offset.map(|offset| LogStart { partition, epoch, offset }));
            }
            if !starts.is_empty() {
                tracing::debug!(partitions = starts.len(), "old records go");
                self.checkpoints.starts(starts);
            }
        }
        Ok(())
    }

    /// Where a log is to begin: what can't be read for now goes at another time.
    async fn start(
        &self,
        Expired { partition, mut expiry, mut look, .. }: Expired,
    ) -> Option<Offset> {
        while let Some(page) = look {
            match self.reader.page(&page).await {
                Ok(page) => look = expiry.within(&page.entries),
                Err(error) => {
                    tracing::warn!(%partition, %error, "of a page of old records nothing goes for now");
                    break;
                }
            }
        }
        expiry.start()
    }
}
