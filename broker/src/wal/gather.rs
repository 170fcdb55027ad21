//! When a slot is cut, and what goes into it. No I/O.

use std::collections::{BTreeMap, VecDeque};

use weir_ids::Slot;

use super::SlotChunk;
use crate::partition::Accepted;

/// When slots are cut.
#[derive(Clone, Debug)]
pub(crate) struct GatherSettings {
    /// A slot is cut when it holds this much.
    pub(crate) slot_bytes: u64,
    /// How many slots may be in flight.
    pub(crate) in_flight: usize,
}

impl GatherSettings {
    /// Slots of this size, and as many in flight as a store serves at once.
    pub(crate) fn of_slots(slot_bytes: u64) -> Self {
        Self { slot_bytes, in_flight: 16 }
    }
}

/// Accepted batches on their way into slots.
pub(crate) struct Gather {
    settings: GatherSettings,
    waiting: VecDeque<Accepted>,
    waiting_bytes: u64,
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
    pub(crate) fn new(settings: GatherSettings) -> Self {
        Self {
            settings,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            in_flight: 0,
            next: Slot::OPEN.next(),
            pushed: 0,
            cut: 0,
            wanted: false,
        }
    }

    pub(crate) fn push(&mut self, accepted: Accepted) {
        self.pushed += 1;
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

    /// The next slot, if one is due: when nothing is in flight, or when it is full or wanted and
    /// another may be in flight. While slots are in flight, batches gather and share the next one.
    pub(crate) fn cut(&mut self) -> Option<Cut> {
        let full = self.waiting_bytes >= self.settings.slot_bytes;
        let room = self.in_flight < self.settings.in_flight;
        let nothing = self.waiting.is_empty() && !self.wanted;
        if nothing || !(self.in_flight == 0 || (full || self.wanted) && room) {
            return None;
        }
        self.wanted = false;
        let mut chunks: BTreeMap<_, SlotChunk> = BTreeMap::new();
        let mut bytes = 0;
        while let Some(accepted) = self.waiting.pop_front() {
            let Accepted { partition, epoch, entry, batch } = accepted;
            bytes += u64::from(entry.bytes);
            self.cut += 1;
            let chunk = chunks.entry((partition, epoch)).or_insert_with(|| SlotChunk {
                partition,
                epoch,
                entries: Vec::new(),
                batches: Vec::new(),
            });
            chunk.entries.push(entry);
            chunk.batches.push(batch);
            if bytes >= self.settings.slot_bytes {
                break;
            }
        }
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
mod tests {
    use weir_ids::LeaderEpoch;
    use weir_segment_store::{
        object::BatchEntry,
        testing::{batch, partition},
    };

    use super::*;

    fn accepted(index: u32, base: i64) -> Accepted {
        let batch = batch(1, base, 1);
        let entry = BatchEntry::from(&batch.header());
        Accepted { partition: partition(index), epoch: LeaderEpoch(1), entry, batch }
    }

    fn gather(slot_bytes: u64) -> Gather {
        Gather::new(GatherSettings { slot_bytes, in_flight: 2 })
    }

    #[test]
    fn the_first_batch_goes_at_once_and_the_next_gather_behind_it() {
        let mut gather = gather(1 << 20);
        gather.push(accepted(0, 0));
        assert_eq!(gather.cut().unwrap().slot, Slot(1));
        (1..4).for_each(|base| gather.push(accepted(0, base)));
        assert!(gather.cut().is_none());
        gather.landed();
        let cut = gather.cut().unwrap();
        assert_eq!((cut.slot, cut.chunks[0].entries.len()), (Slot(2), 3));
        gather.landed();
        assert!(gather.is_idle() && gather.cut().is_none());
    }

    #[test]
    fn full_slots_are_pipelined_up_to_the_limit() {
        let mut gather = gather(300);
        (0..9).for_each(|base| gather.push(accepted(0, base)));
        let mut cut = || gather.cut().map(|cut| cut.chunks[0].entries.len());
        assert_eq!((cut(), cut(), cut()), (Some(2), Some(2), None));
    }

    #[test]
    fn a_slot_that_is_wanted_is_cut_without_batches_too() {
        let mut gather = gather(1 << 20);
        assert_eq!(gather.want_slot(), Slot(1));
        let cut = gather.cut().unwrap();
        assert_eq!((cut.slot, cut.chunks.len()), (Slot(1), 0));
        assert!(gather.cut().is_none());
        gather.push(accepted(0, 0));
        let mark = gather.mark();
        assert_eq!(gather.want_slot(), Slot(2), "beside the one in flight");
        assert!(!gather.has_cut(mark));
        assert_eq!(gather.cut().unwrap().chunks.len(), 1);
        assert!(gather.has_cut(mark) && gather.cut().is_none());
    }

    #[test]
    fn a_slot_holds_one_chunk_a_partition_in_the_order_of_arrival() {
        let mut gather = gather(1 << 20);
        for (index, base) in [(1, 0), (0, 5), (1, 1), (0, 6)] {
            gather.push(accepted(index, base));
        }
        let cut = gather.cut().unwrap();
        let found: Vec<_> = cut
            .chunks
            .iter()
            .map(|c| (c.partition, c.entries.iter().map(|e| e.base.0).collect::<Vec<_>>()))
            .collect();
        assert_eq!(found, [(partition(0), vec![5, 6]), (partition(1), vec![0, 1])]);
    }
}
