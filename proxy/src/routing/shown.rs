//! The brokers, leaders and coordinators that one client is shown.

use bytestring::ByteString;
use weir_ids::{NodeId, TopicPartition};
use weir_meta::views::Snapshot;

use super::leader::Placed;
use crate::{
    cluster::{self, Proxy},
    connection::Peer,
};

/// What a client writes into its client id to say which zone it is in.
const ZONE_MARK: &str = "weir_zone=";

/// The proxies as one client may see them: never none, because the one that it talks to is there
/// whatever the metadata says. Those that drain are shown and lead nothing, as long as others are to stay: a
/// client that must take leave of a broker does so best while it still knows it.
pub(crate) struct Shown {
    proxies: Vec<Proxy>,
    /// Those of them that may lead.
    leading: Vec<Proxy>,
    zone: String,
    colocated: bool,
}

impl Shown {
    pub(crate) fn to(
        peer: &Peer,
        client_id: Option<&ByteString>,
        here: NodeId,
        snapshot: &Snapshot,
    ) -> Self {
        let endpoint = &peer.endpoint;
        let mut proxies: Vec<_> = cluster::proxies(snapshot).collect();
        // The client came in here and is sent nowhere else: this node may have other listeners.
        proxies.retain(|proxy| proxy.node != here);
        proxies.push(Proxy {
            node: here,
            host: endpoint.host.as_str().into(),
            port: endpoint.port,
            zone: endpoint.zone.clone(),
            drains: snapshot.is_draining(here),
        });
        proxies.sort_by_key(|proxy| proxy.node);
        let mut leading: Vec<_> = proxies.iter().filter(|proxy| !proxy.drains).cloned().collect();
        if leading.is_empty() {
            leading.clone_from(&proxies);
        }
        let zone = client_id.and_then(|id| zone_in(id)).unwrap_or(&endpoint.zone).to_owned();
        Self { proxies, leading, zone, colocated: cluster::is_colocated(snapshot) }
    }

    /// All of them, by node.
    pub(crate) fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// One of them.
    pub(crate) fn proxy(&self, node: NodeId) -> Option<&Proxy> {
        self.proxies.iter().find(|proxy| proxy.node == node)
    }

    /// The one that clients send administrative requests to.
    pub(crate) fn controller(&self) -> NodeId {
        self.coordinator("controller")
    }

    /// Leader of a partition.
    pub(crate) fn leader(&self, partition: TopicPartition, owner: Option<NodeId>) -> NodeId {
        let leads = |node: NodeId| self.leading.iter().any(|proxy| proxy.node == node);
        let owner = owner.filter(|owner| self.colocated && leads(*owner));
        owner.unwrap_or_else(|| self.place(Placed::partition(partition.topic, partition.partition)))
    }

    /// Replicas of a partition, `leader` first.
    pub(crate) fn replicas(
        &self,
        partition: TopicPartition,
        leader: NodeId,
        count: usize,
    ) -> Vec<NodeId> {
        let placed = Placed::partition(partition.topic, partition.partition);
        placed.replicas(&self.leading, leader, count)
    }

    /// Coordinator of a group or transactional id.
    pub(crate) fn coordinator(&self, key: &str) -> NodeId {
        self.place(Placed::key(key))
    }

    fn place(&self, placed: Placed) -> NodeId {
        // There is always one.
        placed.leader(&self.leading, &self.zone).unwrap_or(NodeId(0))
    }
}

/// The zone that a client id names.
fn zone_in(client_id: &str) -> Option<&str> {
    let (_, rest) = client_id.split_once(ZONE_MARK)?;
    let zone = rest.split([',', ';', ' ']).next()?;
    (!zone.is_empty()).then_some(zone)
}
