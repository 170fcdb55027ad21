//! The cluster as clients see it, on top of the metadata's view.

use bytestring::ByteString;
use weir_ids::{NodeId, PartitionIndex, TopicPartition};
use weir_meta::{
    model::Role,
    views::{Snapshot, TopicView},
};

/// A proxy that clients can connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy {
    pub(crate) node: NodeId,
    pub(crate) host: ByteString,
    pub(crate) port: u16,
    pub(crate) zone: String,
    /// It leads nothing: it is about to leave, or is to have no clients.
    pub(crate) drains: bool,
}

impl Proxy {
    /// Its zone, in Kafka's words.
    pub(crate) fn rack(&self) -> Option<ByteString> {
        (!self.zone.is_empty()).then(|| self.zone.as_str().into())
    }
}

/// The partition that a client means by a number, if the topic has it.
pub(crate) fn partition(topic: &TopicView, index: i32) -> Option<TopicPartition> {
    let index = u32::try_from(index).ok().filter(|index| *index < topic.partitions)?;
    Some(TopicPartition::new(topic.id, PartitionIndex(index)))
}

/// All partitions of a topic.
pub(crate) fn partitions(topic: &TopicView) -> impl Iterator<Item = TopicPartition> {
    let id = topic.id;
    (0..topic.partitions).map(move |index| TopicPartition::new(id, PartitionIndex(index)))
}

/// The registered proxies.
pub(crate) fn proxies(cluster: &Snapshot) -> impl Iterator<Item = Proxy> {
    cluster.proxies().map(|(node, address)| {
        let zone = cluster.node(node).and_then(|node| node.zone.clone()).unwrap_or_default();
        let (host, port) = (address.host.as_str().into(), address.port);
        Proxy { node, host, port, zone, drains: cluster.is_draining(node) }
    })
}

/// Whether each broker is a proxy too, and each proxy a broker: then owners can be shown as leaders.
pub(crate) fn is_colocated(cluster: &Snapshot) -> bool {
    cluster.nodes().all(|(_, node)| node.is(Role::Broker) == node.is(Role::Proxy))
}
