//! What the coordinator needs of the rest of the cluster.
//!
//! Small on purpose: [`ViewedCluster`] answers it from the metadata views, the controller and the
//! brokers; tests answer it from memory, with faults.

mod viewed;

use std::sync::Arc;

pub use viewed::ViewedCluster;
pub(crate) use viewed::keeper;

use async_trait::async_trait;
use bytestring::ByteString;
use weir_broker::client::BrokerClient;
use weir_ids::{TopicId, TopicPartition};

/// A topic that is live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: ByteString,
    /// How many partitions it has.
    pub partitions: u32,
}

/// The cluster as the coordinator sees it. The views may lag; what is decided on them is either
/// checked again by a partition's owner or harmless.
#[async_trait]
pub trait Cluster: Send + Sync {
    /// The live topic of this name.
    fn topic_by_name(&self, name: &str) -> Option<Topic>;

    /// The live topic of this id.
    fn topic_by_id(&self, id: TopicId) -> Option<Topic>;

    /// The broker that should own a partition; `None` while nobody is known to.
    fn owner(&self, partition: TopicPartition) -> Option<Arc<dyn BrokerClient>>;

    /// Whether the shard that a partition of the internal topic holds is to be kept here.
    fn keeps(&self, partition: TopicPartition) -> bool;

    /// Waits until what this cluster says may have changed.
    async fn changed(&self);

    /// Makes sure that the internal topic exists, compacted and with this many partitions if it is
    /// new, and gives it once it is visible. Many may ask at once.
    ///
    /// # Errors
    /// What stands in the way, for the log; the caller asks again later.
    async fn ensure_internal_topic(&self, name: &str, partitions: u32) -> Result<Topic, String>;
}
