//! The cluster through its metadata views, its controller and its brokers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytestring::ByteString;
use tokio::{sync::Mutex, time::Instant};
use weir_broker::client::{BrokerClient, Brokers};
use weir_ids::{NodeId, TopicId, TopicPartition};
use weir_meta::{
    controller::{Controller, CreateTopic, Error},
    model::Role,
    views::{Changes, Snapshot, TopicView, View},
};

use super::{Cluster, Topic};

/// How long a topic that was created may take to show in the view.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// Configs of the topics that coordinators write, as Kafka sets them.
const INTERNAL_CONFIGS: [(&str, &str); 3] = [
    ("cleanup.policy", "compact"),
    ("compression.type", "producer"),
    ("segment.bytes", "104857600"),
];

/// The node that keeps the shard of `partition`: the one that should own it, so that the log is near,
/// or if no coordinator runs there, another that every node agrees on.
pub(crate) fn keeper(now: &Snapshot, partition: TopicPartition) -> Option<NodeId> {
    let coordinators = || now.staying(Role::Coordinator).map(|(id, _)| id);
    if let Some(owner) =
        now.assigned(partition).filter(|owner| coordinators().any(|it| it == *owner))
    {
        return Some(owner);
    }
    let nodes: Vec<NodeId> = coordinators().collect();
    let turn = (partition.partition.0 as usize).checked_rem(nodes.len())?;
    nodes.get(turn).copied()
}

/// The cluster as one process sees it.
pub struct ViewedCluster {
    here: NodeId,
    view: View,
    changes: Mutex<Changes>,
    controller: Arc<dyn Controller>,
    brokers: Arc<dyn Brokers>,
}

impl ViewedCluster {
    /// The cluster that `view` shows to node `here`, changed by `controller`, reached through
    /// `brokers`.
    pub fn new(
        here: NodeId,
        view: View,
        controller: Arc<dyn Controller>,
        brokers: Arc<dyn Brokers>,
    ) -> Self {
        let changes = Mutex::new(view.changes());
        Self { here, view, changes, controller, brokers }
    }
}

#[async_trait]
impl Cluster for ViewedCluster {
    fn topic_by_name(&self, name: &str) -> Option<Topic> {
        self.view.with(|now| now.topic(name).map(|topic| seen(topic)))
    }

    fn topic_by_id(&self, id: TopicId) -> Option<Topic> {
        self.view.with(|now| now.topic_by_id(id).map(|topic| seen(topic)))
    }

    fn owner(&self, partition: TopicPartition) -> Option<Arc<dyn BrokerClient>> {
        let node = self.view.with(|now| now.assigned(partition))?;
        self.brokers.broker(node)
    }

    fn keeps(&self, partition: TopicPartition) -> bool {
        self.view.with(|now| keeper(now, partition)) == Some(self.here)
    }

    async fn changed(&self) {
        self.changes.lock().await.next().await;
    }

    async fn ensure_internal_topic(&self, name: &str, partitions: u32) -> Result<Topic, String> {
        let configs = INTERNAL_CONFIGS.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let wanted = CreateTopic {
            name: name.to_owned(),
            partitions: i32::try_from(partitions).ok(),
            configs: BTreeMap::from(configs),
            internal: true,
            ..CreateTopic::default()
        };
        match self.controller.create_topic(wanted).await {
            // Somebody else needed it at the same time.
            Ok(_) | Err(Error::TopicExists { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
        let shown = self.view.wait_for(Instant::now() + SHOWN_WITHIN, |now| {
            now.topic(name).map(|topic| seen(topic))
        });
        shown.await.ok_or_else(|| format!("topic {name:?} does not show in the metadata view"))
    }
}

fn seen(topic: &TopicView) -> Topic {
    Topic { id: topic.id, name: ByteString::from(&*topic.name), partitions: topic.partitions }
}
