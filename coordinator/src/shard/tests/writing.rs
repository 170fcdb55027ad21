use futures::{future::join_all, join};

use super::desk::{Desk, committed, key};
use crate::{group::Error, settings::Settings, testing::Fault};

#[tokio::test(start_paused = true)]
async fn what_comes_while_an_append_is_in_flight_goes_out_together() {
    let desk = Desk::new();
    desk.broker.fail([Fault::Held]);
    let first = desk.commit("g", 0, 1);
    let rest = async {
        desk.broker.until_held().await;
        let rest = join_all((1..100).map(|partition| desk.commit("g", partition, 1)));
        let release = async {
            desk.settle().await;
            desk.broker.release();
        };
        let (rest, ()) = join!(rest, release);
        assert!(rest.iter().all(Result::is_ok));
    };
    let (first, ()) = join!(first, rest);
    assert_eq!(first, Ok(()));
    let batches = desk.broker.batches(desk.partition);
    assert_eq!(batches.iter().sum::<i32>(), 100);
    assert!(batches.len() <= 4, "{batches:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_acknowledged_or_seen_before_it_is_durable() {
    let desk = Desk::new();
    desk.commit("g", 0, 1).await.unwrap();
    desk.broker.fail([Fault::Held]);
    let mut commit = Box::pin(desk.commit("g", 0, 2));
    tokio::select! {
        biased;
        _ = &mut commit => panic!("acknowledged too early"),
        () = desk.broker.until_held() => {}
    }
    let mut fetch = Box::pin(desk.fetch("g", 0));
    tokio::select! {
        biased;
        _ = &mut fetch => panic!("seen before it is known whether it is durable"),
        () = desk.settle() => {}
    }
    desk.broker.release();
    assert_eq!(join!(commit, fetch), (Ok(()), Ok(Some(2))));
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_does_not_fit_into_a_batch_is_spread_over_several() {
    let desk = Desk::with(Settings { batch_max_bytes: 64 * 1024, ..Settings::dev() });
    let note = "x".repeat(4000);
    let offsets = (0..100).map(|partition| (key(partition), committed(9, &note)));
    desk.commit_all("g", offsets.collect()).await.unwrap();
    assert!(desk.broker.batches(desk.partition).len() >= 7);
    assert_eq!(desk.fetch("g", 99).await, Ok(Some(9)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_on_its_way_and_sends_others_away() {
    let desk = Desk::new();
    let leader = desk.join("g", None).await.unwrap();
    desk.sync("g", &leader).await.unwrap();
    desk.broker.fail([Fault::Held]);
    let stop = async {
        desk.broker.until_held().await;
        desk.tasks.request_stop();
        desk.broker.release();
        desk.tasks.shutdown().await.unwrap();
    };
    let (commit, join, ()) = join!(desk.commit("h", 0, 1), desk.join("g", None), stop);
    assert_eq!(commit, Ok(()));
    assert_eq!(join.unwrap_err().error, Error::NotCoordinator);
    assert_eq!(desk.commit("h", 0, 2).await, Err(Error::NotCoordinator));
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_ever() {
    let desk = Desk::new();
    desk.broker.fail([Fault::Held]);
    let stop = async {
        desk.broker.until_held().await;
        desk.tasks.shutdown().await.unwrap();
    };
    let (commit, ()) = join!(desk.commit("g", 0, 1), stop);
    assert_eq!(commit, Err(Error::NotCoordinator));
}
