use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use weir_protocol::{
    ErrorCode, ResponseBody,
    messages::{
        FetchRequest, FetchResponse,
        fetch::{FetchTopic, ForgottenTopic, PartitionData},
    },
};

use super::tests::{TOPICS, records, request, waiting};
use crate::{
    handlers::{Call, Conversation},
    settings::Settings,
    testing::{Fixture, at, call, put_topic, settle, topic_id},
};

/// A client on one connection.
struct Client<'a> {
    fixture: &'a Fixture,
    conversation: Arc<Conversation>,
    session: i32,
    epoch: i32,
    version: i16,
}

impl<'a> Client<'a> {
    fn of(fixture: &'a Fixture) -> Self {
        Self { fixture, conversation: Arc::default(), session: 0, epoch: 0, version: 18 }
    }

    async fn ask(&self, session_epoch: i32, request: FetchRequest) -> FetchResponse {
        let request = FetchRequest { session_id: self.session, session_epoch, ..request };
        let call = Call { conversation: Arc::clone(&self.conversation), ..call(self.version) };
        match super::handle(&self.fixture.handlers, &call, request).await.into_body() {
            ResponseBody::Fetch(response) => response,
            other => panic!("{other:?}"),
        }
    }

    /// As clients do: the next epoch each time, the session as it was told.
    async fn fetch(&mut self, request: FetchRequest) -> Vec<PartitionData> {
        let response = self.ask(self.epoch, request).await;
        assert_eq!(response.error_code, ErrorCode::NONE);
        (self.session, self.epoch) = (response.session_id, self.epoch + 1);
        response.responses.into_iter().flat_map(|topic| topic.partitions).collect()
    }

    /// Opens a session of partitions 0, 1 and 2, which are empty.
    async fn open(&mut self) {
        let answer = self.fetch(request(&[(0, 0), (1, 0), (2, 0)])).await;
        assert_eq!(indexes(&answer), [0, 1, 2], "told of all of them");
        assert_ne!(self.session, 0);
    }
}

fn indexes(answer: &[PartitionData]) -> Vec<i32> {
    answer.iter().map(|partition| partition.partition_index).collect()
}

/// What has not changed, of everything.
fn same(max_wait_ms: i32) -> FetchRequest {
    FetchRequest { topics: Vec::new(), ..waiting(&[], max_wait_ms) }
}

fn forget(partitions: &[i32]) -> FetchRequest {
    let (topic, topic_id) = ("orders".into(), topic_id(1));
    let gone = ForgottenTopic { topic, topic_id, partitions: partitions.to_vec() };
    FetchRequest { forgotten_topics_data: vec![gone], ..same(0) }
}

#[tokio::test]
async fn a_session_tells_what_has_changed_and_nothing_else() {
    let fixture = Fixture::start(TOPICS).await;
    let mut client = Client::of(&fixture);
    client.open().await;
    assert!(client.fetch(same(0)).await.is_empty());

    fixture.write(1, 2);
    let answer = client.fetch(same(0)).await;
    assert_eq!((indexes(&answer), answer[0].high_watermark), (vec![1], 2));
    let log = fixture.broker.log(at(1, 1));
    assert_eq!(records(&answer[0]), [&log[0].1[..], &log[1].1].concat());

    let answer = client.fetch(request(&[(1, 1)])).await;
    assert_eq!(records(&answer[0]), log[1].1, "from where the client is now");
    let answer = client.fetch(same(0)).await;
    assert_eq!(records(&answer[0]), log[1].1, "it has not said that it has them");
    assert!(client.fetch(request(&[(1, 2)])).await.is_empty());

    fixture.broker.trim(at(1, 1), 1);
    fixture.write(1, 1);
    let answer = client.fetch(request(&[(1, 3)])).await;
    assert_eq!((answer[0].log_start_offset, answer[0].high_watermark), (1, 3), "new offsets");
    assert!(client.fetch(same(0)).await.is_empty());
}

#[tokio::test]
async fn partitions_join_and_leave_a_session() {
    let fixture = Fixture::start(TOPICS).await;
    let mut client = Client::of(&fixture);
    client.fetch(request(&[(0, 0)])).await;
    let answer = client.fetch(request(&[(2, 0), (1, 0)])).await;
    assert_eq!(indexes(&answer), [2, 1], "only the new ones");
    (0..3).for_each(|partition| fixture.write(partition, 1));
    assert_eq!(indexes(&client.fetch(forget(&[0, 2])).await), [1]);
    assert_eq!(indexes(&client.fetch(same(0)).await), [1]);
    assert!(client.fetch(forget(&[1])).await.is_empty());
    assert_eq!(client.session, 0, "a session of nothing is none");
}

#[tokio::test]
async fn an_error_is_told_until_it_is_over() {
    let fixture = Fixture::start(TOPICS).await;
    let mut client = Client::of(&fixture);
    let mut unknown = request(&[(0, 0)]);
    unknown
        .topics
        .push(FetchTopic { topic_id: topic_id(9), ..request(&[(0, 0)]).topics[0].clone() });
    client.fetch(unknown).await;
    for _ in 0..2 {
        let began = Instant::now();
        let answer = client.fetch(same(60_000)).await;
        assert_eq!(answer[0].error_code, ErrorCode::UNKNOWN_TOPIC_ID);
        assert!((answer.len(), began.elapsed()) < (2, Duration::from_secs(50)), "at once");
    }
    put_topic(fixture.cluster.metadata.store(), "late", 9, 1).await;
    let mut changes = fixture.cluster.view.changes();
    while fixture.cluster.view.now().topic_by_id(topic_id(9)).is_none() {
        changes.next().await;
    }
    let answer = client.fetch(same(0)).await;
    assert_eq!((indexes(&answer), answer[0].error_code), (vec![0], ErrorCode::NONE));
    assert!(client.fetch(same(0)).await.is_empty());
}

#[tokio::test]
async fn a_client_that_believes_in_another_session_is_told_so() {
    let fixture = Fixture::start(TOPICS).await;
    let mut client = Client::of(&fixture);
    client.open().await;
    let code = async |client: &Client<'_>, epoch| client.ask(epoch, same(0)).await.error_code;
    assert_eq!(code(&client, 7).await, ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    client.version = 12;
    assert_eq!(code(&client, 1).await, ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
    client.version = 18;
    assert!(client.fetch(same(0)).await.is_empty(), "the session has survived all that");

    let other = Client { session: client.session, ..Client::of(&fixture) };
    assert_eq!(code(&other, 2).await, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    client.session += 1;
    assert_eq!(code(&client, 2).await, ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
    client.session -= 1;

    let response = client.ask(-1, request(&[(0, 0)])).await;
    assert_eq!((response.error_code, response.session_id), (ErrorCode::NONE, 0));
    assert_eq!(code(&client, 2).await, ErrorCode::FETCH_SESSION_ID_NOT_FOUND, "it was ended");
}

#[tokio::test]
async fn a_new_session_takes_the_place_of_the_old_one() {
    let fixture = Fixture::start(TOPICS).await;
    let mut client = Client::of(&fixture);
    client.open().await;
    let before = client.session;
    client.epoch = 0;
    client.open().await;
    assert_ne!(client.session, before);
    assert!(client.fetch(same(0)).await.is_empty());
}

#[tokio::test]
async fn old_clients_name_topics_by_name() {
    let fixture = Fixture::start(TOPICS).await;
    let mut client = Client { version: 7, ..Client::of(&fixture) };
    client.open().await;
    fixture.write(2, 1);
    assert_eq!(indexes(&client.fetch(same(0)).await), [2]);
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_waits_as_long_as_it_may_and_hears_what_comes() {
    let fixture = Fixture::start(TOPICS).await;
    let mut client = Client::of(&fixture);
    client.open().await;
    for _ in 0..5 {
        let began = Instant::now();
        assert!(client.fetch(same(500)).await.is_empty());
        assert_eq!(began.elapsed(), Duration::from_millis(500));
    }
    let began = Instant::now();
    let writing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.write(1, 1);
    };
    let (answer, ()) = tokio::join!(client.fetch(same(60_000)), writing);
    assert_eq!((indexes(&answer), began.elapsed()), (vec![1], Duration::from_millis(300)));

    client.fetch(request(&[(1, 1)])).await;
    client.fetch(same(500)).await;
    fixture.write(0, 1);
    let began = Instant::now();
    let answer = client.fetch(same(60_000)).await;
    assert_eq!((indexes(&answer), began.elapsed()), (vec![0], Duration::ZERO), "between fetches");
}

#[tokio::test(start_paused = true)]
async fn an_idle_session_notices_a_new_owner_and_other_terms() {
    let fixture = Fixture::start(TOPICS).await;
    let mut client = Client::of(&fixture);
    client.open().await;
    client.fetch(same(500)).await;
    let patient = FetchRequest { min_bytes: 1000, ..same(500) };
    client.fetch(patient.clone()).await;
    fixture.write(0, 1);
    let began = Instant::now();
    let answer = client.fetch(patient).await;
    assert_eq!((indexes(&answer), began.elapsed()), (vec![0], Duration::from_millis(500)));
    fixture.broker.lose(at(1, 2));
    settle().await; // The news is on its way.
    let answer = client.fetch(same(60_000)).await;
    let failed: Vec<_> = answer.iter().filter(|it| !it.error_code.is_none()).collect();
    assert_eq!(failed[0].error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!((failed.len(), failed[0].partition_index), (1, 2));
}

#[tokio::test]
async fn partitions_take_turns_when_an_answer_has_no_room_for_all() {
    let fixture = Fixture::start(TOPICS).await;
    (0..3).for_each(|partition| fixture.write(partition, 1));
    let mut client = Client::of(&fixture);
    let tight = |request| FetchRequest { max_bytes: 10, ..request };
    let given = |answer: &[PartitionData]| {
        let mut given = answer.iter().filter(|it| !it.records.as_ref().unwrap().is_empty());
        given.next().map(|partition| partition.partition_index)
    };
    let first = client.fetch(tight(request(&[(0, 0), (1, 0), (2, 0)]))).await;
    let mut turns = vec![given(&first)];
    for _ in 0..5 {
        turns.push(given(&client.fetch(tight(same(0))).await));
    }
    assert_eq!(turns, [0, 1, 2, 0, 1, 2].map(Some));
}

#[tokio::test]
async fn sessions_are_held_to_their_memory() {
    let settings = Settings { fetch_session_memory_bytes: 4096, ..Settings::default() };
    let fixture = Fixture::with(settings, TOPICS).await;
    let mut client = Client::of(&fixture);
    client.open().await;
    let mut clicks = request(&(0..20).map(|index| (index, 0)).collect::<Vec<_>>());
    clicks.topics[0].topic_id = topic_id(2);
    let response = client.ask(1, clicks.clone()).await;
    assert_eq!(response.error_code, ErrorCode::FETCH_SESSION_ID_NOT_FOUND, "begin again");
    let response = client.ask(0, clicks.clone()).await;
    assert_eq!((response.error_code, response.session_id), (ErrorCode::NONE, 0), "none for it");
    assert_eq!(response.responses[0].partitions.len(), 20, "and served all the same");
    let mut others: Vec<_> = (0..3).map(|_| Client::of(&fixture)).collect();
    for other in &mut others {
        let response = other.ask(0, request(&[(0, 0), (1, 0), (2, 0)])).await;
        other.session = response.session_id;
    }
    let given = others.iter().filter(|other| other.session != 0).count();
    assert_eq!(given, 2, "of 3 × 3 partitions");
    drop(others);
    client.session = 0;
    client.epoch = 0;
    client.open().await;
}
