//! A node: its roles put together as the binary does it, over the stores and the network of the
//! simulation.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use uuid::Uuid;
use weir_broker::{
    BrokerDeps, BrokerRole, BrokerSettings, SlotSettings, Tending,
    client::Brokers,
    collector::{Collector, CollectorDeps, CollectorSettings},
};
use weir_coordinator::{
    BrokerLog, Cluster, Coordinator, CoordinatorClient, RoutedCoordinators, ViewedCluster,
    rpc::promptness::ProcessClock,
};
use weir_ids::NodeId;
use weir_meta::{
    Metadata, NodeRegistration, ProducerIds,
    controller::{BrokenLinks, Controller, LocalController, Settings as ControllerSettings},
    model::{HostPort, Node as Shown, Role, Session},
    store::Memory,
    views::View,
};
use weir_proxy::{
    BoundProxy, ListenerConfig, Proxy, ProxyConfig, ProxyDeps, Settings as ProxySettings,
};
use weir_runtime::{Runtime, Seeded, Tasks};
use weir_segment_store::{
    Reader, ReaderSettings, Retry, RetrySettings, Store,
    journal::{
        AppendJournal, AppendJournalSettings, Journal, ObjectJournal, ObjectJournalSettings,
        append::memory::MemoryFiles,
    },
    testing::{Fate, FaultyObjects, Request, Tree},
};

use crate::{
    chance::{Chance, derived},
    clock::NodeClock,
    net::{
        Host, Links, Net, Place,
        broker::LinkedBrokers,
        controller::LinkedController,
        coordinator::{LinkedCoordinators, ServedCoordinator},
        probe::LinkedProbe,
    },
    process::Spawner,
    stores::{Mishaps, files::RemoteFiles, meta::RemoteMeta, objects::RemoteObjects},
};

/// The cluster's id and name.
const CLUSTER: Uuid = Uuid::from_u128(0x51);
const CLUSTER_NAME: &str = "simulated";
/// Where every proxy listens, on its own host.
const KAFKA_PORT: u16 = 9092;
/// Room for records in a broker: small, so that checkpoints and evictions happen.
const BUFFER_BYTES: u64 = 256 << 10;
/// How many partitions keep groups.
const OFFSETS_PARTITIONS: u32 = 3;
/// How much a slot may hold: with small ones many are in flight, with large ones batches gather.
const SLOTS_BYTES: [u64; 3] = [1 << 10, 4 << 10, 8 << 20];
/// How long a file of a write-ahead log gets, where there are any.
const FILES_BYTES: [u64; 3] = [4 << 10, 64 << 10, 4 << 20];
/// How long records may linger, and whether always.
const LINGERS: [(Option<Duration>, bool); 4] = [
    (None, false),
    (Some(Duration::from_millis(5)), false),
    (Some(Duration::from_millis(50)), false),
    (Some(Duration::from_millis(100)), true),
];
/// How many short ranges become one.
const FOLDS_AFTER: [usize; 3] = [2, 3, 64];
/// How many references a page lists.
const PAGE_ENTRIES: [usize; 3] = [2, 7, 1_024];
/// How often the collector goes round, and how long what nobody names stays.
const COLLECTOR_PACES: [(Duration, Duration); 3] = [
    (Duration::from_secs(1), Duration::ZERO),
    (Duration::from_secs(2), Duration::from_secs(3)),
    (Duration::from_secs(4), Duration::from_secs(10)),
];

/// Which roles a node has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Roles {
    pub(crate) broker: bool,
    pub(crate) coordinator: bool,
    pub(crate) controller: bool,
    pub(crate) proxy: bool,
}

/// What stays of a node through all its lives.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) roles: Roles,
    pub(crate) seed: u64,
    pub(crate) net: Net,
    pub(crate) clock: NodeClock,
    pub(crate) mishaps: Mishaps,
    pub(crate) objects: FaultyObjects,
    /// Files of write-ahead logs, where the store is like HDFS.
    pub(crate) files: MemoryFiles,
    /// Whether it is.
    pub(crate) appends: bool,
    pub(crate) metadata: Memory,
}

/// What a life of a node works with.
struct Life<'a> {
    node: &'a Node,
    host: &'a Host,
    tasks: Tasks,
    runtime: Runtime,
    metadata: Metadata,
    view: View,
    store: Store,
    links: Links,
    broken: BrokenLinks,
}

/// What ends in an order of its own.
struct Started {
    registration: NodeRegistration,
    role: Option<Arc<BrokerRole>>,
    coordinator: Option<Coordinator>,
    proxy: Option<Arc<Proxy>>,
}

impl Node {
    /// Where clients find its proxy.
    pub(crate) fn host_name(id: NodeId) -> String {
        format!("node-{id}")
    }

    /// The node that clients mean by a host's name.
    pub(crate) fn by_host_name(name: &str) -> Option<NodeId> {
        name.strip_prefix("node-")?.parse().ok().map(NodeId)
    }

    /// The metadata as a new life of it sees them.
    pub(crate) fn remote_metadata(&self) -> RemoteMeta {
        let place = Place::Node(self.id);
        RemoteMeta::new(&self.net, place, &self.metadata, self.mishaps.clone())
    }

    /// The store and the logs as they are, without a network between.
    pub(crate) fn truth(&self) -> (Store, Arc<dyn Journal>) {
        let objects = self.objects.with(|_: Request, _: &str| Fate::Done);
        let runtime = Runtime::new(self.clock.clone(), Seeded::new(derived(self.seed, "truth")));
        if !self.appends {
            let store = Store::new(Arc::new(objects), None);
            let settings = ObjectJournalSettings::default();
            let journal = ObjectJournal::new(store.clone(), CLUSTER, runtime, settings);
            return (store, Arc::new(journal));
        }
        let files = self.files.faultless();
        let tree = Tree { objects, files: files.clone() };
        let settings = AppendJournalSettings::default();
        let journal = AppendJournal::new(Arc::new(files), CLUSTER, runtime, settings);
        (Store::new(Arc::new(tree), None), Arc::new(journal))
    }

    /// Lives until something fails that ends a process.
    pub(crate) async fn live(&self, host: &Arc<Host>, metadata: RemoteMeta) -> Result<()> {
        let process = &host.process;
        let tasks = Tasks::with(Arc::new(Spawner(Arc::clone(process))));
        let purpose = format!("life {} of node {}", process.life, self.id);
        let seeded = Seeded::new(derived(self.seed, &purpose));
        let runtime = Runtime::new(self.clock.clone(), seeded).in_turn();
        let metadata = Metadata::new(Arc::new(metadata));
        metadata.join_cluster(CLUSTER_NAME, &CLUSTER.to_string()).await?;
        let view = View::follow(metadata.clone(), &tasks).await?;
        let place = Place::Node(self.id);
        let mishaps = self.mishaps.clone();
        let objects =
            RemoteObjects::new(self.seed, &self.net, place, &self.objects, &self.files, mishaps);
        let retry = Retry::new(runtime.clone(), RetrySettings::default());
        let store = Store::new(Arc::new(objects), None).retrying(retry);
        let broken = BrokenLinks::new(view.clone());
        let links = Links::new(&self.net, process, broken.clone());
        let asked = Arc::new(Notify::new());
        host.offer(|services| services.asked_to_stop = Some(Arc::clone(&asked)));
        let life = Life { node: self, host, tasks, runtime, metadata, view, store, links, broken };
        let started = life.start().await?;
        let failed = life.tasks.stop();
        tokio::select! {
            biased;
            () = failed.requested() => {}
            () = asked.notified() => started.end().await?,
        }
        match life.tasks.shutdown().await {
            Err(error) => Err(error.into()),
            Ok(()) => Err(anyhow!("asked to stop")),
        }
    }
}

impl Started {
    /// Ends in order, as the binary does.
    async fn end(self) -> Result<()> {
        if self.registration.drain().await.is_ok() {
            let broker = async {
                if let Some(role) = &self.role {
                    role.hand_over().await;
                }
            };
            let proxy = async {
                if let Some(proxy) = &self.proxy {
                    proxy.take_leave().await;
                }
            };
            tokio::join!(broker, proxy);
        }
        let proxy = async {
            match &self.proxy {
                Some(proxy) => proxy.shutdown().await,
                None => Ok(()),
            }
        };
        let coordinator = async {
            if let Some(coordinator) = &self.coordinator {
                coordinator.shutdown().await;
            }
        };
        let (proxy, ()) = tokio::join!(proxy, coordinator);
        proxy?;
        if let Some(role) = &self.role {
            role.shutdown().await?;
        }
        Ok(())
    }
}

impl Life<'_> {
    async fn start(&self) -> Result<Started> {
        let Self { node, host, tasks, metadata, view, .. } = self;
        let Roles { broker, coordinator, controller, proxy } = node.roles;
        let registration =
            NodeRegistration::take(metadata.clone(), node.id, shown(node), tasks).await?;
        let (role, journal) = match broker {
            true => {
                let (role, journal) = self.broker().await?;
                (Some(role), Some(journal))
            }
            false => (None, None),
        };
        let own = role.as_ref().map(|role| (node.id, role.client()));
        registration.serve(shown(node).roles).await?;
        let own_controller = controller.then(|| (node.id, self.controller()));
        let brokers = Arc::new(LinkedBrokers::new(self.links.clone(), view.clone(), own));
        if let Some(journal) = journal {
            self.collector(journal, Arc::clone(&brokers) as Arc<dyn Brokers>);
        }
        let linked = LinkedController::new(self.links.clone(), view.clone(), own_controller);
        let controller: Arc<dyn Controller> = Arc::new(linked);
        let (broken, told) = (self.broken.clone(), Arc::clone(&controller));
        tasks.spawn("broken links", |stop| async move { broken.report(&*told, stop).await });
        if let Some(role) = &role {
            let (role, told) = (Arc::clone(role), Arc::clone(&controller));
            tasks.spawn("load reports", |stop| async move { role.report_load(&*told, stop).await });
        }
        let reader = Reader::new(self.store.clone(), ReaderSettings::default());
        let seen: Arc<dyn Cluster> = Arc::new(ViewedCluster::new(
            node.id,
            view.clone(),
            controller.clone(),
            brokers.clone(),
        ));
        let coordinator = coordinator.then(|| {
            let log = Arc::new(BrokerLog::new(Arc::clone(&seen), reader.clone()));
            let (runtime, settings) = (self.runtime.clone(), coordinator_settings());
            Coordinator::start(runtime, tasks, settings, Arc::clone(&seen), log)
        });
        let own_coordinator = coordinator.clone().map(|coordinator| {
            let client: Arc<dyn CoordinatorClient> = Arc::new(coordinator);
            let clock = Arc::new(ProcessClock::new(self.runtime.random_u64() | 1));
            let served = ServedCoordinator { client: Arc::clone(&client), clock };
            host.offer(|services| services.coordinator = Some(served));
            (node.id, client)
        });
        let mut served = None;
        if proxy {
            let linked = Arc::new(LinkedCoordinators::new(self.links.clone(), own_coordinator));
            let coordinators = RoutedCoordinators::new(view.clone(), Arc::clone(&seen), linked);
            let deps = ProxyDeps {
                tasks: tasks.clone(),
                view: view.clone(),
                brokers,
                coordinators: Arc::new(coordinators),
                controller,
                reader,
                producer_ids: ProducerIds::new(metadata.clone(), tasks.clone()),
            };
            let bound = BoundProxy::unbound(proxy_config(node.id))?;
            let proxy = served.insert(Arc::new(bound.serve(deps, &mut Registry::default())));
            host.offer(|services| services.proxy = Some(Arc::clone(proxy)));
        }
        Ok(Started { registration, role, coordinator, proxy: served })
    }

    /// Starts the broker, which opens its partitions in the background.
    async fn broker(&self) -> Result<(Arc<BrokerRole>, Arc<dyn Journal>)> {
        let Self { node, host, tasks, runtime, metadata, view, store, .. } = self;
        let journal = self.journal();
        let rpc = Some(Node::host_name(node.id));
        let deps = BrokerDeps {
            cluster: CLUSTER,
            node: node.id,
            runtime: runtime.clone(),
            metadata: metadata.clone(),
            store: store.clone(),
            journal: Arc::clone(&journal),
            session: Session { node: node.id, rpc, zone: None },
        };
        let bytes = *Chance::new(node.seed, "slots").pick(&SLOTS_BYTES);
        let (linger, patient) = *Chance::new(node.seed, "lingers").pick(&LINGERS);
        let slots = SlotSettings { bytes, linger, patient };
        let settings = BrokerSettings {
            buffer_bytes: BUFFER_BYTES,
            slots,
            shards: 2,
            sole: false,
            tending: Tending {
                fold_after: *Chance::new(node.seed, "folds").pick(&FOLDS_AFTER),
                page_entries: *Chance::new(node.seed, "pages").pick(&PAGE_ENTRIES),
                retention_interval: Duration::from_secs(1),
                compaction_interval: Duration::from_secs(1),
                compaction_least_bytes: 1,
                compaction_bytes: 1 << 20,
            },
        };
        let role = BrokerRole::start(deps, settings, view.clone(), tasks).await;
        let role = role.context("the broker")?;
        host.offer(|services| {
            services.broker = Some(role.client());
            services.role = Some(Arc::clone(&role));
        });
        Ok((role, journal))
    }

    fn journal(&self) -> Arc<dyn Journal> {
        let Self { node, runtime, store, .. } = self;
        if !node.appends {
            let settings = ObjectJournalSettings::default();
            let journal = ObjectJournal::new(store.clone(), CLUSTER, runtime.clone(), settings);
            return Arc::new(journal);
        }
        let (place, mishaps) = (Place::Node(node.id), node.mishaps.clone());
        let files = RemoteFiles::new(node.seed, &node.net, place, &node.files, mishaps);
        let file_bytes = *Chance::new(node.seed, "files").pick(&FILES_BYTES);
        let settings = AppendJournalSettings { file_bytes, ..Default::default() };
        Arc::new(AppendJournal::new(Arc::new(files), CLUSTER, runtime.clone(), settings))
    }

    fn collector(&self, journal: Arc<dyn Journal>, brokers: Arc<dyn Brokers>) {
        let deps = CollectorDeps {
            node: self.node.id,
            metadata: self.metadata.clone(),
            store: self.store.clone(),
            journal,
            view: self.view.clone(),
            brokers,
        };
        let (interval, grace) = *Chance::new(self.node.seed, "collector").pick(&COLLECTOR_PACES);
        let settings = CollectorSettings { interval, grace, ..CollectorSettings::default() };
        Collector::start(deps, settings, &self.tasks);
    }

    fn controller(&self) -> Arc<dyn Controller> {
        let settings = ControllerSettings::default();
        let (metadata, view, runtime) =
            (self.metadata.clone(), self.view.clone(), self.runtime.clone());
        let node = self.node.id;
        let probe = Arc::new(LinkedProbe(self.links.clone()));
        let tasks = &self.tasks;
        let started = LocalController::start(metadata, view, runtime, node, settings, probe, tasks);
        let controller: Arc<dyn Controller> = Arc::new(started);
        self.host.offer(|services| services.controller = Some(Arc::clone(&controller)));
        controller
    }
}

fn shown(node: &Node) -> Shown {
    let Roles { broker, coordinator, controller, proxy } = node.roles;
    let roles = [
        (broker, Role::Broker),
        (coordinator, Role::Coordinator),
        (controller, Role::Controller),
        (proxy, Role::Proxy),
    ];
    let host = Node::host_name(node.id);
    Shown {
        roles: roles.into_iter().filter(|(has, _)| *has).map(|(_, role)| role).collect(),
        kafka: proxy.then(|| HostPort { host: host.clone(), port: KAFKA_PORT }),
        rpc: Some(host),
        http: None,
        zone: None,
        draining: false,
    }
}

fn coordinator_settings() -> weir_coordinator::Settings {
    weir_coordinator::Settings {
        initial_rebalance_delay: Duration::from_millis(500),
        session_timeout_min: Duration::from_secs(1),
        offsets_topic_partitions: OFFSETS_PARTITIONS,
        ..weir_coordinator::Settings::default()
    }
}

fn proxy_config(node: NodeId) -> ProxyConfig {
    let advertise = Some((Node::host_name(node), KAFKA_PORT));
    let listener = ListenerConfig {
        name: "kafka".to_owned(),
        listen: String::new(),
        advertise,
        zone: String::new(),
    };
    ProxyConfig {
        node,
        cluster_id: CLUSTER.to_string(),
        listeners: vec![listener],
        settings: ProxySettings { auto_create_topics: false, ..ProxySettings::default() },
    }
}
