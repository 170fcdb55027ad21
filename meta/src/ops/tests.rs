//! The operations on a store that works, and on one that fails (`property`).

mod ending;
mod property;

use std::{sync::Arc, time::Duration};

use weir_ids::{
    ClaimNumber, LeaderEpoch, NodeId, Offset, PartitionIndex, SessionId, Slot, TopicId,
    TopicPartition,
};
use weir_runtime::Tasks;

use super::*;
use crate::{
    Metadata,
    model::{
        Assignment, CheckpointPointer, Inherited, Log, LogState, Owner, Record, Seal, Session, Wal,
    },
    store::{Fault, Faulty, Memory, MetaStore, Operation, TXN_OPS_MAX, Txn},
};

const TOPIC: TopicId = TopicId(uuid::Uuid::from_u128(7));

fn partition(number: u32) -> TopicPartition {
    TopicPartition::new(TOPIC, PartitionIndex(number))
}

fn seal_at(slot: u64) -> Seal {
    Seal { at: Slot(slot), detail: None }
}

fn checkpoint(number: u64, adopted_through: u64) -> CheckpointPointer {
    CheckpointPointer {
        object: format!("checkpoint {number}"),
        number,
        covers_below: Slot(number * 10),
        adopted_through: ClaimNumber(adopted_through),
    }
}

/// A store with a topic of so many partitions that nobody owns yet.
async fn with_partitions(count: u32) -> Metadata {
    let store = Memory::new();
    let nodes = vec![NodeId(1); count as usize];
    let txn = Txn::new().put(Assignment::key(TOPIC), Assignment { nodes }.encode());
    store.txn(txn).await.unwrap();
    for number in 0..count {
        let log = Log::new(LeaderEpoch::NONE);
        store.txn(Txn::new().put(Log::key(partition(number)), log.encode())).await.unwrap();
    }
    Metadata::new(Arc::new(store))
}

async fn session(metadata: &Metadata) -> SessionId {
    metadata.allocate_session(NodeId(1)).await.unwrap()
}

async fn claim(
    metadata: &Metadata,
    session: SessionId,
    number: u64,
) -> Result<Claimed, ClaimError> {
    let claims = [(partition(0), ClaimNumber(number))];
    metadata.claim(session, &claims).await.remove(0)
}

async fn change(
    metadata: &Metadata,
    session: SessionId,
    epoch: i32,
    change: OwnedChange,
) -> Result<Log, OwnedError> {
    let update = OwnedUpdate { partition: partition(0), epoch: LeaderEpoch(epoch), change };
    metadata.update_owned(session, &[update]).await.remove(0)
}

#[tokio::test]
async fn a_first_claim_inherits_nothing() {
    let metadata = with_partitions(1).await;
    let s = session(&metadata).await;
    let claimed = claim(&metadata, s, 1).await.unwrap();
    assert_eq!(claimed.log.leader_epoch, LeaderEpoch(0));
    assert_eq!(claimed.log.owner, Some(Owner { session: s, claim: ClaimNumber(1) }));
    assert_eq!(claimed.log.inherited, []);
    assert_eq!(claim(&metadata, s, 1).await.unwrap(), claimed, "a repeated claim is the same");
}

#[tokio::test]
async fn a_claim_waits_for_the_owners_seal() {
    let metadata = with_partitions(1).await;
    let (first, second) = (session(&metadata).await, session(&metadata).await);
    claim(&metadata, first, 1).await.unwrap();
    let refused = claim(&metadata, second, 1).await.unwrap_err();
    assert_eq!(refused, ClaimError::OwnerNotSealed { partition: partition(0), owner: first });
    metadata.seal(first, seal_at(5)).await.unwrap();
    let claimed = claim(&metadata, second, 1).await.unwrap();
    assert_eq!(claimed.log.leader_epoch, LeaderEpoch(1));
    let part = Inherited {
        session: first,
        epoch: LeaderEpoch(0),
        claim: ClaimNumber(1),
        end_slot: None,
        end_offset: None,
    };
    assert_eq!(claimed.log.inherited, [part]);
    let fenced = claim(&metadata, first, 2).await.unwrap_err();
    assert_eq!(fenced, ClaimError::Fenced { session: first, at: Slot(5) });
    let late = change(&metadata, first, 0, OwnedChange::LogStart(Offset(9))).await.unwrap_err();
    assert!(matches!(late, OwnedError::NotOwner { epoch: LeaderEpoch(1), .. }), "{late}");
}

#[tokio::test]
async fn a_released_log_is_claimed_without_a_seal() {
    let metadata = with_partitions(1).await;
    let (first, second) = (session(&metadata).await, session(&metadata).await);
    claim(&metadata, first, 3).await.unwrap();
    let release = OwnedChange::Release { end_slot: Slot(8), end_offset: Offset(100) };
    change(&metadata, first, 0, release.clone()).await.unwrap();
    change(&metadata, first, 0, release).await.expect("repeated: it is done");
    let other = OwnedChange::Release { end_slot: Slot(8), end_offset: Offset(101) };
    assert!(change(&metadata, first, 0, other).await.is_err(), "another end is another release");
    let claimed = claim(&metadata, second, 1).await.unwrap();
    assert_eq!(claimed.log.state, LogState::Open);
    assert_eq!(claimed.log.inherited.len(), 1);
    assert_eq!(claimed.log.inherited[0].end_slot, Some(Slot(8)));
    assert_eq!(claimed.log.inherited[0].end_offset, Some(Offset(100)));
}

#[tokio::test]
async fn inherited_sessions_pile_up_until_an_owner_has_adopted_them() {
    let metadata = with_partitions(1).await;
    let mut expected = Vec::new();
    for epoch in 0..4 {
        let s = session(&metadata).await;
        let claimed = claim(&metadata, s, 1).await.unwrap();
        let sessions: Vec<_> = claimed.log.inherited.iter().map(|part| part.session).collect();
        assert_eq!(sessions, expected, "epoch {epoch}");
        metadata.publish_checkpoint(s, &checkpoint(1, 0)).await.unwrap();
        metadata.seal(s, seal_at(20)).await.unwrap();
        expected.push(s);
    }
    let adopter = session(&metadata).await;
    claim(&metadata, adopter, 1).await.unwrap();
    change(&metadata, adopter, 4, OwnedChange::ForgetInherited).await.unwrap();
    let log = metadata.log(partition(0)).await.unwrap().unwrap().value;
    assert_eq!(log.inherited.len(), 4, "not adopted: nothing is forgotten");
    metadata.publish_checkpoint(adopter, &checkpoint(1, 1)).await.unwrap();
    metadata.seal(adopter, seal_at(20)).await.unwrap();
    let heir = session(&metadata).await;
    let claimed = claim(&metadata, heir, 1).await.unwrap();
    let sessions: Vec<_> = claimed.log.inherited.iter().map(|part| part.session).collect();
    assert_eq!(sessions, [adopter], "the adopter holds what the others held");
    metadata.publish_checkpoint(heir, &checkpoint(1, 1)).await.unwrap();
    let log = change(&metadata, heir, 5, OwnedChange::ForgetInherited).await.unwrap();
    assert_eq!(log.inherited, []);
}

#[tokio::test]
async fn a_session_that_claims_again_inherits_from_itself() {
    let metadata = with_partitions(1).await;
    let s = session(&metadata).await;
    claim(&metadata, s, 1).await.unwrap();
    let claimed = claim(&metadata, s, 2).await.unwrap();
    assert_eq!(claimed.log.leader_epoch, LeaderEpoch(1));
    assert_eq!(claimed.log.inherited[0].session, s);
    let late = OwnedChange::Release { end_slot: Slot(1), end_offset: Offset(0) };
    assert!(change(&metadata, s, 0, late).await.is_err(), "a release under the old epoch fails");
}

#[tokio::test]
async fn many_claims_share_transactions() {
    let count = 1_000;
    let metadata = with_partitions(count).await;
    let s = session(&metadata).await;
    let start = metadata.store().txn(Txn::new()).await.unwrap().revision();
    let claims: Vec<_> =
        (0..count).map(|n| (partition(n), ClaimNumber(u64::from(n) + 1))).collect();
    let results = metadata.claim(s, &claims).await;
    for (result, (wanted, number)) in results.into_iter().zip(&claims) {
        let claimed = result.unwrap();
        assert_eq!(claimed.partition, *wanted);
        assert_eq!(claimed.log.owner.unwrap().claim, *number);
    }
    let end = metadata.store().txn(Txn::new()).await.unwrap().revision();
    let transactions = end.0 - start.0;
    assert!(transactions <= u64::from(count).div_ceil(TXN_OPS_MAX as u64 / 2), "{transactions}");
}

#[tokio::test]
async fn one_bad_claim_does_not_hold_up_the_others() {
    let metadata = with_partitions(4).await;
    let (dead, s) = (session(&metadata).await, session(&metadata).await);
    metadata.claim(dead, &[(partition(1), ClaimNumber(1))]).await.remove(0).unwrap();
    let claims: Vec<_> = (0..5).map(|n| (partition(n), ClaimNumber(10))).collect();
    let results = metadata.claim(s, &claims).await;
    let owner_not_sealed = ClaimError::OwnerNotSealed { partition: partition(1), owner: dead };
    assert_eq!(results[1], Err(owner_not_sealed));
    assert_eq!(results[4], Err(ClaimError::NotFound { partition: partition(4) }));
    assert!([0, 2, 3].iter().all(|n| results[*n].is_ok()), "{results:?}");
    let gone = Txn::new().delete(Assignment::key(TOPIC));
    metadata.store().txn(gone).await.unwrap();
    metadata.seal(dead, seal_at(1)).await.unwrap();
    let result = metadata.claim(s, &[(partition(1), ClaimNumber(11))]).await.remove(0);
    assert_eq!(
        result,
        Err(ClaimError::NotFound { partition: partition(1) }),
        "it is being deleted"
    );
}

#[tokio::test]
async fn log_start_and_manifest_belong_to_the_owner() {
    let metadata = with_partitions(1).await;
    let (s, other) = (session(&metadata).await, session(&metadata).await);
    claim(&metadata, s, 1).await.unwrap();
    let start = |offset| OwnedChange::LogStart(Offset(offset));
    assert_eq!(change(&metadata, s, 0, start(50)).await.unwrap().log_start, Offset(50));
    assert_eq!(change(&metadata, s, 0, start(40)).await.unwrap().log_start, Offset(50));
    assert!(change(&metadata, s, 1, start(60)).await.is_err(), "wrong epoch");
    assert!(change(&metadata, other, 0, start(60)).await.is_err(), "wrong session");
    let log = change(&metadata, s, 0, OwnedChange::Manifest("m1".into())).await.unwrap();
    assert_eq!((log.log_start, log.manifest), (Offset(50), Some("m1".to_owned())));
    let log = change(&metadata, s, 0, OwnedChange::Drop).await.unwrap();
    assert_eq!(log.state, LogState::Dropped);
    assert!(claim(&metadata, s, 2).await.is_err(), "a dropped log is not claimed again");
}

#[tokio::test]
async fn a_seal_is_recorded_once_and_not_below_the_trim() {
    let metadata = with_partitions(0).await;
    let s = session(&metadata).await;
    metadata.publish_checkpoint(s, &checkpoint(1, 0)).await.unwrap();
    metadata.publish_checkpoint(s, &checkpoint(1, 0)).await.expect("it is published");
    metadata.trim(s, Slot(10)).await.unwrap();
    assert_eq!(metadata.seal(s, seal_at(9)).await, Ok(Sealing::BeginAgain { trim: Slot(10) }));
    assert_eq!(metadata.seal(s, seal_at(12)).await, Ok(Sealing::Sealed(seal_at(12))));
    assert_eq!(metadata.seal(s, seal_at(15)).await, Ok(Sealing::Sealed(seal_at(12))));
    assert!(metadata.publish_checkpoint(s, &checkpoint(2, 0)).await.is_err());
    assert!(metadata.trim(s, Slot(11)).await.is_err());
    metadata.trim_sealed(s, Slot(12)).await.unwrap();
    assert_eq!(
        metadata.seal(SessionId(999), seal_at(1)).await,
        Err(WalLost(SessionId(999)).into())
    );
}

#[tokio::test]
async fn session_ids_are_given_once() {
    let metadata = with_partitions(0).await;
    let mut ids = futures::future::join_all((0..20).map(|_| session(&metadata))).await;
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 20);
    assert_eq!(metadata.wal(ids[3]).await.unwrap().unwrap().value, Wal::of(NodeId(1)));
}

#[tokio::test(start_paused = true)]
async fn a_registration_is_kept_and_made_again() {
    let metadata = with_partitions(0).await;
    let s = session(&metadata).await;
    let value = Session { node: NodeId(1), rpc: None, zone: None };
    let registration = metadata.register_session(s, &value, SESSION_TTL).await.unwrap();
    let tasks = Tasks::new();
    let keeper = metadata.clone();
    tasks.spawn_fallible(
        "keep",
        |stop| async move { registration.keep(&keeper, stop, |_| {}).await },
    );
    let key = Session::key(s);
    tokio::time::sleep(SESSION_TTL * 3).await;
    let lease = metadata.store().get(&key).await.unwrap().expect("kept alive").lease.unwrap();
    metadata.store().revoke(lease).await.unwrap();
    tokio::time::sleep(SESSION_TTL).await;
    assert!(metadata.store().get(&key).await.unwrap().is_some(), "registered again");
    tasks.shutdown().await.unwrap();
    assert!(metadata.store().get(&key).await.unwrap().is_none(), "taken back in order");

    metadata.seal(s, seal_at(3)).await.unwrap();
    let refused = metadata.register_session(s, &value, SESSION_TTL).await.unwrap_err();
    assert_eq!(refused, RegisterError::Fenced { session: s, at: Slot(3) });
}

#[tokio::test(start_paused = true)]
async fn node_ids_are_given_once_and_leave_room_for_those_that_operators_give() {
    let metadata = with_partitions(1).await;
    let mut given = Vec::new();
    for _ in 0..3 {
        given.push(metadata.allocate_node_id().await.unwrap().0);
    }
    assert_eq!(given, [1_001, 1_002, 1_003]);
}

#[tokio::test(start_paused = true)]
async fn producer_ids_are_given_once_and_last_through_an_outage() {
    let store: Arc<dyn MetaStore> = Arc::new(Memory::new());
    let down = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_down = Arc::clone(&down);
    let failing = Faulty::new(store, move |_| {
        is_down.load(std::sync::atomic::Ordering::Relaxed).then_some(Fault::Before)
    });
    let metadata = Metadata::new(Arc::new(failing));
    let tasks = Tasks::new();
    let (here, there) = (
        ProducerIds::new(metadata.clone(), tasks.clone()),
        ProducerIds::new(metadata.clone(), tasks.clone()),
    );
    let mut given = std::collections::BTreeSet::new();
    for _ in 0..1_500 {
        assert!(given.insert(here.next().await.unwrap()), "given twice");
        assert!(given.insert(there.next().await.unwrap()), "given twice");
        tokio::task::yield_now().await;
    }
    down.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut during = 0;
    while let Ok(id) = here.next().await {
        assert!(given.insert(id), "given twice");
        during += 1;
    }
    assert!(during >= 1_000, "only {during} ids during an outage: no spare block");
    down.store(false, std::sync::atomic::Ordering::Relaxed);
    assert!(given.insert(here.next().await.unwrap()));
    tasks.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_founded_once() {
    let metadata = with_partitions(0).await;
    let founded = metadata.join_cluster("prod", "id one").await.unwrap();
    assert_eq!(metadata.join_cluster("prod", "id two").await.unwrap(), founded);
    let error = metadata.join_cluster("test", "id three").await.unwrap_err();
    assert!(error.to_string().contains("\"prod\""), "{error}");
}

#[tokio::test]
async fn an_unclear_answer_is_resolved_by_reading() {
    let store = Arc::new(Memory::new());
    for fault in [Fault::After, Fault::Lost, Fault::Late(Duration::from_millis(1))] {
        let faults = Arc::new(std::sync::atomic::AtomicU32::new(3));
        let failing = Faulty::new(Arc::clone(&store) as Arc<dyn MetaStore>, move |operation| {
            use std::sync::atomic::Ordering::Relaxed;
            let left = operation == Operation::Txn
                && faults.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
            left.then_some(fault)
        });
        let certain = Metadata::new(Arc::clone(&store) as Arc<dyn MetaStore>);
        let s = session(&certain).await;
        let metadata = Metadata::new(Arc::new(failing));
        metadata.publish_checkpoint(s, &checkpoint(1, 1)).await.unwrap();
        metadata.trim(s, Slot(10)).await.unwrap();
        metadata.seal(s, seal_at(11)).await.unwrap();
        let wal = certain.wal(s).await.unwrap().unwrap().value;
        assert_eq!((wal.trim, wal.sealed), (Slot(10), Some(seal_at(11))), "{fault:?}");
    }
}
