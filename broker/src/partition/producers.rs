//! Idempotent producers of one partition (KIP-98): which batch comes next, which came before.

use std::collections::BTreeMap;

use weir_ids::{ProducerId, Sequence, Timestamp};
use weir_protocol::records::BatchHeader;
use weir_segment_store::checkpoint::{Listing, PastBatch, ProducerState};

use crate::client::AppendError;

/// How many producers a partition remembers; beyond, the one silent for longest is forgotten.
pub(crate) const MAX_PRODUCERS: usize = 5_000;

/// The producers of one partition, undurable batches included. Since when they are silent is counted by this
/// broker's clock: what a client calls the time of a record, an old one that is copied for example, says
/// nothing of when it was last here.
#[derive(Default)]
pub(crate) struct Producers {
    states: BTreeMap<ProducerId, ProducerState>,
}

/// What a batch's sequence says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sequenced {
    /// It comes next.
    Next,
    /// It came before, as this.
    Duplicate(PastBatch),
}

impl Producers {
    /// Those that earlier owners knew; they are heard of at `now`.
    pub(crate) fn from_listing(listing: &Listing, now: Timestamp) -> Self {
        let mut states = listing.producers.clone();
        states.values_mut().for_each(|state| state.last_timestamp = now);
        Self { states }
    }

    /// Judges the sequence of a batch with a producer id, at time `now`.
    ///
    /// A producer of which nothing is known, or that has been silent for `expiry_ms`, may begin
    /// anywhere: a client that idled must not be stopped for what a broker forgot.
    pub(crate) fn judge(
        &self,
        header: &BatchHeader,
        now: Timestamp,
        expiry_ms: i64,
    ) -> Result<Sequenced, AppendError> {
        let Some(known) = self.states.get(&header.producer_id) else {
            return Ok(Sequenced::Next);
        };
        let found = header.base_sequence;
        if header.producer_epoch < known.epoch {
            let current = known.epoch;
            return Err(AppendError::InvalidProducerEpoch {
                current,
                found: header.producer_epoch,
            });
        }
        if header.producer_epoch > known.epoch {
            return follows(Sequence(0), found);
        }
        let last_sequence = header.last_sequence();
        let same = |past: &&PastBatch| past.first == found && past.last == last_sequence;
        if let Some(past) = known.batches.iter().rev().find(same) {
            return Ok(Sequenced::Duplicate(*past));
        }
        match known.batches.last() {
            None => Ok(Sequenced::Next),
            Some(_) if expired(known, now, expiry_ms) => Ok(Sequenced::Next),
            Some(last) => follows(last.last.plus(1), found),
        }
    }

    /// Notes a batch that was accepted, at its place in the log.
    pub(crate) fn note(&mut self, header: &BatchHeader, now: Timestamp, expiry_ms: i64) {
        let past = PastBatch {
            first: header.base_sequence,
            last: header.last_sequence(),
            base: header.base_offset,
            end: header.last_offset(),
        };
        if !self.states.contains_key(&header.producer_id) && self.states.len() >= MAX_PRODUCERS {
            self.forget_one(now, expiry_ms);
        }
        let epoch = header.producer_epoch;
        self.states
            .entry(header.producer_id)
            .or_insert_with(|| ProducerState::new(epoch))
            .push(epoch, past, now);
    }

    fn forget_one(&mut self, now: Timestamp, expiry_ms: i64) {
        let before = self.states.len();
        self.states.retain(|_, state| !expired(state, now, expiry_ms));
        if self.states.len() < before {
            return;
        }
        let oldest = self.states.iter().min_by_key(|(_, state)| state.last_timestamp);
        if let Some(id) = oldest.map(|(id, _)| *id) {
            self.states.remove(&id);
        }
    }

    /// The newest generation that has written.
    #[cfg(test)]
    pub(crate) fn epoch(&self, id: ProducerId) -> Option<weir_ids::ProducerEpoch> {
        self.states.get(&id).map(|state| state.epoch)
    }
}

fn follows(expected: Sequence, found: Sequence) -> Result<Sequenced, AppendError> {
    if expected == found {
        Ok(Sequenced::Next)
    } else {
        Err(AppendError::OutOfOrderSequence { expected, found })
    }
}

fn expired(state: &ProducerState, now: Timestamp, expiry_ms: i64) -> bool {
    now.0.saturating_sub(state.last_timestamp.0) > expiry_ms
}
