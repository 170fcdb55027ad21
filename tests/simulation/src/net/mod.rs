//! The network between processes, stores and clients.
//!
//! Everything that leaves a process travels: it takes a while, drawn for each pair and direction, and
//! while the way is cut it waits, as TCP would keep sending it. Ways may be slow, and cut in one
//! direction or both.
//!
//! - [`Connection`](connection::Connection): what a process holds to another, and loses.
//! - [`Links`](links::Links): a process's connections, and calls over them.
//! - [`ordered`]: messages of one pair that keep their order.
//! - `broker`, `coordinator`, `controller`: the roles' own traits over links. What these do when a
//!   connection breaks is what a client of the roles' services across processes must do.

pub(crate) mod broker;
mod connection;
pub(crate) mod controller;
pub(crate) mod coordinator;
mod links;
mod ordered;
pub(crate) mod probe;
mod serving;
mod tail;

use std::{
    collections::BTreeMap,
    fmt,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};
use weir_broker::{BrokerRole, client::BrokerClient};
use weir_ids::NodeId;
use weir_meta::controller::Controller;
use weir_proxy::Proxy;
use weir_runtime::watch;

use crate::{
    chance::Chance,
    process::{Condition, Process},
    trace::Trace,
};
use connection::Connection;
use coordinator::ServedCoordinator;
pub(crate) use links::Links;

/// Where a way begins or ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Place {
    Node(NodeId),
    Objects,
    Metadata,
    Clients,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "n{node}"),
            Self::Objects => f.write_str("objects"),
            Self::Metadata => f.write_str("metadata"),
            Self::Clients => f.write_str("clients"),
        }
    }
}

/// How long a message takes that nothing holds up, in milliseconds.
const USUAL_MS: RangeInclusive<u64> = 0..=3;
/// How often a connection is looked at that may be dead.
const TICK: Duration = Duration::from_millis(500);
/// After how long a silence the two ends of a connection give it up: a ping each second, and three of
/// them without an answer.
pub(crate) const SILENCE_MAX: Duration = Duration::from_secs(3);

/// What a process offers to others.
#[derive(Clone, Default)]
pub(crate) struct Services {
    pub(crate) broker: Option<Arc<dyn BrokerClient>>,
    pub(crate) role: Option<Arc<BrokerRole>>,
    pub(crate) coordinator: Option<ServedCoordinator>,
    pub(crate) controller: Option<Arc<dyn Controller>>,
    pub(crate) proxy: Option<Arc<Proxy>>,
    /// Told when the process is to end in order.
    pub(crate) asked_to_stop: Option<Arc<Notify>>,
}

/// A process that others can reach.
pub(crate) struct Host {
    pub(crate) process: Arc<Process>,
    services: Mutex<Services>,
}

impl Host {
    pub(crate) fn new(process: Arc<Process>) -> Arc<Self> {
        Arc::new(Self { process, services: Mutex::default() })
    }

    /// What it offers by now.
    pub(crate) fn services(&self) -> Services {
        self.services.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Offers nothing any more.
    fn withdraw(&self) {
        let services =
            std::mem::take(&mut *self.services.lock().unwrap_or_else(PoisonError::into_inner));
        drop(services);
    }

    /// Offers more.
    pub(crate) fn offer(&self, change: impl FnOnce(&mut Services)) {
        change(&mut self.services.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The network. Clones are the same.
#[derive(Clone)]
pub(crate) struct Net(Arc<Inner>);

struct Inner {
    seed: u64,
    trace: Trace,
    state: Mutex<State>,
    /// Rings when a way opens.
    opened: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    hosts: BTreeMap<NodeId, Arc<Host>>,
    ways: BTreeMap<(Place, Place), Way>,
    connections: Vec<Weak<Connection>>,
    next: u64,
}

/// One direction between two places.
struct Way {
    chance: Chance,
    cuts: u32,
    slow_ms: Option<RangeInclusive<u64>>,
}

impl Net {
    pub(crate) fn new(seed: u64, trace: Trace) -> Self {
        let (state, opened) = (Mutex::default(), watch::Sender::new(()));
        Self(Arc::new(Inner { seed, trace, state, opened }))
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.0.trace
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn way<T>(&self, from: Place, to: Place, look: impl FnOnce(&mut Way) -> T) -> T {
        let seed = self.0.seed;
        let mut state = self.lock();
        look(state.ways.entry((from, to)).or_insert_with(|| Way {
            chance: Chance::new(seed, &format!("way {from} {to}")),
            cuts: 0,
            slow_ms: None,
        }))
    }

    /// A number for something new.
    pub(crate) fn number(&self) -> u64 {
        let mut state = self.lock();
        state.next += 1;
        state.next
    }

    /// How long the next message takes.
    pub(crate) fn delay(&self, from: Place, to: Place) -> Duration {
        self.way(from, to, |way| {
            let range = way.slow_ms.clone().unwrap_or(USUAL_MS);
            way.chance.millis(range)
        })
    }

    /// Whether nothing gets through.
    pub(crate) fn is_cut(&self, from: Place, to: Place) -> bool {
        self.way(from, to, |way| way.cuts > 0)
    }

    /// Takes as long as a message.
    pub(crate) async fn travel(&self, from: Place, to: Place) {
        let delay = self.delay(from, to);
        if delay > Duration::ZERO {
            sleep(delay).await;
        }
        self.passes(from, to).await;
    }

    /// Waits while the way is cut.
    pub(crate) async fn passes(&self, from: Place, to: Place) {
        let mut opened = self.0.opened.subscribe();
        while self.is_cut(from, to) {
            opened.borrow_and_update();
            // The sender lives as long as this.
            let _ = opened.changed().await;
        }
    }

    /// Cuts a way, once more.
    pub(crate) fn cut(&self, from: Place, to: Place) {
        self.way(from, to, |way| way.cuts += 1);
    }

    /// Takes one cut back.
    pub(crate) fn mend(&self, from: Place, to: Place) {
        self.way(from, to, |way| way.cuts = way.cuts.saturating_sub(1));
        self.0.opened.send_replace(());
    }

    /// Makes a way slow, or usual again.
    pub(crate) fn slow(&self, from: Place, to: Place, slow_ms: Option<RangeInclusive<u64>>) {
        self.way(from, to, |way| way.slow_ms = slow_ms);
    }

    /// All ways are open and as fast as usual.
    pub(crate) fn heal(&self) {
        for way in self.lock().ways.values_mut() {
            (way.cuts, way.slow_ms) = (0, None);
        }
        self.0.opened.send_replace(());
    }

    /// A node lives, again.
    pub(crate) fn arrive(&self, host: Arc<Host>) {
        let before = self.lock().hosts.insert(host.process.node, host);
        if let Some(before) = before {
            before.withdraw();
        }
    }

    /// Forgets all nodes: what they offer holds ways to one another, and would stay for ever.
    pub(crate) fn end(&self) {
        let hosts = std::mem::take(&mut self.lock().hosts);
        hosts.values().for_each(|host| host.withdraw());
    }

    /// The last process of a node, dead or alive.
    pub(crate) fn host(&self, node: NodeId) -> Option<Arc<Host>> {
        self.lock().hosts.get(&node).cloned()
    }

    fn connections(&self) -> Vec<Arc<Connection>> {
        let mut state = self.lock();
        state.connections.retain(|connection| connection.strong_count() > 0);
        state.connections.iter().filter_map(Weak::upgrade).collect()
    }

    fn keep(&self, connection: &Arc<Connection>) {
        self.lock().connections.push(Arc::downgrade(connection));
    }

    /// Resets what two nodes hold to each other.
    pub(crate) fn reset(&self, a: NodeId, b: NodeId) {
        for connection in self.connections() {
            let ends = (connection.from.node, connection.to.process.node);
            if ends == (a, b) || ends == (b, a) {
                connection.break_now("reset");
            }
        }
    }

    /// Breaks, for ever, the connections whose other end has died or been silent for too long.
    pub(crate) async fn run(self) {
        loop {
            sleep(TICK).await;
            for connection in self.connections() {
                let (from, to) = connection.ends();
                let open = !self.is_cut(from, to) && !self.is_cut(to, from);
                match connection.to.process.condition() {
                    Condition::Dead if open => connection.break_now("the other end has died"),
                    Condition::Running if open => connection.heard(),
                    _ => connection.silent_for(TICK),
                }
            }
        }
    }

    /// The operating system of a node that has just died resets its connections.
    pub(crate) fn died(&self, process: &Arc<Process>) {
        for connection in self.connections() {
            let (from, to) = connection.ends();
            let open = !self.is_cut(from, to) && !self.is_cut(to, from);
            if open && Arc::ptr_eq(&connection.to.process, process) {
                connection.break_now("the other end has died");
            }
        }
    }
}
