//! The nodes, dead and alive: starting, pausing, killing them, and starting again what ends by itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;
use weir_ids::NodeId;

use crate::{
    net::{Host, Net},
    node::Node,
    process::{Condition, Process},
    stores::meta::RemoteMeta,
};

/// How soon a process is started again that has ended by itself.
const RESTART: Duration = Duration::from_secs(1);

/// All nodes. Clones are the same.
#[derive(Clone)]
pub(crate) struct Fleet(Arc<Inner>);

struct Inner {
    net: Net,
    machines: BTreeMap<NodeId, Machine>,
}

struct Machine {
    node: Arc<Node>,
    now: Mutex<Now>,
}

/// A machine's latest process.
#[derive(Default)]
struct Now {
    lives: u32,
    latest: Option<(Arc<Host>, RemoteMeta)>,
}

impl Fleet {
    /// Machines for `nodes`, all off.
    pub(crate) fn new(net: &Net, nodes: Vec<Node>) -> Self {
        let machines = nodes.into_iter().map(|node| {
            let (node, now) = (Arc::new(node), Mutex::default());
            (node.id, Machine { node, now })
        });
        Self(Arc::new(Inner { net: net.clone(), machines: machines.collect() }))
    }

    /// All of them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.0.machines.values().map(|machine| &machine.node)
    }

    /// One of them; it must be there.
    pub(crate) fn node(&self, id: NodeId) -> &Arc<Node> {
        &self.0.machines[&id].node
    }

    fn now(&self, id: NodeId) -> MutexGuard<'_, Now> {
        self.0.machines[&id].now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latest(&self, id: NodeId) -> Option<Arc<Process>> {
        self.now(id).latest.as_ref().map(|(host, _)| Arc::clone(&host.process))
    }

    /// How the latest process of a node is.
    pub(crate) fn condition(&self, id: NodeId) -> Condition {
        self.latest(id).map_or(Condition::Dead, |process| process.condition())
    }

    /// The metadata as the latest process of a node sees them.
    pub(crate) fn metadata_of(&self, id: NodeId) -> Option<RemoteMeta> {
        self.now(id).latest.as_ref().map(|(_, metadata)| metadata.clone())
    }

    /// How many lives the nodes have had.
    pub(crate) fn lives(&self) -> u32 {
        self.0.machines.keys().map(|id| self.now(*id).lives).sum()
    }

    /// Starts a node that is dead.
    pub(crate) fn start(&self, id: NodeId) {
        if self.condition(id) != Condition::Dead {
            return;
        }
        let node = Arc::clone(self.node(id));
        let host = {
            let mut now = self.now(id);
            now.lives += 1;
            Host::new(Process::new(id, now.lives))
        };
        let metadata = node.remote_metadata();
        self.now(id).latest = Some((Arc::clone(&host), metadata.clone()));
        let life = host.process.life;
        self.0.net.trace().line(format_args!("n{id} starts life {life}"));
        self.0.net.arrive(Arc::clone(&host));
        let fleet = self.clone();
        let process = Arc::clone(&host.process);
        process.run(Box::pin(async move {
            let ended = node.live(&host, metadata).await;
            let why = ended.err().map_or_else(String::new, |error| format!("{error:#}"));
            fleet.0.net.trace().line(format_args!("n{id} life {life} ends by itself: {why}"));
            // A task can't kill its own process.
            crate::free(async move {
                fleet.bury(&host.process);
                sleep(RESTART).await;
                if fleet.latest(id).is_some_and(|latest| Arc::ptr_eq(&latest, &host.process)) {
                    fleet.start(id);
                }
            });
        }));
    }

    fn bury(&self, process: &Arc<Process>) {
        process.kill();
        self.0.net.died(process);
    }

    /// Kills a node's process; `false` if it was dead already.
    pub(crate) fn kill(&self, id: NodeId) -> bool {
        match self.latest(id) {
            Some(process) if process.condition() != Condition::Dead => {
                self.bury(&process);
                true
            }
            _ => false,
        }
    }

    /// Asks a node's process to stop, as SIGTERM does; `false` if it can't be asked.
    pub(crate) fn stop(&self, id: NodeId) -> bool {
        let host = self.now(id).latest.as_ref().map(|(host, _)| Arc::clone(host));
        let Some(host) = host.filter(|host| host.process.condition() == Condition::Running) else {
            return false;
        };
        host.services().asked_to_stop.inspect(|asked| asked.notify_one()).is_some()
    }

    /// Pauses a node's process; gives it if it ran.
    pub(crate) fn pause(&self, id: NodeId) -> Option<Arc<Process>> {
        self.latest(id).filter(|process| process.pause())
    }

    /// Brings all nodes up.
    pub(crate) fn heal(&self) {
        for id in self.0.machines.keys() {
            if let Some(process) = self.latest(*id) {
                process.resume();
            }
            self.start(*id);
        }
    }

    /// Ends everything.
    pub(crate) fn end(&self) {
        for id in self.0.machines.keys() {
            if let Some(process) = self.latest(*id) {
                process.kill();
            }
        }
    }
}
