//! A broker on a runtime of its own, which can be ended as a process is, served over a socket of loopback.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use tokio::time::{interval, timeout};
use uuid::Uuid;
use weir_broker::{
    BrokerDeps, BrokerRole, BrokerSettings, SlotSettings, Tending,
    client::{BrokerClient, Brokers, conformance::Ground},
    rpc::{self, RemoteBrokers},
};
use weir_ids::{LeaderEpoch, NodeId, PartitionIndex, TopicId, TopicPartition};
use weir_meta::{
    Metadata,
    model::{Assignment, Log, Record, Session, Topic, TopicState},
    store::{Memory, MetaStore, Txn},
    views::View,
};
use weir_rpc::{Identity, Links, Peers, Server, tonic::service::Routes};
use weir_runtime::{Runtime, Tasks};
use weir_segment_store::{
    Reader, ReaderSettings, Store,
    journal::{ObjectJournal, ObjectJournalSettings},
    testing::{Fate, FaultyObjects, Request},
};

const CLUSTER: Uuid = Uuid::from_u128(1);
const TOPIC: TopicId = TopicId(Uuid::from_u128(77));
const OWNED: u32 = 8;
const NODE: NodeId = NodeId(1);
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn id(partition: u32) -> TopicPartition {
    TopicPartition::new(TOPIC, PartitionIndex(partition))
}

/// A partition that nobody owns.
pub(crate) fn foreign() -> TopicPartition {
    id(OWNED)
}

fn identity(node: NodeId) -> Identity {
    Identity { cluster: CLUSTER.to_string(), node }
}

pub(crate) struct World {
    process: Option<tokio::runtime::Runtime>,
    role: Arc<BrokerRole>,
    store: Store,
    view: View,
    address: SocketAddr,
    pub(crate) tasks: Tasks,
}

struct Fixed(SocketAddr);

impl Peers for Fixed {
    fn address(&self, node: NodeId) -> Option<String> {
        (node == NODE).then(|| self.0.to_string())
    }

    fn works(&self, _node: NodeId) {}

    fn broke(&self, _node: NodeId) {}
}

async fn metadata() -> Metadata {
    let topic = Topic {
        id: TOPIC,
        partitions: OWNED + 1,
        replication_factor: 1,
        configs: BTreeMap::new(),
        internal: false,
        highest_epoch: LeaderEpoch::NONE,
        state: TopicState::Live,
    };
    let mut nodes = vec![NODE; OWNED as usize];
    nodes.push(NodeId(2));
    let mut txn = Txn::new()
        .put(Topic::key("events"), topic.encode())
        .put(Assignment::key(TOPIC), Assignment { nodes }.encode());
    for partition in 0..=OWNED {
        txn = txn.put(Log::key(id(partition)), Log::new(LeaderEpoch::NONE).encode());
    }
    let store = Memory::new();
    store.txn(txn).await.unwrap();
    Metadata::new(Arc::new(store))
}

impl World {
    pub(crate) async fn start() -> Self {
        let metadata = metadata().await;
        let tasks = Tasks::new();
        let view = View::follow(metadata.clone(), &tasks).await.unwrap();
        let objects = FaultyObjects::new(|_: Request, _: &str| Fate::Done);
        let store = Store::new(Arc::new(objects), None);
        let process = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (settings, runtime) = (ObjectJournalSettings::default(), Runtime::system());
        let journal = ObjectJournal::new(store.clone(), CLUSTER, runtime.clone(), settings);
        let deps = BrokerDeps {
            cluster: CLUSTER,
            node: NODE,
            runtime,
            metadata,
            store: store.clone(),
            journal: Arc::new(journal),
            session: Session { node: NODE, rpc: None, zone: None },
        };
        let of_broker = view.clone();
        let starting = process.spawn(async move {
            let tasks = Tasks::new();
            let settings = BrokerSettings {
                buffer_bytes: 8 << 20,
                slots: SlotSettings::default(),
                shards: 2,
                sole: false,
                tending: Tending::default(),
            };
            let role = BrokerRole::start(deps, settings, of_broker, &tasks).await.unwrap();
            let server = Server::bind("127.0.0.1:0").await.unwrap();
            let address = server.address();
            let services = Routes::new(rpc::service(Arc::clone(&role), &tasks));
            server.serve(identity(NODE), Runtime::system(), services, &tasks);
            (role, address)
        });
        let (role, address) = starting.await.unwrap();
        let world = Self { process: Some(process), role, store, view, address, tasks };
        world.until_owned().await;
        world
    }

    async fn until_owned(&self) {
        let all: Vec<TopicPartition> = (0..OWNED).map(id).collect();
        let client = self.direct();
        let owned = async {
            let mut ticks = interval(Duration::from_millis(10));
            while !client.offsets(all.clone()).await.iter().all(Result::is_ok) {
                ticks.tick().await;
            }
        };
        timeout(PATIENCE, owned).await.expect("the broker owns its partitions");
    }

    pub(crate) fn direct(&self) -> Arc<dyn BrokerClient> {
        self.role.client()
    }

    /// The same broker, as another process reaches it.
    pub(crate) fn remote(&self) -> Arc<dyn BrokerClient> {
        let peers = Arc::new(Fixed(self.address));
        let links = Links::new(identity(NodeId(9)), Runtime::system(), peers, &self.tasks);
        let brokers = RemoteBrokers::new(links, self.view.clone(), None);
        brokers.broker(NODE).expect("its session is in the view")
    }

    pub(crate) fn ground(&self, broker: Arc<dyn BrokerClient>) -> Ground {
        let reader = Reader::new(self.store.clone(), ReaderSettings::default());
        Ground { broker, owned: (0..OWNED).map(id).collect(), foreign: foreign(), reader }
    }

    /// Ends the broker without order. When this returns nobody listens where it was reached.
    pub(crate) async fn kill(&mut self) {
        self.end();
        let refused = async {
            let mut ticks = interval(Duration::from_millis(2));
            while tokio::net::TcpStream::connect(self.address).await.is_ok() {
                ticks.tick().await;
            }
        };
        timeout(PATIENCE, refused).await.expect("it still listens");
    }

    fn end(&mut self) {
        if let Some(process) = self.process.take() {
            process.shutdown_background();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end();
    }
}
