//! A running proxy: put together from what it is given, and taken down in order.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytestring::ByteString;
use prometheus_client::registry::Registry;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use weir_broker::client::Brokers;
use weir_coordinator::CoordinatorClient;
use weir_ids::NodeId;
use weir_meta::{ProducerIds, controller::Controller, model::HostPort, views::View};
use weir_runtime::{TaskError, Tasks};
use weir_segment_store::Reader;

use crate::{
    ahead::Ahead,
    budget::ByteBudget,
    connection::{Peer, Shared},
    handlers::{Handlers, Sessions},
    listener::{Admission, Endpoint, ListenError, Listener, ListenerConfig, Reception},
    routing::Owners,
    settings::{Settings, SettingsError},
    tail::Tails,
};

/// How long the metadata may take to show that this node drains.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);
/// How long clients are told to go elsewhere: those that produce or consume come by in that time. A consumer
/// lets a fetch wait for half a second, unless it was told otherwise.
const CLIENTS_COME_BY: Duration = Duration::from_millis(1_500);

/// What a proxy is told.
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// The number that clients know it by.
    pub node: NodeId,
    /// The cluster's id, for ever the same.
    pub cluster_id: String,
    /// Where Kafka clients connect; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// Its limits.
    pub settings: Settings,
}

/// What a proxy works with.
pub struct ProxyDeps {
    /// Its tasks become a group below this one.
    pub tasks: Tasks,
    /// The cluster.
    pub view: View,
    /// The brokers of all partitions.
    pub brokers: Arc<dyn Brokers>,
    /// The coordinators of all groups.
    pub coordinators: Arc<dyn CoordinatorClient>,
    /// Who creates and deletes topics.
    pub controller: Arc<dyn Controller>,
    /// Reads what lies behind the brokers' tails.
    pub reader: Reader,
    /// Numbers for idempotent producers.
    pub producer_ids: ProducerIds,
}

/// Why a proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings contradict each other.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A listener can't be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is nothing to listen on.
    #[error("no kafka listener is configured; give at least one address to listen on")]
    NoListener,
}

/// A proxy whose addresses are bound and that serves nobody yet: what it advertises is known, so it
/// can be registered before the first client comes.
pub struct BoundProxy {
    node: NodeId,
    cluster_id: ByteString,
    settings: Settings,
    /// What clients of other proxies are told.
    endpoint: Arc<Endpoint>,
    listeners: Vec<Listener>,
}

/// A proxy that serves.
pub struct Proxy {
    addresses: Vec<SocketAddr>,
    reception: Reception<Arc<Handlers>>,
    endpoint: Arc<Endpoint>,
    /// Listeners and connections.
    serving: Tasks,
    /// What connections rely on.
    supporting: Tasks,
}

impl BoundProxy {
    /// Binds the listeners of `config`.
    ///
    /// # Errors
    /// When its settings contradict each other or an address can't be listened on.
    pub async fn bind(config: ProxyConfig) -> Result<Self, StartError> {
        let ProxyConfig { node, cluster_id, listeners: configs, settings } = config;
        settings.check()?;
        let mut listeners = Vec::with_capacity(configs.len());
        for config in configs {
            listeners.push(Listener::bind(config).await?);
        }
        let endpoint = listeners.first().ok_or(StartError::NoListener)?.endpoint();
        let endpoint = Arc::clone(endpoint);
        Ok(Self { node, cluster_id: cluster_id.into(), settings, endpoint, listeners })
    }

    /// Binds nothing: clients come in through [`Proxy::connect`], and are told the first of the
    /// listeners of `config`, at the address that it advertises.
    ///
    /// # Errors
    /// When its settings contradict each other or no address is advertised.
    pub fn unbound(config: ProxyConfig) -> Result<Self, StartError> {
        let ProxyConfig { node, cluster_id, listeners: configs, settings } = config;
        settings.check()?;
        let first = configs.into_iter().next().ok_or(StartError::NoListener)?;
        let ListenerConfig { name, advertise, zone, .. } = first;
        let (host, port) = advertise.ok_or(StartError::NoListener)?;
        let endpoint = Arc::new(Endpoint { name, host, port, zone });
        let cluster_id = cluster_id.into();
        Ok(Self { node, cluster_id, settings, endpoint, listeners: Vec::new() })
    }

    /// The addresses that were bound, in the order of the listeners.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().map(Listener::local).collect()
    }

    /// What clients of other proxies are told: the first listener's address.
    pub fn advertised(&self) -> HostPort {
        let Endpoint { host, port, .. } = &*self.endpoint;
        HostPort { host: host.clone(), port: *port }
    }

    /// What the proxy may hold in memory at most, part by part.
    pub fn memory_budget(&self) -> Vec<(&'static str, usize)> {
        self.settings.memory_budget()
    }

    /// Accepts clients from now on, and shows its metrics in `registry`.
    pub fn serve(self, deps: ProxyDeps, registry: &mut Registry) -> Proxy {
        let addresses = self.addresses();
        let ProxyDeps { tasks, view, brokers, coordinators, controller, reader, producer_ids } =
            deps;
        let (serving, supporting) = (tasks.child(), tasks.child());
        let Self { node, cluster_id, settings, endpoint, listeners } = self;
        let admission =
            Admission::new(settings.connections_max, settings.connections_per_address_max);
        let handlers = Handlers {
            here: node,
            cluster_id,
            brokers,
            coordinators,
            controller,
            ahead: Ahead::new(reader.clone(), serving.clone()),
            reader,
            producer_ids,
            tails: Tails::new(serving.clone(), settings.idle_subscriptions_max),
            owners: Owners::default(),
            began: Instant::now(),
            fetch_sessions: Sessions::new(settings.fetch_session_memory_bytes),
            lagging_reads: Semaphore::new(settings.lagging_reads_max),
            time_lookups: Semaphore::new(1),
            decoded: ByteBudget::new(settings.decoded_memory_bytes),
            stop: serving.stop(),
            shared: Arc::new(Shared::new(settings)),
            view,
        };
        handlers.shared.metrics.register(registry);
        let handlers = Arc::new(handlers);
        let following = Arc::clone(&handlers);
        supporting
            .spawn("follow topics", |stop| async move { following.follow_topics(stop).await });
        let shared = Arc::clone(&handlers.shared);
        let (tasks, service) = (serving.clone(), Arc::new(handlers));
        let reception = Reception { tasks, service, shared, admission };
        for listener in listeners {
            let reception = reception.clone();
            serving.spawn("listener", move |stop| listener.run(reception, stop));
        }
        Proxy { addresses, reception, endpoint, serving, supporting }
    }
}

impl Proxy {
    /// Binds and serves.
    ///
    /// # Errors
    /// As for [`BoundProxy::bind`].
    pub async fn start(
        config: ProxyConfig,
        deps: ProxyDeps,
        registry: &mut Registry,
    ) -> Result<Self, StartError> {
        Ok(BoundProxy::bind(config).await?.serve(deps, registry))
    }

    /// The addresses that clients can connect to, in the order of the listeners.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves a client that came in some other way than through a listener, at the other end of
    /// `stream`. `address` is what it is counted and shown by.
    pub fn connect<S>(&self, stream: S, address: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let endpoint = Arc::clone(&self.endpoint);
        self.reception.take(Peer { address, endpoint }, read, write);
    }

    /// Sends clients to other proxies, if there are any that stay, once the metadata show that this node
    /// drains: they are told to go elsewhere when they next produce or fetch, and have the time to do so.
    pub async fn take_leave(&self) {
        let handlers = &self.reception.service;
        let mut changes = handlers.view.changes();
        let shown = timeout(SHOWN_WITHIN, async {
            while handlers.others_stay() && !handlers.turns_away() {
                changes.next().await;
            }
        });
        if shown.await.is_ok() && handlers.turns_away() {
            sleep(CLIENTS_COME_BY).await;
        }
    }

    /// Takes no further connection or request, answers what is pending, closes. To be called before
    /// brokers and coordinators are stopped.
    ///
    /// # Errors
    /// The first error that one of its tasks ended with.
    pub async fn shutdown(&self) -> Result<(), TaskError> {
        self.serving.shutdown().await?;
        self.supporting.shutdown().await
    }
}
