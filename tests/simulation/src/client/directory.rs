//! What a client knows of the cluster: who leads which partition, and its connections.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;
use weir_ids::NodeId;
use weir_protocol::{
    Request,
    messages::{MetadataRequest, metadata::MetadataRequestTopic},
};

use super::{
    ANSWER_WITHIN, Shared,
    wire::{Gone, Wire},
};
use crate::{chance::Chance, node::Node};

const METADATA_VERSION: i16 = 9;
/// Pause before the cluster is asked for again.
const PAUSE: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Directory {
    pub(super) shared: Shared,
    pub(super) client: u16,
    pub(super) chance: Chance,
    wires: Mutex<BTreeMap<NodeId, Arc<Wire>>>,
    leaders: Mutex<BTreeMap<i32, (NodeId, i32)>>,
}

impl Directory {
    pub(super) fn new(shared: &Shared, client: u16) -> Self {
        let chance = Chance::new(shared.seed, &format!("client {client}"));
        let (wires, leaders) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::clone(shared), client, chance, wires, leaders }
    }

    fn wires(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Wire>>> {
        self.wires.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leaders(&self) -> MutexGuard<'_, BTreeMap<i32, (NodeId, i32)>> {
        self.leaders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection to the proxy on `node`.
    pub(super) async fn wire(&self, node: NodeId) -> Option<Arc<Wire>> {
        let held = self.wires().get(&node).filter(|wire| !wire.has_ended()).cloned();
        if held.is_some() {
            return held;
        }
        let wire = Wire::dial(&self.shared.net, node, self.client).await?;
        self.wires().insert(node, Arc::clone(&wire));
        Some(wire)
    }

    /// Asks the proxy on `node`; a connection that does not answer is given up.
    pub(super) async fn ask<R: Request>(
        &self,
        node: NodeId,
        version: i16,
        request: &R,
    ) -> Result<R::Response, Gone> {
        self.ask_within(node, version, request, ANSWER_WITHIN).await
    }

    pub(super) async fn ask_within<R: Request>(
        &self,
        node: NodeId,
        version: i16,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, Gone> {
        let wire = self.wire(node).await.ok_or(Gone)?;
        let answer = wire.send(version, request).within(patience).await;
        if answer.is_err() {
            wire.end();
        }
        answer
    }

    /// A proxy by chance.
    pub(super) fn any(&self) -> NodeId {
        *self.chance.pick(&self.shared.proxies)
    }

    /// Who leads a partition, as far as is known, with its epoch.
    pub(super) fn leader(&self, partition: i32) -> Option<(NodeId, i32)> {
        self.leaders().get(&partition).copied()
    }

    /// Who leads a partition; asks until somebody does, or `give_up` says so.
    pub(super) async fn leader_or_ask(
        &self,
        partition: i32,
        give_up: impl Fn() -> bool,
    ) -> Option<NodeId> {
        while !give_up() {
            if let Some((node, _)) = self.leader(partition) {
                return Some(node);
            }
            if !self.refresh().await {
                sleep(PAUSE).await;
            }
        }
        None
    }

    /// Forgets who leads a partition.
    pub(super) fn forget(&self, partition: i32) {
        self.leaders().remove(&partition);
    }

    /// Forgets all, and drops its connections.
    pub(super) fn begin_anew(&self) {
        self.leaders().clear();
        let wires = std::mem::take(&mut *self.wires());
        wires.values().for_each(|wire| wire.end());
    }

    /// Asks a proxy for the cluster.
    pub(super) async fn refresh(&self) -> bool {
        let topics = self.shared.topics.all().map(|(name, _)| MetadataRequestTopic {
            name: Some(name.into()),
            ..Default::default()
        });
        let request = MetadataRequest {
            topics: Some(topics.collect()),
            allow_auto_topic_creation: false,
            ..Default::default()
        };
        let Ok(answer) = self.ask(self.any(), METADATA_VERSION, &request).await else {
            return false;
        };
        let hosts: BTreeMap<i32, NodeId> = answer
            .brokers
            .iter()
            .filter_map(|broker| Some((broker.node_id, Node::by_host_name(&broker.host)?)))
            .collect();
        let mut leaders = self.leaders();
        for topic in &answer.topics {
            let name = topic.name.as_deref().unwrap_or_default();
            for partition in topic.partitions.iter().filter(|it| it.error_code.is_none()) {
                let number = self.shared.topics.number(name, partition.partition_index);
                let (Some(number), Some(node)) = (number, hosts.get(&partition.leader_id)) else {
                    continue;
                };
                leaders.insert(number, (*node, partition.leader_epoch));
            }
        }
        true
    }
}
