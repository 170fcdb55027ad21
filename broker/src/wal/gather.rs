//! When a slot is cut, and what goes into it. No I/O.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;
use weir_ids::Slot;

use super::SlotChunk;
use crate::{SlotSettings, partition::Accepted};

/// How many slots may be in flight: as many as a store serves at once.
pub(crate) const IN_FLIGHT_MAX: usize = 16;

/// What is urgent waits for this part of the linger at most since the last slot: as many slots a second as
/// that allows are paid for at most, however many urgent batches there are.
const URGENT_PART: u32 = 5;

/// Accepted batches on their way into slots.
pub(crate) struct Gather {
    settings: SlotSettings,
    in_flight_max: usize,
    waiting: VecDeque<Accepted>,
    waiting_bytes: u64,
    /// Since when the first of them has been waiting.
    waiting_since: Instant,
    /// How many batches must be in slots so that nothing urgent waits.
    urgent: u64,
    last_cut: Instant,
    in_flight: usize,
    next: Slot,
    /// How many batches have ever come, and how many of them went into slots.
    pushed: u64,
    cut: u64,
    /// A slot is wanted, even one without batches.
    wanted: bool,
}

/// How far batches had come at some moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mark(u64);

/// A slot that has been cut.
pub(crate) struct Cut {
    pub(crate) slot: Slot,
    pub(crate) bytes: u64,
    pub(crate) chunks: Vec<SlotChunk>,
}

impl Gather {
    pub(crate) fn new(settings: SlotSettings, in_flight_max: usize, now: Instant) -> Self {
        Self {
            settings,
            in_flight_max,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_since: now,
            urgent: 0,
            last_cut: now,
            in_flight: 0,
            next: Slot::OPEN.next(),
            pushed: 0,
            cut: 0,
            wanted: false,
        }
    }

    pub(crate) fn push(&mut self, accepted: Accepted, now: Instant) {
        self.pushed += 1;
        if self.waiting.is_empty() {
            self.waiting_since = now;
        }
        if accepted.urgent {
            self.urgent = self.pushed;
        }
        self.waiting_bytes += u64::from(accepted.entry.bytes);
        self.waiting.push_back(accepted);
    }

    /// Where batches stand now.
    pub(crate) fn mark(&self) -> Mark {
        Mark(self.pushed)
    }

    /// Whether all that had come at `mark` is in slots.
    pub(crate) fn has_cut(&self, mark: Mark) -> bool {
        self.cut >= mark.0
    }

    /// Asks for a slot, even if there is nothing to put into it. Returns which it will be.
    pub(crate) fn want_slot(&mut self) -> Slot {
        self.wanted = true;
        self.next
    }

    /// Asks for a slot soon, if there is anything to put into it.
    pub(crate) fn hurry(&mut self) {
        self.wanted |= !self.waiting.is_empty();
    }

    /// When a slot will be due although nothing comes and nothing lands; `None`: never.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        let linger = self.settings.linger?;
        if self.waiting.is_empty() || self.in_flight >= self.in_flight_max {
            return None;
        }
        let lingered = self.waiting_since + linger;
        let urgent = (self.urgent > self.cut).then(|| self.last_cut + linger / URGENT_PART);
        Some(urgent.map_or(lingered, |urgent| urgent.min(lingered)))
    }

    fn is_due(&self, now: Instant) -> bool {
        if self.waiting.is_empty() {
            return self.wanted;
        }
        let idle =
            self.in_flight == 0 && !(self.settings.patient && self.settings.linger.is_some());
        let full = self.waiting_bytes >= self.settings.bytes;
        idle || full || self.wanted || self.due_at().is_some_and(|due| due <= now)
    }

    /// The next slot, if one is due and another may be in flight: when it is full or wanted, when what it
    /// is to hold has lingered, and, unless it is to be patient, when nothing is in flight. Until then batches
    /// gather and share it.
    pub(crate) fn cut(&mut self, now: Instant) -> Option<Cut> {
        if self.in_flight >= self.in_flight_max || !self.is_due(now) {
            return None;
        }
        self.wanted = false;
        self.last_cut = now;
        let mut chunks: BTreeMap<_, SlotChunk> = BTreeMap::new();
        let mut bytes = 0;
        while let Some(accepted) = self.waiting.pop_front() {
            let Accepted { partition, epoch, entry, batch, urgent: _, lifetime } = accepted;
            bytes += u64::from(entry.bytes);
            self.cut += 1;
            let chunk = chunks.entry((partition, epoch)).or_insert_with(|| SlotChunk {
                partition,
                epoch,
                lifetime,
                entries: Vec::new(),
                batches: Vec::new(),
            });
            chunk.entries.push(entry);
            chunk.batches.push(batch);
            if bytes >= self.settings.bytes {
                break;
            }
        }
        self.waiting_since = now;
        self.waiting_bytes -= bytes;
        self.in_flight += 1;
        let slot = self.next;
        self.next = slot.next();
        Some(Cut { slot, bytes, chunks: chunks.into_values().collect() })
    }

    /// A slot is no longer in flight.
    pub(crate) fn landed(&mut self) {
        self.in_flight -= 1;
    }

    /// The slot that will be cut next.
    pub(crate) fn next_slot(&self) -> Slot {
        self.next
    }

    /// Whether nothing waits and nothing is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && !self.wanted && self.in_flight == 0
    }
}

#[cfg(test)]
mod tests;
