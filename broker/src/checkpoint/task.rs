//! The task that makes checkpoints.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use uuid::Uuid;
use weir_ids::{LeaderEpoch, SessionId, Slot, TopicPartition};
use weir_meta::{
    CheckpointError, Metadata, TrimError,
    model::{CheckpointPointer, TrimRefused, WalRefused},
    store::{Remedy, StoreError as MetaStoreError},
};
use weir_runtime::{
    Runtime, Stop,
    planted::{Bug, is_planted},
    watch,
};
use weir_segment_store::{
    ObjectName, ReadError, Reader, ReaderSettings, Store, StoreError,
    checkpoint::{self, Checkpoint, Line, Listing, MAX_DELTAS},
    journal::{self, Journal},
    object::{Builder, Chunk, Header, Kind},
};

use super::{
    CheckpointInbox, CheckpointSettings, Message,
    claims::{Claims, Unlisted},
    content,
    numbers::ObjectNumbers,
    patience::Patience,
    plan,
    triggers::Waiting,
};
use crate::{
    Named,
    ending::Ending,
    metrics::Metrics,
    shard::{DurableChunk, Gone, LogStart, ShardHandle},
    trouble::{Source, Trouble},
    wal::DurableSlot,
};

/// What the checkpointer works with.
pub(crate) struct CheckpointerDeps {
    pub(crate) cluster: Uuid,
    pub(crate) session: SessionId,
    pub(crate) runtime: Runtime,
    pub(crate) metadata: Metadata,
    pub(crate) store: Store,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) shards: Arc<[ShardHandle]>,
    pub(crate) trouble: Trouble,
    pub(crate) metrics: Metrics,
    pub(crate) settings: CheckpointSettings,
    /// Whether the session is over.
    pub(crate) ending: Ending,
    /// Whether what is not needed any more may be deleted here.
    pub(crate) sole: bool,
    pub(crate) numbers: ObjectNumbers,
}

/// The checkpoints of one session.
pub(crate) struct Checkpointer {
    deps: CheckpointerDeps,
    reader: Reader,
    claims: Claims,
    waiting: Waiting,
    slots: Vec<DurableSlot>,
    pending: Option<Pending>,
    /// Everything below is durable here.
    durable_below: Slot,
    /// Checkpointed slots that the tail still holds, oldest first.
    cached: VecDeque<(u64, Vec<DurableChunk>)>,
    /// Bytes of those and of the slots that wait.
    tail_bytes: u64,
    /// The chain that was written last.
    chain: Numbers,
    chain_bytes: Arc<AtomicU64>,
    written: watch::Sender<u64>,
    /// Partitions that were folded since the last checkpoint was put together.
    folded: BTreeSet<TopicPartition>,
    /// Where logs are to begin, of those that began before this when the last checkpoint was put together.
    starts: BTreeMap<TopicPartition, LogStart>,
    /// What checkpoints say of that which are written and not known to be published.
    unpublished_starts: Vec<LogStart>,
    /// Since when the chain names what is not needed any more.
    stale_since: Option<Instant>,
    /// Partitions that the chain lists.
    listed: BTreeSet<TopicPartition>,
    gone: BTreeSet<TopicPartition>,
    /// What the chain names.
    named: Named,
    /// The chain that was published last.
    published: Numbers,
    /// What it names and `named` has no more, since a full checkpoint was written.
    outlived: Named,
    /// The last checkpoint, if it is written and not known to be published.
    unpublished: Option<CheckpointPointer>,
    /// Up to where the log is to be trimmed, if it has not been.
    trim_below: Option<Slot>,
    requests: Vec<oneshot::Sender<bool>>,
    writing: Patience,
    publishing: Patience,
}

/// How long the chain may name what is not needed any more: as long as rounds of the collector are apart.
const STALE_FOR: Duration = Duration::from_secs(300);

/// The number of a chain's last checkpoint, 0 before the first, and of its full one.
#[derive(Clone, Copy, Default)]
struct Numbers {
    last: u64,
    full: u64,
}

/// What the slots brought, by partition.
type Deltas = BTreeMap<TopicPartition, (LeaderEpoch, Listing)>;
/// A checkpoint, what it was made from, and the partitions of which it says that they are gone.
type Prepared = (Checkpoint, Deltas, BTreeSet<TopicPartition>);

/// A checkpoint that is to be written. Whether it has been is not known while attempts fail.
struct Pending {
    checkpoint: Checkpoint,
    deltas: Deltas,
    slots: Vec<DurableSlot>,
    gone: BTreeSet<TopicPartition>,
    starts: Vec<LogStart>,
    /// The claims that it is the first to list.
    adopted: Unlisted,
    /// Partitions that were given up meanwhile.
    closed_since: BTreeSet<TopicPartition>,
}

/// Why a checkpoint was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error("write {0}")]
    Store(#[from] StoreError),
    #[error("publish it: {0}")]
    Publish(#[from] CheckpointError),
    #[error("record what is trimmed: {0}")]
    Trim(#[from] TrimError),
    #[error("trim the log: {0}")]
    Journal(#[from] journal::Error),
    #[error("find out what of the log is still needed: {0}")]
    Read(#[from] ReadError),
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl Failed {
    /// Whether it is for lack of space: then producers are told instead of being kept waiting.
    fn is_no_space(&self) -> bool {
        let meta = match self {
            Self::Store(StoreError::NoSpace(_)) | Self::Journal(journal::Error::NoSpace { .. }) => {
                return true;
            }
            Self::Publish(CheckpointError::Metadata(error))
            | Self::Trim(TrimError::Metadata(error)) => error,
            _ => return false,
        };
        matches!(meta, weir_meta::Error::Store(MetaStoreError::Full { .. }))
    }

    /// Whether the session is over: somebody else has ended it.
    fn is_over(&self) -> bool {
        match self {
            Self::Publish(CheckpointError::Refused(WalRefused::Sealed(_)))
            | Self::Trim(TrimError::Refused(TrimRefused::Sealed(_))) => true,
            Self::Journal(error) => error.advice() == journal::Advice::Reopen,
            _ => false,
        }
    }

    /// Whether nothing sensible can follow.
    fn is_final(&self) -> bool {
        match self {
            Self::Store(_) | Self::Read(_) | Self::Gone(_) => false,
            Self::Publish(error) => error.remedy() != Remedy::Retry,
            Self::Trim(error) => error.remedy() != Remedy::Retry,
            Self::Journal(error) => error.advice() != journal::Advice::Retry,
        }
    }
}

impl Checkpointer {
    pub(crate) fn new(deps: CheckpointerDeps) -> Self {
        let reader = Reader::new(deps.store.clone(), ReaderSettings::default());
        Self {
            deps,
            reader,
            claims: Claims::default(),
            waiting: Waiting::default(),
            slots: Vec::new(),
            pending: None,
            durable_below: Slot::OPEN.next(),
            cached: VecDeque::new(),
            tail_bytes: 0,
            chain: Numbers::default(),
            chain_bytes: Arc::default(),
            written: watch::Sender::new(0),
            folded: BTreeSet::new(),
            starts: BTreeMap::new(),
            unpublished_starts: Vec::new(),
            stale_since: None,
            listed: BTreeSet::new(),
            gone: BTreeSet::new(),
            named: Named::default(),
            published: Numbers::default(),
            outlived: Named::default(),
            unpublished: None,
            trim_below: None,
            requests: Vec::new(),
            writing: Patience::default(),
            publishing: Patience::default(),
        }
    }

    /// Runs until `stop`, or until the session is over. Whoever stops it asks for a last checkpoint
    /// before.
    ///
    /// # Errors
    /// When nothing sensible can follow.
    pub(crate) async fn run(self, inbox: CheckpointInbox, stop: Stop) -> Result<(), Failed> {
        let ending = self.deps.ending.clone();
        let run = tokio::select! {
            biased;
            _ = ending.told() => Ok(()),
            run = self.work(inbox, stop) => run,
        };
        match run {
            Err(failed) if failed.is_over() => {
                ending.tell(&failed);
                Ok(())
            }
            run => run,
        }
    }

    async fn work(mut self, inbox: CheckpointInbox, stop: Stop) -> Result<(), Failed> {
        self.chain_bytes = inbox.chain_bytes;
        self.written = inbox.written;
        let mut inbox: mpsc::UnboundedReceiver<Message> = inbox.messages;
        loop {
            let due = self.due_at();
            tokio::select! {
                biased;
                () = stop.requested() => return Ok(()),
                message = inbox.recv() => match message {
                    Some(message) => self.handle(message),
                    None => return Ok(()),
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            while let Ok(message) = inbox.try_recv() {
                self.handle(message);
            }
            self.attempt().await?;
            self.evict();
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Durable(slot) => {
                self.durable_below = slot.slot.next();
                if slot.chunks.is_empty() {
                    return; // It only proved that the session goes on.
                }
                self.tail_bytes += slot.bytes;
                self.waiting.add(slot.bytes, Instant::now());
                self.slots.push(slot);
            }
            Message::Claimed(claims) => self.claims.claimed(claims),
            Message::Settled(claims) => self.claims.settled(&claims),
            Message::Closed(partitions) => {
                for partition in partitions {
                    self.claims.closed(partition);
                    self.folded.remove(&partition);
                    self.starts.remove(&partition);
                    if let Some(pending) = &mut self.pending {
                        pending.closed_since.insert(partition);
                    }
                    if self.listed.remove(&partition) {
                        self.gone.insert(partition);
                    }
                }
            }
            Message::Folded(partitions) => {
                let covered: Vec<_> = partitions.into_iter().filter(|it| self.covers(it)).collect();
                let before = self.folded.len();
                self.folded.extend(covered);
                if self.folded.len() > before {
                    self.goes_stale(Instant::now());
                }
            }
            Message::Starts(starts) => {
                let covered = starts.into_iter().filter(|it| self.covers(&it.partition));
                let covered: Vec<_> = covered.map(|start| (start.partition, start)).collect();
                let before = self.starts.len();
                self.starts.extend(covered);
                if self.starts.len() > before {
                    self.goes_stale(Instant::now());
                }
            }
            Message::Now(done) => self.requests.push(done),
            Message::Covering(end, done) => {
                // And what was adopted or given up: a partition that comes back is neither then.
                let waits = self.pending.is_some()
                    || self.unpublished.is_some()
                    || self.slots.iter().any(|it| it.slot < end)
                    || !self.gone.is_empty()
                    || !self.folded.is_empty()
                    || !self.starts.is_empty()
                    || !self.claims.unlisted().is_empty();
                match waits {
                    true => self.requests.push(done),
                    false => drop(done.send(true)),
                }
            }
            Message::References(answer) => drop(answer.send(self.references())),
        }
    }

    /// Whether the chain lists a partition, or will with the next checkpoint.
    fn covers(&self, partition: &TopicPartition) -> bool {
        self.listed.contains(partition) || self.claims.unlisted().contains_key(partition)
    }

    /// The chain names something that the next checkpoint will not.
    fn goes_stale(&mut self, now: Instant) {
        self.waiting.begin(now);
        self.stale_since.get_or_insert(now);
    }

    /// What the last published checkpoint and those after it name, and they themselves.
    fn references(&self) -> Named {
        let (session, mut named) = (self.deps.session, self.named.clone());
        named.merge(&self.outlived);
        let mut last = self.chain.last;
        if let Some(Pending { checkpoint, .. }) = &self.pending {
            checkpoint.listings().for_each(|listing| named.add(listing));
            last = checkpoint.number;
        }
        let full = if self.published.full > 0 { self.published.full } else { self.chain.full };
        let chain = (full..=last).map(|number| ObjectName::Checkpoint { session, number });
        named.objects.extend(chain);
        named
    }

    /// When there will be something to do though nobody asks for it.
    fn due_at(&self) -> Option<Instant> {
        let stale = self.stale_since.map(|since| since + STALE_FOR);
        let waiting = self.waiting.due_at(&self.deps.settings);
        let write = self.writing.until().or(waiting.into_iter().chain(stale).min());
        let publish = self.has_to_publish().then(|| self.publishing.until()).flatten();
        write.into_iter().chain(publish).min()
    }

    fn has_to_write(&self, now: Instant) -> bool {
        match self.writing.until() {
            Some(until) => until <= now,
            None => {
                !self.requests.is_empty()
                    || self.waiting.is_due(&self.deps.settings, now)
                    || self.is_stale(now)
            }
        }
    }

    fn is_stale(&self, now: Instant) -> bool {
        self.stale_since.is_some_and(|since| since + STALE_FOR <= now)
    }

    fn has_to_publish(&self) -> bool {
        self.unpublished.is_some() || self.trim_below.is_some()
    }

    /// Writes and publishes what is due. While the metadata are away checkpoints are written all the same: the
    /// tail can go on.
    async fn attempt(&mut self) -> Result<(), Failed> {
        let (now, mut result) = (Instant::now(), Ok(()));
        let writes = self.has_to_write(now);
        let asked = writes && !self.requests.is_empty();
        if writes {
            result = self.write().await;
            self.note("written", &result, |it| &mut it.writing);
        }
        let publishes =
            result.is_ok() && self.has_to_publish() && (asked || self.publishing.is_over(now));
        if publishes {
            result = self.publish().await;
            self.note("published", &result, |it| &mut it.publishing);
        }
        if asked {
            for done in self.requests.drain(..) {
                let _ = done.send(result.is_ok());
            }
        }
        match result {
            Err(error) if error.is_over() || error.is_final() => Err(error),
            Err(error) if error.is_no_space() => {
                self.tell_trouble(Some(error.to_string()));
                Ok(())
            }
            Err(_) => Ok(()),
            Ok(()) => {
                if (writes || publishes) && !self.has_to_publish() {
                    self.tell_trouble(None);
                }
                Ok(())
            }
        }
    }

    /// Takes note of what became of an attempt.
    fn note(
        &mut self,
        what: &'static str,
        result: &Result<(), Failed>,
        patience: impl Fn(&mut Self) -> &mut Patience,
    ) {
        let jitter = Duration::from_millis(self.deps.runtime.random_u64() % 100);
        match result {
            Ok(()) => {
                let failures = patience(self).end();
                if failures > 0 {
                    tracing::info!(failures, "checkpoints are {what} again");
                }
            }
            Err(error) => {
                if patience(self).failed(jitter) == 1 {
                    tracing::warn!(%error, "no checkpoint is {what} for now; trying again");
                }
                self.deps.metrics.checkpoint_failures.inc();
            }
        }
    }

    fn tell_trouble(&self, what: Option<String>) {
        if let Some(now) = self.deps.trouble.set(Source::Checkpoints, what) {
            self.deps.shards.iter().for_each(|shard| shard.trouble(now.clone()));
        }
    }

    /// Writes one checkpoint of all that is durable, after one that an earlier attempt has left unwritten, for
    /// all it knows.
    async fn write(&mut self) -> Result<(), Failed> {
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
        self.written.send_replace(self.chain.last);
    }

    /// Publishes the last checkpoint that is written, drops the chain before a full one, and trims the log.
    async fn publish(&mut self) -> Result<(), Failed> {
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
    fn tell_starts(&mut self) {
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

    /// Lets the tail drop what is in written checkpoints, oldest first, down to its size.
    fn evict(&mut self) {
        while self.tail_bytes > self.deps.settings.tail_bytes {
            let Some((bytes, chunks)) = self.cached.pop_front() else { return };
            self.tail_bytes -= bytes;
            let mut by_shard = vec![Vec::new(); self.deps.shards.len()];
            for chunk in chunks {
                by_shard[ShardHandle::of(&self.deps.shards, chunk.partition).0].push(chunk);
            }
            for (shard, chunks) in self.deps.shards.iter().zip(by_shard) {
                if !chunks.is_empty() {
                    shard.evict(chunks);
                }
            }
        }
    }
}

fn durable_chunks(slot: &DurableSlot) -> Vec<DurableChunk> {
    let chunks = slot.chunks.iter();
    chunks
        .map(|(place, _)| DurableChunk {
            partition: place.partition,
            epoch: place.epoch,
            last: place.last,
        })
        .collect()
}
