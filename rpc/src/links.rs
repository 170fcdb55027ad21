//! The connections of a process to other nodes, and calls over them.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use tonic::{Code, Response, Status, transport::Channel};
use weir_ids::NodeId;
use weir_runtime::{Runtime, Tasks};

use crate::{
    Connection, Identity,
    hello::{HelloClient, greeting, is_off},
};

/// How long a connection may take to be made, greetings included.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Why a call was not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failed {
    /// The node's machine says that nobody listens there, or somebody else does: surely not done.
    #[error("nobody of that name listens there")]
    Refused,
    /// There is no connection, or no such role: surely not done.
    #[error("it can't be reached")]
    Unreachable,
    /// The connection broke: what was asked may have been done, or may still be.
    #[error("the connection broke")]
    Broken,
}

/// Where nodes are, and who wants to know how connections to them fare.
pub trait Peers: Send + Sync + 'static {
    /// Where `node` listens for others, as `HOST:PORT`; `None` if it is not known to live.
    fn address(&self, node: NodeId) -> Option<String>;

    /// There is a connection to `node`.
    fn works(&self, node: NodeId);

    /// The connection to `node` broke, or can't be made.
    fn broke(&self, node: NodeId);
}

/// The connections of one process, at most one a node. Clones share them.
#[derive(Clone)]
pub struct Links(Arc<Inner>);

struct Inner {
    own: Identity,
    runtime: Runtime,
    peers: Arc<dyn Peers>,
    tasks: Tasks,
    nodes: Mutex<BTreeMap<NodeId, Arc<Way>>>,
}

/// The way to one node.
#[derive(Default)]
struct Way {
    open: Mutex<Option<Connection>>,
    /// Held by whoever makes a connection.
    connecting: tokio::sync::Mutex<()>,
}

impl Way {
    fn open(&self) -> MutexGuard<'_, Option<Connection>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> Option<Connection> {
        self.open().as_ref().filter(|held| !held.is_broken()).cloned()
    }
}

impl Links {
    /// No connections yet. `own` is who we are to the others; `runtime` tells what time it is.
    pub fn new(own: Identity, runtime: Runtime, peers: Arc<dyn Peers>, tasks: &Tasks) -> Self {
        let (tasks, nodes) = (tasks.clone(), Mutex::default());
        Self(Arc::new(Inner { own, runtime, peers, tasks, nodes }))
    }

    /// Runs what belongs to a connection, as long as the process does.
    pub fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    fn way(&self, node: NodeId) -> Arc<Way> {
        let mut nodes = self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(nodes.entry(node).or_default())
    }

    /// The connection to `node`, made if there is none.
    ///
    /// # Errors
    /// [`Failed::Refused`] and [`Failed::Unreachable`].
    pub async fn connect(&self, node: NodeId) -> Result<Connection, Failed> {
        self.connect_to(node, None).await
    }

    async fn connect_to(&self, node: NodeId, known: Option<&str>) -> Result<Connection, Failed> {
        let way = self.way(node);
        if let Some(held) = way.held() {
            return Ok(held);
        }
        let made = timeout(CONNECT_WITHIN, async {
            let _one_at_a_time = way.connecting.lock().await;
            match way.held() {
                Some(held) => Ok(held),
                None => self.make(node, known, &way).await,
            }
        });
        let made = made.await.unwrap_or(Err(Failed::Unreachable));
        match made {
            Ok(_) => self.0.peers.works(node),
            Err(_) => self.0.peers.broke(node),
        }
        made
    }

    async fn make(
        &self,
        node: NodeId,
        known: Option<&str>,
        way: &Way,
    ) -> Result<Connection, Failed> {
        let address = self.0.peers.address(node).or_else(|| known.map(str::to_owned));
        let address = address.ok_or(Failed::Unreachable)?;
        let stream = TcpStream::connect(&address).await.map_err(|error| {
            tracing::debug!(%node, address, %error, "no connection");
            match error.kind() {
                std::io::ErrorKind::ConnectionRefused => Failed::Refused,
                _ => Failed::Unreachable,
            }
        })?;
        let connection = Connection::over(stream).await.map_err(|_| Failed::Unreachable)?;
        self.greet(node, &address, &connection).await?;
        *way.open() = Some(connection.clone());
        let (peers, broken) = (Arc::clone(&self.0.peers), connection.clone());
        self.0.tasks.spawn("connection", |stop| async move {
            tokio::select! {
                biased;
                () = stop.requested() => {}
                () = broken.broken() => peers.broke(node),
            }
        });
        Ok(connection)
    }

    /// Makes sure who is at the other end of a connection.
    async fn greet(
        &self,
        node: NodeId,
        address: &str,
        connection: &Connection,
    ) -> Result<(), Failed> {
        let Inner { own, runtime, .. } = &*self.0;
        let mut hello = HelloClient::new(connection.channel());
        let asked = runtime.now();
        let greeted = hello.greet(greeting(own, runtime)).await.map_err(|status| {
            let turned_away = status.code() == Code::FailedPrecondition;
            if turned_away {
                tracing::warn!(%node, address, why = status.message(), "it turns this node away");
            }
            if turned_away { Failed::Refused } else { Failed::Unreachable }
        });
        let greeted = greeted?.into_inner();
        if let Some(ahead_ms) = is_off(greeted.time_ms, asked, runtime.now()) {
            tracing::warn!(
                %node,
                address,
                ahead_ms,
                "the clock of another node and this one's are apart: the times of records and how long they are \
                 kept rest on clocks; set both by a time server"
            );
        }
        let (found, wanted) = (Identity::from(greeted), Identity { node, ..own.clone() });
        if found != wanted {
            tracing::warn!(address, ?wanted, ?found, "another node answers at this address");
            return Err(Failed::Refused);
        }
        Ok(())
    }

    /// Asks `node` something, and gives its answer.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn call<T, F>(
        &self,
        node: NodeId,
        ask: impl FnOnce(Channel) -> F,
    ) -> Result<T, Failed>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_at(node, None, ask).await
    }

    /// Asks `node` something, which was once reached at the address `known`: there it is asked if it is not known
    /// to live.
    ///
    /// # Errors
    /// [`Failed`].
    pub async fn call_at<T, F>(
        &self,
        node: NodeId,
        known: Option<&str>,
        ask: impl FnOnce(Channel) -> F,
    ) -> Result<T, Failed>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let connection = self.connect_to(node, known).await?;
        let asked = ask(connection.channel());
        tokio::select! {
            biased;
            answer = asked => match answer {
                Ok(answer) => Ok(answer.into_inner()),
                Err(status) => Err(failure(&connection, &status)),
            },
            () = connection.broken() => Err(Failed::Broken),
        }
    }
}

/// Why a call that a connection carried was not answered.
fn failure(connection: &Connection, status: &Status) -> Failed {
    match status.code() {
        Code::Unavailable if !connection.is_broken() && is_from_server(status) => {
            Failed::Unreachable
        }
        Code::Unimplemented => Failed::Unreachable,
        code => {
            tracing::debug!(?code, message = status.message(), "a call failed");
            Failed::Broken
        }
    }
}

/// What the transport says has a source.
fn is_from_server(status: &Status) -> bool {
    std::error::Error::source(status).is_none()
}
