//! A cluster of one broker, with the topics that it is given.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use uuid::Uuid;
use weir_broker::client::BrokerClient;
use weir_ids::{PartitionIndex, TopicId, TopicPartition};

use super::FakeBroker;
use crate::{
    cluster::{Cluster, Topic},
    coordinator::OFFSETS_TOPIC,
};

pub(crate) struct FakeCluster {
    pub(crate) broker: Arc<FakeBroker>,
    topics: Mutex<Vec<Topic>>,
    owned: Mutex<bool>,
    creatable: Mutex<bool>,
}

pub(crate) fn topic(name: &str, id: u128, partitions: u32) -> Topic {
    Topic { id: TopicId(Uuid::from_u128(id)), name: name.into(), partitions }
}

pub(crate) fn offsets_topic(partitions: u32) -> Topic {
    topic(OFFSETS_TOPIC, 0x0ff5, partitions)
}

impl FakeCluster {
    pub(crate) fn new(broker: Arc<FakeBroker>, topics: Vec<Topic>) -> Arc<Self> {
        let (owned, creatable) = (Mutex::new(true), Mutex::new(true));
        Arc::new(Self { broker, topics: Mutex::new(topics), owned, creatable })
    }

    /// Partition `index` of the internal topic.
    pub(crate) fn partition(index: u32) -> TopicPartition {
        TopicPartition::new(offsets_topic(1).id, PartitionIndex(index))
    }

    pub(crate) fn set_topics(&self, topics: Vec<Topic>) {
        *self.topics.lock().unwrap() = topics;
    }

    /// Whether any broker owns anything.
    pub(crate) fn set_owned(&self, owned: bool) {
        *self.owned.lock().unwrap() = owned;
    }

    /// Whether the internal topic can be created.
    pub(crate) fn set_creatable(&self, creatable: bool) {
        *self.creatable.lock().unwrap() = creatable;
    }
}

#[async_trait]
impl Cluster for FakeCluster {
    fn topic_by_name(&self, name: &str) -> Option<Topic> {
        self.topics.lock().unwrap().iter().find(|topic| &*topic.name == name).cloned()
    }

    fn topic_by_id(&self, id: TopicId) -> Option<Topic> {
        self.topics.lock().unwrap().iter().find(|topic| topic.id == id).cloned()
    }

    fn owner(&self, _: TopicPartition) -> Option<Arc<dyn BrokerClient>> {
        let owned = *self.owned.lock().unwrap();
        owned.then(|| Arc::clone(&self.broker) as Arc<dyn BrokerClient>)
    }

    fn keeps(&self, _: TopicPartition) -> bool {
        true
    }

    async fn changed(&self) {
        std::future::pending().await
    }

    async fn ensure_internal_topic(&self, _: &str, partitions: u32) -> Result<Topic, String> {
        if !*self.creatable.lock().unwrap() {
            return Err("not now".into());
        }
        let made = offsets_topic(partitions);
        self.topics.lock().unwrap().push(made.clone());
        Ok(made)
    }
}
