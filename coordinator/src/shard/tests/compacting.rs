use weir_ids::Offset;

use super::desk::{Desk, committed, key};
use crate::{shard::Request, testing::Fault};

/// Enough commits of one group to outgrow the smallest log worth rewriting, each on its own.
const ROUNDS: i64 = 1100;

async fn outgrow(desk: &Desk, group: &str) {
    let note = "x".repeat(4000);
    for round in 0..ROUNDS {
        let offsets = vec![(key(0), committed(round, &note))];
        desk.commit_all(group, offsets).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_outgrew_its_state_is_rewritten_and_cut() {
    let desk = Desk::new();
    for group in 0..50 {
        desk.commit(&format!("idle-{group}"), 3, 33).await.unwrap();
    }
    let member = desk.join("g", None).await.unwrap();
    desk.sync("g", &member).await.unwrap();
    outgrow(&desk, "busy").await;
    desk.broker.until_start(desk.partition, Offset(1000)).await;
    let (start, next) = desk.broker.offsets_of(desk.partition);
    assert!(next.0 - start.0 < 200, "{start} to {next}");

    let second = desk.successor();
    assert_eq!(second.fetch("busy", 0).await, Ok(Some(ROUNDS - 1)));
    assert_eq!(second.fetch("idle-49", 3).await, Ok(Some(33)));
    assert_eq!(second.ask(Request::List).await.unwrap().len(), 52);
    assert_eq!(second.heartbeat("g", &member).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_middle_leaves_the_log_as_it_was() {
    let desk = Desk::new();
    desk.commit("idle", 3, 33).await.unwrap();
    outgrow(&desk, "busy").await;
    desk.broker.until_start(desk.partition, Offset(1)).await;
    let (start, _) = desk.broker.offsets_of(desk.partition);

    // Once more, but every other append fails from now on.
    let note = "x".repeat(4000);
    let mut acknowledged = None;
    for round in ROUNDS..3 * ROUNDS {
        if round % 50 == 0 {
            desk.broker.fail([Fault::Lost]);
        }
        if desk.commit_all("busy", vec![(key(0), committed(round, &note))]).await.is_ok() {
            acknowledged = Some(round);
        }
    }
    assert!(desk.broker.offsets_of(desk.partition).0 > start);
    let second = desk.successor();
    assert_eq!(second.fetch("busy", 0).await, Ok(acknowledged));
    assert_eq!(second.fetch("idle", 3).await, Ok(Some(33)));
}

#[tokio::test(start_paused = true)]
async fn a_start_that_can_not_be_moved_is_tried_again_without_rewriting() {
    let desk = Desk::new();
    desk.broker.fail_trims(5);
    outgrow(&desk, "busy").await;
    desk.broker.until_start(desk.partition, Offset(1)).await;
    let records: i32 = desk.broker.batches(desk.partition).iter().sum();
    assert!(records < 100, "{records}");
    assert_eq!(desk.fetch("busy", 0).await, Ok(Some(ROUNDS - 1)));
}

#[tokio::test(start_paused = true)]
async fn a_large_state_is_not_rewritten_for_its_size() {
    let desk = Desk::new();
    let note = "x".repeat(4000);
    for group in 0..25 {
        let offsets = (0..100).map(|index| (key(index), committed(1, &note)));
        desk.commit_all(&format!("g{group}"), offsets.collect()).await.unwrap();
    }
    // 10 MB of state in as much of a log: there is nothing to gain.
    let (start, next) = desk.broker.offsets_of(desk.partition);
    assert_eq!((start, next), (Offset(0), Offset(2500)));
}
