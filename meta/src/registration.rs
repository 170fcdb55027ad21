//! Showing a node to the cluster as long as it lives, and that it is about to leave.

use std::{sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::sleep};
use weir_ids::NodeId;
use weir_runtime::{Stop, Tasks};

use crate::{
    Error, Metadata,
    model::Node,
    store::{LeaseId, StoreError},
};

/// How long a node is shown without a sign of life.
pub const NODE_TTL: Duration = Duration::from_secs(9);
const SIGN_EVERY: Duration = Duration::from_secs(3);

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

impl NodeRegistration {
    /// Registers the node, and keeps it registered as one of `tasks`; when that stops, the node is
    /// shown no more.
    ///
    /// # Errors
    /// [`Error`] when it can't be registered at all; later trouble is waited out.
    pub async fn keep(
        metadata: Metadata,
        id: NodeId,
        node: Node,
        tasks: &Tasks,
    ) -> Result<Self, Error> {
        let lease = metadata.grant(NODE_TTL).await?;
        metadata.register_node(id, &node, lease).await?;
        let shown = Arc::new(Mutex::new(Shown { node, lease }));
        let registration = Self { metadata, id, shown };
        let kept = registration.clone();
        tasks.spawn("node", |stop| kept.run(stop));
        Ok(registration)
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
        let again = async {
            let lease = self.metadata.grant(NODE_TTL).await?;
            self.metadata.register_node(self.id, &shown.node, lease).await.map(|()| lease)
        };
        match again.await {
            Ok(lease) => shown.lease = lease,
            Err(error) => tracing::warn!(%error, "the node is not registered again yet"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cas::read,
        model::Role,
        store::{Memory, MetaStore, Revision},
    };

    const ID: NodeId = NodeId(4);

    fn node() -> Node {
        Node {
            roles: vec![Role::Broker],
            kafka: None,
            rpc: Some("10.0.1.7:9650".to_owned()),
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

    #[tokio::test(start_paused = true)]
    async fn a_node_that_drains_says_so_also_under_its_next_lease() {
        let (store, tasks) = (Memory::new(), Tasks::new());
        let metadata = Metadata::new(Arc::new(store.clone()));
        let registration = NodeRegistration::keep(metadata, ID, node(), &tasks).await.unwrap();
        let (first, lease) = shown(&store).await.unwrap();
        assert_eq!(first, node());
        registration.drain().await.unwrap();
        let draining = Node { draining: true, ..node() };
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
}
