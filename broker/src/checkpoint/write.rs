//! Putting a checkpoint together, and writing it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use tokio::time::Instant;
use weir_ids::{LeaderEpoch, TopicPartition};
use weir_meta::model::CheckpointPointer;
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::{
    ObjectName, StoreError,
    checkpoint::{self, Checkpoint, Line, Listing, MAX_DELTAS},
    object::{Builder, Chunk, Header, Kind},
};

use super::{
    Written,
    claims::Unlisted,
    content,
    failed::Failed,
    plan,
    task::{Checkpointer, Numbers, durable_chunks},
};
use crate::{
    shard::{Gone, LogStart, ShardHandle},
    wal::DurableSlot,
};

/// What the slots brought, by partition.
type Deltas = BTreeMap<TopicPartition, (LeaderEpoch, Listing)>;
/// A checkpoint, what it was made from, and the partitions of which it says that they are gone.
type Prepared = (Checkpoint, Deltas, BTreeSet<TopicPartition>);

/// A checkpoint that is to be written. Whether it has been is not known while attempts fail.
pub(super) struct Pending {
    pub(super) checkpoint: Checkpoint,
    pub(super) deltas: Deltas,
    pub(super) slots: Vec<DurableSlot>,
    pub(super) gone: BTreeSet<TopicPartition>,
    pub(super) starts: Vec<LogStart>,
    /// The claims that it is the first to list.
    pub(super) adopted: Unlisted,
    /// Partitions that were given up meanwhile.
    pub(super) closed_since: BTreeSet<TopicPartition>,
}

impl Checkpointer {
    /// Writes one checkpoint of all that is durable, after one that an earlier attempt has left unwritten, for
    /// all it knows.
    pub(super) async fn write(&mut self) -> Result<(), Failed> {
        self.write_pending().await?;
        let slots = std::mem::take(&mut self.slots);
        let waiting = std::mem::take(&mut self.waiting);
        let adopted = self.claims.unlisted().clone();
        match self.prepare(&slots).await {
            Ok(prepared) => {
                // Nothing was handled meanwhile, so nothing came on top.
                self.folded.clear();
                let starts: Vec<LogStart> =
                    std::mem::take(&mut self.starts).into_values().collect();
                self.pending = prepared.map(|(checkpoint, deltas, gone)| {
                    let (adopted, closed_since) = (adopted, BTreeSet::new());
                    Pending { checkpoint, deltas, slots, gone, starts, adopted, closed_since }
                });
            }
            Err(error) => {
                self.slots = slots;
                self.waiting = waiting;
                return Err(error);
            }
        }
        self.write_pending().await
    }

    /// Writes what `slots` need to be written and puts a checkpoint together; `None` if there is
    /// nothing new to say.
    async fn prepare(&mut self, slots: &[DurableSlot]) -> Result<Option<Prepared>, Failed> {
        let adopted_through = self.claims.settled_through();
        let Numbers { last, full } = self.chain;
        let stale = self.is_stale(Instant::now());
        let whole = last == 0 || last - full >= MAX_DELTAS || stale;
        let nothing_new = slots.is_empty() && self.claims.unlisted().is_empty();
        let nothing_else = self.gone.is_empty() && self.folded.is_empty() && self.starts.is_empty();
        if nothing_new && nothing_else && !stale && last > 0 {
            return Ok(None);
        }
        let plan = plan::plan(slots, &self.deps.settings);
        let gathered = self.write_sorted(&plan).await?;
        let mut deltas = plan::deltas(&plan, gathered);
        content::add_starts(&mut deltas, self.starts.values());
        let wholes = self.wholes(whole).await?;
        let lines = content::lines(
            &deltas,
            wholes,
            |partition| self.listed.contains(partition),
            self.gone.iter().copied().filter(|_| !whole),
        );
        let number = last + 1;
        let checkpoint = Checkpoint {
            session: self.deps.session,
            number,
            full: if whole { number } else { full },
            covers_below: self.durable_below,
            adopted_through,
            partitions: lines.into_iter().collect(),
        };
        Ok(Some((checkpoint, deltas, self.gone.clone())))
    }

    /// Writes the checkpoint that has been put together, if there is one. It stays the same until it is
    /// written: an attempt that failed may have written it after all.
    async fn write_pending(&mut self) -> Result<(), Failed> {
        let Some(Pending { checkpoint, .. }) = &self.pending else { return Ok(()) };
        let (session, number) = (self.deps.session, checkpoint.number);
        let name = ObjectName::Checkpoint { session, number };
        let bytes = checkpoint::encode(checkpoint);
        let part = weir_segment_store::Part::Bytes(bytes.clone());
        let pointer = CheckpointPointer {
            object: name.to_string(),
            number,
            covers_below: checkpoint.covers_below,
            adopted_through: checkpoint.adopted_through,
        };
        // Who reads what it names reads it where it lies.
        self.deps.journal.settle(session, checkpoint.covers_below).await?;
        if is_planted(Bug::CheckpointBeforeData) {
            self.deps.metadata.publish_checkpoint(session, &pointer).await?;
        }
        match self.deps.store.create(name, &[part]).await {
            // Made by an earlier attempt, unless the store is wrong: nothing may point to nothing.
            Err(StoreError::Exists(_)) if self.deps.store.get(name).await? == bytes => {}
            other => other?,
        }
        if let Some(pending) = self.pending.take() {
            let before = self.chain_bytes.load(Ordering::Relaxed);
            let is_full = pending.checkpoint.number == pending.checkpoint.full;
            let chain_bytes = if is_full { 0 } else { before } + bytes.len() as u64;
            self.chain_bytes.store(chain_bytes, Ordering::Relaxed);
            self.written(pending, pointer);
        }
        Ok(())
    }

    /// Writes what is gathered; returns its chunks in the order of the plan.
    async fn write_sorted(
        &mut self,
        plan: &plan::Plan<'_>,
    ) -> Result<Vec<(ObjectName, Chunk)>, Failed> {
        let mut chunks = Vec::new();
        for group in plan::groups(plan, &self.deps.settings) {
            let number = self.deps.numbers.next();
            let mut builder = Builder::new(&Header {
                cluster: self.deps.cluster,
                session: self.deps.session,
                number,
                put_id: self.deps.runtime.random_u64(),
                kind: Kind::Sorted,
            });
            group.into_iter().for_each(|pieces| plan::add(&mut builder, pieces));
            let body = builder.finish();
            let name = ObjectName::Sorted { session: self.deps.session, number };
            self.deps.store.create(name, &body.parts).await?;
            self.deps.metrics.sorted_bytes.inc_by(body.len);
            chunks.extend(body.chunks.into_iter().map(|chunk| (name, chunk)));
        }
        Ok(chunks)
    }

    /// The listings as of the last written checkpoint of the partitions to list whole. A partition that is
    /// not there has been given up; a shard that is not there must not be taken for that.
    async fn wholes(&self, all: bool) -> Result<BTreeMap<TopicPartition, Listing>, Gone> {
        let listed = if all { &self.listed } else { &self.folded };
        let wanted = listed.iter().chain(self.claims.unlisted().keys()).copied();
        let mut by_shard = vec![Vec::new(); self.deps.shards.len()];
        for partition in wanted {
            by_shard[ShardHandle::of(&self.deps.shards, partition).0].push(partition);
        }
        let mut wholes = BTreeMap::new();
        for (shard, partitions) in self.deps.shards.iter().zip(by_shard) {
            wholes.extend(shard.listings(partitions).await?);
        }
        Ok(wholes)
    }

    /// A checkpoint is written: remember it, and tell the shards.
    fn written(&mut self, pending: Pending, pointer: CheckpointPointer) {
        let Pending { checkpoint, deltas, slots, gone, starts, adopted, closed_since } = pending;
        self.unpublished_starts.extend(starts);
        self.cached.extend(slots.iter().map(|slot| (slot.bytes, durable_chunks(slot))));
        self.chain = Numbers { last: checkpoint.number, full: checkpoint.full };
        if checkpoint.number == checkpoint.full {
            self.listed.clear();
            self.outlived.merge(&std::mem::take(&mut self.named));
            self.stale_since = None;
        }
        self.gone.retain(|partition| !gone.contains(partition));
        for (partition, line) in &checkpoint.partitions {
            if let Line::Whole(listing) | Line::Delta(listing) = line {
                let now = if closed_since.contains(partition) {
                    &mut self.gone
                } else {
                    &mut self.listed
                };
                now.insert(*partition);
                self.named.add(listing);
            }
        }
        self.claims.listed(&adopted);
        let mut by_shard = vec![Vec::new(); self.deps.shards.len()];
        for (partition, (epoch, delta)) in deltas {
            let shard = ShardHandle::of(&self.deps.shards, partition).0;
            by_shard[shard].push((partition, epoch, delta));
        }
        for (shard, lines) in self.deps.shards.iter().zip(by_shard) {
            shard.checkpointed(lines);
        }
        self.unpublished = Some(pointer);
        self.deps.metrics.checkpoints.inc();
        self.deps.numbers.written(self.chain.last);
        self.written.send_replace(Written { number: self.chain.last, at: Instant::now() });
    }
}
