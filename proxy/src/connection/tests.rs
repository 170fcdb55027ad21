//! A whole proxy over real sockets: order, errors, hostile bytes, draining.

use std::time::Duration;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use weir_protocol::{
    ApiKey, ErrorCode, Request,
    messages::{
        ApiVersionsRequest, ApiVersionsResponse, FetchRequest, FetchResponse, MetadataRequest,
        MetadataResponse, ProduceRequest, ProduceResponse,
        fetch::{FetchPartition, FetchTopic},
        produce::{PartitionProduceData, TopicProduceData},
    },
    records::Compression,
};

use crate::{
    ListenerConfig, Proxy, ProxyConfig, Settings,
    testing::{Fixture, HERE, at, produced, record, topic_id},
};

const TOPICS: &[(&str, u128, u32)] = &[("orders", 1, 2)];
/// Nothing here takes longer unless it is broken.
const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy that listens, and the broker behind it.
struct Served {
    fixture: Fixture,
    proxy: Proxy,
}

impl Served {
    async fn start(settings: Settings) -> Self {
        Self::listen(settings, "127.0.0.1:0").await
    }

    async fn listen(settings: Settings, listen: &str) -> Self {
        let fixture = Fixture::start(TOPICS).await;
        let listener = ListenerConfig {
            name: "test".into(),
            listen: listen.into(),
            advertise: None,
            zone: String::new(),
        };
        let config = ProxyConfig {
            node: HERE,
            cluster_id: "a-cluster".into(),
            listeners: vec![listener],
            settings,
        };
        let proxy = Proxy::start(config, fixture.deps(), &mut Registry::default()).await.unwrap();
        Self { fixture, proxy }
    }

    async fn connect(&self) -> Client {
        let port = self.proxy.addresses()[0].port();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        Client { stream, next_id: 1 }
    }
}

/// A client that speaks by the frame.
struct Client {
    stream: TcpStream,
    next_id: i32,
}

impl Client {
    async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        let id = self.next_id;
        self.next_id += 1;
        let parts =
            weir_protocol::encode_request(version, id, Some("tester".into()), request).unwrap();
        self.stream.write_all(&parts.into_bytes()).await.unwrap();
        id
    }

    /// The next answer, without its size.
    async fn frame(&mut self) -> Bytes {
        let read = async {
            let size = self.stream.read_i32().await.unwrap();
            let mut frame = vec![0; size as usize];
            self.stream.read_exact(&mut frame).await.unwrap();
            frame.into()
        };
        timeout(PATIENCE, read).await.expect("an answer in time")
    }

    async fn receive<R: weir_protocol::Response>(&mut self, version: i16) -> (i32, R) {
        weir_protocol::decode_response(self.frame().await, version).unwrap()
    }

    async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let id = self.send(version, request).await;
        let (answered, response) = self.receive(version).await;
        assert_eq!(answered, id);
        response
    }

    async fn write(&mut self, bytes: &[u8]) {
        // The server may have had enough before all is written.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Waits until the server has closed the connection; what it sent before that.
    async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = self.stream.read_to_end(&mut rest);
        // A reset is a close too: the server did not read everything.
        let _ = timeout(PATIENCE, read).await.expect("closed in time");
        rest
    }
}

fn produce(acks: i16, partition: i32, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records: Some(records.into()) };
    let topic = TopicProduceData {
        name: "orders".into(),
        partition_data: vec![data],
        ..TopicProduceData::default()
    };
    ProduceRequest { transactional_id: None, acks, timeout_ms: 30_000, topic_data: vec![topic] }
}

fn fetch(offset: i64, max_wait_ms: i32) -> FetchRequest {
    let partition = FetchPartition {
        fetch_offset: offset,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic =
        FetchTopic { topic: "orders".into(), topic_id: topic_id(1), partitions: vec![partition] };
    FetchRequest {
        max_wait_ms,
        min_bytes: 1,
        max_bytes: 1 << 20,
        topics: vec![topic],
        ..FetchRequest::default()
    }
}

fn base_offset(response: &ProduceResponse) -> i64 {
    let partition = &response.responses[0].partition_responses[0];
    assert_eq!(partition.error_code, ErrorCode::NONE);
    partition.base_offset
}

#[tokio::test]
async fn what_is_produced_is_fetched() {
    let served = Served::start(Settings::default()).await;
    let mut client = served.connect().await;
    let hello = ApiVersionsRequest {
        client_software_name: "weir-tests".into(),
        client_software_version: "1".into(),
    };
    assert_eq!(client.ask(4, &hello).await.api_keys.len(), ApiKey::ALL.len());
    let metadata = client.ask(12, &MetadataRequest { topics: None, ..Default::default() }).await;
    let port = i32::from(served.proxy.addresses()[0].port());
    assert_eq!(metadata.brokers[0].port, port, "what was bound is what is told");

    let large = produced(10, 100_000, Compression::None);
    assert_eq!(base_offset(&client.ask(11, &produce(-1, 0, large)).await), 0);
    assert_eq!(base_offset(&client.ask(3, &produce(1, 0, record())).await), 10);
    let fetched: FetchResponse = client.ask(18, &fetch(0, 0)).await;
    let records = fetched.responses[0].partitions[0].records.clone().unwrap().into_bytes();
    let log = served.fixture.broker.log(at(1, 0));
    assert_eq!(records, [&log[0].1[..], &log[1].1].concat());
}

#[tokio::test]
async fn pipelined_answers_come_in_the_order_of_their_requests() {
    let served = Served::start(Settings::default()).await;
    let mut client = served.connect().await;
    // Its answer tells the partition's epoch; until then one goes at a time.
    assert_eq!(base_offset(&client.ask(11, &produce(-1, 0, record())).await), 0);
    served.fixture.broker.hold();
    for size in 1..=5 {
        client.send(11, &produce(-1, 0, produced(size, 10, Compression::None))).await;
    }
    client.send(12, &MetadataRequest { topics: None, ..Default::default() }).await;
    client.send(11, &produce(1, 1, record())).await;
    let all_held = async {
        while served.fixture.broker.held() < 5 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all_held).await.expect("handed over without waiting for answers");
    served.fixture.broker.release(true);
    for (id, base) in [(2, 1), (3, 2), (4, 4), (5, 7), (6, 11)] {
        let (answered, response) = client.receive::<ProduceResponse>(11).await;
        assert_eq!((answered, base_offset(&response)), (id, base));
    }
    assert_eq!(client.receive::<MetadataResponse>(12).await.0, 7);
    assert_eq!(client.receive::<ProduceResponse>(11).await.0, 8);
}

#[tokio::test]
async fn a_waiting_fetch_holds_up_what_is_asked_behind_it_but_not_its_effect() {
    let served = Served::start(Settings::default()).await;
    let mut client = served.connect().await;
    client.send(18, &fetch(0, 60_000)).await;
    client.send(11, &produce(-1, 0, record())).await;
    let (first, fetched) = client.receive::<FetchResponse>(18).await;
    assert_eq!(first, 1);
    assert!(!fetched.responses[0].partitions[0].records.as_ref().unwrap().is_empty());
    assert_eq!(client.receive::<ProduceResponse>(11).await.0, 2);
}

#[tokio::test]
async fn without_acks_nothing_is_answered_and_an_error_closes() {
    let served = Served::start(Settings::default()).await;
    let mut client = served.connect().await;
    client.send(11, &produce(0, 0, record())).await;
    client.send(11, &produce(0, 0, record())).await;
    let response = client.ask(11, &produce(1, 0, record())).await;
    assert_eq!(base_offset(&response), 2, "the first answer is that of the third request");
    client.send(11, &produce(0, 9, record())).await;
    assert!(client.closed().await.is_empty());
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let served = Served::start(Settings::default()).await;
    let mut client = served.connect().await;
    // Key 18, version 99, correlation id 7, and a body that nobody can know.
    client.write(&[0, 0, 0, 12, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff]).await;
    let (id, response) = client.receive::<ApiVersionsResponse>(0).await;
    assert_eq!((id, response.error_code), (7, ErrorCode::UNSUPPORTED_VERSION));
    assert_eq!(response.api_keys[0].max_version, 4);
    let again = client.ask(0, &ApiVersionsRequest::default()).await;
    assert_eq!(again.error_code, ErrorCode::NONE, "and the connection goes on");
}

/// A frame of these bytes.
fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as i32).to_be_bytes()[..], body].concat()
}

#[tokio::test]
async fn hostile_bytes_close_their_connection_and_nothing_else() {
    let served = Served::start(Settings::default()).await;
    let header = |key: i16, version: i16| {
        [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1], &[0xff, 0xff]].concat()
    };
    let random: Vec<u8> =
        (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let two_billion = i32::MAX.to_be_bytes();
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        ("two gigabytes claimed", vec![0x7f, 0xff, 0xff, 0xff, 0, 3]),
        ("a negative size", vec![0xff, 0xff, 0xff, 0xff]),
        ("an empty frame", vec![0, 0, 0, 0]),
        ("random bytes", framed(&random)),
        ("no frame at all", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("two billion topics", framed(&[header(3, 1), two_billion.to_vec()].concat())),
        (
            "two billion topics to produce to",
            framed(
                &[header(0, 3), vec![0xff, 0xff, 0, 1, 0, 0, 0, 9], two_billion.to_vec()].concat(),
            ),
        ),
        ("a version that is not served", framed(&header(3, 99))),
        ("an api that is not served", framed(&header(4, 0))),
        ("an api that does not exist", framed(&header(999, 0))),
        ("a cut body", framed(&header(1, 4))),
        ("a long request that is not produce", framed(&[header(3, 1), vec![0; 9 << 20]].concat())),
    ];
    for (what, bytes) in hostile {
        let mut client = served.connect().await;
        client.write(&bytes).await;
        assert!(client.closed().await.is_empty(), "{what}");
    }
    let mut stopped = served.connect().await;
    stopped.write(&framed(&header(3, 1))[..9]).await;
    stopped.stream.shutdown().await.unwrap();
    assert!(stopped.closed().await.is_empty(), "a frame that stops in the middle");

    let mut client = served.connect().await;
    let response = client.ask(11, &produce(-1, 0, record())).await;
    assert_eq!(base_offset(&response), 0, "the server is fine");
}

#[tokio::test]
async fn connections_beyond_the_caps_are_closed_at_once() {
    let settings = Settings { connections_per_address_max: 2, ..Settings::default() };
    let served = Served::start(settings).await;
    let (mut first, second) = (served.connect().await, served.connect().await);
    first.ask(0, &ApiVersionsRequest::default()).await;
    let mut third = served.connect().await;
    assert!(third.closed().await.is_empty());
    drop(second);
    let let_in = async {
        loop {
            let mut again = served.connect().await;
            again.send(0, &ApiVersionsRequest::default()).await;
            if again.stream.read_i32().await.is_ok() {
                return;
            }
        }
    };
    timeout(PATIENCE, let_in).await.expect("its place is free again");
}

#[tokio::test]
async fn draining_answers_what_is_pending_and_closes() {
    let served = Served::start(Settings::default()).await;
    let (mut waiting, mut producing) = (served.connect().await, served.connect().await);
    let mut idle = served.connect().await;
    idle.ask(0, &ApiVersionsRequest::default()).await;
    served.fixture.broker.hold();
    waiting.send(18, &fetch(0, 60_000)).await;
    producing.send(11, &produce(-1, 1, record())).await;
    let held = async {
        while served.fixture.broker.held() < 1 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, held).await.unwrap();
    let address = served.proxy.addresses()[0];
    let releasing = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        served.fixture.broker.release(false);
    };
    let (stopped, ()) = tokio::join!(served.proxy.shutdown(), releasing);
    stopped.unwrap();
    assert_eq!(base_offset(&producing.receive(11).await.1), 0);
    assert_eq!(waiting.receive::<FetchResponse>(18).await.1.error_code, ErrorCode::NONE);
    for mut client in [waiting, producing, idle] {
        assert!(client.closed().await.is_empty());
    }
}

#[tokio::test]
async fn a_broker_that_takes_nothing_does_not_hold_up_the_end() {
    let settings = Settings { drain: Duration::from_millis(20), ..Settings::default() };
    let served = Served::start(settings).await;
    served.fixture.broker.take_nothing();
    let mut client = served.connect().await;
    client.send(11, &produce(-1, 0, record())).await;
    let taken = async {
        while served.fixture.broker.refusing() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, taken).await.unwrap();
    timeout(PATIENCE, served.proxy.shutdown()).await.unwrap().unwrap();
    assert!(client.closed().await.is_empty());
}

#[tokio::test]
async fn who_listens_everywhere_tells_each_client_what_it_has_found() {
    let served = Served::listen(Settings::default(), "0.0.0.0:0").await;
    let mut client = served.connect().await;
    let all = MetadataRequest { topics: None, ..Default::default() };
    let metadata = client.ask(12, &all).await;
    assert_eq!(&*metadata.brokers[0].host, "127.0.0.1");
}

#[tokio::test]
async fn a_client_that_is_gone_leaves_no_wait_behind() {
    let served = Served::start(Settings::default()).await;
    let mut client = served.connect().await;
    client.send(18, &fetch(0, 3_000_000)).await;
    drop(client);
    // A wait of 50 minutes would keep the group alive: a shutdown would take as long as draining.
    timeout(PATIENCE, served.proxy.shutdown()).await.unwrap().unwrap();
}
