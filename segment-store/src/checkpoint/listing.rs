//! What is known of one partition, and how knowledge adds up.
//!
//! The same [`Listing::append_chunk`] is used when a slot is checkpointed and when it is recovered,
//! so that both find the same.

use std::collections::BTreeMap;

use weir_ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::{
    Reference,
    object::{BatchEntry, BatchFlags},
    pages::PageRef,
};

/// How many batches of a producer are remembered for recognising duplicates (KIP-98).
pub const REMEMBERED_BATCHES: usize = 5;

/// A batch that a producer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastBatch {
    /// The sequence of its first record.
    pub first: Sequence,
    /// The sequence of its last record.
    pub last: Sequence,
    /// The offset of its first record.
    pub base: Offset,
    /// The offset of its last record.
    pub end: Offset,
}

/// What is remembered of a producer in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerState {
    /// Its newest generation.
    pub epoch: ProducerEpoch,
    /// The largest timestamp of its last batch.
    pub last_timestamp: Timestamp,
    /// Its last batches of that generation, oldest first; at most [`REMEMBERED_BATCHES`].
    pub batches: Vec<PastBatch>,
}

impl ProducerState {
    /// A producer of which no batch is known.
    pub fn new(epoch: ProducerEpoch) -> Self {
        Self { epoch, last_timestamp: Timestamp::NONE, batches: Vec::new() }
    }

    /// Notes a batch. One of a newer epoch forgets those of the old.
    pub fn push(&mut self, epoch: ProducerEpoch, batch: PastBatch, timestamp: Timestamp) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
        if self.batches.len() == REMEMBERED_BATCHES {
            self.batches.remove(0);
        }
        self.batches.push(batch);
        self.last_timestamp = timestamp;
    }
}

/// What is known of a partition up to some slot, or what a span of slots adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The leader epoch under which it was made.
    pub epoch: LeaderEpoch,
    /// The first offset.
    pub log_start: Offset,
    /// The offset behind the last.
    pub next: Offset,
    /// Up to here log compaction has looked for records that others stand in for.
    pub cleaned: Offset,
    /// Where the oldest records are listed, by offset: pages of higher levels first.
    pub pages: Vec<PageRef>,
    /// Where the others are, by offset.
    pub references: Vec<Reference>,
    /// The first offset of each leader epoch that wrote something.
    pub epoch_starts: Vec<(LeaderEpoch, Offset)>,
    /// What producers wrote last.
    pub producers: BTreeMap<ProducerId, ProducerState>,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            epoch: LeaderEpoch::NONE,
            log_start: Offset::ZERO,
            next: Offset::ZERO,
            cleaned: Offset::ZERO,
            pages: Vec::new(),
            references: Vec::new(),
            epoch_starts: Vec::new(),
            producers: BTreeMap::new(),
        }
    }
}

impl Listing {
    /// Notes a chunk that lies behind everything noted so far.
    pub fn append_chunk(&mut self, reference: Reference, batches: &[BatchEntry]) {
        for batch in batches {
            self.note_producer(batch);
        }
        if self.epoch_starts.last().is_none_or(|(epoch, _)| *epoch < reference.epoch) {
            self.epoch_starts.push((reference.epoch, reference.base));
        }
        self.epoch = self.epoch.max(reference.epoch);
        self.next = reference.last.plus(1);
        self.references.push(reference);
    }

    /// Notes what a batch says of its producer.
    pub fn note_producer(&mut self, batch: &BatchEntry) {
        let Some(mark) = batch.producer else { return };
        if batch.flags.contains(BatchFlags::CONTROL) {
            return;
        }
        let past = PastBatch {
            first: mark.first_sequence,
            last: mark.first_sequence.plus(batch.count().saturating_sub(1)),
            base: batch.base,
            end: batch.last,
        };
        self.producers.entry(mark.id).or_insert_with(|| ProducerState::new(mark.epoch)).push(
            mark.epoch,
            past,
            batch.max_timestamp,
        );
    }

    /// Adds what a later span of slots brought, which has no pages.
    pub fn extend(&mut self, later: Listing) {
        self.epoch = self.epoch.max(later.epoch);
        self.next = self.next.max(later.next);
        self.references.extend(later.references);
        for (epoch, start) in later.epoch_starts {
            if self.epoch_starts.last().is_none_or(|(last, _)| *last < epoch) {
                self.epoch_starts.push((epoch, start));
            }
        }
        for (id, state) in later.producers {
            match self.producers.get_mut(&id) {
                Some(known) if known.epoch == state.epoch => {
                    for batch in state.batches {
                        known.push(state.epoch, batch, state.last_timestamp);
                    }
                }
                _ => {
                    self.producers.insert(id, state);
                }
            }
        }
        self.cleaned = self.cleaned.max(later.cleaned);
        self.start_at(self.log_start.max(later.log_start));
    }

    /// Drops pages and references that lie wholly below `log_start`.
    pub fn start_at(&mut self, log_start: Offset) {
        self.log_start = self.log_start.max(log_start);
        self.next = self.next.max(log_start);
        let gone = self.pages.partition_point(|page| page.last < log_start);
        self.pages.drain(..gone);
        let gone = self.references.partition_point(|reference| reference.last < log_start);
        self.references.drain(..gone);
        // An epoch ends where the next begins.
        let ends = self.epoch_starts.iter().skip(1).map(|(_, start)| *start);
        let gone = ends.take_while(|end| *end <= log_start).count();
        self.epoch_starts.drain(..gone);
    }

    /// Whether pages and references cover `log_start..next` without hole or overlap, in order: what recovery
    /// asserts before a partition is opened (`offsets_are_dense_and_unique`).
    pub fn is_dense(&self) -> bool {
        let pages = self.pages.iter().map(|page| (page.base, page.last));
        let references = self.references.iter().map(|reference| (reference.base, reference.last));
        let mut spans = pages.chain(references);
        let Some((first, last)) = spans.next() else { return self.log_start == self.next };
        let end = spans.try_fold(last, |end, (base, last)| {
            (base == end.plus(1) && last >= base).then_some(last)
        });
        last >= first && first <= self.log_start && end.is_some_and(|it| it.plus(1) == self.next)
    }
}
