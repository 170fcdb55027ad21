//! The task that makes checkpoints.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use uuid::Uuid;
use weir_ids::{SessionId, Slot, TopicPartition};
use weir_meta::{Metadata, model::CheckpointPointer};
use weir_runtime::{
    Runtime, Stop,
    planted::{Bug, is_planted},
    watch,
};
use weir_segment_store::{ObjectName, Reader, ReaderSettings, Store, journal::Journal};

use super::{
    CheckpointInbox, CheckpointSettings, Message, Written, claims::Claims, failed::Failed,
    numbers::ObjectNumbers, patience::Patience, triggers::Waiting, write::Pending,
};
use crate::{
    Named,
    ending::Ending,
    metrics::Metrics,
    shard::{DurableChunk, LogStart, ShardHandle},
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
    pub(super) deps: CheckpointerDeps,
    pub(super) reader: Reader,
    pub(super) claims: Claims,
    pub(super) waiting: Waiting,
    pub(super) slots: Vec<DurableSlot>,
    pub(super) pending: Option<Pending>,
    /// Everything below is durable here.
    pub(super) durable_below: Slot,
    /// Checkpointed slots that the tail still holds, oldest first.
    pub(super) cached: VecDeque<(u64, Vec<DurableChunk>)>,
    /// Bytes of those and of the slots that wait.
    pub(super) tail_bytes: u64,
    /// The chain that was written last.
    pub(super) chain: Numbers,
    pub(super) chain_bytes: Arc<AtomicU64>,
    pub(super) written: watch::Sender<Written>,
    /// Partitions that were folded since the last checkpoint was put together.
    pub(super) folded: BTreeSet<TopicPartition>,
    /// Where logs are to begin, of those that began before this when the last checkpoint was put together.
    pub(super) starts: BTreeMap<TopicPartition, LogStart>,
    /// What checkpoints say of that which are written and not known to be published.
    pub(super) unpublished_starts: Vec<LogStart>,
    /// Since when the chain names what is not needed any more.
    pub(super) stale_since: Option<Instant>,
    /// Partitions that the chain lists.
    pub(super) listed: BTreeSet<TopicPartition>,
    pub(super) gone: BTreeSet<TopicPartition>,
    /// What the chain names.
    pub(super) named: Named,
    /// The chain that was published last.
    pub(super) published: Numbers,
    /// What it names and `named` has no more, since a full checkpoint was written.
    pub(super) outlived: Named,
    /// The last checkpoint, if it is written and not known to be published.
    pub(super) unpublished: Option<CheckpointPointer>,
    /// Up to where the log is to be trimmed, if it has not been.
    pub(super) trim_below: Option<Slot>,
    pub(super) requests: Vec<oneshot::Sender<bool>>,
    pub(super) writing: Patience,
    pub(super) publishing: Patience,
}

/// How long the chain may name what is not needed any more: as long as rounds of the collector are apart.
const STALE_FOR: Duration = Duration::from_secs(300);

/// The number of a chain's last checkpoint, 0 before the first, and of its full one.
#[derive(Clone, Copy, Default)]
pub(super) struct Numbers {
    pub(super) last: u64,
    pub(super) full: u64,
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
            written: watch::Sender::new(Written { number: 0, at: Instant::now() }),
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
                        self.goes_stale(Instant::now());
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
                if is_planted(Bug::StartBeforePublished) {
                    self.unpublished_starts.extend(covered.iter().map(|(_, start)| *start));
                    self.tell_starts();
                }
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

    pub(super) fn is_stale(&self, now: Instant) -> bool {
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

pub(super) fn durable_chunks(slot: &DurableSlot) -> Vec<DurableChunk> {
    let chunks = slot.chunks.iter();
    chunks
        .map(|(place, _)| DurableChunk {
            partition: place.partition,
            epoch: place.epoch,
            last: place.last,
        })
        .collect()
}
