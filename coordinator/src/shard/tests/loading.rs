use bytes::Bytes;
use futures::join;
use std::time::Duration;
use weir_ids::{Offset, Timestamp};
use weir_protocol::records::BatchBuilder;

use super::desk::Desk;
use crate::{
    group::{Error, Generation, GroupId, Identity, MemberId},
    shard::Request,
};

fn batch(records: &[(&[u8], &[u8])]) -> Bytes {
    let mut batch = BatchBuilder::new();
    for (key, value) in records {
        batch.push(Timestamp(0), Some(key), Some(value), &[]).unwrap();
    }
    batch.build().unwrap().into_batch().into_bytes()
}

#[tokio::test(start_paused = true)]
async fn an_empty_log_is_served_at_once() {
    let desk = Desk::new();
    assert_eq!(desk.fetch("g", 0).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn another_process_finds_what_was_acknowledged() {
    let first = Desk::new();
    first.commit("g", 0, 5).await.unwrap();
    first.commit("g", 0, 6).await.unwrap();
    let member = first.join("h", None).await.unwrap();
    assert_eq!(&first.sync("h", &member).await.unwrap().assignment[..], b"everything");
    let second = first.successor();
    assert_eq!(second.fetch("g", 0).await, Ok(Some(6)));
    assert_eq!(second.heartbeat("h", &member).await, Ok(()));
    let synced = second.sync("h", &member).await.unwrap();
    assert_eq!(&synced.assignment[..], b"everything");
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_a_log_that_is_read_in_a_moment() {
    let desk = Desk::new();
    desk.commit("g", 0, 5).await.unwrap();
    let second = desk.successor();
    second.broker.fail_reads(3);
    assert_eq!(second.fetch("g", 0).await, Ok(Some(5)));
}

#[tokio::test(start_paused = true)]
async fn while_a_log_can_not_be_read_clients_are_told_to_try_again() {
    let desk = Desk::new();
    let member = desk.join("g", None).await.unwrap();
    desk.cluster.set_owned(false);
    let second = desk.successor();
    let (fetch, commit, join) =
        join!(second.fetch("g", 0), second.commit("g", 0, 1), second.join("g", None));
    assert_eq!((fetch, commit), (Err(Error::Loading), Err(Error::Loading)));
    assert_eq!(join.unwrap_err().error, Error::Loading);
    // A member would leave its group if it was told.
    assert_eq!(second.heartbeat("g", &member).await, Ok(()));
    second.cluster.set_owned(true);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(second.fetch("g", 0).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn records_that_are_not_understood_are_skipped_and_kept() {
    let desk = Desk::new();
    let consumer_group: &[u8] = b"\0\x03\0\x01g";
    let intruders = batch(&[(consumer_group, b"\0\0\0\0\0\x01\0"), (b"", b"x"), (b"\0\x02", b"")]);
    desk.broker.intrude(desk.partition, intruders);
    desk.commit("g", 0, 5).await.unwrap();
    let second = desk.successor();
    assert_eq!(second.fetch("g", 0).await, Ok(Some(5)));
    // Not compacted away either, however long the log gets.
    let note = "x".repeat(4000);
    for round in 0..1500 {
        let offset = vec![(super::desk::key(0), super::desk::committed(round, &note))];
        second.commit_all("g", offset).await.unwrap();
    }
    assert_eq!(second.broker.offsets_of(second.partition).0, Offset(0));
}

#[tokio::test(start_paused = true)]
async fn a_log_start_within_a_batch_hides_what_is_before() {
    let desk = Desk::new();
    let offsets = (0..4).map(|index| (super::desk::key(index), super::desk::committed(7, "")));
    desk.commit_all("g", offsets.collect()).await.unwrap();
    use weir_broker::client::BrokerClient;
    desk.broker.delete_records(desk.partition, Some(Offset(2))).await.unwrap();
    let second = desk.successor();
    assert_eq!(second.fetch("g", 1).await, Ok(None));
    assert_eq!(second.fetch("g", 2).await, Ok(Some(7)));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_is_silent_after_a_restart_is_given_up() {
    let first = Desk::new();
    let member = first.join("g", None).await.unwrap();
    first.sync("g", &member).await.unwrap();
    let second = first.successor();
    second.ask(Request::List).await.unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    let described = second.ask(|to| Request::Describe(vec![GroupId::from("g")], to)).await;
    assert_eq!(described.unwrap()[0].as_ref().unwrap().state, "Empty");
    let late = Identity {
        member: Some(MemberId(member.member.0.clone())),
        instance: None,
        generation: Generation(1),
    };
    let group = GroupId::from("g");
    let commit = second.ask(|to| Request::Commit(group, late, Vec::new(), to)).await;
    assert_eq!(commit, Err(Error::UnknownMember));
}
