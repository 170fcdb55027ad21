//! A node: roles put together into a process, run until it is told to stop, and taken down in order.
//!
//! Order on the way up: the directory's lock, metadata, the view of the cluster, sockets, broker,
//! controller, coordinator, and the proxy last, when everything that it relies on serves. On the way
//! down the other way round: clients are answered before what answers them goes.

mod brokers;
mod place;
mod registration;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use prometheus_client::registry::Registry;
use uuid::Uuid;
use weir_broker::{BrokerDeps, BrokerRole, BrokerSettings};
use weir_coordinator::{BrokerLog, Cluster, Coordinator, ViewedCluster};
use weir_ids::NodeId;
use weir_meta::{
    Metadata, ProducerIds,
    controller::{LocalController, NoProbe, Settings as ControllerSettings},
    model::{HostPort, Node, Role, Session},
    store::Embedded,
    views::View,
};
use weir_proxy::{
    BoundProxy, ListenerConfig, Proxy, ProxyConfig, ProxyDeps, Settings as ProxySettings,
    http::{self, Readiness},
};
use weir_runtime::{Runtime, Tasks};
use weir_segment_store::{
    Reader, Store,
    journal::{FileJournal, FileJournalSettings},
};

use crate::{config::Config, data_dir::DataDir};
use brokers::LocalBrokers;
pub(crate) use place::Place;

/// How long the controller is waited for before clients are served without one.
const ELECTION_WAIT: Duration = Duration::from_secs(15);

/// A node that serves.
pub(crate) struct Running {
    tasks: Tasks,
    readiness: Readiness,
    proxy: Proxy,
    coordinator: Coordinator,
    broker: Arc<BrokerRole>,
    metadata: Embedded,
    http: std::net::SocketAddr,
    _data: DataDir,
}

impl Running {
    /// Starts all roles on the directories of `place`.
    pub(crate) async fn start(config: &Config, place: &Place) -> Result<Self> {
        let runtime = Runtime::system();
        let tasks = Tasks::new();
        let data = DataDir::open(&place.data)?;
        let embedded = Embedded::open(place.meta_in(&data)).await?;
        let metadata = Metadata::new(Arc::new(embedded.clone()));
        let founded = runtime.uuid().to_string();
        let cluster = metadata.join_cluster(&config.cluster, &founded).await?;
        let cluster_id = Uuid::parse_str(&cluster.id)
            .with_context(|| format!("the cluster's id {:?} in the metadata", cluster.id))?;
        let view = View::follow(metadata.clone(), &tasks).await?;
        let node = NodeId(config.node.id);
        let bound = BoundProxy::bind(proxy_config(config, &cluster.id)?).await?;
        let (mut registry, readiness) = (Registry::default(), Readiness::default());

        let store = Store::local(&data.objects(), data.path().to_owned())?;
        let session = Session { node, rpc: None, zone: config.node.zone.clone() };
        let deps = BrokerDeps {
            cluster: cluster_id,
            node,
            runtime: runtime.clone(),
            metadata: metadata.clone(),
            store: store.clone(),
            journal: Arc::new(journal(config, &data, cluster_id, &runtime)),
            session,
        };
        let broker = BrokerRole::start(deps, broker_settings(config), view.clone(), &tasks).await?;
        broker.register_metrics(&mut registry);
        let shown = shown(config, bound.advertised());
        registration::keep(metadata.clone(), node, shown, &tasks).await?;
        let controller = controller(config, &metadata, &view, &runtime, node, &tasks).await;
        let brokers = Arc::new(LocalBrokers::new(node, broker.client()));
        let reader = Reader::new(store, config.proxy.index_cache_bytes);
        let seen: Arc<dyn Cluster> =
            Arc::new(ViewedCluster::new(node, view.clone(), controller.clone(), brokers.clone()));
        let coordinator = Coordinator::start(
            runtime.clone(),
            &tasks,
            coordinator_settings(config),
            Arc::clone(&seen),
            Arc::new(BrokerLog::new(seen, reader.clone())),
        );
        print_budget(config, &bound);
        let deps = ProxyDeps {
            tasks: tasks.clone(),
            view,
            brokers,
            coordinators: Arc::new(coordinator.clone()),
            controller,
            reader,
            producer_ids: ProducerIds::new(metadata, tasks.clone()),
        };
        let proxy = bound.serve(deps, &mut registry);
        let router = http::router(registry, readiness.clone());
        let http = http::serve(&config.http.listen, router, &tasks).await?;
        readiness.set(true);
        tidy_up(&broker, &tasks);
        Ok(Self {
            tasks,
            readiness,
            proxy,
            coordinator,
            broker,
            metadata: embedded,
            http,
            _data: data,
        })
    }

    /// Where Kafka clients and HTTP clients are served.
    pub(crate) fn addresses(&self) -> (String, String) {
        let kafka: Vec<String> = self.proxy.addresses().iter().map(ToString::to_string).collect();
        (kafka.join(", "), self.http.to_string())
    }

    /// Resolves when a task has failed and the node can't go on.
    pub(crate) async fn failed(&self) {
        self.tasks.stop().requested().await;
    }

    /// Answers what is pending, makes everything durable, ends.
    pub(crate) async fn shutdown(self) -> Result<()> {
        self.readiness.set(false);
        // Each part of the group reports the group's first error: that of a failed task first.
        // Together: a join that waits for other members must not hold up the proxy's drain.
        let (proxy, ()) = tokio::join!(self.proxy.shutdown(), self.coordinator.shutdown());
        let broker = self.broker.shutdown().await;
        let rest = self.tasks.shutdown().await;
        self.metadata.close().await;
        proxy.and(broker).and(rest).map_err(Into::into)
    }
}

async fn controller(
    config: &Config,
    metadata: &Metadata,
    view: &View,
    runtime: &Runtime,
    node: NodeId,
    tasks: &Tasks,
) -> Arc<LocalController> {
    let settings = ControllerSettings {
        default_partitions: config.topics.default_partitions,
        ..ControllerSettings::default()
    };
    let (metadata, view, runtime) = (metadata.clone(), view.clone(), runtime.clone());
    // There is no other broker to ask.
    let probe = Arc::new(NoProbe);
    let controller = LocalController::start(metadata, view, runtime, node, settings, probe, tasks);
    if tokio::time::timeout(ELECTION_WAIT, controller.elected()).await.is_err() {
        tracing::warn!("no controller is elected yet; topics can't be changed until one is");
    }
    Arc::new(controller)
}

/// In the background: adopts what earlier sessions left, then clears those away.
fn tidy_up(broker: &BrokerRole, tasks: &Tasks) {
    let Some(broker) = broker.present() else { return };
    tasks.spawn("tidy up", |_| async move {
        if !broker.checkpoint().await {
            return;
        }
        match broker.retire_sessions().await {
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, "cleared away ended sessions"),
            Err(error) => tracing::warn!(%error, "ended sessions are not cleared away"),
        }
    });
}

fn print_budget(config: &Config, proxy: &BoundProxy) {
    const MIB: u64 = 1 << 20;
    let own =
        [("records", config.broker.buffer_bytes), ("indexes", config.proxy.index_cache_bytes)];
    let of_proxy = proxy.memory_budget().into_iter().map(|(name, bytes)| (name, bytes as u64));
    let all: Vec<(&str, u64)> = own.into_iter().chain(of_proxy).collect();
    let sum: u64 = all.iter().map(|(_, bytes)| bytes).sum();
    let parts: Vec<String> =
        all.iter().map(|(name, bytes)| format!("{name} {} MiB", bytes / MIB)).collect();
    tracing::info!("memory is bounded by {} MiB: {}", sum / MIB, parts.join(", "));
}

fn journal(config: &Config, data: &DataDir, cluster: Uuid, runtime: &Runtime) -> FileJournal {
    let settings =
        FileJournalSettings { file_bytes: config.broker.wal_file_bytes, ..Default::default() };
    FileJournal::new(data.path(), cluster, runtime.clone(), settings)
}

fn broker_settings(config: &Config) -> BrokerSettings {
    const SHARDS_MAX: usize = 8;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let shards = match config.broker.shards {
        0 => cores.min(SHARDS_MAX),
        set => set,
    };
    let (buffer_bytes, slot_bytes) = (config.broker.buffer_bytes, BrokerSettings::SLOT_BYTES);
    BrokerSettings { buffer_bytes, slot_bytes, shards, sole: true }
}

fn coordinator_settings(config: &Config) -> weir_coordinator::Settings {
    weir_coordinator::Settings {
        initial_rebalance_delay: Duration::from_millis(config.groups.initial_rebalance_delay_ms),
        session_timeout_min: Duration::from_millis(config.groups.session_timeout_min_ms),
        offsets_topic_partitions: config.groups.offsets_topic_partitions,
        ..weir_coordinator::Settings::default()
    }
}

fn proxy_config(config: &Config, cluster_id: &str) -> Result<ProxyConfig> {
    let advertise = config.kafka.advertise.as_deref().map(host_port).transpose()?;
    let zone = config.node.zone.clone().unwrap_or_default();
    let listen = config.kafka.listen.clone();
    let proxy = &config.proxy;
    Ok(ProxyConfig {
        node: NodeId(config.node.id),
        cluster_id: cluster_id.to_owned(),
        listeners: vec![ListenerConfig { name: "kafka".to_owned(), listen, advertise, zone }],
        settings: ProxySettings {
            request_max_bytes: proxy.request_max_bytes,
            request_memory_bytes: proxy.request_memory_bytes,
            response_memory_bytes: proxy.response_memory_bytes,
            connections_max: proxy.connections_max,
            connections_per_address_max: proxy.connections_per_address_max,
            auto_create_topics: config.topics.auto_create,
            ..ProxySettings::default()
        },
    })
}

fn host_port(text: &str) -> Result<(String, u16)> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = parts.with_context(|| {
        format!("kafka.advertise is {text:?}, but must be HOST:PORT, e.g. weir-1.example.com:9092")
    })?;
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

fn shown(config: &Config, kafka: HostPort) -> Node {
    Node {
        roles: vec![Role::Broker, Role::Coordinator, Role::Proxy, Role::Controller],
        kafka: Some(kafka),
        rpc: None,
        http: Some(config.http.listen.clone()),
        zone: config.node.zone.clone(),
    }
}
