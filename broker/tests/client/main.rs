//! The clients of a broker, against one suite: direct calls, and gRPC over a socket.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod world;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;
use weir_broker::client::{
    Acks, Append, AppendError, BrokerClient, Origin, ReadError, TailEvent, Thin, conformance,
};
use weir_ids::Timestamp;
use weir_protocol::records::BatchBuilder;

use world::{World, foreign, id};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn direct_calls_conform() {
    let world = World::start().await;
    conformance::run(&world.ground(world.direct())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_conforms() {
    let world = World::start().await;
    conformance::run(&world.ground(world.remote())).await;
}

fn append(partition: u32, value: &[u8]) -> Append {
    let mut builder = BatchBuilder::new();
    builder.push(Timestamp(1), None, Some(value), &[]).unwrap();
    Append {
        partition: id(partition),
        epoch: None,
        records: builder.build().unwrap().into_batch().into_bytes(),
        acks: Acks::Durable,
        expected: None,
        origin: Origin::Client,
    }
}

async fn try_append(client: &dyn BrokerClient, append: Append) -> Result<i64, AppendError> {
    let receipt = client.append(vec![append]).await.pop().unwrap();
    timeout(PATIENCE, receipt).await.expect("it takes too long").map(|appended| appended.base.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_answer_when_the_broker_dies_is_unclear_and_the_next_is_surely_not_appended() {
    let mut world = World::start().await;
    let client = world.remote();
    assert_eq!(try_append(&*client, append(0, b"a")).await, Ok(0));
    let tail = client.tail();
    tail.subscribe(id(0)).await;
    let first = timeout(PATIENCE, tail.next()).await.unwrap().unwrap();
    assert!(matches!(first[..], [(_, TailEvent::Advanced { .. })]));
    // More than the broker has room for: the rest waits on the stream, or before it.
    let value = vec![b'x'; 900_000];
    let mut receipts = Vec::new();
    for _ in 0..40 {
        receipts.extend(client.append(vec![append(1, &value)]).await);
    }
    world.kill().await;
    for receipt in receipts {
        let answer = timeout(PATIENCE, receipt).await.expect("every one is answered");
        let fine =
            matches!(answer, Ok(_) | Err(AppendError::Unclear(_) | AppendError::NotOwner(_)));
        assert!(fine, "{answer:?}");
    }
    assert_eq!(timeout(PATIENCE, tail.next()).await.unwrap(), None, "the stream has ended");
    let after = try_append(&*client, append(0, b"b")).await;
    assert_eq!(after, Err(AppendError::NotOwner(id(0))));
    let offsets = client.offsets(vec![id(0), foreign()]).await;
    assert_eq!(offsets, [Err(ReadError::NotOwner(id(0))), Err(ReadError::NotOwner(foreign()))]);
    assert!(client.references(Thin::default()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_broker_slows_whoever_appends_and_loses_nothing() {
    let world = World::start().await;
    let client = world.remote();
    let value = Bytes::from(vec![b'x'; 900_000]);
    // 90 MB through buffers of 8 MiB.
    let mut receipts = Vec::new();
    for _ in 0..100 {
        receipts.extend(client.append(vec![append(0, &value)]).await);
    }
    for (expected, receipt) in (0..).zip(receipts) {
        let appended = timeout(PATIENCE, receipt).await.expect("it takes too long").unwrap();
        assert_eq!(appended.base.0, expected);
    }
}
