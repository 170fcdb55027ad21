//! What clients ask of a partition's log beside its records: that it begins later, and where epochs ended.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_protocol::messages::{DeleteRecordsRequest, OffsetForLeaderEpochRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use weir_acceptance::load::{Reader, Writer, WriterSettings};
use weir_test_support::wire::Connection;
use weir_test_support::{Admin, Server, Weir};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const OUT_OF_RANGE: i16 = 1;
const UNKNOWN_PARTITION: i16 = 3;
const FENCED_EPOCH: i16 = 74;
const UNKNOWN_EPOCH: i16 = 75;

fn events() -> TopicName {
    TopicName(StrBytes::from_static_str("events"))
}

fn server() -> Server {
    let server = Weir::new(WEIR).start().unwrap();
    Admin::connect(server.address()).unwrap().create_topic("events", 1).unwrap();
    server
}

fn write(server: &Server, count: usize) {
    let settings = WriterSettings::new(0, true);
    let mut writer = Writer::new(&server.bootstrap(), "events", 1, settings).unwrap();
    for _ in 0..count {
        writer.send().unwrap();
    }
    writer.flush().unwrap();
}

/// Where the log begins after that, and the error.
fn delete_below(server: &Server, partition: i32, offset: i64) -> (i64, i16) {
    let asked =
        DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(events()).with_partitions(vec![asked]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    let answer = Connection::open(server.address()).unwrap().request(2, &request).unwrap();
    let told = &answer.topics[0].partitions[0];
    (told.low_watermark, told.error_code)
}

/// An epoch, where it ended, and the error.
fn end_of(server: &Server, epoch: i32, current: i32) -> (i32, i64, i16) {
    let asked = OffsetForLeaderPartition::default()
        .with_leader_epoch(epoch)
        .with_current_leader_epoch(current);
    let topic = OffsetForLeaderTopic::default().with_topic(events()).with_partitions(vec![asked]);
    let request = OffsetForLeaderEpochRequest::default().with_topics(vec![topic]);
    let answer = Connection::open(server.address()).unwrap().request(4, &request).unwrap();
    let told = &answer.topics[0].partitions[0];
    (told.leader_epoch, told.end_offset, told.error_code)
}

fn earliest(server: &Server) -> i64 {
    Admin::connect(server.address()).unwrap().start_offsets("events", 1).unwrap()[0]
}

#[test]
fn deleted_records_stay_deleted() {
    let mut server = server();
    write(&server, 100);
    assert_eq!(delete_below(&server, 0, 40), (40, 0));
    assert_eq!(earliest(&server), 40);
    assert_eq!(delete_below(&server, 0, 10), (40, 0), "it does not go back");
    assert_eq!(delete_below(&server, 0, 101), (-1, OUT_OF_RANGE));
    assert_eq!(delete_below(&server, 1, 10), (-1, UNKNOWN_PARTITION));
    server.kill9().unwrap();
    server.restart().unwrap();
    assert_eq!(earliest(&server), 40);
    let reader = Reader::new(&server.bootstrap(), "events", 1).unwrap();
    assert!(reader.read_to(&[100]).is_err(), "what is below is out of range");
    assert_eq!(delete_below(&server, 0, -1), (100, 0), "all that there is");
    write(&server, 5);
    assert_eq!(earliest(&server), 100);
}

#[test]
fn an_epoch_ended_where_the_next_began() {
    let mut server = server();
    write(&server, 30);
    let (first, end, error) = end_of(&server, 0, -1);
    assert_eq!((first, end, error), (0, 30, 0));
    server.stop().unwrap();
    server.restart().unwrap();
    write(&server, 12);
    assert_eq!(end_of(&server, 0, 1), (0, 30, 0));
    assert_eq!(end_of(&server, 1, 1), (1, 42, 0));
    assert_eq!(end_of(&server, 2, 1), (-1, -1, 0), "there was none");
    assert_eq!(end_of(&server, 1, 0).2, FENCED_EPOCH);
    assert_eq!(end_of(&server, 1, 2).2, UNKNOWN_EPOCH);
    assert_eq!(delete_below(&server, 0, 35), (35, 0));
    assert_eq!(end_of(&server, 0, 1), (0, 35, 0), "nothing of it is left");
}
