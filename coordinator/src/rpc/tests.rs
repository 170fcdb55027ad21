use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::Notify, time::Instant};
use weir_ids::NodeId;
use weir_protocol::{ApiKey, ErrorCode, Message, messages::*};
use weir_rpc::{Identity, Links, Peers, Server, promptness::Moment, tonic::service::Routes};
use weir_runtime::{Runtime, Tasks};

use super::{
    PROMPTLY, RemoteCoordinators, service,
    wire::{Answer, Question, coordinator_client::CoordinatorClient as Client},
};
use crate::{
    Caller, CoordinatorClient, Coordinators,
    testing::{FakeCluster, topic},
};

const NODE: NodeId = NodeId(2);
const GROUP: &str = "readers";
const TOPIC: &str = "orders";
/// One that all requests have.
const VERSION: i16 = 4;

/// Counts what it is asked, and answers none of it once it is told to hang.
#[derive(Default)]
struct Counting {
    begun: AtomicUsize,
    asked: Notify,
    hangs: bool,
}

macro_rules! answers {
    ($($method:ident: $request:ident -> $response:ident),* $(,)?) => {
        #[async_trait]
        impl CoordinatorClient for Counting {
            $(async fn $method(&self, _: Caller, _: $request) -> $response {
                self.begun.fetch_add(1, Ordering::Relaxed);
                self.asked.notify_one();
                if self.hangs {
                    std::future::pending::<()>().await;
                }
                $response::default()
            })*
        }
    };
}

answers! {
    join_group: JoinGroupRequest -> JoinGroupResponse,
    sync_group: SyncGroupRequest -> SyncGroupResponse,
    heartbeat: HeartbeatRequest -> HeartbeatResponse,
    leave_group: LeaveGroupRequest -> LeaveGroupResponse,
    offset_commit: OffsetCommitRequest -> OffsetCommitResponse,
    offset_fetch: OffsetFetchRequest -> OffsetFetchResponse,
    describe_groups: DescribeGroupsRequest -> DescribeGroupsResponse,
    list_groups: ListGroupsRequest -> ListGroupsResponse,
    delete_groups: DeleteGroupsRequest -> DeleteGroupsResponse,
}

/// The only node there is.
struct At(SocketAddr);

impl Peers for At {
    fn address(&self, _: NodeId) -> Option<String> {
        Some(self.0.to_string())
    }

    fn works(&self, _: NodeId) {}

    fn broke(&self, _: NodeId) {}
}

fn identity(node: NodeId) -> Identity {
    Identity { cluster: "test".to_owned(), node }
}

/// A process of its own, nearly: it ends with all its connections.
struct Process {
    runtime: tokio::runtime::Runtime,
    address: SocketAddr,
}

impl Process {
    async fn start(coordinator: &Arc<Counting>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let coordinator = Arc::clone(coordinator) as Arc<dyn CoordinatorClient>;
        let serving = runtime.spawn(async move {
            let server = Server::bind("127.0.0.1:0").await.unwrap();
            let address = server.address();
            let services = Routes::default().add_service(service(coordinator, &Runtime::system()));
            server.serve(identity(NODE), Runtime::system(), services, &Tasks::new());
            address
        });
        let address = serving.await.unwrap();
        Self { runtime, address }
    }

    fn links(&self) -> Links {
        let peers = Arc::new(At(self.address));
        Links::new(identity(NodeId(1)), Runtime::system(), peers, &Tasks::new())
    }

    fn client(&self) -> Arc<dyn CoordinatorClient> {
        let cluster = FakeCluster::new(Arc::default(), vec![topic(TOPIC, 1, 1)]);
        RemoteCoordinators::new(self.links(), None, cluster).coordinator(NODE).unwrap()
    }

    async fn ask(&self, begin_by: Option<Moment>) -> Answer {
        let question = Question {
            api: i32::from(ApiKey::Heartbeat as i16),
            version: i32::from(VERSION),
            request: HeartbeatRequest::default().encode_versioned(VERSION).unwrap(),
            begin_by: begin_by.map(Into::into),
            ..Question::default()
        };
        let ask = |channel| async move { Client::new(channel).ask(question).await };
        self.links().call(NODE, ask).await.unwrap()
    }
}

fn caller() -> Caller {
    Caller { api_version: VERSION, ..Caller::default() }
}

/// A commit of one partition.
fn commit() -> OffsetCommitRequest {
    let partition = offset_commit::OffsetCommitRequestPartition::default();
    let topic = offset_commit::OffsetCommitRequestTopic {
        name: TOPIC.into(),
        partitions: vec![partition],
        ..Default::default()
    };
    OffsetCommitRequest { group_id: GROUP.into(), topics: vec![topic], ..Default::default() }
}

#[tokio::test]
async fn what_comes_too_late_is_refused_and_told_the_time() {
    let counting = Arc::new(Counting::default());
    let process = Process::start(&counting).await;
    let late = process.ask(Some(Moment { process: 0, millis: 0 })).await;
    assert!(late.is_late && counting.begun.load(Ordering::Relaxed) == 0);
    let Moment { process: number, millis } = late.now.unwrap().into();
    let in_time = process.ask(Some(Moment { process: number, millis: millis + 60_000 })).await;
    assert!(!in_time.is_late && counting.begun.load(Ordering::Relaxed) == 1);
    // As a Weir before this one asks.
    assert!(!process.ask(None).await.is_late && counting.begun.load(Ordering::Relaxed) == 2);
    process.runtime.shutdown_background();
}

#[tokio::test]
async fn a_coordinator_is_asked_once_though_its_time_is_not_known() {
    let counting = Arc::new(Counting::default());
    let process = Process::start(&counting).await;
    let client = process.client();
    for times in 1..=2 {
        let answer = client.offset_commit(caller(), commit()).await;
        assert_eq!((answer.topics.len(), counting.begun.load(Ordering::Relaxed)), (0, times));
    }
    process.runtime.shutdown_background();
}

#[tokio::test]
async fn a_commit_that_may_still_be_done_is_not_answered_before_it_can_not() {
    let counting = Arc::new(Counting { hangs: true, ..Counting::default() });
    let process = Process::start(&counting).await;
    let client = process.client();
    let began = Instant::now();
    let (asked, beat) = tokio::join!(client.offset_commit(caller(), commit()), async {
        counting.asked.notified().await;
        let heartbeat = client
            .heartbeat(caller(), HeartbeatRequest { group_id: GROUP.into(), ..Default::default() });
        let ending = async {
            counting.asked.notified().await;
            process.runtime.shutdown_background();
        };
        let (beat, ()) = tokio::join!(heartbeat, ending);
        (beat, began.elapsed())
    });
    let again = ErrorCode::NOT_COORDINATOR;
    assert_eq!(asked.topics[0].partitions[0].error_code, again);
    assert!(began.elapsed() >= PROMPTLY, "it might have arrived yet");
    let (beat, after) = beat;
    assert_eq!(beat.error_code, again);
    assert!(after < PROMPTLY.max(Duration::from_secs(2)), "nothing is undone by a heartbeat");
}
