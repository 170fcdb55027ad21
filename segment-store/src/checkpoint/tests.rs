use proptest::prelude::*;
use weir_ids::{
    ClaimNumber, LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, SessionId, Slot,
    Timestamp,
};

use super::*;
use crate::{
    ByteRange, ObjectName, Reference,
    object::{BatchEntry, BatchFlags, ProducerMark},
    pages::PageRef,
    testing::{golden, partition},
};

fn reference(base: i64, last: i64, epoch: i32) -> Reference {
    Reference {
        object: ObjectName::Sorted { session: SessionId(3), number: base as u64 },
        base: Offset(base),
        last: Offset(last),
        epoch: LeaderEpoch(epoch),
        max_timestamp: Timestamp(last * 10),
        data: ByteRange { at: 64, len: 1000 },
        index: ByteRange { at: 1064, len: 40 },
    }
}

fn entry(base: i64, last: i64, producer: i64, sequence: i32) -> BatchEntry {
    BatchEntry {
        base: Offset(base),
        last: Offset(last),
        bytes: 100,
        max_timestamp: Timestamp(base),
        producer: Some(ProducerMark {
            id: ProducerId(producer),
            epoch: ProducerEpoch(0),
            first_sequence: Sequence(sequence),
        }),
        flags: BatchFlags::default(),
    }
}

/// The listing after batches of ten records each, `spans` of offsets a reference.
fn listing(spans: std::ops::Range<i64>, epoch: i32) -> Listing {
    let mut listing = Listing { next: Offset(spans.start * 10), ..Listing::default() };
    for span in spans {
        let (base, last) = (span * 10, span * 10 + 9);
        listing.append_chunk(reference(base, last, epoch), &[entry(base, last, 1, base as i32)]);
    }
    listing
}

fn checkpoint(number: u64, full: u64, lines: Vec<(TopicPartition, Line)>) -> Checkpoint {
    Checkpoint {
        session: SessionId(3),
        number,
        full,
        covers_below: Slot(number.saturating_mul(10)),
        adopted_through: ClaimNumber(number),
        partitions: lines,
    }
}

#[test]
fn deltas_add_up_to_what_one_listing_would_be() {
    let chain = Chain::add_up(vec![
        checkpoint(1, 1, vec![(partition(0), Line::Whole(listing(0..4, 1)))]),
        checkpoint(2, 1, vec![(partition(0), Line::Delta(listing(4..9, 1)))]),
        checkpoint(3, 1, vec![(partition(0), Line::Delta(listing(9..12, 2)))]),
    ])
    .unwrap();
    let mut expected = listing(0..9, 1);
    expected.extend(listing(9..12, 2));
    let found = &chain.partitions[&partition(0)];
    assert_eq!(*found, expected);
    assert!(found.is_dense());
    assert_eq!(found.epoch_starts, [(LeaderEpoch(1), Offset(0)), (LeaderEpoch(2), Offset(90))]);
    let bases: Vec<i64> =
        found.producers[&ProducerId(1)].batches.iter().map(|batch| batch.base.0).collect();
    assert_eq!(bases, [70, 80, 90, 100, 110], "the last five batches are remembered");
    assert_eq!((chain.covers_below, chain.adopted_through), (Slot(30), ClaimNumber(3)));
}

#[test]
fn what_does_not_follow_is_refused() {
    let full = || checkpoint(1, 1, vec![(partition(0), Line::Whole(listing(0..2, 1)))]);
    let delta = |number| checkpoint(number, 1, vec![]);
    for (what, broken) in [
        ("a gap", vec![full(), delta(3)]),
        ("no full one", vec![delta(2)]),
        (
            "a delta of the unknown",
            vec![checkpoint(1, 1, vec![(partition(5), Line::Delta(listing(0..1, 1)))])],
        ),
        ("another chain", vec![full(), checkpoint(2, 2, vec![])]),
        (
            "one behind the last number",
            vec![checkpoint(u64::MAX, u64::MAX, vec![]), checkpoint(0, u64::MAX, vec![])],
        ),
    ] {
        assert!(Chain::add_up(broken).is_err(), "{what}");
    }
    assert!(Chain::predecessors(&delta(40)).is_err());
    assert_eq!(Chain::predecessors(&delta(7)), Ok(1..7));
}

#[test]
fn a_partition_that_is_gone_is_forgotten() {
    let chain = Chain::add_up(vec![
        checkpoint(1, 1, vec![(partition(0), Line::Whole(listing(0..2, 1)))]),
        checkpoint(2, 1, vec![(partition(0), Line::Gone)]),
    ])
    .unwrap();
    assert!(chain.partitions.is_empty());
}

#[test]
fn moving_the_log_start_drops_what_lies_below() {
    let mut found = listing(0..5, 1);
    found.start_at(Offset(25));
    assert_eq!(found.references.len(), 3);
    assert!(found.is_dense());
    found.start_at(Offset(50));
    assert!(found.references.is_empty() && found.is_dense());
    assert_eq!(found.next, Offset(50));
}

#[test]
fn holes_and_overlaps_are_not_dense() {
    let mut hole = listing(0..5, 1);
    hole.references.remove(2);
    assert!(!hole.is_dense());
    let mut twice = listing(0..5, 1);
    let again = twice.references[2];
    twice.references.insert(2, again);
    assert!(!twice.is_dense());
    let mut short = listing(0..5, 1);
    short.next = Offset(60);
    assert!(!short.is_dense());
}

#[test]
fn a_new_epoch_of_a_producer_forgets_the_old_one() {
    let mut found = listing(0..3, 1);
    let mut bumped = entry(30, 39, 1, 0);
    if let Some(mark) = &mut bumped.producer {
        mark.epoch = ProducerEpoch(1);
    }
    found.append_chunk(reference(30, 39, 1), &[bumped]);
    let producer = &found.producers[&ProducerId(1)];
    assert_eq!((producer.epoch, producer.batches.len()), (ProducerEpoch(1), 1));
}

fn sample() -> Checkpoint {
    let mut whole = listing(0..4, 1);
    whole.log_start = Offset(5);
    checkpoint(
        9,
        4,
        vec![
            (partition(0), Line::Whole(whole)),
            (partition(1), Line::Delta(listing(7..9, 3))),
            (partition(2), Line::Gone),
        ],
    )
}

/// The sample with a page before the references of its first partition.
fn sample_with_a_page() -> Checkpoint {
    let mut sample = sample();
    if let (_, Line::Whole(listing)) = &mut sample.partitions[0] {
        let paged = listing.references.remove(0);
        listing.cleaned = Offset(17);
        listing.pages.push(PageRef {
            object: ObjectName::Pages { session: SessionId(3), number: 7 },
            place: ByteRange { at: 64, len: 99 },
            level: 0,
            base: paged.base,
            last: paged.last,
            max_timestamp: paged.max_timestamp,
            bytes: 1_000,
        });
    }
    sample
}

#[test]
fn the_format_of_version_1_stays_readable() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/checkpoint-v1.bin");
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(decode(&bytes), Ok(sample()));
}

#[test]
fn the_format_of_version_2_stays_readable() {
    let bytes = encode(&sample_with_a_page());
    golden("checkpoint-v2.bin", &bytes);
    assert_eq!(decode(&bytes), Ok(sample_with_a_page()));
}

#[test]
fn a_version_that_nobody_knows_is_refused() {
    for (version, expected) in
        [(0, DecodeError::NotACheckpoint("its version is 0")), (3, DecodeError::NewerVersion(3))]
    {
        let mut bytes = encode(&sample()).to_vec();
        bytes[8..12].copy_from_slice(&u32::to_le_bytes(version));
        let end = bytes.len() - 4;
        let crc = weir_protocol::records::crc32c(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(decode(&bytes), Err(expected));
    }
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let bytes = encode(&sample_with_a_page()).to_vec();
    for at in 0..bytes.len() {
        let mut rotten = bytes.clone();
        rotten[at] ^= 2;
        assert!(decode(&rotten).is_err(), "byte {at}");
        assert!(decode(&bytes[..at]).is_err(), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = encode(&sample_with_a_page())[..52].to_vec();
        bytes.extend(tail);
        let crc = weir_protocol::records::crc32c(&bytes);
        bytes.extend(crc.to_le_bytes());
        if let Ok(read) = decode(&bytes) {
            prop_assert_eq!(decode(&encode(&read)), Ok(read));
        }
    }
}
