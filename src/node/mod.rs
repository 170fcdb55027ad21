//! A node: roles put together into a process, run until it is told to stop, and taken down in order.
//!
//! A node that is alone and one of a cluster are put together in the same way, over different foundations.
//! Order on the way up: what it stands on, the view of the cluster, sockets, the node's id, broker,
//! controller, coordinator, and the proxy last, when everything that it relies on serves. On the way down the other way
//! round: clients are answered before what answers them goes.

mod foundation;
mod peers;
mod place;
mod roles;
mod settings;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use prometheus_client::registry::Registry;
use tokio::time::{sleep, timeout};
use weir_broker::{
    Broker, BrokerDeps, BrokerRole, catalog,
    client::{BrokerClient, Brokers},
    collector::{Collected, Collector, CollectorDeps, CollectorSettings},
    rpc::{RemoteBrokers, RemoteProbe},
};
use weir_coordinator::{
    BrokerLog, Cluster, Coordinator, CoordinatorClient, RoutedCoordinators, ViewedCluster,
    rpc::RemoteCoordinators,
};
use weir_ids::NodeId;
use weir_meta::{
    NodeRegistration, ProducerIds,
    controller::{
        BrokenLinks, Controller, LocalController, NoProbe, Probe, Settings as ControllerSettings,
        rpc::RemoteController,
    },
    model::{HostPort, Node, Session},
    views::View,
};
use weir_proxy::{
    BoundProxy, Proxy, ProxyDeps,
    http::{self, Access, Admin, Readiness},
};
use weir_rpc::{Identity, Links, Server, tonic::service::Routes};
use weir_runtime::{Runtime, TaskError, Tasks};
use weir_segment_store::Reader;

use crate::config::{Asked, Config, Id};
pub(crate) use foundation::Ground;
use foundation::{Foundation, Hold};
use peers::ViewedPeers;
pub(crate) use place::Place;
use place::Rpc;
pub(crate) use roles::Roles;

/// How long the controller is waited for before clients are served without one.
const ELECTION_WAIT: Duration = Duration::from_secs(15);

/// How often a node that is alone clears away what nobody needs, and for how long a reader may rely on where it was told
/// to look.
const TIDY_UP_EVERY: Duration = Duration::from_secs(60);

/// How long the metadata may take to take in that a node leaves.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// A node that serves.
pub(crate) struct Running {
    tasks: Tasks,
    readiness: Readiness,
    proxy: Option<Proxy>,
    coordinator: Option<Coordinator>,
    broker: Option<Arc<BrokerRole>>,
    registration: NodeRegistration,
    is_alone: bool,
    roles: Roles,
    http: SocketAddr,
    hold: Hold,
}

/// What roles are put together from.
struct Parts<'a> {
    config: &'a Config,
    roles: Roles,
    /// It is the only node there is.
    is_alone: bool,
    runtime: Runtime,
    tasks: Tasks,
    node: NodeId,
    foundation: &'a Foundation,
    view: View,
    links: Links,
    reader: Reader,
}

impl Running {
    /// Starts a node at `place`.
    pub(crate) async fn start(config: &Config, place: &Place) -> Result<Self> {
        let (runtime, tasks) = (Runtime::system(), Tasks::new());
        let foundation = Foundation::lay(config, place, &runtime).await?;
        let (roles, rpc) = match place {
            Place::Alone(_) => (Roles::ALL, None),
            Place::Cluster(shared) => (shared.roles, Some(&shared.rpc)),
        };
        let node = match config.node.id {
            Id::Given(id) => NodeId(id),
            Id::Asked(Asked::Auto) => foundation.metadata.allocate_node_id().await?,
        };
        let view = View::follow(foundation.metadata.clone(), &tasks).await?;
        let identity = Identity { cluster: foundation.cluster.to_string(), node };
        let broken = BrokenLinks::new(view.clone());
        let peers = Arc::new(ViewedPeers { view: view.clone(), broken: broken.clone() });
        let links = Links::new(identity.clone(), runtime.clone(), peers, &tasks);
        let parts = Parts {
            config,
            roles,
            is_alone: rpc.is_none(),
            runtime,
            tasks: tasks.clone(),
            node,
            foundation: &foundation,
            links,
            reader: Reader::new(foundation.store.clone(), settings::reader(config)),
            view,
        };
        let started = parts.start(identity, rpc, broken).await?;
        let Started { registration, proxy, coordinator, broker, readiness, http } = started;
        Ok(Self {
            tasks,
            readiness,
            proxy,
            coordinator,
            broker,
            registration,
            is_alone: rpc.is_none(),
            roles,
            http,
            hold: foundation.hold,
        })
    }

    /// What it serves, and where, in a line.
    pub(crate) fn describe(&self) -> String {
        let http = self.http;
        let Some(proxy) = &self.proxy else { return format!("{}, HTTP on {http}", self.roles) };
        let kafka: Vec<String> = proxy.addresses().iter().map(ToString::to_string).collect();
        format!("Kafka on {}, HTTP on {http}", kafka.join(", "))
    }

    /// Resolves when a task has failed and the node can't go on.
    pub(crate) async fn failed(&self) {
        self.tasks.stop().requested().await;
    }

    /// Hands over what others can take, answers what is pending, makes everything durable, ends.
    pub(crate) async fn shutdown(self) -> Result<()> {
        self.readiness.set(false);
        if !self.is_alone {
            self.take_leave().await;
        }
        // Each part of the group reports the group's first error: that of a failed task first.
        // Together: a join that waits for other members must not hold up the proxy's drain.
        let (proxy, ()) =
            tokio::join!(async { ended(self.proxy.as_ref().map(Proxy::shutdown)).await }, async {
                if let Some(coordinator) = &self.coordinator {
                    coordinator.shutdown().await;
                }
            });
        let broker = ended(self.broker.as_ref().map(|broker| broker.shutdown())).await;
        let rest = self.tasks.shutdown().await;
        self.hold.close().await;
        proxy.and(broker).and(rest).map_err(Into::into)
    }

    /// Lets others take over what they can. Clients are served meanwhile.
    async fn take_leave(&self) {
        match timeout(TOLD_WITHIN, self.registration.drain()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                return tracing::warn!(%error, "the others are not told that this node leaves");
            }
            Err(_) => return tracing::warn!("the metadata do not take in that this node leaves"),
        }
        let broker = async {
            if let Some(broker) = &self.broker {
                broker.hand_over().await;
            }
        };
        let proxy = async {
            if let Some(proxy) = &self.proxy {
                proxy.take_leave().await;
            }
        };
        tokio::join!(broker, proxy);
    }
}

async fn ended(
    ending: Option<impl Future<Output = Result<(), TaskError>>>,
) -> Result<(), TaskError> {
    match ending {
        Some(ending) => ending.await,
        None => Ok(()),
    }
}

/// What was started.
struct Started {
    registration: NodeRegistration,
    proxy: Option<Proxy>,
    coordinator: Option<Coordinator>,
    broker: Option<Arc<BrokerRole>>,
    readiness: Readiness,
    http: SocketAddr,
}

impl Parts<'_> {
    async fn start(
        self,
        identity: Identity,
        rpc: Option<&Rpc>,
        broken: BrokenLinks,
    ) -> Result<Started> {
        let (mut registry, readiness) = (Registry::default(), Readiness::default());
        let cluster_id = &identity.cluster;
        let bound = match self.roles.proxy {
            true => {
                let config = settings::proxy(self.config, self.node, cluster_id)?;
                Some(BoundProxy::bind(config).await?)
            }
            false => None,
        };
        let server = match rpc {
            Some(rpc) => Some(Served::bind(rpc).await?),
            None => None,
        };
        let reached = server.as_ref().map(|server| server.advertised.clone());
        let kafka = bound.as_ref().map(BoundProxy::advertised);
        let shown = self.shown(kafka, reached.clone());
        let metadata = self.foundation.metadata.clone();
        // Before a broker ends what it takes for earlier sessions of its own.
        let registration = NodeRegistration::take(metadata, self.node, shown, &self.tasks).await?;
        let broker = match self.roles.broker {
            true => Some(self.broker(reached, &mut registry).await?),
            false => None,
        };
        let own_controller = self.controller().await;
        let own_broker = broker.as_ref().map(|broker| (self.node, broker.client()));
        let brokers = self.brokers(own_broker);
        let controller = self.everywhere(own_controller.clone());
        let seen: Arc<dyn Cluster> = Arc::new(ViewedCluster::new(
            self.node,
            self.view.clone(),
            Arc::clone(&controller),
            Arc::clone(&brokers),
        ));
        let coordinator = self.roles.coordinator.then(|| self.coordinator(Arc::clone(&seen)));
        if let Some(server) = server {
            let services = self.services(broker.as_ref(), own_controller, coordinator.as_ref());
            server.server.serve(identity.clone(), self.runtime.clone(), services, &self.tasks);
            self.report(broken, Arc::clone(&controller));
        }
        registration.serve(self.roles.list()).await?;
        match &broker {
            Some(broker) if self.is_alone => self.tidy_up(broker, Arc::clone(&brokers)),
            Some(broker) => {
                self.collect(Arc::clone(&brokers));
                self.report_load(Arc::clone(broker), Arc::clone(&controller));
            }
            None => {}
        }
        settings::print_budget(self.config, self.roles, bound.as_ref());
        let http = &self.config.http;
        let access = Access::new(http.admin_token.clone(), &http.listen);
        let (view, asked) = (self.view.clone(), Arc::clone(&controller));
        let admin = Admin { view, controller: asked, access };
        let proxy = bound.map(|bound| {
            let coordinators = self.coordinators(coordinator.clone(), seen);
            bound.serve(self.proxy(brokers, coordinators, controller), &mut registry)
        });
        let router = http::router(registry, readiness.clone(), admin);
        let http = http::serve(&http.listen, router, &self.tasks).await?;
        readiness.set(true);
        Ok(Started { registration, proxy, coordinator, broker, readiness, http })
    }

    async fn broker(
        &self,
        reached: Option<String>,
        registry: &mut Registry,
    ) -> Result<Arc<BrokerRole>> {
        let Foundation { metadata, cluster, store, journal, .. } = self.foundation;
        let zone = self.config.node.zone.clone();
        let deps = BrokerDeps {
            cluster: *cluster,
            node: self.node,
            runtime: self.runtime.clone(),
            metadata: metadata.clone(),
            store: store.clone(),
            journal: Arc::clone(journal),
            session: Session { node: self.node, rpc: reached, zone },
        };
        let settings = settings::broker(self.config, self.is_alone);
        let broker = BrokerRole::start(deps, settings, self.view.clone(), &self.tasks).await?;
        broker.register_metrics(registry);
        Ok(broker)
    }

    async fn controller(&self) -> Option<Arc<dyn Controller>> {
        if !self.roles.controller {
            return None;
        }
        let settings = ControllerSettings {
            default_partitions: self.config.topics.default_partitions,
            ..ControllerSettings::default()
        };
        // A node that is alone has no other broker to ask.
        let probe: Arc<dyn Probe> = match self.is_alone {
            true => Arc::new(NoProbe),
            false => Arc::new(RemoteProbe(self.links.clone())),
        };
        let (metadata, view) = (self.foundation.metadata.clone(), self.view.clone());
        let (runtime, tasks) = (self.runtime.clone(), &self.tasks);
        let controller =
            LocalController::start(metadata, view, runtime, self.node, settings, probe, tasks);
        if self.is_alone && timeout(ELECTION_WAIT, controller.elected()).await.is_err() {
            tracing::warn!("no controller is elected yet; topics can't be changed until one is");
        }
        Some(Arc::new(controller))
    }

    /// The elected controller, wherever it is.
    fn everywhere(&self, own: Option<Arc<dyn Controller>>) -> Arc<dyn Controller> {
        let own = own.map(|own| (self.node, own));
        Arc::new(RemoteController::new(self.links.clone(), self.view.clone(), own))
    }

    fn brokers(&self, own: Option<(NodeId, Arc<dyn BrokerClient>)>) -> Arc<dyn Brokers> {
        Arc::new(RemoteBrokers::new(self.links.clone(), self.view.clone(), own))
    }

    fn coordinator(&self, seen: Arc<dyn Cluster>) -> Coordinator {
        let log = Arc::new(BrokerLog::new(Arc::clone(&seen), self.reader.clone()));
        let settings = settings::coordinator(self.config);
        Coordinator::start(self.runtime.clone(), &self.tasks, settings, seen, log)
    }

    /// What other nodes may ask of this one.
    fn services(
        &self,
        broker: Option<&Arc<BrokerRole>>,
        controller: Option<Arc<dyn Controller>>,
        coordinator: Option<&Coordinator>,
    ) -> Routes {
        let mut services = Routes::default();
        if let Some(broker) = broker {
            let service = weir_broker::rpc::service(Arc::clone(broker), &self.tasks);
            services = services.add_service(service);
        }
        if let Some(controller) = controller {
            services = services.add_service(weir_meta::controller::rpc::service(controller));
        }
        if let Some(coordinator) = coordinator {
            let coordinator = Arc::new(coordinator.clone());
            services =
                services.add_service(weir_coordinator::rpc::service(coordinator, &self.runtime));
        }
        services
    }

    fn proxy(
        &self,
        brokers: Arc<dyn Brokers>,
        coordinators: Arc<dyn CoordinatorClient>,
        controller: Arc<dyn Controller>,
    ) -> ProxyDeps {
        let metadata = self.foundation.metadata.clone();
        ProxyDeps {
            tasks: self.tasks.clone(),
            view: self.view.clone(),
            brokers,
            coordinators,
            controller,
            reader: self.reader.clone(),
            producer_ids: ProducerIds::new(metadata, self.tasks.clone()),
        }
    }

    /// The coordinators of all groups, wherever they are.
    fn coordinators(
        &self,
        own: Option<Coordinator>,
        seen: Arc<dyn Cluster>,
    ) -> Arc<dyn CoordinatorClient> {
        let own = own.map(|own| Arc::new(own) as Arc<dyn CoordinatorClient>);
        if let (true, Some(own)) = (self.is_alone, &own) {
            return Arc::clone(own);
        }
        let own = own.map(|own| (self.node, own));
        let reached = RemoteCoordinators::new(self.links.clone(), own, Arc::clone(&seen));
        Arc::new(RoutedCoordinators::new(self.view.clone(), seen, Arc::new(reached)))
    }

    /// Tells the controller of brokers that can't be reached.
    fn report(&self, broken: BrokenLinks, controller: Arc<dyn Controller>) {
        self.tasks.spawn("broken links", |stop| async move {
            broken.report(&*controller, stop).await;
        });
    }

    /// Tells the controller what the broker has to do.
    fn report_load(&self, broker: Arc<BrokerRole>, controller: Arc<dyn Controller>) {
        self.tasks.spawn("load reports", |stop| async move {
            broker.report_load(&*controller, stop).await;
        });
    }

    /// Takes part in the election of who deletes what nobody refers to.
    fn collect(&self, brokers: Arc<dyn Brokers>) {
        let settings = settings::collector(self.config);
        Collector::start(self.collector_deps(brokers), settings, &self.tasks);
    }

    /// In the background: adopts what earlier sessions left, and clears away what nobody needs.
    fn tidy_up(&self, broker: &BrokerRole, brokers: Arc<dyn Brokers>) {
        let Some(broker) = broker.present() else { return };
        let settings = CollectorSettings {
            interval: TIDY_UP_EVERY,
            grace: TIDY_UP_EVERY,
            only_objects: true,
            ..CollectorSettings::default()
        };
        let mut collector = Collector::new(self.collector_deps(brokers), settings);
        let (metadata, store) = (self.foundation.metadata.clone(), self.foundation.store.clone());
        self.tasks.spawn("catalog", |stop| async move {
            tokio::select! {
                biased;
                () = stop.requested() => {}
                () = catalog::keep(metadata, store) => {}
            }
        });
        self.tasks.spawn("tidy up", |stop| async move {
            loop {
                if broker.checkpoint().await {
                    tidy_up_once(&broker, &mut collector).await;
                }
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    () = sleep(TIDY_UP_EVERY) => {}
                }
            }
        });
    }

    fn collector_deps(&self, brokers: Arc<dyn Brokers>) -> CollectorDeps {
        CollectorDeps {
            node: self.node,
            metadata: self.foundation.metadata.clone(),
            store: self.foundation.store.clone(),
            journal: Arc::clone(&self.foundation.journal),
            view: self.view.clone(),
            brokers,
        }
    }

    /// How it is reached; what it does follows when it serves.
    fn shown(&self, kafka: Option<HostPort>, rpc: Option<String>) -> Node {
        Node {
            roles: Vec::new(),
            kafka,
            rpc,
            http: Some(self.config.http.listen.clone()),
            zone: self.config.node.zone.clone(),
            draining: false,
        }
    }
}

/// Where other nodes reach this one; nobody is served yet.
struct Served {
    server: Server,
    advertised: String,
}

impl Served {
    async fn bind(rpc: &Rpc) -> Result<Self> {
        let server = Server::bind(&rpc.listen).await?;
        let address = server.address();
        let advertised = match &rpc.advertise {
            Some(advertise) => advertise.clone(),
            None if address.ip().is_unspecified() => bail!(
                "rpc.listen is {:?}, which no other node can connect to; set rpc.advertise to the \
                 HOST:PORT of this node",
                rpc.listen
            ),
            None => address.to_string(),
        };
        Ok(Self { server, advertised })
    }
}

async fn tidy_up_once(broker: &Broker, collector: &mut Collector) {
    match broker.retire_sessions().await {
        Ok(0) => {}
        Ok(gone) => tracing::info!(gone, "cleared away ended sessions"),
        Err(error) => tracing::warn!(%error, "ended sessions are not cleared away"),
    }
    match collector.round().await {
        Ok(Collected { deleted: 0, .. }) => {}
        Ok(Collected { deleted, .. }) => tracing::info!(deleted, "deleted what nobody needs"),
        Err(error) => tracing::warn!(%error, "what nobody needs is not deleted"),
    }
}
