//! One partition, as its owner knows it: a state machine without I/O.
//!
//! Appends come in and are given offsets or refused; news of durability comes in and answers go
//! out; reads are answered from the tail or with the place in the store. Tasks around it only move
//! bytes and messages.
//!
//! Five offsets, in this order: `log_start ≤ checkpointed ≤ stable ≤ durable ≤ next`. Invariants:
//! - A reader sees nothing at or above `durable` (`visible_is_durable`).
//! - An append for [`Acks::Durable`] is answered only when `durable` has passed its last offset.
//! - A duplicate is answered when its original is durable, and shares its fate.
//! - The tail holds everything from `checkpointed` on, so that an undurable or unreferenced record
//!   is never looked for in the store.

mod append;
mod compaction;
mod covered;
mod fold;
mod pending;
mod producers;
mod read;
mod retention;
mod tail;

use std::sync::Arc;

use weir_ids::{LeaderEpoch, Offset, Timestamp, TopicPartition};
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::{Reference, checkpoint::Listing};

pub(crate) use append::{Accepted, Verdict};
pub(crate) use covered::Covered;
pub(crate) use pending::Answered;
pub(crate) use producers::Producers;
pub(crate) use retention::Expired;
pub(crate) use tail::TailBatch;

use crate::{
    Named,
    client::{AppendError, Offsets, TailEvent, TailSink},
    topic_rules::TopicRules,
};
use pending::PendingAnswers;
use tail::Tail;

/// How a partition came to this owner.
pub(crate) struct Claimed {
    pub(crate) id: TopicPartition,
    pub(crate) epoch: LeaderEpoch,
    /// What earlier owners left: covers everything up to `next`.
    pub(crate) listing: Listing,
    pub(crate) rules: Arc<TopicRules>,
}

/// A partition that this broker owns.
pub(crate) struct Partition {
    id: TopicPartition,
    epoch: LeaderEpoch,
    rules: Arc<TopicRules>,
    /// Where the log ended when it was claimed.
    claimed_at: Offset,
    next: Offset,
    durable: Offset,
    /// What checkpoints and earlier owners say; its `next` is the checkpointed offset and its
    /// producers are those of then.
    listing: Listing,
    /// Undurable batches included.
    producers: Producers,
    tail: Tail,
    pending: PendingAnswers,
    durable_bytes: u64,
    readers: Vec<(u64, TailSink)>,
    /// It is about to be released: nothing more is accepted, under this epoch never again.
    frozen: bool,
    /// A pass of log compaction is under way.
    compacting: bool,
    /// Bytes of records that went in and out since that was last asked.
    passed: u64,
}

impl Partition {
    /// A partition as it was found, opened at `now`.
    pub(crate) fn new(claimed: Claimed, now: Timestamp) -> Self {
        let Claimed { id, epoch, listing, rules } = claimed;
        assert!(listing.is_dense(), "the references of {id} leave a hole: {listing:?}");
        let producers = match is_planted(Bug::ProducersForgotten) {
            true => Producers::default(),
            false => Producers::from_listing(&listing, now),
        };
        Self {
            id,
            epoch,
            rules,
            claimed_at: listing.next,
            next: listing.next,
            durable: listing.next,
            producers,
            tail: Tail::new(),
            pending: PendingAnswers::default(),
            durable_bytes: 0,
            readers: Vec::new(),
            frozen: false,
            compacting: false,
            passed: 0,
            listing,
        }
    }

    pub(crate) fn id(&self) -> TopicPartition {
        self.id
    }

    pub(crate) fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// Bytes of records went out.
    pub(crate) fn served(&mut self, bytes: u64) {
        self.passed += bytes;
    }

    /// Bytes of records that went in and out since this was last asked.
    pub(crate) fn take_passed(&mut self) -> u64 {
        std::mem::take(&mut self.passed)
    }

    pub(crate) fn set_rules(&mut self, rules: Arc<TopicRules>) {
        self.rules = rules;
    }

    pub(crate) fn offsets(&self) -> Offsets {
        Offsets {
            epoch: self.epoch,
            log_start: self.listing.log_start,
            stable: self.visible(),
            durable: self.visible(),
        }
    }

    /// What readers may see.
    fn visible(&self) -> Offset {
        if is_planted(Bug::UndurableServed) { self.next } else { self.durable }
    }

    /// Everything this session has written up to `last` is durable. Returns the answers that are
    /// due and tells waiting readers.
    pub(crate) fn durable_through(&mut self, last: Offset) -> Vec<Answered> {
        let durable = last.plus(1);
        assert!(
            self.durable <= durable && durable <= self.next,
            "{}: durable {durable} does not lie in {}..={}",
            self.id,
            self.durable,
            self.next
        );
        self.durable_bytes += self.tail.bytes_between(self.durable, durable);
        self.durable = durable;
        self.tell_readers();
        let offsets = self.offsets();
        self.pending.due(durable, offsets.log_start, self.epoch)
    }

    /// Fails everything that waits for durability, e.g. because ownership is lost.
    pub(crate) fn fail_pending(&mut self, error: &AppendError) -> Vec<Answered> {
        self.pending.fail(error)
    }

    /// A checkpoint has been written that covers everything up to `delta.next`.
    /// Where the log begins now is told once that is published.
    pub(crate) fn checkpointed(&mut self, delta: Listing) {
        let log_start = self.listing.log_start;
        self.listing.extend(Listing { log_start, ..delta });
        assert!(
            self.listing.is_dense() && self.listing.next <= self.durable.max(log_start),
            "{}: a checkpoint leaves a hole or runs ahead: {:?}",
            self.id,
            self.listing
        );
    }

    /// What checkpoints say of it, under this owner's epoch.
    pub(crate) fn listing(&self) -> Listing {
        Listing { epoch: self.epoch, ..self.listing.clone() }
    }

    /// Names what its records are read from.
    pub(crate) fn add_to(&self, named: &mut Named) {
        named.add(&self.listing);
    }

    /// Where its records are, but for those that pages list.
    pub(crate) fn references(&self) -> &[Reference] {
        &self.listing.references
    }

    /// Drops what the tail holds up to `last`, which has been checkpointed. Returns the bytes freed.
    pub(crate) fn evict(&mut self, last: Offset) -> u64 {
        assert!(last < self.listing.next, "{}: {last} is not checkpointed", self.id);
        self.tail.evict(last)
    }

    /// Drops the whole tail; returns the bytes freed.
    pub(crate) fn evict_all(&mut self) -> u64 {
        self.tail.clear()
    }

    /// Records below `before` are gone. Returns the new log start.
    pub(crate) fn start_at(&mut self, before: Offset) -> Offset {
        let since = self.listing.log_start;
        self.listing.start_at(before.min(self.durable));
        if self.listing.log_start > since {
            self.tell_readers();
        }
        self.listing.log_start
    }

    pub(crate) fn subscribe(&mut self, reader: u64, sink: TailSink) {
        sink.push(self.id, self.news());
        self.readers.retain(|(id, _)| *id != reader);
        self.readers.push((reader, sink));
    }

    pub(crate) fn unsubscribe(&mut self, reader: u64) {
        self.readers.retain(|(id, _)| *id != reader);
    }

    /// Accepts nothing more.
    pub(crate) fn freeze(&mut self) {
        self.frozen = true;
    }

    /// Whether it has begun to be given up.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Where the log ends once nothing more is accepted and all that was is durable; `None` before.
    pub(crate) fn end(&self) -> Option<Offset> {
        let early = is_planted(Bug::ReleaseBeforeFlush) || is_planted(Bug::AcceptAfterRelease);
        (self.frozen && (early || self.durable == self.next)).then_some(self.durable)
    }

    /// The partition is given up: readers are told, appends are failed. Returns what checkpoints may
    /// still have to tell of it.
    pub(crate) fn give_up(mut self, error: &AppendError) -> (Covered, Vec<Answered>) {
        for (_, sink) in &self.readers {
            sink.push(self.id, TailEvent::Lost);
        }
        let answers = self.fail_pending(error);
        (Covered::new(self.listing()), answers)
    }

    fn tell_readers(&self) {
        for (_, sink) in &self.readers {
            sink.push(self.id, self.news());
        }
    }

    fn news(&self) -> TailEvent {
        TailEvent::Advanced { offsets: self.offsets(), bytes: self.durable_bytes }
    }
}

#[cfg(test)]
mod tests;
