//! Rounds of worlds made by hand, one for each rule.

use weir_ids::{ClaimNumber, LeaderEpoch, Offset, Slot, Timestamp};
use weir_meta::{
    model::{Inherited, Log, LogState, Owner, Seal, Wal},
    store::Revision,
};
use weir_segment_store::{ByteRange, Reference, checkpoint::Listing, testing::partition};

use super::*;

const DEAD: SessionId = SessionId(3);
const LIVE: SessionId = SessionId(5);
const NEW: SessionId = SessionId(9);

fn checkpoint(session: SessionId, number: u64) -> ObjectName {
    ObjectName::Checkpoint { session, number }
}

fn sorted(session: SessionId, checkpoint: u64) -> ObjectName {
    ObjectName::Sorted { session, number: ObjectName::sorted_number(checkpoint, 1) }
}

fn slot(session: SessionId, slot: u64) -> ObjectName {
    ObjectName::WalSlot { session, slot: Slot(slot) }
}

/// Has published checkpoint 2 and adopted claim 1; trimmed at slot 5.
fn wal(session: SessionId, sealed: Option<u64>) -> Wal {
    let pointer = CheckpointPointer {
        object: checkpoint(session, 2).to_string(),
        number: 2,
        covers_below: Slot(5),
        adopted_through: ClaimNumber(1),
    };
    let sealed = sealed.map(|at| Seal { at: Slot(at), detail: None });
    Wal { checkpoint: Some(pointer), trim: Slot(5), sealed, ..Wal::default() }
}

/// Two sessions, one sealed at slot 7. What is in `owners` is a partition's owner and its claim.
fn census(owners: &[(u32, SessionId, u64)]) -> Census {
    let mut census = Census { revision: Revision(100), ..Census::default() };
    census.wals.insert(DEAD, (wal(DEAD, Some(7)), Revision(50)));
    census.wals.insert(LIVE, (wal(LIVE, None), Revision(60)));
    for (index, session, claim) in owners {
        let owner = Owner { session: *session, claim: ClaimNumber(*claim) };
        let inherited = vec![Inherited {
            session: DEAD,
            epoch: LeaderEpoch(1),
            claim: ClaimNumber(1),
            end_slot: None,
            end_offset: None,
        }];
        let log = Log { owner: Some(owner), inherited, ..Log::new(LeaderEpoch(2)) };
        census.count(partition(*index), &log);
    }
    census.needs.sort_unstable();
    census.needs.dedup();
    census
}

fn listed(names: &[ObjectName]) -> Vec<(ObjectName, u64)> {
    names.iter().map(|name| (*name, 5_000)).collect()
}

/// A chain that names these for each partition.
fn chain(partitions: &[(u32, &[ObjectName])]) -> Chain {
    let mut chain = Chain::empty();
    for (index, names) in partitions {
        let nothing = ByteRange { at: 0, len: 0 };
        let reference = |name: &ObjectName| Reference {
            object: *name,
            base: Offset(0),
            last: Offset(0),
            epoch: LeaderEpoch(1),
            max_timestamp: Timestamp(0),
            data: nothing,
            index: nothing,
        };
        let references = names.iter().map(reference).collect();
        chain.partitions.insert(partition(*index), Listing { references, ..Listing::default() });
    }
    chain
}

fn report(session: SessionId, names: &[ObjectName], partitions: &[u32]) -> SessionReport {
    let named = Named { objects: names.iter().copied().collect(), ..Named::default() };
    SessionReport {
        session,
        named,
        held: BTreeMap::new(),
        partitions: partitions.iter().copied().map(partition).collect(),
    }
}

/// A round in which partition 0 is open at `LIVE`, whose chain and report name these.
fn found(
    objects: &[ObjectName],
    in_chain: &[ObjectName],
    in_report: &[ObjectName],
) -> Result<Vec<ObjectName>, Skipped> {
    let mut begun = Begun::new(listed(objects), census(&[(0, LIVE, 1)]))?;
    begun.chain(LIVE, &[checkpoint(LIVE, 2)], &chain(&[(0, in_chain)]));
    let mut asking = begun.ask(BTreeSet::from([LIVE]))?;
    asking.report(LIVE, report(LIVE, in_report, &[0]), true)?;
    Ok(asking.end()?.unnamed.into_keys().collect())
}

#[test]
fn what_nobody_names_is_found() {
    let objects = [slot(DEAD, 2), sorted(DEAD, 1), checkpoint(DEAD, 2), slot(LIVE, 4)];
    assert_eq!(found(&objects, &[], &[]).unwrap().len(), objects.len());
}

#[test]
fn what_a_published_chain_names_stays_and_so_does_the_chain() {
    let chain = [slot(DEAD, 2), sorted(LIVE, 1), checkpoint(LIVE, 2)];
    let objects = [&chain[..], &[checkpoint(LIVE, 1)]].concat();
    assert_eq!(found(&objects, &chain[..2], &[]), Ok(vec![checkpoint(LIVE, 1)]));
}

#[test]
fn what_a_session_reports_stays() {
    let objects = [slot(DEAD, 2), sorted(DEAD, 1), slot(DEAD, 3)];
    assert_eq!(found(&objects, &[], &objects[..2]), Ok(vec![slot(DEAD, 3)]));
}

#[test]
fn what_is_not_trimmed_or_not_published_is_no_candidate() {
    let objects = [slot(LIVE, 5), slot(DEAD, 6), sorted(LIVE, 3), checkpoint(LIVE, 3)];
    assert_eq!(found(&objects, &[], &[]), Ok(vec![]));
}

/// The owner has not adopted its claim: what it inherits is still needed, of each session that holds a
/// part of it.
#[test]
fn the_chain_of_an_ended_session_counts_for_partitions_that_need_it() {
    let objects = [sorted(DEAD, 1), sorted(DEAD, 2), checkpoint(DEAD, 2)];
    let census = census(&[(0, LIVE, 2), (1, LIVE, 1)]);
    let mut begun = Begun::new(listed(&objects), census).unwrap();
    assert_eq!(begun.chains().len(), 2);
    let both = chain(&[(0, &objects[..1]), (1, &objects[1..2])]);
    begun.chain(DEAD, &[checkpoint(DEAD, 2)], &both);
    begun.chain(LIVE, &[], &Chain::empty());
    let mut asking = begun.ask(BTreeSet::from([LIVE])).unwrap();
    asking.report(LIVE, report(LIVE, &[], &[0, 1]), true).unwrap();
    let found: Vec<_> = asking.end().unwrap().unnamed.into_keys().collect();
    assert_eq!(found, [objects[1]], "partition 1 is adopted");
}

#[test]
#[should_panic(expected = "chains are read before anybody is asked")]
fn nobody_is_asked_before_the_chains_are_read() {
    let begun = Begun::new(listed(&[]), census(&[(0, LIVE, 1)])).unwrap();
    let _ = begun.ask(BTreeSet::from([LIVE]));
}

#[test]
fn a_session_that_ends_before_it_has_reported_ends_the_round() {
    let begin = || Begun::new(listed(&[]), census(&[])).unwrap();
    assert_eq!(begin().ask(BTreeSet::new()).unwrap_err(), Skipped::Ended(LIVE));
    let mut asking = begin().ask(BTreeSet::from([LIVE])).unwrap();
    let reported = asking.report(LIVE, report(LIVE, &[], &[]), false);
    assert_eq!(reported, Err(Skipped::Ended(LIVE)));
}

#[test]
fn every_live_session_must_report_and_so_must_one_begun_since() {
    let begin = || Begun::new(listed(&[]), census(&[])).unwrap();
    let asking = begin().ask(BTreeSet::from([LIVE])).unwrap();
    assert_eq!(asking.end().map(drop), Err(Skipped::NotReported(LIVE)));
    let mut asking = begin().ask(BTreeSet::from([LIVE, NEW])).unwrap();
    assert_eq!(asking.missing(), [LIVE, NEW]);
    asking.report(LIVE, report(LIVE, &[], &[]), true).unwrap();
    assert_eq!(asking.end().map(drop), Err(Skipped::NotReported(NEW)));
}

#[test]
fn another_session_on_the_same_node_does_not_stand_in() {
    let mut asking = Begun::new(listed(&[]), census(&[])).unwrap().ask([LIVE].into()).unwrap();
    let reported = asking.report(LIVE, report(NEW, &[], &[]), true);
    assert_eq!(reported, Err(Skipped::NotReported(LIVE)));
}

#[test]
fn every_claimed_partition_must_be_open_somewhere() {
    let open = |census: Census, partitions: &[u32]| {
        let mut begun = Begun::new(listed(&[]), census).unwrap();
        for (session, _) in begun.chains() {
            begun.chain(session, &[], &Chain::empty());
        }
        let mut asking = begun.ask([LIVE].into()).unwrap();
        asking.report(LIVE, report(LIVE, &[], partitions), true).unwrap();
        asking.end().map(drop)
    };
    let two = || census(&[(0, LIVE, 1), (1, DEAD, 1)]);
    assert_eq!(open(two(), &[0]), Err(Skipped::Unowned(partition(1))));
    assert_eq!(open(two(), &[0, 1]), Ok(()));
    let mut fresh = census(&[(0, LIVE, 1)]);
    fresh.count(partition(1), &Log::new(LeaderEpoch(0)));
    let owner = Some(Owner { session: LIVE, claim: ClaimNumber(1) });
    let dropped = Log { owner, state: LogState::Dropped, ..Log::new(LeaderEpoch(3)) };
    fresh.count(partition(2), &dropped);
    assert_eq!(open(fresh, &[0]), Ok(()), "nobody has written 1, nobody needs 2");
}

#[test]
fn a_needed_session_must_be_known() {
    let mut census = census(&[(0, DEAD, 1)]);
    census.wals.remove(&DEAD);
    let missing = Skipped::WalMissing { session: DEAD, partition: partition(0) };
    assert_eq!(Begun::new(listed(&[]), census).unwrap_err(), missing);
}

#[test]
fn what_pages_list_stays_from_the_offset_on_that_is_needed() {
    let held = ObjectName::Pages { session: DEAD, number: ObjectName::sorted_number(1, 9) };
    let page = |base: i64, last: i64, level| PageRef {
        object: held,
        place: ByteRange { at: base as u64, len: 9 },
        level,
        base: Offset(base),
        last: Offset(last),
        max_timestamp: Timestamp(0),
        bytes: 1,
    };
    let objects = [held, sorted(DEAD, 1), sorted(DEAD, 2), slot(DEAD, 2)];
    let mut begun = Begun::new(listed(&objects), census(&[(0, LIVE, 1)])).unwrap();
    let mut of_chain = chain(&[(0, &[])]);
    let listing = of_chain.partitions.get_mut(&partition(0)).unwrap();
    (listing.log_start, listing.pages) = (Offset(7), vec![page(0, 9, 0)]);
    begun.chain(LIVE, &[checkpoint(LIVE, 2)], &of_chain);
    let mut asking = begun.ask(BTreeSet::from([LIVE])).unwrap();
    let mut told = report(LIVE, &[], &[0]);
    told.named.pages = [(page(0, 9, 0), Offset(3)), (page(10, 19, 1), Offset(3))].into();
    asking.report(LIVE, told, true).unwrap();
    assert_eq!(asking.take_page(), Some((page(0, 9, 0), Offset(3))), "all that anybody needs");
    let objects = [sorted(DEAD, 1)].into();
    asking.name(Named { objects, ..Named::default() });
    assert_eq!(asking.take_page(), Some((page(10, 19, 1), Offset(3))));
    let below = [(page(11, 19, 0), Offset(3))].into();
    asking.name(Named { pages: below, ..Named::default() });
    assert_eq!(asking.take_page(), Some((page(11, 19, 0), Offset(3))));
    let objects = [slot(DEAD, 2)].into();
    asking.name(Named { objects, ..Named::default() });
    assert_eq!(asking.take_page(), None);
    let unnamed: Vec<_> = asking.end().unwrap().unnamed.into_keys().collect();
    assert_eq!(unnamed, [sorted(DEAD, 2)], "who names a page names the object that holds it");
}

#[test]
fn of_an_object_must_be_needed_half() {
    // Each has 5,000 bytes.
    let [full, half, thin, stale] = [1, 2, 3, 4].map(|number| slot(DEAD, number));
    let checkpoint = checkpoint(DEAD, 2);
    let objects = [full, half, thin, stale, checkpoint];
    let mut asking = Begun::new(listed(&objects), census(&[])).unwrap().ask([LIVE].into()).unwrap();
    let mut told = report(LIVE, &objects, &[]);
    told.held = [(full, 4_900), (half, 2_250), (thin, 1_400), (checkpoint, 20)].into();
    asking.report(LIVE, told, true).unwrap();
    // Pages list something, too.
    asking.hold(&[(thin, 700)].into());
    let found = asking.end().unwrap();
    assert_eq!(found.unnamed, BTreeMap::new());
    assert_eq!(found.thin, BTreeMap::from([(thin, 5_000)]));
}
