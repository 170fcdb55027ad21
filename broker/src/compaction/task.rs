//! The task that makes passes.

use std::{collections::BTreeSet, sync::Arc};

use tokio::time::sleep;
use weir_ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use weir_runtime::Stop;
use weir_segment_store::{
    ReadError, Reader, ReaderSettings, Reference, Stored,
    pages::{Entries, PageRef},
};

use super::{
    CompactionSettings, Dirty,
    filter::{Filter, note},
    latest::Latest,
};
use crate::{
    Lifetime,
    fold::{Due, Failed, FolderDeps, Read, groups, read_all},
    shard::ShardHandle,
    store_clock::StoreClock,
};

/// How many bytes of records are read together to note their keys.
const NOTED_BYTES: u64 = 8 << 20;

/// The compaction of one session.
pub(crate) struct Compactor {
    deps: FolderDeps,
    settings: CompactionSettings,
    clock: StoreClock,
    reader: Reader,
    /// Partitions with a range that can't be read: not tried again in this session.
    rotten: BTreeSet<TopicPartition>,
}

/// What is to be written next, and what that completes.
#[derive(Default)]
struct Waiting {
    reads: Vec<Read>,
    bytes: u64,
    completed: Vec<(TopicPartition, LeaderEpoch, Offset)>,
    /// Partitions that do not refer to all that was written of them in this round.
    refused: BTreeSet<TopicPartition>,
}

impl Compactor {
    pub(crate) fn new(deps: FolderDeps, settings: CompactionSettings, clock: StoreClock) -> Self {
        // Nothing is read twice.
        let none = ReaderSettings { block_cache_bytes: 0, ..ReaderSettings::default() };
        let reader = Reader::new(deps.store.clone(), none);
        Self { deps, settings, clock, reader, rotten: BTreeSet::new() }
    }

    /// Compacts what is worth it, now and then, until `stop`.
    pub(crate) async fn run(mut self, stop: Stop) {
        let mut troubled = false;
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = sleep(self.settings.interval) => {}
            }
            let round = tokio::select! {
                biased;
                () = stop.requested() => return,
                round = self.round() => round,
            };
            match round {
                Ok(()) => troubled = false,
                Err(Failed::Gone(_)) => return,
                Err(error) if troubled => tracing::debug!(%error, "still nothing is compacted"),
                Err(error) => {
                    tracing::warn!(%error, "nothing is compacted for now; trying again later");
                    troubled = true;
                }
            }
        }
    }

    /// One pass over each partition that is worth it.
    async fn round(&mut self) -> Result<(), Failed> {
        let Some(now) = self.clock.now().await else { return Ok(()) };
        let (shards, mut waiting) = (Arc::clone(&self.deps.shards), Waiting::default());
        for shard in &*shards {
            let mut after = None;
            while let Some(dirty) = shard.dirty(after, self.settings.least_bytes, now).await? {
                after = Some(dirty.partition);
                if !self.rotten.contains(&dirty.partition) {
                    self.pass(shard, dirty, now, &mut waiting).await?;
                }
            }
        }
        self.write(&mut waiting).await
    }

    async fn pass(
        &mut self,
        shard: &ShardHandle,
        dirty: Dirty,
        now: Timestamp,
        waiting: &mut Waiting,
    ) -> Result<(), Failed> {
        let id = dirty.partition;
        let passed = if dirty.pages.is_empty() {
            self.compact(dirty, now, waiting).await
        } else {
            self.unpage(shard, dirty).await
        };
        match passed {
            Err(Failed::Read(ReadError::Store(error))) if error.may_heal() => Err(error.into()),
            Err(Failed::Read(error)) => {
                tracing::error!(partition = %id, %error, "a partition is not compacted");
                self.rotten.insert(id);
                // Nothing of it is half done: what has been left out is left out of whole ranges.
                waiting.completed.retain(|(partition, ..)| *partition != id);
                Ok(())
            }
            passed => passed,
        }
    }

    /// The partition holds again itself what pages list of it: its topic was not compacted before.
    async fn unpage(&self, shard: &ShardHandle, dirty: Dirty) -> Result<(), Failed> {
        let (mut pages, mut references) = (dirty.pages.clone(), Vec::new());
        pages.reverse();
        while let Some(page) = pages.pop() {
            match &self.reader.page(&page).await?.entries {
                Entries::References(all) => references.extend_from_slice(all),
                Entries::Pages(below) => pages.extend(below.iter().rev().copied()),
            }
        }
        let (epoch, listed): (LeaderEpoch, Vec<PageRef>) = (dirty.epoch, dirty.pages);
        let unpage = move |partition: &mut crate::partition::Partition| {
            partition.unpage(epoch, &listed, references)
        };
        let done = shard.ask(dirty.partition, unpage).await;
        if done == Some(true) {
            self.deps.checkpoints.folded(vec![dirty.partition]);
        }
        Ok(())
    }

    async fn compact(
        &self,
        dirty: Dirty,
        now: Timestamp,
        waiting: &mut Waiting,
    ) -> Result<(), Failed> {
        let Dirty { partition, epoch, cleaned, references, delete_retention_ms, .. } = dirty;
        let (latest, until) = self.note_keys(&references, cleaned).await?;
        let filter = Arc::new(Filter { latest, until, now, delete_retention_ms });
        let touched = references.partition_point(|reference| reference.base < until);
        for group in groups(&references[..touched], self.settings.object_bytes) {
            let (lifetime, references) = (Lifetime::Compacted, group.to_vec());
            let due = Due { partition, epoch, lifetime, references };
            if waiting.bytes + due.bytes() > self.settings.object_bytes {
                self.write(waiting).await?;
            }
            let stored = self.read(group).await?;
            let (filter, of_group) = (Arc::clone(&filter), due.references.clone());
            let left = self.deps.runtime.compute(move || filter.all(&of_group, stored)).await;
            waiting.bytes += left.iter().map(|stored| stored.bytes.len() as u64).sum::<u64>();
            waiting.reads.push((due, left));
        }
        waiting.completed.push((partition, epoch, until));
        Ok(())
    }

    /// The latest offsets of keys from `cleaned` on, and up to where there was memory for all.
    async fn note_keys(
        &self,
        references: &[Reference],
        cleaned: Offset,
    ) -> Result<(Latest, Offset), Failed> {
        let dirty = &references[references.partition_point(|it| it.last < cleaned)..];
        let end = dirty.last().map_or(cleaned, |last| last.last.plus(1));
        let secret = (self.deps.runtime.random_u64(), self.deps.runtime.random_u64());
        let offsets = u64::try_from(end.0.saturating_sub(cleaned.0)).unwrap_or(0);
        let mut latest = Latest::new(offsets, self.settings.keys_bytes, secret);
        for group in groups(dirty, NOTED_BYTES) {
            let stored = self.read(group).await?;
            let noting = move || {
                let end = stored.iter().find_map(|stored| note(&mut latest, stored, cleaned));
                (latest, end)
            };
            let full;
            (latest, full) = self.deps.runtime.compute(noting).await;
            if let Some(until) = full {
                return Ok((latest, until));
            }
        }
        Ok((latest, end))
    }

    async fn read(&self, references: &[Reference]) -> Result<Vec<Stored>, Failed> {
        let read = read_all(&self.reader, references).await;
        Ok(read.into_iter().collect::<Result<_, _>>()?)
    }

    /// Writes what waits, and tells the shards how far their partitions are compacted.
    async fn write(&self, waiting: &mut Waiting) -> Result<(), Failed> {
        let refused = std::mem::take(&mut waiting.refused);
        let Waiting { reads, completed, .. } = std::mem::take(waiting);
        waiting.refused = refused;
        if !reads.is_empty() {
            let (refused, len) = self.deps.write(reads).await?;
            waiting.refused.extend(refused);
            self.deps.metrics.compacted_bytes.inc_by(len);
        }
        let mut changed = Vec::new();
        for (id, epoch, until) in completed {
            if waiting.refused.contains(&id) {
                continue; // It has changed meanwhile: another pass will do it.
            }
            let (_, shard) = ShardHandle::of(&self.deps.shards, id);
            let done = shard.ask(id, move |partition| partition.compacted(epoch, until)).await;
            changed.extend((done == Some(true)).then_some(id));
        }
        self.deps.checkpoints.folded(changed);
        Ok(())
    }
}
