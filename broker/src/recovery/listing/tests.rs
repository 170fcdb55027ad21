use weir_ids::{ClaimNumber, LeaderEpoch, ProducerEpoch, ProducerId, Sequence, Slot, Timestamp};
use weir_meta::model::{LogState, Owner};
use weir_segment_store::{
    ByteRange, ObjectName, Reference,
    checkpoint::Chain,
    object::{BatchEntry, BatchFlags, ProducerMark},
    testing::partition,
};

use super::*;

fn entry(base: i64, last: i64) -> BatchEntry {
    let (id, epoch) = (ProducerId(1), ProducerEpoch(0));
    BatchEntry {
        base: Offset(base),
        last: Offset(last),
        bytes: 100,
        max_timestamp: Timestamp(base),
        producer: Some(ProducerMark { id, epoch, first_sequence: Sequence(base as i32) }),
        flags: BatchFlags::default(),
    }
}

fn reference(session: u64, epoch: i32, base: i64, last: i64) -> Reference {
    let range = ByteRange { at: 0, len: 100 };
    Reference {
        object: ObjectName::WalFile { session: SessionId(session), file: 1 },
        base: Offset(base),
        last: Offset(last),
        epoch: LeaderEpoch(epoch),
        max_timestamp: Timestamp(base),
        data: range,
        index: range,
    }
}

/// What a session left of partition 0: a listing up to an offset, if it had adopted it, and chunks of
/// ten records behind it.
fn session(
    id: u64,
    epoch: i32,
    listed: Option<i64>,
    chunks: std::ops::Range<i64>,
) -> (SessionId, SessionLogs) {
    let mut chain = Chain::empty();
    if let Some(next) = listed {
        let mut listing = Listing::default();
        if next > 0 {
            listing.append_chunk(reference(id, epoch, 0, next - 1), &[entry(0, next - 1)]);
        }
        listing.epoch = LeaderEpoch(epoch);
        chain.partitions.insert(partition(0), listing);
    }
    let chunks = chunks.map(|ten| {
        let (base, last) = (ten * 10, ten * 10 + 9);
        (Slot(ten as u64), reference(id, epoch, base, last), vec![entry(base, last)])
    });
    let chunks = BTreeMap::from([(partition(0), chunks.collect())]);
    (SessionId(id), SessionLogs::new(Slot(1000), chain, chunks))
}

/// A log that inherits from these (session, epoch), oldest first.
fn log(parts: &[(u64, i32)]) -> Log {
    Log {
        leader_epoch: LeaderEpoch(99),
        owner: Some(Owner { session: SessionId(99), claim: ClaimNumber(1) }),
        state: LogState::Open,
        log_start: Offset(0),
        manifest: None,
        inherited: parts
            .iter()
            .map(|(session, epoch)| Inherited {
                session: SessionId(*session),
                epoch: LeaderEpoch(*epoch),
                claim: ClaimNumber(1),
                end_slot: None,
                end_offset: None,
            })
            .collect(),
    }
}

#[test]
fn a_new_partition_is_empty() {
    assert_eq!(recover(partition(0), &log(&[]), &BTreeMap::new()), Ok(Listing::default()));
}

#[test]
fn checkpoints_and_the_slots_behind_them_add_up() {
    let sessions = BTreeMap::from([session(1, 1, Some(20), 2..5)]);
    let found = recover(partition(0), &log(&[(1, 1)]), &sessions).unwrap();
    assert_eq!((found.next, found.references.len()), (Offset(50), 4));
    assert_eq!(found.producers[&ProducerId(1)].batches.len(), 4);
}

#[test]
fn what_a_session_had_not_adopted_is_read_from_those_before_it() {
    let sessions = BTreeMap::from([
        session(1, 1, Some(20), 2..3),
        session(2, 2, None, 3..4),
        session(3, 3, None, 4..6),
    ]);
    let found = recover(partition(0), &log(&[(1, 1), (2, 2), (3, 3)]), &sessions).unwrap();
    assert_eq!(found.next, Offset(60));
    let epochs: Vec<i32> = found.epoch_starts.iter().map(|(epoch, _)| epoch.0).collect();
    assert_eq!(epochs, [1, 2, 3]);
}

#[test]
fn reading_stops_at_the_newest_that_had_adopted() {
    let sessions = BTreeMap::from([session(2, 2, Some(30), 3..4)]);
    let found = recover(partition(0), &log(&[(1, 1), (2, 2)]), &sessions).unwrap();
    assert_eq!(found.next, Offset(40), "session 1 is not needed");
}

#[test]
fn a_listing_of_an_older_claim_is_not_the_adopted_one() {
    // Session 2 held the partition before, under epoch 1; it has not adopted epoch 3 yet.
    let (id, mut logs) = session(2, 1, Some(10), 0..0);
    let base = [(20, 29)]
        .map(|(base, last)| (Slot(9), reference(2, 3, base, last), vec![entry(base, last)]));
    logs.chunks.insert(partition(0), base.into());
    let sessions = BTreeMap::from([session(1, 2, Some(20), 0..0), (id, logs)]);
    let found = recover(partition(0), &log(&[(1, 2), (2, 3)]), &sessions).unwrap();
    assert_eq!(found.next, Offset(30));
}

#[test]
fn holes_and_wrong_ends_are_errors() {
    let sessions = BTreeMap::from([session(1, 1, Some(20), 3..5)]);
    let hole = recover(partition(0), &log(&[(1, 1)]), &sessions);
    assert!(matches!(hole, Err(Incomplete::Hole { expected: Offset(20), found: Offset(30), .. })));

    let sessions = BTreeMap::from([session(1, 1, Some(20), 2..5)]);
    let mut released = log(&[(1, 1)]);
    released.inherited[0].end_slot = Some(Slot(4));
    released.inherited[0].end_offset = Some(Offset(50));
    let wrong = recover(partition(0), &released, &sessions);
    assert!(matches!(wrong, Err(Incomplete::WrongEnd { found: Offset(40), .. })), "{wrong:?}");
    released.inherited[0].end_offset = Some(Offset(40));
    assert_eq!(recover(partition(0), &released, &sessions).unwrap().next, Offset(40));

    let missing = recover(partition(0), &log(&[(7, 1)]), &sessions);
    assert!(matches!(missing, Err(Incomplete::NotRead { session: SessionId(7), .. })));
}

#[test]
fn the_log_start_of_the_metadata_counts() {
    let sessions = BTreeMap::from([session(1, 1, Some(20), 2..5)]);
    let mut log = log(&[(1, 1)]);
    log.log_start = Offset(35);
    let found = recover(partition(0), &log, &sessions).unwrap();
    assert_eq!((found.log_start, found.references.len()), (Offset(35), 2));
}
