use std::time::Duration;

use futures::join;
use proptest::prelude::*;
use tokio::time::Instant;

use super::desk::Desk;
use crate::{
    group::{Error, GroupId},
    shard::Request,
    testing::Fault,
};

#[tokio::test(start_paused = true)]
async fn what_surely_did_not_happen_is_tried_again() {
    let desk = Desk::new();
    desk.broker.fail([Fault::Busy, Fault::NotOwner, Fault::Busy]);
    assert_eq!(desk.commit("g", 0, 1).await, Ok(()));
    assert_eq!(desk.fetch("g", 0).await, Ok(Some(1)));
}

#[tokio::test(start_paused = true)]
async fn but_not_for_ever() {
    let desk = Desk::new();
    desk.broker.fail(std::iter::repeat_n(Fault::Busy, 1000));
    assert_eq!(desk.commit("g", 0, 1).await, Err(Error::NotCoordinator));
}

#[tokio::test(start_paused = true)]
async fn an_unclear_append_that_is_lost_is_not_seen() {
    let desk = Desk::new();
    desk.commit("g", 0, 1).await.unwrap();
    desk.broker.fail([Fault::Lost]);
    assert_eq!(desk.commit("g", 0, 2).await, Err(Error::NotCoordinator));
    assert_eq!(desk.fetch("g", 0).await, Ok(Some(1)));
    assert_eq!(desk.commit("g", 0, 3).await, Ok(()));
    assert_eq!(desk.fetch("g", 0).await, Ok(Some(3)));
}

#[tokio::test(start_paused = true)]
async fn an_unclear_append_that_landed_is_seen_and_not_overwritten_blindly() {
    let desk = Desk::new();
    desk.broker.fail([Fault::Landed]);
    assert_eq!(desk.commit("g", 0, 2).await, Err(Error::NotCoordinator));
    assert_eq!(desk.fetch("g", 0).await, Ok(Some(2)));
    assert_eq!(desk.commit("g", 0, 3).await, Ok(()));
    assert_eq!(desk.fetch("g", 0).await, Ok(Some(3)));
}

#[tokio::test(start_paused = true)]
async fn an_append_that_hangs_is_unclear_and_may_land_late() {
    let desk = Desk::new();
    desk.broker.fail([Fault::Held]);
    assert_eq!(desk.commit("g", 0, 1).await, Err(Error::NotCoordinator));
    assert_eq!(desk.fetch("g", 0).await, Ok(None));
    desk.broker.release();
    // The end of the log is not where it was read: this append conflicts, and all is read again.
    assert_eq!(desk.commit("g", 0, 2).await, Err(Error::NotCoordinator));
    assert_eq!(desk.fetch("g", 0).await, Ok(Some(1)));
    assert_eq!(desk.commit("g", 0, 2).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn while_somebody_elses_append_is_on_its_way_the_log_is_not_read_all_the_time() {
    let desk = Desk::new();
    desk.commit("g", 0, 1).await.unwrap();
    desk.broker.fail([Fault::Conflicts; 500]);
    let (began, half_a_minute) = (Instant::now(), Duration::from_secs(30));
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while began.elapsed() < half_a_minute {
        ticks.tick().await;
        assert!(desk.commit("g", 0, 2).await.is_err());
    }
    let attempts = 500 - desk.broker.faults_left();
    assert!((10..80).contains(&attempts), "{attempts} in half a minute");
}

#[tokio::test(start_paused = true)]
async fn two_shards_of_one_partition_never_both_write_what_only_one_knows() {
    let old = Desk::new();
    old.commit("g", 0, 1).await.unwrap();
    let new = old.successor();
    new.commit("g", 0, 2).await.unwrap();
    // The old one does not know yet; its first write tells it.
    assert_eq!(old.commit("g", 0, 3).await, Err(Error::NotCoordinator));
    assert_eq!(old.fetch("g", 0).await, Ok(Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_was_overtaken_without_noticing_tells_nothing_old() {
    let old = Desk::new();
    old.commit("g", 0, 1).await.unwrap();
    let new = old.successor();
    new.commit("g", 0, 2).await.unwrap();
    assert_eq!(old.fetch("g", 0).await, Err(Error::NotCoordinator));
    assert_eq!(old.fetch("g", 0).await, Ok(Some(2)));
}

#[tokio::test(start_paused = true)]
async fn a_failure_sends_waiting_joins_and_syncs_away() {
    let desk = Desk::new();
    let a = desk.join("g", None).await.unwrap();
    desk.sync("g", &a).await.unwrap();
    desk.broker.fail([Fault::Storage]);
    let (join, commit) = join!(desk.join("g", None), desk.commit("h", 0, 1));
    assert_eq!(join.unwrap_err().error, Error::NotCoordinator);
    assert_eq!(commit, Err(Error::NotCoordinator));
    // The group is as it was stored, and its member goes on.
    assert_eq!(desk.heartbeat("g", &a).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn an_assignment_that_can_not_be_stored_does_not_go_out() {
    let desk = Desk::new();
    let a = desk.join("g", None).await.unwrap();
    desk.broker.fail([Fault::Lost]);
    assert_eq!(desk.sync("g", &a).await, Err(Error::NotCoordinator));
    let listed = desk.ask(Request::List).await.unwrap();
    assert!(listed.is_empty());
    let again = desk.join("g", Some(&a)).await;
    assert_eq!(again.unwrap_err().error, Error::UnknownMember);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_fails_deletes_nothing() {
    let desk = Desk::new();
    desk.commit("g", 0, 1).await.unwrap();
    desk.broker.fail([Fault::Lost]);
    let group = GroupId::from("g");
    let deleted = desk.ask(|to| Request::Delete(group, to)).await;
    assert_eq!(deleted, Err(Error::NotCoordinator));
    assert_eq!(desk.fetch("g", 0).await, Ok(Some(1)));
}

fn fault() -> impl Strategy<Value = Option<Fault>> {
    prop_oneof![
        4 => Just(None),
        1 => Just(Some(Fault::Busy)),
        1 => Just(Some(Fault::Storage)),
        1 => Just(Some(Fault::Lost)),
        1 => Just(Some(Fault::Landed)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever appends do, an acknowledged offset is found, by this shard and by the next, and
    /// what is read never goes back.
    #[test]
    fn no_acknowledged_offset_goes_back(faults in proptest::collection::vec(fault(), 1..30)) {
        let paused = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        paused.block_on(async {
            let mut desk = Desk::new();
            let (mut acknowledged, mut seen) = (None, None);
            for (offset, fault) in faults.into_iter().enumerate() {
                desk.broker.fail(fault);
                let offset = i64::try_from(offset).unwrap();
                if desk.commit("g", 0, offset).await.is_ok() {
                    acknowledged = Some(offset);
                }
                if offset % 7 == 6 {
                    desk = desk.successor();
                }
                let now = desk.fetch("g", 0).await.unwrap();
                assert!(now >= acknowledged && now >= seen, "{now:?} after {acknowledged:?}");
                seen = now;
            }
        });
    }
}
