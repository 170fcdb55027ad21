//! The task that moves slots.

use std::sync::Arc;

use futures::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use uuid::Uuid;
use weir_ids::{SessionId, Slot};
use weir_runtime::{
    Runtime, Stop,
    planted::{Bug, is_planted},
    watch,
};
use weir_segment_store::{
    Part, journal,
    object::{Builder, ChunkSource, Header, Kind},
};

use super::{
    DurableSlot, SlotChunk,
    gather::{Cut, Gather, IN_FLIGHT_MAX},
    waiters::Waiters,
};
use crate::{
    SlotSettings,
    buffers::{BATCH_BYTES, Buffers},
    checkpoint::CheckpointHandle,
    ending::Ending,
    metrics::Metrics,
    partition::Accepted,
    shard::{DurableChunk, ShardHandle},
    trouble::{Source, Trouble},
};

/// Where shards hand over what they accepted.
#[derive(Clone)]
pub(crate) struct WalHandle {
    sender: mpsc::UnboundedSender<Message>,
}

enum Message {
    Accepted(Vec<Accepted>),
    Flush(oneshot::Sender<Slot>),
    Prove(oneshot::Sender<Slot>),
}

impl WalHandle {
    /// Hands over batches in order. What waits here is bounded by the room that each batch has
    /// taken in the broker's buffers.
    pub(crate) fn submit(&self, accepted: Vec<Accepted>) {
        // The task ends only with the session; what it does not take is never acknowledged.
        let _ = self.sender.send(Message::Accepted(accepted));
    }

    /// Returns when everything that was submitted before is durable, with the slot behind the last;
    /// `None` when the log has failed.
    pub(crate) async fn flush(&self) -> Option<Slot> {
        let (done, flushed) = oneshot::channel();
        let _ = self.sender.send(Message::Flush(done));
        flushed.await.ok()
    }

    /// Returns when a slot is durable that was not yet submitted at the call: then nobody had ended
    /// the session when the call began. `false` when the log has failed.
    pub(crate) async fn prove(&self) -> bool {
        let (done, proved) = oneshot::channel();
        let _ = self.sender.send(Message::Prove(done));
        proved.await.is_ok()
    }
}

/// The log of one session.
pub(crate) struct Wal {
    pub(crate) cluster: Uuid,
    pub(crate) session: SessionId,
    pub(crate) runtime: Runtime,
    pub(crate) writer: Box<dyn journal::Writer>,
    pub(crate) shards: Arc<[ShardHandle]>,
    pub(crate) checkpoints: CheckpointHandle,
    pub(crate) trouble: Trouble,
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) metrics: Metrics,
    pub(crate) settings: SlotSettings,
    /// Whether the session is over.
    pub(crate) ending: Ending,
}

type InFlight = BoxFuture<'static, Result<DurableSlot, journal::Error>>;

struct Task {
    wal: Wal,
    gather: Gather,
    in_flight: FuturesOrdered<InFlight>,
    waiters: Waiters,
}

/// How many messages are taken at once.
const TAKE: usize = 256;

impl Wal {
    /// A handle to give to shards before the task runs, and what the task reads.
    pub(crate) fn handle() -> (WalHandle, WalInbox) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (WalHandle { sender }, WalInbox(receiver))
    }

    /// Runs until `stop`, and then until everything submitted is durable; or until the session is
    /// over, as it is when somebody else has ended it.
    ///
    /// # Errors
    /// When the journal fails for good: nothing may be acknowledged any more.
    pub(crate) async fn run(self, inbox: WalInbox, stop: Stop) -> Result<(), journal::Error> {
        let gather = Gather::new(self.settings.clone(), IN_FLIGHT_MAX, Instant::now());
        let ending = self.ending.clone();
        let in_flight = FuturesOrdered::new();
        let task = Task { wal: self, gather, in_flight, waiters: Waiters::default() };
        let run = tokio::select! {
            biased;
            _ = ending.told() => Ok(()),
            run = task.run(inbox.0, stop) => run,
        };
        match run {
            Err(error) if error.advice() == journal::Advice::Reopen => {
                ending.tell(&error);
                Ok(())
            }
            run => run,
        }
    }
}

/// What the task reads.
pub(crate) struct WalInbox(mpsc::UnboundedReceiver<Message>);

impl Task {
    async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Message>,
        stop: Stop,
    ) -> Result<(), journal::Error> {
        let mut trouble = self.wal.writer.trouble();
        let mut taken = Vec::with_capacity(TAKE);
        loop {
            let due = self.gather.due_at();
            tokio::select! {
                biased;
                Some(landed) = self.in_flight.next() => self.handle_landed(landed?),
                Ok(()) = trouble.changed() => self.handle_trouble(&mut trouble),
                count = inbox.recv_many(&mut taken, TAKE) => {
                    if count == 0 {
                        return Ok(());
                    }
                    let now = Instant::now();
                    taken.drain(..).for_each(|message| self.handle_message(message, now));
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = stop.requested(), if self.gather.is_idle() && inbox.is_empty() => return Ok(()),
            }
            let now = Instant::now();
            while let Some(cut) = self.gather.cut(now) {
                let slot = cut.slot;
                self.submit(cut);
                self.waiters.cut(slot, &self.gather);
            }
        }
    }

    fn handle_message(&mut self, message: Message, now: Instant) {
        match message {
            Message::Accepted(batches) => {
                batches.into_iter().for_each(|accepted| self.gather.push(accepted, now));
            }
            Message::Flush(done) => {
                self.gather.hurry();
                self.waiters.flush(&self.gather, done);
            }
            Message::Prove(done) => self.waiters.landing(self.gather.want_slot(), done),
        }
    }

    fn submit(&mut self, cut: Cut) {
        let Cut { slot, bytes, chunks } = cut;
        let batches: usize = chunks.iter().map(|chunk| chunk.entries.len()).sum();
        let bytes = bytes + BATCH_BYTES * batches as u64;
        let mut builder = Builder::new(&Header {
            cluster: self.wal.cluster,
            session: self.wal.session,
            number: slot.0,
            put_id: self.wal.runtime.random_u64(),
            kind: Kind::Slot,
        });
        for SlotChunk { partition, epoch, entries, batches, .. } in &chunks {
            builder.add(ChunkSource {
                partition: *partition,
                epoch: *epoch,
                batches: entries,
                parts: batches.iter().cloned().map(Part::Batch).collect(),
            });
        }
        let written = self.wal.writer.append(slot, builder.finish());
        let landing: InFlight = Box::pin(async move {
            let journal::Written { slot, object, origin, chunks: places } = written.await?;
            let chunks = Arc::new(places.into_iter().zip(chunks).collect());
            Ok(DurableSlot { slot, object, origin, bytes, chunks })
        });
        if is_planted(Bug::GapAcknowledged) {
            self.in_flight.push_front(landing);
        } else {
            self.in_flight.push_back(landing);
        }
    }

    fn handle_landed(&mut self, slot: DurableSlot) {
        self.gather.landed();
        let landed = slot.slot;
        self.count(&slot);
        let mut by_shard: Vec<Vec<DurableChunk>> = vec![Vec::new(); self.wal.shards.len()];
        for (place, _) in slot.chunks.iter() {
            let shard = ShardHandle::of(&self.wal.shards, place.partition).0;
            let (partition, epoch, last) = (place.partition, place.epoch, place.last);
            by_shard[shard].push(DurableChunk { partition, epoch, last });
        }
        for (shard, chunks) in by_shard.into_iter().enumerate().filter(|(_, c)| !c.is_empty()) {
            self.wal.shards[shard].durable(chunks);
        }
        self.wal.checkpoints.durable(slot);
        // Last: whoever waited finds all the others told.
        self.waiters.landed(landed);
    }

    fn count(&self, slot: &DurableSlot) {
        let metrics = &self.wal.metrics;
        let entries = slot.chunks.iter().flat_map(|(_, chunk)| &chunk.entries);
        let (batches, bytes) = entries
            .fold((0, 0), |(batches, bytes), entry| (batches + 1, bytes + u64::from(entry.bytes)));
        metrics.slots.inc();
        metrics.batches.inc_by(batches);
        metrics.slot_bytes.inc_by(bytes);
        metrics.buffered_bytes.set(i64::try_from(self.wal.buffers.used()).unwrap_or(i64::MAX));
    }

    fn handle_trouble(&mut self, trouble: &mut watch::Receiver<Option<String>>) {
        let what = trouble.borrow_and_update().clone();
        if let Some(now) = self.wal.trouble.set(Source::Log, what) {
            self.wal.shards.iter().for_each(|shard| shard.trouble(now.clone()));
        }
    }
}
