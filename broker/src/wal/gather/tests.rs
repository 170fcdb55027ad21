use std::time::Duration;

use weir_ids::LeaderEpoch;
use weir_segment_store::{
    object::BatchEntry,
    testing::{batch, partition},
};

use super::*;
use crate::Lifetime;

const LINGER: Duration = Duration::from_millis(50);

struct Rig {
    gather: Gather,
    begun: Instant,
}

impl Rig {
    fn new(settings: SlotSettings) -> Self {
        let begun = Instant::now();
        Self { gather: Gather::new(settings, 2, begun), begun }
    }

    fn of_bytes(bytes: u64) -> Self {
        Self::new(SlotSettings { bytes, ..SlotSettings::default() })
    }

    fn lingering(patient: bool) -> Self {
        Self::new(SlotSettings { linger: Some(LINGER), patient, ..SlotSettings::default() })
    }

    fn at(&self, ms: u64) -> Instant {
        self.begun + Duration::from_millis(ms)
    }

    fn push(&mut self, ms: u64, index: u32, base: i64) {
        self.push_urgent(ms, index, base, false);
    }

    fn push_urgent(&mut self, ms: u64, index: u32, base: i64, urgent: bool) {
        let batch = batch(1, base, 1);
        let (entry, epoch) = (BatchEntry::from(&batch.header()), LeaderEpoch(1));
        let accepted = Accepted {
            partition: partition(index),
            epoch,
            entry,
            batch,
            urgent,
            lifetime: Lifetime::Endless,
        };
        let now = self.at(ms);
        self.gather.push(accepted, now);
    }

    /// How many batches the slot holds that is cut at this time.
    fn cut(&mut self, ms: u64) -> Option<usize> {
        let now = self.at(ms);
        let cut = self.gather.cut(now)?;
        Some(cut.chunks.iter().map(|chunk| chunk.entries.len()).sum())
    }

    /// When it is due by itself, in milliseconds.
    fn due(&self) -> Option<u128> {
        self.gather.due_at().map(|due| (due - self.begun).as_millis())
    }
}

#[test]
fn the_first_batch_goes_at_once_and_the_next_gather_behind_it() {
    let mut rig = Rig::of_bytes(1 << 20);
    rig.push(0, 0, 0);
    assert_eq!(rig.gather.next_slot(), Slot(1));
    assert_eq!(rig.cut(0), Some(1));
    (1..4).for_each(|base| rig.push(0, 0, base));
    assert_eq!(rig.cut(10_000), None);
    assert_eq!(rig.due(), None, "without a linger they wait for as long as that takes");
    rig.gather.landed();
    assert_eq!(rig.gather.next_slot(), Slot(2));
    assert_eq!(rig.cut(0), Some(3));
    rig.gather.landed();
    assert!(rig.gather.is_idle() && rig.cut(0).is_none());
}

#[test]
fn full_slots_are_pipelined_up_to_the_limit() {
    let mut rig = Rig::of_bytes(300);
    (0..9).for_each(|base| rig.push(0, 0, base));
    assert_eq!((rig.cut(0), rig.cut(0), rig.cut(0)), (Some(2), Some(2), None));
}

#[test]
fn a_slot_that_is_wanted_is_cut_without_batches_too() {
    let mut rig = Rig::of_bytes(1 << 20);
    assert_eq!(rig.gather.want_slot(), Slot(1));
    assert_eq!(rig.cut(0), Some(0));
    assert_eq!(rig.cut(0), None);
    rig.push(0, 0, 0);
    let mark = rig.gather.mark();
    assert_eq!(rig.gather.want_slot(), Slot(2), "beside the one in flight");
    assert!(!rig.gather.has_cut(mark));
    assert_eq!(rig.cut(0), Some(1));
    assert!(rig.gather.has_cut(mark) && rig.cut(0).is_none());
}

#[test]
fn a_slot_holds_one_chunk_a_partition_in_the_order_of_arrival() {
    let mut rig = Rig::of_bytes(1 << 20);
    for (index, base) in [(1, 0), (0, 5), (1, 1), (0, 6)] {
        rig.push(0, index, base);
    }
    let cut = rig.gather.cut(rig.begun).unwrap();
    let found: Vec<_> = cut
        .chunks
        .iter()
        .map(|c| (c.partition, c.entries.iter().map(|e| e.base.0).collect::<Vec<_>>()))
        .collect();
    assert_eq!(found, [(partition(0), vec![5, 6]), (partition(1), vec![0, 1])]);
}

#[test]
fn beside_a_slot_in_flight_batches_linger() {
    let mut rig = Rig::lingering(false);
    rig.push(0, 0, 0);
    assert_eq!(rig.cut(0), Some(1), "nothing is in flight");
    rig.push(10, 0, 1);
    rig.push(40, 0, 2);
    assert_eq!((rig.cut(59), rig.due()), (None, Some(60)), "the first decides");
    assert_eq!(rig.cut(60), Some(2));
    rig.push(61, 0, 3);
    assert_eq!((rig.cut(200), rig.due()), (None, None), "no more may be in flight");
    rig.gather.landed();
    assert_eq!(rig.cut(200), Some(1));
}

#[test]
fn who_is_patient_lets_batches_linger_always() {
    let mut rig = Rig::lingering(true);
    rig.push(5, 0, 0);
    assert_eq!((rig.cut(54), rig.due()), (None, Some(55)));
    assert_eq!(rig.cut(55), Some(1));
    rig.gather.landed();
    rig.push(60, 0, 1);
    rig.gather.hurry();
    assert_eq!(rig.cut(60), Some(1), "unless somebody waits for them");
    rig.gather.hurry();
    assert_eq!(rig.cut(60), None, "there is nothing to hurry");
}

#[test]
fn what_is_urgent_is_not_kept_for_long() {
    let mut rig = Rig::lingering(true);
    rig.push(20, 0, 0);
    rig.push_urgent(20, 1, 0, true);
    assert_eq!(rig.cut(20), Some(2), "and takes others along");
    rig.push_urgent(21, 1, 1, true);
    assert_eq!((rig.cut(29), rig.due()), (None, Some(30)), "not a slot for each");
    assert_eq!(rig.cut(30), Some(1));
    rig.gather.landed();
    rig.push(31, 0, 1);
    assert_eq!(rig.due(), Some(81));
}
