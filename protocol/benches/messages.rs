//! Messages as a busy proxy meets them: what a partition costs to read or write, apart from its
//! records, which are not touched.

use bytes::Bytes;
use bytestring::ByteString;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use weir_protocol::codec::{Parts, Records};
use weir_protocol::messages::fetch::{FetchableTopicResponse, PartitionData};
use weir_protocol::messages::metadata::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use weir_protocol::messages::produce::{PartitionProduceData, TopicProduceData};
use weir_protocol::messages::{FetchResponse, MetadataResponse, ProduceRequest};
use weir_protocol::{Request, RequestFrame, encode_request, encode_response};

fn main() {
    divan::main();
}

const PARTITIONS: &[usize] = &[1, 100, 10_000];

/// A partition's records: enough to be passed on as they are.
const BATCH_BYTES: usize = 16 << 10;

fn frame_of(parts: Parts) -> Bytes {
    parts.into_bytes().slice(4..)
}

#[divan::bench(args = PARTITIONS)]
fn read_produce(bencher: Bencher<'_, '_>, partitions: usize) {
    let batch = Bytes::from(vec![7; if partitions > 1000 { 100 } else { BATCH_BYTES }]);
    let partition =
        |index| PartitionProduceData { index, records: Some(Records::from(batch.clone())) };
    let request = ProduceRequest {
        acks: -1,
        topic_data: vec![TopicProduceData {
            name: ByteString::from_static("orders"),
            partition_data: (0..partitions as i32).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let version = ProduceRequest::API.advertised().max;
    let frame = frame_of(encode_request(version, 1, None, &request).expect("it fits"));
    bencher.counter(ItemsCount::new(partitions)).bench_local(|| {
        let request = RequestFrame::parse(black_box(frame.clone())).expect("it is served");
        request.decode::<ProduceRequest>().expect("it was encoded")
    });
}

#[divan::bench(args = PARTITIONS)]
fn write_fetch(bencher: Bencher<'_, '_>, partitions: usize) {
    let batch = Bytes::from(vec![7; BATCH_BYTES]);
    let partition = |partition_index| PartitionData {
        partition_index,
        aborted_transactions: None,
        records: Some(Records::from(batch.clone())),
        ..Default::default()
    };
    let response = FetchResponse {
        responses: vec![FetchableTopicResponse {
            partitions: (0..partitions as i32).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    bencher
        .counter(ItemsCount::new(partitions))
        .bench_local(|| encode_response(18, 1, black_box(&response)));
}

#[divan::bench(args = PARTITIONS)]
fn write_metadata(bencher: Bencher<'_, '_>, partitions: usize) {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        replica_nodes: vec![1, 2, 3],
        isr_nodes: vec![1, 2, 3],
        ..Default::default()
    };
    let response = MetadataResponse {
        brokers: vec![MetadataResponseBroker { host: "localhost".into(), ..Default::default() }],
        topics: vec![MetadataResponseTopic {
            name: Some("orders".into()),
            partitions: (0..partitions as i32).map(partition).collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    bencher
        .counter(ItemsCount::new(partitions))
        .bench_local(|| encode_response(13, 1, black_box(&response)));
}
