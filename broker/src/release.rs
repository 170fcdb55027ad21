//! Giving partitions up in order, so that another broker goes on where this one ended: a planned move.
//!
//! Nothing more is accepted, what was accepted becomes durable, and the log's key then says where it
//! ends. Once that change has been sent nothing is ever accepted under that epoch again, whatever its
//! answer: it is repeated until it is known. Checkpoints go on covering what was released until no
//! `logs/` key needs this session for it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use weir_ids::TopicPartition;
use weir_meta::{Error as MetaError, OwnedChange, OwnedError, OwnedUpdate, store::Remedy};

use crate::{Broker, shard::ShardHandle};

/// How many partitions are given up together: each of them waits until all are.
const TOGETHER: usize = 256;
/// How long the next owner has to read the checkpoints, and what has been written since, before anything stops:
/// so long however little that is, and longer the more it is. Not too long: who does not know the owner waits.
const WARM_UP: Duration = Duration::from_millis(150);
const WARM_UP_A_MIB: Duration = Duration::from_millis(200);
const LONGEST_WARM_UP: Duration = Duration::from_secs(2);
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LONGEST_RETRY: Duration = Duration::from_secs(2);

impl Broker {
    /// Releases partitions that are open here. Returns when it is known of each that it is released,
    /// or somebody else's already; ends early only if the session does.
    pub(crate) async fn release(&self, ids: Vec<TopicPartition>) {
        // Before anything stops: the next owner then has little to read, and can read most of it before.
        self.checkpoints().now().await;
        sleep(warm_up(self.checkpoints().chain_bytes())).await;
        for some in ids.chunks(TOGETHER) {
            self.release_together(some).await;
        }
    }

    async fn release_together(&self, ids: &[TopicPartition]) {
        let mut by_shard = vec![Vec::new(); self.shards().len()];
        for id in ids {
            by_shard[ShardHandle::of(self.shards(), *id).0].push(*id);
        }
        let frozen = Instant::now();
        for (shard, ids) in self.shards().iter().zip(by_shard) {
            shard.freeze(ids).await;
        }
        let Some(end_slot) = self.wal().flush().await else { return };
        let flushed = frozen.elapsed();
        self.released_below(end_slot).await;
        // The next owner reads what is not checkpointed. If it can't yet, it waits.
        if let Err(error) = self.journal().settle(self.session(), end_slot).await {
            tracing::warn!(%error, "others can't read yet what was written");
        }
        let mut updates = Vec::with_capacity(ids.len());
        for id in ids {
            let (_, shard) = ShardHandle::of(self.shards(), *id);
            let end = shard.ask(*id, |partition| Some((partition.epoch(), partition.end()?))).await;
            let Some((epoch, end_offset)) = end.flatten() else { continue };
            let change = OwnedChange::Release { end_slot, end_offset };
            updates.push(OwnedUpdate { partition: *id, epoch, change });
        }
        self.send_releases(updates).await;
        let took = frozen.elapsed();
        tracing::info!(partitions = ids.len(), ?flushed, ?took, "partitions are released");
    }

    async fn send_releases(&self, mut updates: Vec<OwnedUpdate>) {
        let mut pause = FIRST_RETRY;
        while !updates.is_empty() {
            let results = self.metadata().update_owned(self.session(), &updates).await;
            let (mut done, mut again) = (Vec::new(), Vec::new());
            for (update, result) in updates.into_iter().zip(results) {
                let id = update.partition;
                match result {
                    // Not ours any more: then it was released, or this session is over.
                    Ok(_) | Err(OwnedError::NotOwner { .. } | OwnedError::NotFound { .. }) => {
                        done.push(id);
                    }
                    Err(OwnedError::Metadata(error)) => {
                        if error.remedy() == Remedy::Stop {
                            tracing::error!(partition = %id, %error, "a partition is not released");
                        }
                        again.push(update);
                    }
                }
            }
            self.metrics().partitions.dec_by(done.len() as i64);
            self.on_shards(&done, ShardHandle::cover);
            updates = again;
            if !updates.is_empty() {
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_RETRY);
            }
        }
    }

    /// Ends the covering of partitions that no log needs this session for any more.
    ///
    /// # Errors
    /// When the metadata can't be read.
    pub(crate) async fn forget_covered(&self) -> Result<(), MetaError> {
        let mut covered = Vec::new();
        for shard in &**self.shards() {
            covered.extend(shard.covered().await.unwrap_or_default());
        }
        if covered.is_empty() {
            return Ok(());
        }
        let over = self.metadata().not_needing(self.session(), &covered).await?;
        if !over.is_empty() {
            // One that was claimed again meanwhile is open, and needed.
            self.on_shards(&over, ShardHandle::uncover);
            self.checkpoints().closed(over);
        }
        Ok(())
    }
}

/// How long whoever takes over may need for a chain of so many bytes.
fn warm_up(chain_bytes: u64) -> Duration {
    let mib = chain_bytes as f64 / f64::from(1 << 20);
    (WARM_UP + WARM_UP_A_MIB.mul_f64(mib)).min(LONGEST_WARM_UP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_over_gets_time_for_what_it_has_to_read() {
        assert_eq!(warm_up(0), WARM_UP);
        assert_eq!(warm_up(1 << 20), WARM_UP + WARM_UP_A_MIB);
        assert_eq!(
            warm_up(1 << 30),
            LONGEST_WARM_UP,
            "producers of a drained broker do not wait for ever"
        );
    }
}
