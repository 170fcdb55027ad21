use bytes::Bytes;
use futures::FutureExt;
use weir_ids::{ProducerEpoch, ProducerId, Sequence, Timestamp};
use weir_protocol::records::{BatchBuilder, Compression};

use super::{
    tests::{TOPICS, request},
    *,
};
use crate::{
    handlers::Conversation,
    testing::{Fixture, at, call, produced, record},
};

/// A client on one connection.
#[derive(Default)]
struct Client(Arc<Conversation>);

impl Client {
    /// Sends a request for partition 0.
    async fn send(&self, fixture: &Fixture, records: Bytes) -> Appending {
        self.send_for(fixture, records, 30_000).await
    }

    async fn send_for(&self, fixture: &Fixture, records: Bytes, timeout_ms: i32) -> Appending {
        let request = ProduceRequest { timeout_ms, ..request(-1, &[(0, records)]) };
        let call = Call { conversation: Arc::clone(&self.0), ..call(11) };
        begin(&fixture.handlers, call, request).await
    }
}

/// The code and the base offset of the answer.
async fn answer(fixture: &Fixture, appending: Appending) -> (ErrorCode, i64) {
    let Outcome::Answer(response) = appending.answer(Arc::clone(&fixture.handlers)).await else {
        panic!("acks were asked for");
    };
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

/// A batch that is told from others by its number of records.
fn batch(records: usize) -> Bytes {
    produced(records, 10, Compression::None)
}

/// A batch of an idempotent producer.
fn numbered(first: i32) -> Bytes {
    let builder = BatchBuilder::new();
    let mut builder = builder.producer(ProducerId(7), ProducerEpoch(0), Sequence(first));
    builder.push(Timestamp(1), None, Some(b"value"), &[]).unwrap();
    builder.build().unwrap().into_batch().into_bytes()
}

/// The base offsets in partition 0.
fn bases(fixture: &Fixture) -> Vec<i64> {
    fixture.broker.log(at(1, 0)).iter().map(|(base, _)| *base).collect()
}

const LOST: (ErrorCode, i64) = (ErrorCode::NOT_LEADER_OR_FOLLOWER, -1);

#[tokio::test(start_paused = true)]
async fn what_was_rejected_is_sent_again_in_order_and_nothing_overtakes_it() {
    let fixture = Fixture::start(TOPICS).await;
    let (client, other) = (Client::default(), Client::default());
    let first = client.send(&fixture, batch(1)).await;
    assert_eq!(answer(&fixture, first).await, (ErrorCode::NONE, 0));
    fixture.broker.lose(at(1, 0));
    let two = client.send(&fixture, batch(2)).await;
    let three = client.send(&fixture, batch(3)).await;
    fixture.broker.find(at(1, 0));
    let five = client.send(&fixture, batch(5)).await;
    // From now on the proxy knows of the new epoch.
    let between = other.send(&fixture, record()).await;
    assert_eq!(answer(&fixture, between).await, (ErrorCode::NONE, 1));
    let seven = client.send(&fixture, batch(7)).await;
    assert_eq!(bases(&fixture), [0, 1], "they wait for those that were rejected");
    for (appending, base) in [(two, 2), (three, 4), (five, 7), (seven, 12)] {
        assert_eq!(answer(&fixture, appending).await, (ErrorCode::NONE, base));
    }
    let last = client.send(&fixture, batch(1)).await;
    assert_eq!(bases(&fixture).last(), Some(&19), "goes at once again");
    assert_eq!(answer(&fixture, last).await, (ErrorCode::NONE, 19));
}

#[tokio::test(start_paused = true)]
async fn those_behind_go_together_with_the_first() {
    let fixture = Fixture::start(TOPICS).await;
    let client = Client::default();
    let first = client.send(&fixture, batch(1)).await;
    answer(&fixture, first).await;
    fixture.broker.lose(at(1, 0));
    let (two, three) =
        (client.send(&fixture, batch(2)).await, client.send(&fixture, batch(3)).await);
    fixture.broker.find(at(1, 0));
    fixture.broker.hold();
    let mut answered = Box::pin(answer(&fixture, two));
    while fixture.broker.held() < 2 {
        assert!(answered.as_mut().now_or_never().is_none());
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    fixture.broker.release(true);
    assert_eq!(answered.await, (ErrorCode::NONE, 1));
    assert_eq!(answer(&fixture, three).now_or_never(), Some((ErrorCode::NONE, 3)));
}

#[tokio::test(start_paused = true)]
async fn an_owner_is_looked_for_as_long_as_the_request_may_take_and_no_longer() {
    let fixture = Fixture::start(TOPICS).await;
    let client = Client::default();
    fixture.broker.lose(at(1, 0));
    for (timeout_ms, expected) in [(30_000, PATIENCE), (2_000, Duration::from_secs(2))] {
        let began = Instant::now();
        let appending = client.send_for(&fixture, record(), timeout_ms).await;
        assert_eq!(answer(&fixture, appending).await, LOST);
        assert_eq!(began.elapsed(), expected);
    }
    assert!(bases(&fixture).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_once_for_all_its_partitions() {
    let fixture = Fixture::start(TOPICS).await;
    (0..3).for_each(|partition| fixture.broker.lose(at(1, partition)));
    let request = request(-1, &[(0, record()), (1, record()), (2, record())]);
    let appending = begin(&fixture.handlers, call(11), request).await;
    let began = Instant::now();
    let finding = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        (0..3).for_each(|partition| fixture.broker.find(at(1, partition)));
    };
    let (outcome, ()) = tokio::join!(appending.answer(Arc::clone(&fixture.handlers)), finding);
    let Outcome::Answer(response) = outcome else { panic!("acks were asked for") };
    let mut partitions = response.responses[0].partition_responses.iter();
    assert!(partitions.all(|it| (it.error_code, it.base_offset) == (ErrorCode::NONE, 0)));
    assert!(began.elapsed() < Duration::from_millis(2_300), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn while_no_epoch_is_known_one_append_goes_at_a_time() {
    let fixture = Fixture::start(TOPICS).await;
    let client = Client::default();
    fixture.broker.hold();
    let one = client.send(&fixture, batch(1)).await;
    let two = client.send(&fixture, batch(2)).await;
    let three = client.send(&fixture, batch(3)).await;
    assert_eq!(bases(&fixture), [0]);
    fixture.broker.release(false);
    assert_eq!(answer(&fixture, one).await, (ErrorCode::NONE, 0));
    assert_eq!(bases(&fixture), [0, 1, 3], "both that have waited");
    assert_eq!(answer(&fixture, two).await, (ErrorCode::NONE, 1));
    assert_eq!(answer(&fixture, three).await, (ErrorCode::NONE, 3));
}

#[tokio::test(start_paused = true)]
async fn behind_what_was_given_up_its_producer_gets_no_further() {
    let fixture = Fixture::start(TOPICS).await;
    let client = Client::default();
    fixture.broker.lose(at(1, 0));
    let hasty = client.send_for(&fixture, numbered(0), 1_000).await;
    let next = client.send(&fixture, numbered(1)).await;
    let others = client.send(&fixture, batch(2)).await;
    assert_eq!(answer(&fixture, hasty).await, LOST);
    fixture.broker.find(at(1, 0));
    assert_eq!(answer(&fixture, next).await, LOST, "it would leave a gap");
    assert_eq!(answer(&fixture, others).await, (ErrorCode::NONE, 0));
    let again = client.send(&fixture, numbered(0)).await;
    assert_eq!(answer(&fixture, again).await, (ErrorCode::NONE, 2));
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_behind_it_gets_no_further_either_until_it_comes_again() {
    let fixture = Fixture::start(TOPICS).await;
    let (client, other) = (Client::default(), Client::default());
    fixture.broker.lose(at(1, 0));
    let hasty = client.send_for(&fixture, numbered(0), 1_000).await;
    assert_eq!(answer(&fixture, hasty).await, LOST);
    fixture.broker.find(at(1, 0));
    for sequence in [1, 2] {
        let behind = client.send(&fixture, numbered(sequence)).await;
        assert_eq!(answer(&fixture, behind).await, LOST, "it would leave a gap");
    }
    let others = other.send(&fixture, batch(2)).await;
    assert_eq!(answer(&fixture, others).await, (ErrorCode::NONE, 0));
    for (sequence, base) in [(0, 2), (1, 3), (2, 4)] {
        let again = client.send(&fixture, numbered(sequence)).await;
        assert_eq!(answer(&fixture, again).await, (ErrorCode::NONE, base));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_broker_had_behind_it_is_not_sent_without_it() {
    let fixture = Fixture::start(TOPICS).await;
    let client = Client::default();
    let before = client.send(&fixture, numbered(0)).await;
    assert_eq!(answer(&fixture, before).await, (ErrorCode::NONE, 0));
    fixture.broker.hold();
    let hasty = client.send_for(&fixture, numbered(1), 1_000).await;
    let behind = client.send(&fixture, numbered(2)).await;
    assert_eq!(answer(&fixture, hasty).await.0, ErrorCode::REQUEST_TIMED_OUT, "it may be there");
    fixture.broker.forget_held();
    fixture.broker.release(false);
    assert_eq!(answer(&fixture, behind).await, LOST);
    assert_eq!(bases(&fixture), [0, 1, 2], "as they came the first time");
}

#[tokio::test(start_paused = true)]
async fn who_goes_on_without_it_is_judged_by_the_broker_after_a_while() {
    let fixture = Fixture::start(TOPICS).await;
    let client = Client::default();
    fixture.broker.lose(at(1, 0));
    let hasty = client.send_for(&fixture, numbered(0), 1_000).await;
    assert_eq!(answer(&fixture, hasty).await, LOST);
    fixture.broker.find(at(1, 0));
    tokio::time::advance(Duration::from_secs(6)).await;
    let behind = client.send(&fixture, numbered(1)).await;
    assert_eq!(answer(&fixture, behind).await, (ErrorCode::NONE, 0));
}

#[tokio::test(start_paused = true)]
async fn what_may_be_there_is_sent_again_only_if_it_can_be_recognised() {
    let fixture = Fixture::start(TOPICS).await;
    let client = Client::default();
    fixture.broker.hold();
    let plain = client.send(&fixture, record()).await;
    fixture.broker.forget_held();
    assert_eq!(answer(&fixture, plain).await, LOST);
    assert_eq!(bases(&fixture).len(), 1);
    let numbered = client.send(&fixture, numbered(0)).await;
    fixture.broker.forget_held();
    fixture.broker.release(false);
    assert_eq!(answer(&fixture, numbered).await.0, ErrorCode::NONE);
    assert_eq!(bases(&fixture).len(), 3, "the broker in memory recognises nobody");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_of_what_is_answered() {
    let fixture = Fixture::start(TOPICS).await;
    let client = Client::default();
    fixture.broker.hold();
    let slow = client.send(&fixture, record()).await;
    assert_eq!(answer(&fixture, slow).await.0, ErrorCode::REQUEST_TIMED_OUT);
    fixture.broker.release(false);
    fixture.broker.lose(at(1, 1));
    let lost = request(-1, &[(0, record()), (1, record())]);
    let call = Call { conversation: Arc::clone(&client.0), ..call(11) };
    begin(&fixture.handlers, call, lost).await.answer(Arc::clone(&fixture.handlers)).await;
    assert_eq!(client.0.appends.len(), 0);
}
