//! Showing a node to the cluster as long as it lives, and that it is about to leave.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};
use weir_ids::NodeId;
use weir_runtime::{Stop, Tasks};

use crate::{
    Error, Metadata,
    cas::{Unclear, read},
    model::{Node, Record, Role},
    store::{Compare, LeaseId, Revision, StoreError, Txn},
};

/// How long a node is shown without a sign of life.
pub const NODE_TTL: Duration = Duration::from_secs(3);
const SIGN_EVERY: Duration = Duration::from_secs(1);
/// How soon it is looked again whether another node under an id still lives.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A node that is shown to the cluster. Clones share it.
#[derive(Clone)]
pub struct NodeRegistration {
    metadata: Metadata,
    id: NodeId,
    shown: Arc<Mutex<Shown>>,
}

/// What is shown, and the lease that it goes with.
struct Shown {
    node: Node,
    lease: LeaseId,
}

/// Why a node is not registered.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NodeError {
    /// Another node has this id, and lives.
    #[error(
        "node id {id} is used by a node that others reach at {}; give this one another node.id",
        at.as_deref().unwrap_or("no address")
    )]
    IdInUse {
        /// The id.
        id: NodeId,
        /// Where the other is.
        at: Option<String>,
    },
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

impl NodeRegistration {
    /// Takes the id `id` for a node that does not serve yet: it is shown without its roles until
    /// [`NodeRegistration::serve`]. Keeps it as one of `tasks`; when that stops, the node is shown no more.
    ///
    /// One that ran under this id and has died is forgotten with its lease, and at once where it had the
    /// same address.
    ///
    /// # Errors
    /// [`NodeError`] when it can't be registered at all; later trouble is waited out.
    pub async fn take(
        metadata: Metadata,
        id: NodeId,
        node: Node,
        tasks: &Tasks,
    ) -> Result<Self, NodeError> {
        let node = Node { roles: Vec::new(), ..node };
        let give_up = Instant::now() + NODE_TTL * 2;
        let lease = loop {
            match show(&metadata, id, &node).await {
                Ok(Some(lease)) => break lease,
                Ok(None) => {}
                Err(NodeError::IdInUse { .. }) if Instant::now() < give_up => {
                    sleep(LOOK_AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        };
        let shown = Arc::new(Mutex::new(Shown { node, lease }));
        let registration = Self { metadata, id, shown };
        let kept = registration.clone();
        tasks.spawn("node", |stop| kept.run(stop));
        Ok(registration)
    }

    /// Shows the node with its roles: from now on it is asked.
    ///
    /// # Errors
    /// [`Error`] when that can't be shown.
    pub async fn serve(&self, roles: Vec<Role>) -> Result<(), Error> {
        let mut shown = self.shown.lock().await;
        shown.node.roles = roles;
        self.metadata.register_node(self.id, &shown.node, shown.lease).await
    }

    /// Shows that the node is about to leave: it is to get no more work, and what it has is to be
    /// given to others.
    ///
    /// # Errors
    /// [`Error`] when that can't be shown now; it is shown as soon as the node is registered again.
    pub async fn drain(&self) -> Result<(), Error> {
        let mut shown = self.shown.lock().await;
        shown.node.draining = true;
        self.metadata.register_node(self.id, &shown.node, shown.lease).await
    }

    async fn run(self, stop: Stop) {
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = sleep(SIGN_EVERY) => {}
            }
            self.give_sign().await;
        }
        let lease = self.shown.lock().await.lease;
        // If this does not arrive, the lease ends by itself.
        let _ = self.metadata.store().revoke(lease).await;
    }

    async fn give_sign(&self) {
        let mut shown = self.shown.lock().await;
        let kept = self.metadata.store().keep_alive(shown.lease).await;
        if !matches!(kept, Err(StoreError::LeaseNotFound { .. })) {
            return;
        }
        match show(&self.metadata, self.id, &shown.node).await {
            Ok(Some(lease)) => shown.lease = lease,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the node is not registered again yet"),
        }
    }
}

/// Shows a node under a lease of its own, unless another is shown under its id. `None`: something has changed
/// meanwhile.
async fn show(metadata: &Metadata, id: NodeId, node: &Node) -> Result<Option<LeaseId>, NodeError> {
    let found = read::<Node>(metadata.store(), &Node::key(id)).await?;
    if let Some(other) = found.as_ref().filter(|found| found.value.rpc != node.rpc) {
        return Err(NodeError::IdInUse { id, at: other.value.rpc.clone() });
    }
    let lease = metadata.grant(NODE_TTL).await?;
    let revision = found.map_or(Revision::NONE, |found| found.revision);
    let same = Compare::unchanged(Node::key(id), revision);
    let txn = Txn::new().when(same).put_leased(Node::key(id), node.encode(), lease);
    let shown = Unclear::default().commit(metadata.store(), txn).await?;
    Ok(shown.map(|_| lease))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Memory, MetaStore};

    const ID: NodeId = NodeId(4);

    fn node(rpc: &str) -> Node {
        Node {
            roles: Vec::new(),
            kafka: None,
            rpc: Some(rpc.to_owned()),
            http: None,
            zone: None,
            draining: false,
        }
    }

    async fn shown(store: &Memory) -> Option<(Node, LeaseId)> {
        let found = store.get(&Node::key(ID)).await.unwrap()?;
        let lease = found.lease.unwrap();
        let node = read::<Node>(store, &Node::key(ID)).await.unwrap().unwrap().value;
        Some((node, lease))
    }

    async fn take(store: &Memory, rpc: &str, tasks: &Tasks) -> Result<NodeRegistration, NodeError> {
        let metadata = Metadata::new(Arc::new(store.clone()));
        NodeRegistration::take(metadata, ID, node(rpc), tasks).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_drains_says_so_also_under_its_next_lease() {
        let (store, tasks) = (Memory::new(), Tasks::new());
        let registration = take(&store, "here", &tasks).await.unwrap();
        assert_eq!(shown(&store).await.unwrap().0, node("here"), "it does not serve yet");
        registration.serve(vec![Role::Broker]).await.unwrap();
        let serving = Node { roles: vec![Role::Broker], ..node("here") };
        let (first, lease) = shown(&store).await.unwrap();
        assert_eq!(first, serving);
        registration.drain().await.unwrap();
        let draining = Node { draining: true, ..serving };
        assert_eq!(shown(&store).await, Some((draining.clone(), lease)));

        store.revoke(lease).await.unwrap();
        assert_eq!(shown(&store).await, None);
        let mut events = store.watch(Node::PREFIX, Revision::NONE.next());
        let again = async {
            while shown(&store).await.is_none() {
                events.next().await.unwrap();
            }
        };
        tokio::time::timeout(NODE_TTL, again).await.expect("never shown again");
        assert_eq!(shown(&store).await.map(|(node, _)| node), Some(draining));

        tasks.shutdown().await.unwrap();
        assert_eq!(shown(&store).await, None, "shown after its end");
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_is_not_taken_from_a_node_that_lives() {
        let (store, first, second) = (Memory::new(), Tasks::new(), Tasks::new());
        take(&store, "here", &first).await.unwrap();
        let refused = take(&store, "there", &second).await.err();
        assert_eq!(refused, Some(NodeError::IdInUse { id: ID, at: Some("here".to_owned()) }));
        assert_eq!(shown(&store).await.unwrap().0, node("here"));
        first.shutdown().await.unwrap();
        take(&store, "there", &second).await.unwrap();
        assert_eq!(shown(&store).await.unwrap().0, node("there"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_whose_id_was_taken_while_it_was_away_does_not_take_it_back() {
        let (store, first, second) = (Memory::new(), Tasks::new(), Tasks::new());
        take(&store, "here", &first).await.unwrap();
        let (_, lease) = shown(&store).await.unwrap();
        store.revoke(lease).await.unwrap();
        take(&store, "there", &second).await.unwrap();
        let mut events = store.watch(Node::PREFIX, Revision::NONE.next());
        let changes = async {
            loop {
                events.next().await.unwrap();
                assert_ne!(shown(&store).await.map(|(node, _)| node.rpc), None);
            }
        };
        // It gives signs of life meanwhile.
        tokio::time::timeout(NODE_TTL * 3, changes).await.unwrap_err();
        assert_eq!(shown(&store).await.unwrap().0, node("there"));
        second.shutdown().await.unwrap();
        let mut events = store.watch(Node::PREFIX, Revision::NONE.next());
        let back = async {
            while shown(&store).await.is_none() {
                events.next().await.unwrap();
            }
        };
        tokio::time::timeout(NODE_TTL, back).await.expect("never shown again");
        assert_eq!(shown(&store).await.unwrap().0, node("here"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_id_of_one_that_has_died_is_free_at_once_at_its_address_and_soon_elsewhere() {
        let store = Memory::new();
        let put = async |lease| {
            let txn = Txn::new().put_leased(Node::key(ID), node("here").encode(), lease);
            store.txn(txn).await.unwrap();
        };
        put(store.grant(NODE_TTL).await.unwrap()).await;
        let began = Instant::now();
        let tasks = Tasks::new();
        take(&store, "here", &tasks).await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);
        tasks.shutdown().await.unwrap();
        put(store.grant(NODE_TTL).await.unwrap()).await;
        take(&store, "there", &Tasks::new()).await.unwrap();
        assert!(began.elapsed() < NODE_TTL + LOOK_AGAIN * 2, "{:?}", began.elapsed());
    }
}
