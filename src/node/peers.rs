//! Where the other nodes are, and what is made of connections to them that break.

use weir_ids::NodeId;
use weir_meta::{controller::BrokenLinks, views::View};
use weir_rpc::Peers;

/// The nodes that the view shows.
pub(super) struct ViewedPeers {
    pub(super) view: View,
    pub(super) broken: BrokenLinks,
}

impl Peers for ViewedPeers {
    fn address(&self, node: NodeId) -> Option<String> {
        self.view.with(|now| {
            // A session says where its broker is even when its node is not shown for a moment.
            let of_session = now.session_of(node).and_then(|found| found.session.rpc.clone());
            of_session.or_else(|| now.node(node).and_then(|node| node.rpc.clone()))
        })
    }

    fn works(&self, node: NodeId) {
        self.broken.works(node);
    }

    fn broke(&self, node: NodeId) {
        self.broken.broke(node);
    }
}
