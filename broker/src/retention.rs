//! Where logs are to begin, looked at now and then.
//!
//! Nothing is written for a partition: the next checkpoint says it, and when that is published readers see it and the
//! collector finds that nobody needs what lies before.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use weir_runtime::Stop;

use crate::{checkpoint::CheckpointHandle, shard::ShardHandle};

/// Looks at all partitions every `interval`, until `stop`.
pub(crate) async fn run(
    shards: Arc<[ShardHandle]>,
    checkpoints: CheckpointHandle,
    interval: Duration,
    stop: Stop,
) {
    loop {
        tokio::select! {
            biased;
            () = stop.requested() => return,
            () = sleep(interval) => {}
        }
        for shard in &*shards {
            let Ok(starts) = shard.expired().await else { return };
            if !starts.is_empty() {
                tracing::debug!(partitions = starts.len(), "old records go");
                checkpoints.starts(starts);
            }
        }
    }
}
