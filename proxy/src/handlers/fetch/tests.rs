use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use weir_ids::{Offset, SessionId};
use weir_protocol::{
    ErrorCode,
    messages::fetch::{FetchPartition, FetchTopic, PartitionData},
    records::Compression,
};
use weir_segment_store::{
    ObjectName,
    object::{Header, Kind},
    pages, testing as objects,
};

use super::*;
use crate::{
    settings::Settings,
    testing::{Fixture, at, call, produced, record, settle, topic_id},
};

pub(super) const TOPICS: &[(&str, u128, u32)] = &[("orders", 1, 3), ("clicks", 2, 2000)];

/// A fetch of partitions of topic 1 from offsets, by topic id.
pub(in crate::handlers) fn request(partitions: &[(i32, i64)]) -> FetchRequest {
    let partition = |&(partition, fetch_offset)| FetchPartition {
        partition,
        fetch_offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let partitions = partitions.iter().map(partition).collect();
    let topics = vec![FetchTopic { topic_id: topic_id(1), topic: "orders".into(), partitions }];
    FetchRequest { max_bytes: 50 << 20, min_bytes: 1, topics, ..FetchRequest::default() }
}

/// The same with a wait.
pub(super) fn waiting(partitions: &[(i32, i64)], max_wait_ms: i32) -> FetchRequest {
    FetchRequest { max_wait_ms, ..request(partitions) }
}

impl Fixture {
    async fn fetch(&self, request: FetchRequest) -> Vec<PartitionData> {
        self.fetch_in(18, request).await
    }

    async fn fetch_in(&self, version: i16, request: FetchRequest) -> Vec<PartitionData> {
        let response = self.whole(version, request).await;
        assert_eq!((response.error_code, response.session_id), (ErrorCode::NONE, 0));
        response.responses.into_iter().flat_map(|topic| topic.partitions).collect()
    }

    async fn whole(&self, version: i16, request: FetchRequest) -> FetchResponse {
        let body = super::handle(&self.handlers, &call(version), request).await.into_body();
        let weir_protocol::ResponseBody::Fetch(response) = body else { panic!("{body:?}") };
        response
    }

    /// Writes records of 100 bytes, a batch each.
    pub(super) fn write(&self, partition: u32, batches: usize) {
        (0..batches).for_each(|_| self.broker.write(at(1, partition), record()));
    }
}

pub(super) fn records(data: &PartitionData) -> Bytes {
    data.records.clone().unwrap().into_bytes()
}

#[tokio::test]
async fn returns_whole_batches_and_the_offsets_of_the_partition() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.write(at(1, 0), produced(5, 100, Compression::None));
    fixture.broker.write(at(1, 0), produced(3, 100, Compression::Lz4));
    let log = fixture.broker.log(at(1, 0));
    let answer = fixture.fetch(request(&[(0, 3)])).await;
    assert_eq!(records(&answer[0]), [&log[0].1[..], &log[1].1].concat(), "from inside a batch");
    assert_eq!((answer[0].high_watermark, answer[0].last_stable_offset), (8, 8));
    assert_eq!((answer[0].log_start_offset, answer[0].preferred_read_replica), (0, -1));
    assert_eq!(answer[0].aborted_transactions, None);
    let answer = fixture.fetch(request(&[(0, 5)])).await;
    assert_eq!(records(&answer[0]), log[1].1);
}

#[tokio::test]
async fn isolation_asks_for_aborted_transactions() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.write(0, 1);
    let committed = FetchRequest { isolation_level: 1, ..request(&[(0, 0)]) };
    assert_eq!(fixture.fetch(committed).await[0].aborted_transactions, Some(Vec::new()));
}

#[tokio::test]
async fn the_first_batch_may_exceed_every_limit_and_no_other() {
    let fixture = Fixture::start(TOPICS).await;
    for partition in 0..2 {
        fixture.broker.write(at(1, partition), produced(1, 5000, Compression::None));
        fixture.write(partition, 1);
    }
    let mut tight = request(&[(2, 0), (0, 0), (1, 0)]);
    tight.max_bytes = 10;
    let answer = fixture.fetch(tight).await;
    let log = fixture.broker.log(at(1, 0));
    assert!(records(&answer[0]).is_empty());
    assert_eq!(records(&answer[1]), log[0].1, "one batch, though it has 5,000 bytes");
    assert!(records(&answer[2]).is_empty());
    assert_eq!(answer[2].high_watermark, 2, "its offsets are told nevertheless");

    let mut fair = request(&[(0, 0), (1, 0)]);
    for partition in &mut fair.topics[0].partitions {
        partition.partition_max_bytes = 5100;
    }
    let answer = fixture.fetch(fair).await;
    assert_eq!(records(&answer[0]), log[0].1);
    assert_eq!(records(&answer[1]), fixture.broker.log(at(1, 1))[0].1);
}

#[tokio::test]
async fn errors_are_kafkas_own() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.write(0, 1);
    let code = async |request| fixture.fetch(request).await[0].error_code;
    assert_eq!(code(request(&[(0, 2)])).await, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(code(request(&[(0, -1)])).await, ErrorCode::OFFSET_OUT_OF_RANGE);
    fixture.broker.trim(at(1, 0), 1);
    assert_eq!(code(request(&[(0, 0)])).await, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert_eq!(code(request(&[(3, 0)])).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(code(request(&[(-1, 0)])).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let mut elsewhere = request(&[(0, 0)]);
    elsewhere.topics[0].topic_id = topic_id(99);
    assert_eq!(code(elsewhere.clone()).await, ErrorCode::UNKNOWN_TOPIC_ID);
    elsewhere.topics[0].topic = "nothing".into();
    let answer = fixture.fetch_in(12, elsewhere).await;
    assert_eq!(answer[0].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    for (epoch, expected) in [
        (2, ErrorCode::FENCED_LEADER_EPOCH),
        (3, ErrorCode::NONE),
        (4, ErrorCode::UNKNOWN_LEADER_EPOCH),
    ] {
        let mut request = request(&[(0, 1)]);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        assert_eq!(code(request).await, expected);
    }
}

#[tokio::test]
async fn a_failed_partition_has_empty_records_and_no_offsets() {
    let fixture = Fixture::start(TOPICS).await;
    let answer = fixture.fetch(waiting(&[(0, 7), (1, 0)], 60_000)).await;
    let failed = &answer[0];
    assert_eq!((failed.high_watermark, failed.log_start_offset), (-1, -1));
    assert!(failed.records.as_ref().unwrap().is_empty(), "not null: old clients trip over it");
    assert_eq!(answer[1].error_code, ErrorCode::NONE, "told at once, without waiting");
}

#[tokio::test]
async fn who_asks_the_wrong_owner_is_told_the_leader_and_where_it_is() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.write(0, 1);
    fixture.fetch(request(&[(0, 0)])).await;
    fixture.broker.lose(at(1, 0));
    let response = fixture.whole(16, request(&[(0, 0)])).await;
    let data = &response.responses[0].partitions[0];
    assert_eq!(data.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!((data.current_leader.leader_id, data.current_leader.leader_epoch), (1, 3));
    let [endpoint] = &response.node_endpoints[..] else { panic!("one endpoint") };
    assert_eq!((endpoint.node_id, &*endpoint.host, endpoint.port), (1, "127.0.0.1", 9092));
    let response = fixture.whole(12, request(&[(0, 0)])).await;
    assert!(response.node_endpoints.is_empty());
    assert_eq!(response.responses[0].partitions[0].current_leader.leader_id, 1);
}

#[tokio::test]
async fn zstd_is_not_sent_to_who_may_not_know_it() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.write(at(1, 0), produced(2, 100, Compression::None));
    fixture.broker.write(at(1, 0), produced(2, 100, Compression::Zstd));
    let answer = fixture.fetch_in(9, request(&[(0, 0)])).await;
    assert_eq!(answer[0].error_code, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    assert!(records(&answer[0]).is_empty());
    assert_eq!(fixture.fetch_in(10, request(&[(0, 0)])).await[0].error_code, ErrorCode::NONE);
}

#[tokio::test]
async fn what_lies_behind_the_tail_is_read_from_the_store() {
    let fixture = Fixture::start(TOPICS).await;
    let object = ObjectName::Sorted { session: SessionId(5), number: 1 };
    let chunk = |base| {
        let batches: Vec<_> = (0..5_i64).map(|i| objects::batch(3, base + i * 2, 2)).collect();
        (objects::chunk(at(1, 0), 3, &batches), batches)
    };
    let (first, first_batches) = chunk(0);
    let (second, second_batches) = chunk(10);
    let slot = weir_ids::Slot(1);
    let body = objects::body(SessionId(5), slot, vec![first, second]);
    fixture.store.create(object, &body.parts).await.unwrap();
    let references = body.chunks.iter().map(|chunk| chunk.reference(object, 0)).collect();
    fixture.broker.store(at(1, 0), references, 20);

    let answer = fixture.fetch(request(&[(0, 5)])).await;
    let expected: Vec<u8> = first_batches[2..]
        .iter()
        .chain(&second_batches)
        .flat_map(|batch| batch.to_bytes())
        .collect();
    assert_eq!(answer[0].error_code, ErrorCode::NONE);
    assert_eq!(records(&answer[0]), expected);
    assert_eq!(answer[0].high_watermark, 20);

    let mut small = request(&[(0, 5)]);
    small.topics[0].partitions[0].partition_max_bytes = 1;
    assert_eq!(records(&fixture.fetch(small).await[0]), first_batches[2].to_bytes());
}

#[tokio::test]
async fn what_a_page_lists_is_read_through_it() {
    let fixture = Fixture::start(TOPICS).await;
    let (session, number) = (SessionId(5), 1);
    let object = ObjectName::Sorted { session, number };
    let batches: Vec<_> = (0..5_i64).map(|i| objects::batch(3, i * 2, 2)).collect();
    let chunks = batches.iter().map(|it| objects::chunk(at(1, 0), 3, std::slice::from_ref(it)));
    let body = objects::body(session, weir_ids::Slot(1), chunks.collect());
    fixture.store.create(object, &body.parts).await.unwrap();
    let references = body.chunks.iter().map(|chunk| chunk.reference(object, 0)).collect();
    let header =
        Header { cluster: objects::CLUSTER, session, number, put_id: 1, kind: Kind::Pages };
    let name = ObjectName::Pages { session, number };
    let mut builder = pages::Builder::new(name, &header);
    let entries = pages::Entries::References(references);
    let page = builder.add(&pages::Page { partition: at(1, 0), entries });
    fixture.broker.page(at(1, 0), page, 10);
    let answer = fixture.fetch(request(&[(0, 5)])).await;
    assert_eq!(answer[0].error_code, ErrorCode::KAFKA_STORAGE_ERROR, "the page is not there");
    fixture.store.create(name, &builder.finish()).await.unwrap();
    let answer = fixture.fetch(request(&[(0, 5)])).await;
    let expected: Vec<u8> = batches[2..].iter().flat_map(|batch| batch.to_bytes()).collect();
    assert_eq!(answer[0].error_code, ErrorCode::NONE);
    assert_eq!(records(&answer[0]), expected);
}

#[tokio::test]
async fn an_object_that_is_gone_is_a_storage_error() {
    let fixture = Fixture::start(TOPICS).await;
    let object = ObjectName::Sorted { session: SessionId(5), number: 1 };
    let batches = [objects::batch(3, 0, 2)];
    let chunks = vec![objects::chunk(at(1, 0), 3, &batches)];
    let body = objects::body(SessionId(5), weir_ids::Slot(1), chunks);
    fixture.broker.store(at(1, 0), vec![body.chunks[0].reference(object, 0)], 2);
    let answer = fixture.fetch(waiting(&[(0, 0)], 60_000)).await;
    assert_eq!(answer[0].error_code, ErrorCode::KAFKA_STORAGE_ERROR);
}

#[tokio::test]
async fn what_finds_no_room_in_the_answer_is_not_read_from_the_store() {
    // A full answer ends reading; one with a little room, when something does not fit.
    for (more_room, read) in [(0, 1), (1, 2)] {
        let fixture = Fixture::start(TOPICS).await;
        let batches = [objects::batch(3, 0, 2)];
        let one = batches[0].to_bytes().len() as i32;
        for partition in 0..3 {
            let object = ObjectName::Sorted { session: SessionId(5), number: u64::from(partition) };
            let chunks = vec![objects::chunk(at(1, partition), 3, &batches)];
            let body = objects::body(SessionId(5), weir_ids::Slot(1), chunks);
            // Who reads the others meets an error.
            if partition < read {
                fixture.store.create(object, &body.parts).await.unwrap();
            }
            fixture.broker.store(at(1, partition), vec![body.chunks[0].reference(object, 0)], 2);
        }
        let mut request = request(&[(0, 0), (1, 0), (2, 0)]);
        request.max_bytes = one + more_room;
        request.topics[0].partitions.iter_mut().for_each(|it| it.partition_max_bytes = one / 2);
        let answer = fixture.fetch(request).await;
        assert_eq!(records(&answer[0]), batches[0].to_bytes());
        let rest = answer[1..].iter().map(|it| (it.error_code, it.high_watermark));
        assert_eq!(rest.collect::<Vec<_>>(), [(ErrorCode::NONE, 2); 2], "{more_room}");
        let is_ahead = |index| fixture.handlers.ahead.knows(at(1, index), Offset(2));
        assert!(is_ahead(0) && !is_ahead(1), "who was not given the second is not behind it");
    }
}

#[tokio::test]
async fn what_surely_finds_no_room_is_not_even_asked_for() {
    let fixture = Fixture::start(TOPICS).await;
    let batches = [objects::batch(3, 0, 2)];
    let one = batches[0].to_bytes().len() as i32;
    let object = |partition| ObjectName::Sorted { session: SessionId(5), number: partition };
    for partition in 0..3 {
        let chunks = vec![objects::chunk(at(1, partition), 3, &batches)];
        let body = objects::body(SessionId(5), weir_ids::Slot(1), chunks);
        let object = object(u64::from(partition));
        fixture.store.create(object, &body.parts).await.unwrap();
        fixture.broker.store(at(1, partition), vec![body.chunks[0].reference(object, 0)], 2);
    }
    let mut both = request(&[(0, 0), (1, 0), (2, 0)]);
    both.max_bytes = 2 * one;
    both.topics[0].partitions.iter_mut().for_each(|it| it.partition_max_bytes = one);
    let answer = fixture.fetch(both).await;
    let lens: Vec<_> = answer.iter().map(|it| records(it).len() as i32).collect();
    assert_eq!(lens, [one, one, 0]);
    // Had it been read, it would be kept.
    fixture.store.delete(object(2)).await.unwrap();
    let answer = fixture.fetch(request(&[(2, 0)])).await;
    assert_eq!(answer[0].error_code, ErrorCode::KAFKA_STORAGE_ERROR);
}

#[tokio::test(start_paused = true)]
async fn waits_as_long_as_it_may_and_no_longer() {
    let fixture = Fixture::start(TOPICS).await;
    let began = Instant::now();
    let answer = fixture.fetch(waiting(&[(0, 0)], 500)).await;
    assert_eq!(began.elapsed(), Duration::from_millis(500));
    assert_eq!((answer[0].error_code, answer[0].high_watermark), (ErrorCode::NONE, 0));
    let began = Instant::now();
    fixture.fetch(waiting(&[(0, 0)], 0)).await;
    fixture.fetch(waiting(&[(0, 0)], -5)).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn wakes_when_something_is_appended() {
    let fixture = Fixture::start(TOPICS).await;
    let began = Instant::now();
    let writing = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.write(1, 1);
    };
    let (answer, ()) = tokio::join!(fixture.fetch(waiting(&[(0, 0), (1, 0)], 60_000)), writing);
    assert_eq!(began.elapsed(), Duration::from_millis(300));
    assert!(records(&answer[0]).is_empty());
    assert_eq!(records(&answer[1]), fixture.broker.log(at(1, 1))[0].1);
}

#[tokio::test(start_paused = true)]
async fn waits_for_min_bytes_over_all_partitions_together() {
    let fixture = Fixture::start(TOPICS).await;
    let one = record().len();
    let began = Instant::now();
    let mut request = waiting(&[(0, 0), (1, 0)], 60_000);
    request.min_bytes = 3 * one as i32;
    let writing = async {
        for partition in [0, 1, 0] {
            tokio::time::sleep(Duration::from_secs(1)).await;
            fixture.write(partition, 1);
        }
    };
    let (answer, ()) = tokio::join!(fixture.fetch(request.clone()), writing);
    assert_eq!(began.elapsed(), Duration::from_secs(3));
    assert_eq!(records(&answer[0]).len() + records(&answer[1]).len(), 3 * one);

    let began = Instant::now();
    request.topics[0].partitions[0].fetch_offset = 1;
    request.min_bytes = 100 << 20;
    let answer = fixture.fetch(request).await;
    assert_eq!(began.elapsed(), Duration::from_secs(60), "the time is over");
    assert_eq!(records(&answer[0]).len(), one, "what there is, though it is not enough");
}

#[tokio::test(start_paused = true)]
async fn what_came_meanwhile_is_given_at_the_deadline_though_it_is_not_enough() {
    let fixture = Fixture::start(TOPICS).await;
    let mut request = waiting(&[(0, 0), (1, 0)], 2_000);
    request.min_bytes = 100 << 20;
    fixture.fetch(request.clone()).await; // From now on news of both is heard.
    let writing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fixture.write(0, 1);
    };
    let (answer, ()) = tokio::join!(fixture.fetch(request), writing);
    assert_eq!(records(&answer[0]), fixture.broker.log(at(1, 0))[0].1);
    assert_eq!(answer[0].high_watermark, 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_owner_or_epoch_ends_the_wait() {
    let fixture = Fixture::start(TOPICS).await;
    let began = Instant::now();
    let mut believing = waiting(&[(0, 0)], 60_000);
    believing.topics[0].partitions[0].current_leader_epoch = 3;
    let change = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        fixture.broker.next_epoch(at(1, 0));
    };
    let (answer, ()) = tokio::join!(fixture.fetch(believing), change);
    assert_eq!(answer[0].error_code, ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(answer[0].current_leader.leader_epoch, 4, "the one to believe in");
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_moves_is_read_at_its_new_owner() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.write(0, 1);
    fixture.broker.lose(at(1, 0));
    let began = Instant::now();
    let answer = fixture.fetch(waiting(&[(0, 0)], 500)).await;
    assert_eq!(answer[0].error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert!(began.elapsed() >= Duration::from_millis(450), "{:?}", began.elapsed());
    // Once while it is looked for, and once while it is waited at.
    for moving in [true, false] {
        let before = fixture.broker.log(at(1, 0)).len();
        let next = before as i64;
        let change = async {
            if !moving {
                tokio::time::sleep(Duration::from_millis(300)).await;
                fixture.broker.lose(at(1, 0));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            fixture.broker.find(at(1, 0));
            fixture.write(0, 1);
        };
        let (answer, ()) = tokio::join!(fixture.fetch(waiting(&[(0, next)], 60_000)), change);
        assert_eq!(answer[0].error_code, ErrorCode::NONE);
        assert_eq!(records(&answer[0]), fixture.broker.log(at(1, 0))[before].1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_is_looked_for_within_limits() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.lose(at(1, 0));
    let began = Instant::now();
    let answer = fixture.fetch(waiting(&[(0, 0), (1, 0)], 60_000)).await;
    assert_eq!(answer[0].error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(answer[1].error_code, ErrorCode::NONE);
    let reads = fixture.broker.reads.load(Ordering::Relaxed);
    assert!(began.elapsed() <= PATIENCE && reads < 70, "{:?}, {reads} reads", began.elapsed());
    // What another partition has does not wait for it.
    let began = Instant::now();
    fixture.write(1, 1);
    let answer = fixture.fetch(waiting(&[(0, 0), (1, 0)], 60_000)).await;
    assert_eq!(answer[1].records.as_ref().unwrap().len(), record().len());
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_knows_more_than_the_owner_waits_for_it() {
    let fixture = Fixture::start(TOPICS).await;
    let believing = |max_wait_ms| {
        let mut request = waiting(&[(0, 0)], max_wait_ms);
        request.topics[0].partitions[0].current_leader_epoch = 4;
        request
    };
    let answer = fixture.fetch(believing(500)).await;
    assert_eq!(answer[0].error_code, ErrorCode::UNKNOWN_LEADER_EPOCH);
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.broker.next_epoch(at(1, 0));
        fixture.write(0, 1);
    };
    let (answer, ()) = tokio::join!(fixture.fetch(believing(60_000)), change);
    assert_eq!((answer[0].error_code, answer[0].high_watermark), (ErrorCode::NONE, 1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_idle_consumers_ask_the_broker_nothing() {
    let fixture = Fixture::start(TOPICS).await;
    let poll = async |partition: i32| {
        let mut request = waiting(&[(partition, 0)], 500);
        request.topics[0].topic_id = topic_id(2);
        fixture.fetch(request).await
    };
    let all = || futures::future::join_all((0..1000).map(&poll));
    all().await;
    let reads = fixture.broker.reads.load(Ordering::Relaxed);
    assert!(reads <= 1000, "each partition is asked about once: {reads}");
    let began = Instant::now();
    for _ in 0..10 {
        for answer in all().await {
            assert_eq!((answer[0].error_code, answer[0].high_watermark), (ErrorCode::NONE, 0));
        }
    }
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert_eq!(fixture.broker.reads.load(Ordering::Relaxed), reads, "and then never again");
}

#[tokio::test(start_paused = true)]
async fn a_stopping_proxy_answers_waiting_fetches_at_once() {
    let fixture = Fixture::start(TOPICS).await;
    let began = Instant::now();
    let stopping = async {
        settle().await;
        fixture.tasks.request_stop();
    };
    let (answer, ()) = tokio::join!(fixture.fetch(waiting(&[(0, 0)], 60_000)), stopping);
    assert_eq!((began.elapsed(), answer[0].error_code), (Duration::ZERO, ErrorCode::NONE));
}

#[tokio::test]
async fn slow_consumers_share_a_bounded_memory() {
    let total = 4 << 20;
    let settings = Settings { response_memory_bytes: total, ..Settings::default() };
    let fixture = Fixture::with(settings, TOPICS).await;
    fixture.write(0, 10_000);
    let mut held = Vec::new();
    let mut smallest = usize::MAX;
    // None of these is ever written out.
    while fixture.handlers.shared.response_memory.free_bytes() > 64 << 10 {
        let answer = super::handle(&fixture.handlers, &call(18), request(&[(0, 0)])).await;
        assert!(answer.memory.bytes() > 0);
        smallest = smallest.min(answer.memory.bytes());
        held.push(answer);
    }
    assert!(held.len() > 40, "many get something: {}", held.len());
    assert!(smallest <= 64 << 10, "less under pressure: {smallest}");
    let sum: usize = held.iter().map(|answer| answer.memory.bytes()).sum();
    assert!(sum <= total);
    held.clear();
    assert_eq!(fixture.handlers.shared.response_memory.free_bytes(), total);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_memory_cuts_short_does_not_wait_for_min_bytes() {
    let settings = Settings { response_memory_bytes: 4 << 20, ..Settings::default() };
    let fixture = Fixture::with(settings, TOPICS).await;
    fixture.write(0, 10_000);
    let mut request = waiting(&[(0, 0)], 60_000);
    request.min_bytes = 1 << 20;
    let began = Instant::now();
    let answer = fixture.fetch(request).await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    let bytes = records(&answer[0]).len();
    assert!((64 << 10..=128 << 10).contains(&bytes), "{bytes}");
}

#[tokio::test(start_paused = true)]
async fn without_memory_a_fetch_answers_without_records() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.write(0, 3);
    let budget = &fixture.handlers.shared.response_memory;
    let _all = budget.reserve(budget.total_bytes()).await;
    let answer = fixture.fetch(request(&[(0, 0)])).await;
    assert_eq!((answer[0].error_code, answer[0].high_watermark), (ErrorCode::NONE, 3));
    assert!(records(&answer[0]).is_empty());
}
