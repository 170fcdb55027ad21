use std::task::Poll;

use bytes::Bytes;
use futures::{FutureExt, task::noop_waker_ref};
use uuid::Uuid;
use weir_ids::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
};
use weir_protocol::records::{BatchBuilder, Compression, Patcher, split};
use weir_segment_store::{
    ByteRange, ObjectName, Reference,
    object::BatchEntry,
    pages::{PAGE_ENTRIES, PageRef},
};

use super::*;
use crate::{
    client::{
        Acks, Append, Appended, Entries, Isolation, Origin, Places, Read, ReadError, Receipt,
        Refused, TimestampMatch, receipt, tail,
    },
    fold::{Folded, Paged, Wanted},
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A partition and what has been handed to the log.
struct Scene {
    now: Timestamp,
    partition: Partition,
    patcher: Patcher,
    log: Vec<Accepted>,
}

fn id() -> TopicPartition {
    TopicPartition::new(TopicId(Uuid::from_u128(5)), PartitionIndex(0))
}

fn records(count: i64) -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    for record in 0..count {
        builder.push(Timestamp(NOW.0 + record), Some(b"k"), Some(b"value"), &[]).unwrap();
    }
    builder
}

fn produced(builder: BatchBuilder) -> Bytes {
    builder.build().unwrap().into_batch().into_bytes()
}

fn plain(count: i64) -> Bytes {
    produced(records(count))
}

fn sequenced(producer: i64, epoch: i16, sequence: i32, count: i64) -> Bytes {
    let (id, epoch) = (ProducerId(producer), ProducerEpoch(epoch));
    produced(records(count).producer(id, epoch, Sequence(sequence)))
}

impl Scene {
    fn new() -> Self {
        Self::with(Listing::default(), TopicRules::default())
    }

    fn with(listing: Listing, rules: TopicRules) -> Self {
        let claimed = Claimed { id: id(), epoch: LeaderEpoch(4), listing, rules: Arc::new(rules) };
        let partition = Partition::new(claimed, NOW);
        Self { partition, patcher: Patcher::new(), log: Vec::new(), now: NOW }
    }

    fn append(&mut self, records: Bytes) -> Receipt {
        self.append_as(Append {
            partition: id(),
            epoch: None,
            records,
            acks: Acks::Durable,
            expected: None,
            origin: Origin::Client,
        })
    }

    fn append_as(&mut self, append: Append) -> Receipt {
        let (resolver, receipt) = receipt(id());
        match self.partition.append(append, resolver, 1, self.now, &mut self.patcher) {
            Verdict::Accepted(accepted, answered) => {
                self.log.push(accepted);
                answered.into_iter().for_each(Answered::send);
            }
            Verdict::Waiting => {}
            Verdict::Answered(answered) => answered.send(),
        }
        receipt
    }

    /// The log has made everything up to `last` durable.
    fn durable(&mut self, last: i64) {
        self.partition.durable_through(Offset(last)).into_iter().for_each(Answered::send);
    }

    /// A checkpoint of everything durable, in one reference.
    fn checkpoint(&mut self) {
        let (base, next) = (self.partition.listing.next, self.partition.durable);
        let entries: Vec<BatchEntry> =
            self.log.iter().map(|a| a.entry).filter(|e| e.base >= base && e.last < next).collect();
        let range = ByteRange { at: 0, len: 1 };
        let reference = Reference {
            object: ObjectName::Sorted { session: weir_ids::SessionId(1), number: 1 },
            base,
            last: next.plus(-1),
            epoch: LeaderEpoch(4),
            max_timestamp: entries.iter().map(|e| e.max_timestamp).max().unwrap(),
            data: range,
            index: range,
        };
        let mut delta = Listing::default();
        delta.append_chunk(reference, &entries);
        self.partition.checkpointed(delta);
    }

    fn read(&self, offset: i64, max_bytes: u32) -> Result<Entries, ReadError> {
        let read = Read {
            partition: id(),
            epoch: None,
            offset: Offset(offset),
            max_bytes,
            isolation: Isolation::ReadUncommitted,
        };
        self.partition.read(&read).map(|outcome| outcome.entries)
    }

    /// First offsets of the batches that a read from the tail returns.
    fn tail_bases(&self, offset: i64, max_bytes: u32) -> Vec<i64> {
        match self.read(offset, max_bytes).unwrap() {
            Entries::Tail(pieces) => {
                split(pieces.concat().into()).map(|b| b.unwrap().header().base_offset.0).collect()
            }
            Entries::None => Vec::new(),
            Entries::Stored(_) => panic!("read from the store"),
        }
    }
}

fn answer(receipt: &mut Receipt) -> Option<Result<Appended, AppendError>> {
    match receipt.poll_unpin(&mut std::task::Context::from_waker(noop_waker_ref())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn base(receipt: &mut Receipt) -> Option<i64> {
    answer(receipt).map(|answer| answer.unwrap().base.0)
}

#[test]
fn offsets_are_given_in_order_and_answered_when_durable() {
    let mut scene = Scene::new();
    let (mut first, mut second) = (scene.append(plain(3)), scene.append(plain(2)));
    assert!(answer(&mut first).is_none() && answer(&mut second).is_none());
    scene.durable(2);
    assert_eq!(base(&mut first), Some(0));
    assert!(answer(&mut second).is_none(), "its slot is not durable yet");
    scene.durable(4);
    assert_eq!(base(&mut second), Some(3));
    let placed: Vec<_> = scene.log.iter().map(|a| (a.entry.base.0, a.entry.last.0)).collect();
    assert_eq!(placed, [(0, 2), (3, 4)]);
    assert_eq!(scene.log[1].batch.header().leader_epoch, LeaderEpoch(4));
}

#[test]
fn acks_of_the_buffer_do_not_wait_but_stay_invisible() {
    let mut scene = Scene::new();
    let append = Append {
        partition: id(),
        epoch: None,
        records: plain(1),
        acks: Acks::Buffered,
        expected: None,
        origin: Origin::Client,
    };
    let mut receipt = scene.append_as(append);
    assert_eq!(base(&mut receipt), Some(0));
    assert!(scene.tail_bases(0, 1000).is_empty(), "nothing undurable is visible");
}

#[test]
fn nothing_above_the_durable_offset_is_read() {
    let mut scene = Scene::new();
    (0..4).for_each(|_| drop(scene.append(plain(2))));
    scene.durable(3);
    assert_eq!(scene.tail_bases(0, u32::MAX), [0, 2]);
    assert_eq!(scene.tail_bases(3, u32::MAX), [2], "an offset inside a batch gets the whole batch");
    assert_eq!(scene.tail_bases(0, 1), [0], "the first batch comes even if too large");
    assert!(matches!(scene.read(4, 1), Ok(Entries::None)));
    let beyond = scene.read(5, 1).unwrap_err();
    assert!(matches!(beyond, ReadError::OutOfRange { durable: Offset(4), .. }), "{beyond:?}");
}

#[test]
fn a_retry_is_answered_with_the_original_offset_once_that_is_durable() {
    let mut scene = Scene::new();
    drop(scene.append(sequenced(9, 0, 0, 3)));
    let mut retry = scene.append(sequenced(9, 0, 0, 3));
    assert!(answer(&mut retry).is_none(), "a duplicate shares its original's fate");
    assert_eq!(scene.log.len(), 1);
    scene.durable(2);
    assert_eq!(base(&mut retry), Some(0));
    assert_eq!(base(&mut scene.append(sequenced(9, 0, 0, 3))), Some(0));
}

#[test]
fn a_duplicate_waiting_before_later_batches_is_answered_in_its_turn() {
    let mut scene = Scene::new();
    drop(scene.append(sequenced(9, 0, 0, 1)));
    let mut later = scene.append(sequenced(9, 0, 1, 1));
    let mut retry = scene.append(sequenced(9, 0, 0, 1));
    scene.durable(0);
    assert_eq!(base(&mut retry), Some(0));
    assert!(answer(&mut later).is_none());
}

#[test]
fn the_last_five_batches_are_remembered_and_gaps_refused() {
    let mut scene = Scene::new();
    (0..7).for_each(|sequence| drop(scene.append(sequenced(9, 0, sequence, 1))));
    scene.durable(6);
    for sequence in 2..7 {
        assert_eq!(
            base(&mut scene.append(sequenced(9, 0, sequence, 1))),
            Some(i64::from(sequence))
        );
    }
    for sequence in [0, 1, 8] {
        let refused = answer(&mut scene.append(sequenced(9, 0, sequence, 1))).unwrap();
        let (expected, found) = (Sequence(7), Sequence(sequence));
        assert_eq!(refused, Err(AppendError::OutOfOrderSequence { expected, found }));
    }
}

#[test]
fn a_new_producer_epoch_starts_at_zero_and_fences_the_old_one() {
    let mut scene = Scene::new();
    drop(scene.append(sequenced(9, 0, 0, 4)));
    let gap = answer(&mut scene.append(sequenced(9, 1, 4, 1))).unwrap();
    assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { expected: Sequence(0), .. })));
    drop(scene.append(sequenced(9, 1, 0, 1)));
    let stale = answer(&mut scene.append(sequenced(9, 0, 4, 1))).unwrap();
    let current = ProducerEpoch(1);
    let found = ProducerEpoch(0);
    assert_eq!(stale, Err(AppendError::InvalidProducerEpoch { current, found }));
}

#[test]
fn sequences_wrap_and_unknown_producers_begin_anywhere() {
    let mut scene = Scene::new();
    drop(scene.append(sequenced(9, 0, i32::MAX - 1, 2)));
    drop(scene.append(sequenced(9, 0, 0, 1)));
    assert_eq!(scene.log.len(), 2);
}

#[test]
fn a_producer_that_idled_too_long_begins_anew() {
    let rules = TopicRules { producer_expiry_ms: 1000, ..TopicRules::default() };
    let mut scene = Scene::with(Listing::default(), rules);
    drop(scene.append(sequenced(9, 0, 0, 1)));
    scene.now = Timestamp(NOW.0 + 1001);
    drop(scene.append(sequenced(9, 0, 77, 1)));
    assert_eq!(scene.log.len(), 2, "an idle producer gets no fatal error");
}

#[test]
fn old_records_do_not_make_their_producer_forgotten() {
    let mut scene = Scene::new();
    let old = |sequence: i32| {
        let mut old = BatchBuilder::new();
        old = old.producer(ProducerId(9), ProducerEpoch(0), Sequence(sequence));
        old.push(Timestamp(1), None, Some(b"copied"), &[]).unwrap();
        produced(old)
    };
    drop(scene.append(old(0)));
    let gap = answer(&mut scene.append(old(2))).unwrap();
    assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { .. })), "{gap:?}");
    scene.durable(0);
    scene.checkpoint();
    let mut next = Scene::with(scene.partition.listing(), TopicRules::default());
    let gap = answer(&mut next.append(old(2))).unwrap();
    assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { .. })), "{gap:?}");
}

#[test]
fn producers_survive_a_change_of_owner() {
    let mut scene = Scene::new();
    (0..3).for_each(|sequence| drop(scene.append(sequenced(9, 0, sequence, 1))));
    scene.durable(2);
    scene.checkpoint();
    let mut next = Scene::with(scene.partition.listing(), TopicRules::default());
    assert_eq!(base(&mut next.append(sequenced(9, 0, 1, 1))), Some(1));
    assert_eq!(next.partition.producers.epoch(ProducerId(9)), Some(ProducerEpoch(0)));
    let gap = answer(&mut next.append(sequenced(9, 0, 5, 1))).unwrap();
    assert!(matches!(gap, Err(AppendError::OutOfOrderSequence { .. })));
}

#[test]
fn a_conditional_append_needs_the_expected_offset() {
    let mut scene = Scene::new();
    drop(scene.append(plain(2)));
    let append = |expected| Append {
        partition: id(),
        epoch: None,
        records: plain(1),
        acks: Acks::Durable,
        expected: Some(Offset(expected)),
        origin: Origin::Coordinator,
    };
    let conflict = answer(&mut scene.append_as(append(1))).unwrap();
    let (expected, next) = (Offset(1), Offset(2));
    assert_eq!(conflict, Err(AppendError::Conflict { expected, next }));
    drop(scene.append_as(append(2)));
    assert_eq!(scene.log.len(), 2);
}

#[test]
fn what_breaks_a_rule_is_refused_and_leaves_no_trace() {
    let rules = TopicRules { max_batch_bytes: 200, compacted: true, ..TopicRules::default() };
    let mut scene = Scene::with(Listing::default(), rules);
    let mut no_key = records(1);
    no_key.push(NOW, None, Some(b"v"), &[]).unwrap();
    let mut late = BatchBuilder::new();
    late.push(Timestamp(NOW.0 + 7_200_000), Some(b"k"), None, &[]).unwrap();
    let mut flipped = plain(1).to_vec();
    flipped[70] ^= 1;
    let cases = [
        ("too large", plain(100)),
        ("no key", produced(no_key)),
        ("from the future", produced(late)),
        ("flipped", flipped.into()),
        (
            "transactional",
            produced(
                records(1).producer(ProducerId(1), ProducerEpoch(0), Sequence(0)).transactional(),
            ),
        ),
        ("nothing", Bytes::new()),
    ];
    for (what, bytes) in cases {
        let answer = answer(&mut scene.append(bytes)).unwrap();
        assert!(matches!(answer, Err(AppendError::Refused(_))), "{what}: {answer:?}");
    }
    assert_eq!(scene.partition.next, Offset(0));
    let mut keyless = records(1).compression(Compression::Zstd);
    keyless.push(NOW, None, None, &[]).unwrap();
    match answer(&mut scene.append(produced(keyless))).unwrap() {
        Err(AppendError::Refused(Refused::Records(unfit))) => assert_eq!(unfit[0].index, 1),
        other => panic!("{other:?}"),
    }
}

#[test]
fn log_append_time_is_set_and_answered() {
    let rules = TopicRules { log_append_time: true, ..TopicRules::default() };
    let mut scene = Scene::with(Listing::default(), rules);
    let mut receipt = scene.append(plain(2));
    scene.durable(1);
    assert_eq!(answer(&mut receipt).unwrap().unwrap().log_append_time, Some(NOW));
    assert_eq!(scene.log[0].batch.header().max_timestamp, NOW);
    split(scene.log[0].batch.to_bytes()).for_each(|batch| drop(batch.unwrap().verify().unwrap()));
}

#[test]
fn what_was_checkpointed_and_evicted_is_found_in_the_store() {
    let mut scene = Scene::new();
    (0..4).for_each(|_| drop(scene.append(plain(1))));
    scene.durable(1);
    scene.checkpoint();
    assert_eq!(scene.tail_bases(0, u32::MAX), [0, 1], "the tail still holds it");
    assert_eq!(scene.partition.evict(Offset(1)), 2);
    match scene.read(0, 100).unwrap() {
        Entries::Stored(Places::Known(references)) => assert_eq!(references[0].last, Offset(1)),
        other => panic!("{other:?}"),
    }
    scene.durable(3);
    assert_eq!(scene.tail_bases(2, u32::MAX), [2, 3]);
}

#[test]
#[should_panic(expected = "is not checkpointed")]
fn what_is_not_checkpointed_is_never_evicted() {
    let mut scene = Scene::new();
    drop(scene.append(plain(1)));
    scene.durable(0);
    scene.partition.evict(Offset(0));
}

#[test]
fn moving_the_log_start_hides_what_lies_below() {
    let mut scene = Scene::new();
    (0..4).for_each(|_| drop(scene.append(plain(1))));
    scene.durable(2);
    scene.checkpoint();
    assert_eq!(scene.partition.start_at(Offset(2)), Offset(2));
    assert!(matches!(scene.read(1, 1), Err(ReadError::OutOfRange { .. })));
    assert_eq!(scene.tail_bases(2, u32::MAX), [2]);
    assert_eq!(scene.partition.start_at(Offset(99)), Offset(3), "not beyond what is durable");
    assert_eq!(scene.partition.start_at(Offset(0)), Offset(3), "never back");
    scene.durable(3);
    scene.checkpoint();
    assert_eq!(scene.tail_bases(3, u32::MAX), [3]);
}

#[test]
fn readers_are_told_at_once_and_with_each_advance() {
    let mut scene = Scene::new();
    let (sink, _interest, source) = tail();
    scene.partition.subscribe(1, sink);
    let news = || source.next().now_or_never().flatten().unwrap_or_default();
    assert!(matches!(news()[..], [(_, TailEvent::Advanced { bytes: 0, .. })]));
    drop(scene.append(plain(1)));
    assert!(news().is_empty());
    scene.durable(0);
    match news()[..] {
        [(_, TailEvent::Advanced { offsets, bytes })] => {
            assert_eq!((offsets.durable, bytes), (Offset(1), scene.log[0].entry.bytes.into()));
        }
        ref other => panic!("{other:?}"),
    }
    scene.partition.give_up(&AppendError::Busy).1.into_iter().for_each(Answered::send);
    assert_eq!(news(), [(id(), TailEvent::Lost)]);
}

#[test]
fn giving_up_fails_what_waits() {
    let mut scene = Scene::new();
    let mut receipt = scene.append(plain(1));
    let error = AppendError::Unclear(id());
    scene.partition.give_up(&error).1.into_iter().for_each(Answered::send);
    assert_eq!(answer(&mut receipt).unwrap(), Err(error));
}

#[test]
fn epochs_and_timestamps_are_found() {
    let mut scene = Scene::new();
    (0..3).for_each(|_| drop(scene.append(plain(2))));
    scene.durable(3);
    scene.checkpoint();
    assert_eq!(scene.partition.epoch_end(LeaderEpoch(4)), Some((LeaderEpoch(4), Offset(4))));
    assert_eq!(scene.partition.epoch_end(LeaderEpoch(3)), None);
    assert_eq!(scene.partition.epoch_end(LeaderEpoch(9)), None);
    let next = Scene::with(scene.partition.listing(), TopicRules::default());
    let mut next = next.partition;
    next.epoch = LeaderEpoch(6);
    assert_eq!(next.epoch_end(LeaderEpoch(5)), Some((LeaderEpoch(4), Offset(4))));
    assert!(matches!(
        scene.partition.find_timestamp(Timestamp(0), Offset::ZERO),
        TimestampMatch::Stored(_)
    ));
    assert!(matches!(
        scene.partition.find_timestamp(Timestamp(i64::MAX), Offset::ZERO),
        TimestampMatch::None
    ));
    scene.durable(5);
    assert!(matches!(scene.partition.find_max_timestamp(), TimestampMatch::Stored(_)));
}

/// A partition with a stored range of ten offsets of each of these lengths, whose last timestamps are a minute apart, the
/// newest now.
fn stored(lens: &[u32], rules: TopicRules) -> Scene {
    let mut listing = Listing::default();
    let count = lens.len() as i64;
    for (place, len) in (0..).zip(lens) {
        let reference = Reference {
            object: ObjectName::Sorted { session: weir_ids::SessionId(1), number: place as u64 },
            base: Offset(place * 10),
            last: Offset(place * 10 + 9),
            epoch: LeaderEpoch(1),
            max_timestamp: Timestamp(NOW.0 - (count - 1 - place) * 60_000),
            data: ByteRange { at: 64, len: *len },
            index: ByteRange { at: 9_000, len: 20 },
        };
        listing.append_chunk(reference, &[]);
    }
    Scene::with(listing, rules)
}

impl Scene {
    fn start_by_rules(&self) -> Option<Offset> {
        self.partition.expired(NOW)?.expiry.start()
    }
}

#[test]
fn records_go_that_are_older_than_they_may_be() {
    let of = |retention_ms| TopicRules { retention_ms, ..TopicRules::default() };
    let expired = |retention_ms| stored(&[100; 5], of(retention_ms)).start_by_rules();
    assert_eq!(expired(Some(120_000)), Some(Offset(20)), "what is just as old as it may be stays");
    assert_eq!(expired(Some(119_999)), Some(Offset(30)));
    assert_eq!(expired(Some(0)), Some(Offset(40)));
    assert_eq!(expired(Some(600_000)), None);
    assert_eq!(expired(Some(i64::MAX)), None);
    assert_eq!(expired(None), None);
}

#[test]
fn the_oldest_go_while_there_is_more_than_there_may_be() {
    let of = |retention_bytes| TopicRules {
        retention_ms: None,
        retention_bytes,
        ..TopicRules::default()
    };
    let expired = |most| stored(&[100, 50, 200, 100], of(most)).start_by_rules();
    assert_eq!(expired(Some(450)), None);
    assert_eq!(expired(Some(351)), None, "less than that would be left");
    assert_eq!(expired(Some(350)), Some(Offset(10)));
    assert_eq!(expired(Some(0)), Some(Offset(40)));
    assert_eq!(expired(None), None);
}

#[test]
fn a_fold_replaces_what_was_read_and_nothing_else() {
    let rule = weir_segment_store::fold::Rule { enough: 4, long_bytes: 10_000 };
    let folded = |scene: &Scene| {
        let due = scene.partition.due(&rule, &Wanted::Short).unwrap();
        let (first, last) = (due.references[0], due.references[due.references.len() - 1]);
        let object = ObjectName::Sorted { session: weir_ids::SessionId(2), number: 1 };
        let by = vec![Reference { object, last: last.last, ..first }];
        Folded { due, by }
    };
    let mut scene = stored(&[20_000, 100, 100, 100, 100], TopicRules::default());
    let fold = folded(&scene);
    assert!(scene.partition.folded(fold.clone()));
    assert_eq!(scene.partition.listing.references.len(), 2);
    assert_eq!(scene.partition.listing.references[1], fold.by[0]);
    assert!(!scene.partition.folded(fold), "what it stood for is gone");
    let mut begins_later = stored(&[100; 4], TopicRules::default());
    let fold = folded(&begins_later);
    begins_later.partition.start_at(Offset(10));
    assert!(!begins_later.partition.folded(fold));
    let mut frozen = stored(&[100; 4], TopicRules::default());
    frozen.partition.freeze();
    assert!(frozen.partition.due(&rule, &Wanted::Short).is_none(), "another will do it");
}

/// A partition with two stored ranges of ten offsets more than stay outside of a page, as many as a page lists.
fn paged(rules: TopicRules) -> (Scene, PageRef) {
    let mut scene = stored(&[100; 2 * PAGE_ENTRIES + 2], rules);
    let due = scene.partition.due_page(PAGE_ENTRIES).unwrap();
    let (object, count) =
        (ObjectName::Pages { session: weir_ids::SessionId(2), number: 1 }, PAGE_ENTRIES as i64);
    let newest = scene.partition.listing.references[PAGE_ENTRIES - 1].max_timestamp;
    let at = PageRef {
        object,
        place: ByteRange { at: 64, len: 9_000 },
        level: 0,
        base: Offset(0),
        last: Offset(count * 10 - 1),
        max_timestamp: newest,
        bytes: 100 * count as u64,
    };
    assert!(scene.partition.paged(&Paged { due: due.clone(), at }));
    assert!(!scene.partition.paged(&Paged { due, at }), "that is listed already");
    assert!(scene.partition.due_page(PAGE_ENTRIES).is_none());
    (scene, at)
}

fn place(scene: &Scene, offset: i64) -> Places {
    let (epoch, max_bytes, isolation) = (None, 100, Isolation::ReadUncommitted);
    let read = Read { partition: id(), epoch, offset: Offset(offset), max_bytes, isolation };
    match scene.partition.read(&read).unwrap().entries {
        Entries::Stored(places) => places,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_page_lists_is_read_through_it() {
    let (mut scene, page) = paged(TopicRules::default());
    assert!(matches!(place(&scene, 0), Places::Listed(at) if at == page));
    assert!(matches!(place(&scene, page.last.0), Places::Listed(at) if at == page));
    assert!(
        matches!(place(&scene, page.last.0 + 1), Places::Known(there) if there[0].base == page.last.plus(1))
    );
    let find = |scene: &Scene, timestamp, from| scene.partition.find_timestamp(timestamp, from);
    let newest = page.max_timestamp;
    assert!(matches!(find(&scene, newest, Offset(0)), TimestampMatch::Paged(at) if at == page));
    let behind = find(&scene, newest, page.last.plus(1));
    assert!(matches!(behind, TimestampMatch::Stored(at) if at.base == page.last.plus(1)));
    let mut named = Named::default();
    scene.partition.add_to(&mut named);
    assert!(named.objects.contains(&page.object));
    assert_eq!(named.pages, [(page, Offset(0))].into());
    scene.partition.start_at(Offset(15));
    let mut named = Named::default();
    scene.partition.add_to(&mut named);
    assert_eq!(named.pages, [(page, Offset(15))].into(), "what lies below is not needed");
}

#[test]
fn what_a_page_lists_expires_with_its_last_record() {
    let of =
        |retention_ms| TopicRules { retention_ms: Some(retention_ms), ..TopicRules::default() };
    // The ranges are a minute apart, the last one is of now.
    let newest = (PAGE_ENTRIES as i64 + 1) * 60_000 + 60_000;
    assert_eq!(paged(of(newest)).0.start_by_rules(), None);
    let page_end = Offset(PAGE_ENTRIES as i64 * 10);
    assert_eq!(paged(of(newest - 1)).0.start_by_rules(), Some(page_end));
    let bytes = 100 * PAGE_ENTRIES as u64 + 200;
    let of = |most| TopicRules {
        retention_ms: None,
        retention_bytes: Some(most),
        ..TopicRules::default()
    };
    assert_eq!(paged(of(bytes + 1)).0.start_by_rules(), None);
    assert_eq!(paged(of(bytes)).0.start_by_rules(), Some(page_end));
}
