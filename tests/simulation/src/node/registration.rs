//! Showing the node to the cluster as long as it lives, as the binary does it.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;
use weir_ids::NodeId;
use weir_meta::{
    Metadata,
    model::Node,
    store::{LeaseId, StoreError},
};
use weir_runtime::{Stop, Tasks};

/// How long a node is shown without a sign of life.
const TTL: Duration = Duration::from_secs(9);
const SIGN_EVERY: Duration = Duration::from_secs(3);

/// Registers the node, and keeps it registered as one of `tasks`.
pub(super) async fn keep(metadata: Metadata, id: NodeId, node: Node, tasks: &Tasks) -> Result<()> {
    let mut lease = register(&metadata, id, &node).await?;
    tasks.spawn("node", move |stop: Stop| async move {
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => break,
                () = sleep(SIGN_EVERY) => {}
            }
            let kept = metadata.store().keep_alive(lease).await;
            if let Err(StoreError::LeaseNotFound { .. }) = kept
                && let Ok(again) = register(&metadata, id, &node).await
            {
                lease = again;
            }
        }
    });
    Ok(())
}

async fn register(metadata: &Metadata, id: NodeId, node: &Node) -> Result<LeaseId> {
    let lease = metadata.grant(TTL).await?;
    metadata.register_node(id, node, lease).await?;
    Ok(lease)
}
