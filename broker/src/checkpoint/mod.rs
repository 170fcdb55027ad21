//! Checkpoints of this session's write-ahead log, made from memory.
//!
//! One task collects slots that have become durable. When there are enough of them ([`triggers`]) it
//! decides what stays where it is and what is gathered into sorted objects ([`plan`]), writes those
//! and a checkpoint object, tells the shards and lets the tail shrink. It publishes the checkpoint with one
//! compare-and-swap, and only then trims the log. While the metadata are away it goes on writing: the next that
//! is published stands on all that were not. Sorted objects that fail are begun again under new names:
//! nothing refers to them yet. A checkpoint that was put together stays the same until it is known to
//! be written: an attempt whose answer was lost may have written it.
//!
//! Invariants:
//! - A partition is listed whole before a delta of it is, and claims are adopted without gaps.
//! - The tail drops a record only after a written checkpoint names where it is.
//! - A partition that was folded is listed whole: what earlier lines said of it is forgotten with that.
//! - The log is trimmed only below a published checkpoint, and what is referred to stays, be it by the last
//!   published checkpoint or by one that was written since.

mod claims;
mod content;
mod failed;
mod numbers;
mod patience;
mod plan;
mod publish;
mod task;
mod triggers;
mod write;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use weir_ids::{ClaimNumber, Slot, TopicPartition};
use weir_runtime::watch;

pub(crate) use numbers::ObjectNumbers;
pub(crate) use task::{Checkpointer, CheckpointerDeps};
pub(crate) use triggers::CheckpointSettings;

use crate::{
    Named,
    shard::{Gone, LogStart},
    wal::DurableSlot,
};

/// A way to the checkpointer. Cheap to clone.
#[derive(Clone)]
pub(crate) struct CheckpointHandle {
    sender: mpsc::UnboundedSender<Message>,
    chain_bytes: Arc<AtomicU64>,
}

/// What the checkpointer's task reads. Bounded by the broker's buffers: every slot holds its room.
pub(crate) struct CheckpointInbox {
    messages: mpsc::UnboundedReceiver<Message>,
    chain_bytes: Arc<AtomicU64>,
    written: watch::Sender<Written>,
}

/// A checkpoint that was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// 0: none yet.
    pub(crate) number: u64,
    /// It was written before.
    pub(crate) at: Instant,
}

enum Message {
    Durable(DurableSlot),
    Claimed(Vec<(ClaimNumber, TopicPartition)>),
    Settled(Vec<ClaimNumber>),
    Closed(Vec<TopicPartition>),
    Folded(Vec<TopicPartition>),
    Starts(Vec<LogStart>),
    /// Checkpoint now; the answer says whether everything up to here is published.
    Now(oneshot::Sender<bool>),
    /// Checkpoint now what is in slots below this one; the answer says whether it is published.
    Covering(Slot, oneshot::Sender<bool>),
    References(oneshot::Sender<Named>),
}

impl CheckpointHandle {
    pub(crate) fn new() -> (Self, CheckpointInbox) {
        let (sender, messages) = mpsc::unbounded_channel();
        let chain_bytes = Arc::new(AtomicU64::new(0));
        let written = watch::Sender::new(Written { number: 0, at: Instant::now() });
        let inbox = CheckpointInbox { messages, chain_bytes: Arc::clone(&chain_bytes), written };
        (Self { sender, chain_bytes }, inbox)
    }

    /// How much whoever takes over from this session reads of its checkpoints, in bytes.
    pub(crate) fn chain_bytes(&self) -> u64 {
        self.chain_bytes.load(Ordering::Relaxed)
    }

    fn send(&self, message: Message) {
        let _ = self.sender.send(message);
    }

    /// A slot has become durable.
    pub(crate) fn durable(&self, slot: DurableSlot) {
        self.send(Message::Durable(slot));
    }

    /// These claims are about to be made.
    pub(crate) fn claimed(&self, claims: Vec<(ClaimNumber, TopicPartition)>) {
        self.send(Message::Claimed(claims));
    }

    /// These claims have been made and their partitions opened, or never will be.
    pub(crate) fn settled(&self, claims: Vec<ClaimNumber>) {
        self.send(Message::Settled(claims));
    }

    /// These partitions have been given up.
    pub(crate) fn closed(&self, partitions: Vec<TopicPartition>) {
        self.send(Message::Closed(partitions));
    }

    /// These partitions refer to something else than what checkpoints say.
    pub(crate) fn folded(&self, partitions: Vec<TopicPartition>) {
        self.send(Message::Folded(partitions));
    }

    /// These logs are to begin later. Shards are told when that is published.
    pub(crate) fn starts(&self, starts: Vec<LogStart>) {
        self.send(Message::Starts(starts));
    }

    /// What the last published checkpoint and those written since name, and they themselves.
    ///
    /// # Errors
    /// When the checkpointer has ended.
    pub(crate) async fn references(&self) -> Result<Named, Gone> {
        let (answer, names) = oneshot::channel();
        self.send(Message::References(answer));
        names.await.map_err(|_| Gone)
    }

    /// Makes a checkpoint of all that is durable; true if it is published.
    pub(crate) async fn now(&self) -> bool {
        let (done, answer) = oneshot::channel();
        self.send(Message::Now(done));
        answer.await.unwrap_or(false)
    }

    /// Makes a checkpoint unless all that is durable below `end` is published; true if it is.
    pub(crate) async fn covering(&self, end: Slot) -> bool {
        let (done, answer) = oneshot::channel();
        self.send(Message::Covering(end, done));
        answer.await.unwrap_or(false)
    }
}

impl CheckpointInbox {
    /// Sees the last checkpoint that was written.
    pub(crate) fn written(&self) -> watch::Receiver<Written> {
        self.written.subscribe()
    }
}
