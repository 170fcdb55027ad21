use futures::FutureExt;
use weir_protocol::{
    messages::produce::{PartitionProduceData, PartitionProduceResponse, TopicProduceData},
    records::Compression,
};

use super::*;
use crate::testing::{BATCH_BYTES_MAX, Fixture, at, call, produced, record, topic_id};

pub(super) const TOPICS: &[(&str, u128, u32)] = &[("orders", 1, 3), ("__consumer_offsets", 9, 1)];

/// A request with these records for partitions of topic 1.
pub(in crate::handlers) fn request(
    acks: i16,
    partitions: &[(i32, bytes::Bytes)],
) -> ProduceRequest {
    let partition = |(index, records): &(i32, bytes::Bytes)| PartitionProduceData {
        index: *index,
        records: Some(records.clone().into()),
    };
    let topic = TopicProduceData {
        name: "orders".into(),
        topic_id: topic_id(1),
        partition_data: partitions.iter().map(partition).collect(),
    };
    ProduceRequest { acks, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

impl Fixture {
    async fn produce(
        &self,
        version: i16,
        request: ProduceRequest,
    ) -> Vec<PartitionProduceResponse> {
        let response = match self.outcome(version, request).await {
            Outcome::Answer(response) => response,
            Outcome::Unanswered(_) => panic!("acks were asked for"),
        };
        response.responses.into_iter().flat_map(|topic| topic.partition_responses).collect()
    }

    async fn outcome(&self, version: i16, request: ProduceRequest) -> Outcome {
        let appending = begin(&self.handlers, call(version), request).await;
        appending.answer(Arc::clone(&self.handlers)).await
    }

    async fn code(&self, version: i16, request: ProduceRequest) -> ErrorCode {
        self.produce(version, request).await[0].error_code
    }
}

#[tokio::test]
async fn answers_with_the_offsets_of_each_partition() {
    let fixture = Fixture::start(TOPICS).await;
    let batch = produced(5, 100, Compression::None);
    let answer = fixture.produce(11, request(-1, &[(0, batch.clone()), (2, record())])).await;
    assert_eq!((answer[0].index, answer[0].base_offset), (0, 0));
    assert_eq!((answer[1].index, answer[1].base_offset), (2, 0));
    assert_eq!((answer[0].log_append_time_ms, answer[0].log_start_offset), (-1, 0));
    let again = fixture.produce(11, request(1, &[(0, batch)])).await;
    assert_eq!((again[0].error_code, again[0].base_offset), (ErrorCode::NONE, 5));
    assert_eq!(fixture.handlers.owners.epoch(at(1, 0)).0, 3);
}

#[tokio::test]
async fn the_wires_own_rules_are_checked() {
    let fixture = Fixture::start(TOPICS).await;
    let ok = || request(-1, &[(0, record())]);
    assert_eq!(fixture.code(11, request(2, &[(0, record())])).await.0, 21);
    assert_eq!(fixture.code(11, request(-2, &[(0, record())])).await.0, 21);
    assert_eq!(fixture.code(11, request(-1, &[(3, record())])).await.0, 3);
    assert_eq!(fixture.code(11, request(-1, &[(-1, record())])).await.0, 3);

    let mut elsewhere = ok();
    elsewhere.topic_data[0].name = "nothing".into();
    elsewhere.topic_data[0].topic_id = topic_id(99);
    assert_eq!(fixture.code(11, elsewhere.clone()).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(fixture.code(13, elsewhere).await, ErrorCode::UNKNOWN_TOPIC_ID);

    let mut internal = ok();
    internal.topic_data[0].name = "__consumer_offsets".into();
    assert_eq!(fixture.code(11, internal).await, ErrorCode::INVALID_TOPIC_EXCEPTION);

    let zstd = || request(-1, &[(0, produced(1, 10, Compression::Zstd))]);
    assert_eq!(fixture.code(6, zstd()).await, ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    assert_eq!(fixture.code(7, zstd()).await, ErrorCode::NONE);
    assert_eq!(fixture.broker.log(at(1, 0)).len(), 1, "nothing that was refused is there");
}

#[tokio::test]
async fn what_the_broker_refuses_is_told_partition_by_partition() {
    let fixture = Fixture::start(TOPICS).await;
    let two = [record(), record()].concat().into();
    let mut flipped = record().to_vec();
    flipped[80] ^= 1;
    let large = produced(1, BATCH_BYTES_MAX, Compression::None);
    let mut request = request(-1, &[(0, two), (1, flipped.into()), (2, large), (0, record())]);
    request.topic_data[0].partition_data.push(PartitionProduceData { index: 1, records: None });
    let answer = fixture.produce(11, request).await;
    let codes: Vec<_> = answer.iter().map(|partition| partition.error_code).collect();
    let expected = [
        ErrorCode::INVALID_RECORD,
        ErrorCode::CORRUPT_MESSAGE,
        ErrorCode::MESSAGE_TOO_LARGE,
        ErrorCode::NONE,
        ErrorCode::INVALID_RECORD,
    ];
    assert_eq!(codes, expected);
    assert!(answer[0].error_message.is_some() && answer[0].base_offset == -1);
    assert_eq!(answer[3].base_offset, 0);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_not_owned_names_its_leader() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.lose(at(1, 1));
    let Outcome::Answer(response) = fixture.outcome(10, request(-1, &[(1, record())])).await else {
        panic!("acks were asked for");
    };
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!(partition.current_leader.leader_id, 1);
    assert_eq!(response.node_endpoints[0].node_id, 1);
    assert_eq!(fixture.code(9, request(-1, &[(1, record())])).await.0, 6);
}

#[tokio::test(start_paused = true)]
async fn an_append_that_takes_too_long_times_out_alone() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.hold();
    let began = Instant::now();
    let answer = fixture.produce(11, request(-1, &[(0, record()), (5, record())])).await;
    assert_eq!(began.elapsed(), Duration::from_secs(30));
    assert_eq!(answer[0].error_code, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(answer[1].error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let hasty = ProduceRequest { timeout_ms: 0, ..request(-1, &[(0, record())]) };
    let began = Instant::now();
    assert_eq!(fixture.code(11, hasty).await, ErrorCode::REQUEST_TIMED_OUT);
    assert_eq!(began.elapsed(), TIMEOUT_MIN);
}

#[tokio::test]
async fn records_are_handed_over_before_anybody_waits_for_an_answer() {
    let fixture = Fixture::start(TOPICS).await;
    fixture.broker.hold();
    let mut appending = Vec::new();
    for size in 1..=3 {
        let batch = produced(size, 10, Compression::None);
        appending.push(begin(&fixture.handlers, call(11), request(-1, &[(0, batch)])).await);
    }
    let bases: Vec<_> = fixture.broker.log(at(1, 0)).iter().map(|(base, _)| *base).collect();
    assert_eq!(bases, [0, 1, 3], "in the order of the requests");
    fixture.broker.release(true);
    for (appending, expected) in appending.into_iter().zip(bases) {
        let answer = appending.answer(Arc::clone(&fixture.handlers)).now_or_never().unwrap();
        let Outcome::Answer(response) = answer else { panic!("acks were asked for") };
        assert_eq!(response.responses[0].partition_responses[0].base_offset, expected);
    }
}

#[tokio::test]
async fn without_acks_only_an_error_is_told() {
    let fixture = Fixture::start(TOPICS).await;
    let told = async |request| match fixture.outcome(11, request).await {
        Outcome::Unanswered(told) => told,
        Outcome::Answer(_) => panic!("no acks were asked for"),
    };
    assert_eq!(told(request(0, &[(0, record())])).await, Ok(()));
    let unknown = told(request(0, &[(9, record())])).await;
    assert_eq!(unknown, Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    let refused = told(request(0, &[(0, bytes::Bytes::from_static(b"nonsense"))])).await;
    assert_eq!(refused, Err(ErrorCode::CORRUPT_MESSAGE));
}
