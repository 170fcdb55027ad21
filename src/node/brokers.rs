//! The brokers as a node reaches them that is alone: its own.

use std::sync::Arc;

use weir_broker::client::{BrokerClient, Brokers};
use weir_ids::NodeId;

/// The one broker of a node that is alone.
pub(super) struct LocalBrokers {
    node: NodeId,
    broker: Arc<dyn BrokerClient>,
}

impl LocalBrokers {
    pub(super) fn new(node: NodeId, broker: Arc<dyn BrokerClient>) -> Self {
        Self { node, broker }
    }
}

impl Brokers for LocalBrokers {
    fn broker(&self, node: NodeId) -> Option<Arc<dyn BrokerClient>> {
        (node == self.node).then(|| Arc::clone(&self.broker))
    }
}
