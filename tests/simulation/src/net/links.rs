//! A process's connections to others, and calls over them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{sync::oneshot, time::sleep};
use weir_ids::NodeId;
use weir_meta::controller::BrokenLinks;

use super::{Net, Place, Services, broker::AppendStream, connection::Connection};
use crate::process::{Condition, Process};

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Why a call was not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failed {
    /// The other end's machine says that nobody listens: surely not done.
    Refused,
    /// There is no connection: surely nothing was sent.
    Unreachable,
    /// The connection broke: what was asked may have been done, or may still be.
    Broken,
}

/// The connections of one process. Clones share them.
#[derive(Clone)]
pub(crate) struct Links(Arc<Inner>);

struct Inner {
    net: Net,
    process: Arc<Process>,
    open: Mutex<BTreeMap<NodeId, Arc<Connection>>>,
    connecting: tokio::sync::Mutex<()>,
    streams: Mutex<BTreeMap<NodeId, AppendStream>>,
    /// What the controller is told.
    broken: BrokenLinks,
}

impl Links {
    /// The connections of `process`, none yet.
    pub(crate) fn new(net: &Net, process: &Arc<Process>, broken: BrokenLinks) -> Self {
        Self(Arc::new(Inner {
            net: net.clone(),
            process: Arc::clone(process),
            open: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            streams: Mutex::default(),
            broken,
        }))
    }

    pub(super) fn net(&self) -> &Net {
        &self.0.net
    }

    pub(super) fn process(&self) -> &Arc<Process> {
        &self.0.process
    }

    pub(super) fn streams(&self) -> MutexGuard<'_, BTreeMap<NodeId, AppendStream>> {
        self.0.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, node: NodeId) -> Option<Arc<Connection>> {
        let open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(&node).filter(|held| !held.is_broken()).cloned()
    }

    /// The connection to `node`, made if there is none.
    pub(super) async fn connect(&self, node: NodeId) -> Result<Arc<Connection>, Failed> {
        if let Some(held) = self.held(node) {
            return Ok(held);
        }
        let Inner { net, process, .. } = &*self.0;
        let (from, to) = (Place::Node(process.node), Place::Node(node));
        let shaking_hands = async {
            let _one_at_a_time = self.0.connecting.lock().await;
            if let Some(held) = self.held(node) {
                return Ok(held);
            }
            net.travel(from, to).await;
            let host = net.host(node).ok_or(Failed::Unreachable)?;
            match host.process.condition() {
                Condition::Dead => return Err(Failed::Refused),
                // Its operating system takes the connection, but nobody says hello.
                Condition::Paused => std::future::pending::<()>().await,
                Condition::Running => {}
            }
            net.travel(to, from).await;
            let connection = Connection::new(net, process, host);
            self.watch(node, &connection);
            let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.insert(node, Arc::clone(&connection));
            Ok(connection)
        };
        let made = self.within(shaking_hands, from, to).await;
        match &made {
            Ok(_) => self.0.broken.works(node),
            Err(_) => self.0.broken.broke(node),
        }
        made
    }

    async fn within(
        &self,
        shaking_hands: impl Future<Output = Result<Arc<Connection>, Failed>>,
        from: Place,
        to: Place,
    ) -> Result<Arc<Connection>, Failed> {
        let net = self.net();
        tokio::select! {
            biased;
            made = shaking_hands => {
                if made.is_err() {
                    net.trace().line(format_args!("{from}-{to} refused"));
                }
                made
            }
            () = sleep(CONNECT_WITHIN) => {
                net.trace().line(format_args!("{from}-{to} does not connect"));
                Err(Failed::Unreachable)
            }
        }
    }

    /// Notes when a connection breaks.
    fn watch(&self, node: NodeId, connection: &Arc<Connection>) {
        let (broken, connection) = (self.0.broken.clone(), Arc::clone(connection));
        self.0.process.run(Box::pin(async move {
            connection.broken().await;
            broken.broke(node);
        }));
    }

    /// Lets `node` do `work` in its own process, and gives its answer. `None` from `work`: there is no
    /// such service, as if nobody listened.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        node: NodeId,
        what: &str,
        work: impl FnOnce(&Services) -> Option<BoxFuture<'static, T>> + Send + 'static,
    ) -> Result<T, Failed> {
        let connection = self.connect(node).await?;
        let net = self.net().clone();
        let (from, to) = connection.ends();
        let number = net.number();
        net.trace().line(format_args!("{from}>{to} #{number} {what}"));
        let (answering, answer) = oneshot::channel();
        let carrying = Arc::clone(&connection);
        crate::free(async move {
            net.travel(from, to).await;
            let host = Arc::clone(&carrying.to);
            if host.process.condition() == Condition::Dead {
                return;
            }
            let Some(work) = work(&host.services()) else {
                net.travel(to, from).await;
                let _ = answering.send(None);
                return;
            };
            let (done, told) = oneshot::channel();
            host.process.run(Box::pin(async move {
                let _ = done.send(work.await);
            }));
            // A process that dies answers nothing; its connection breaks.
            let Ok(told) = told.await else { return };
            net.travel(to, from).await;
            if !carrying.is_broken() {
                net.trace().line(format_args!("{to}>{from} #{number} answered"));
                let _ = answering.send(Some(told));
            }
        });
        tokio::select! {
            biased;
            () = connection.broken() => Err(Failed::Broken),
            told = answer => match told {
                Ok(Some(told)) => Ok(told),
                Ok(None) => Err(Failed::Unreachable),
                Err(_) => {
                    connection.broken().await;
                    Err(Failed::Broken)
                }
            },
        }
    }
}
