//! The handle through which every role reads and changes the cluster's metadata.

use std::sync::Arc;

use weir_ids::{SessionId, TopicId, TopicPartition};

use crate::{
    Error,
    cas::{Found, read},
    model::{Assignment, Cluster, Log, Topic, Wal},
    store::MetaStore,
};

/// The cluster's metadata. Cheap to clone. What it can change is in `ops`, one file a subject.
#[derive(Clone)]
pub struct Metadata {
    store: Arc<dyn MetaStore>,
}

impl Metadata {
    /// The metadata in `store`.
    pub fn new(store: Arc<dyn MetaStore>) -> Self {
        Self { store }
    }

    /// The store itself.
    pub fn store(&self) -> &dyn MetaStore {
        &*self.store
    }

    /// The topic `name`, also when it is being deleted or gone; see [`Topic::is_live`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn topic(&self, name: &str) -> Result<Option<Found<Topic>>, Error> {
        read(self.store(), &Topic::key(name)).await
    }

    /// Which nodes should own the partitions of `topic`.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn assignment(&self, topic: TopicId) -> Result<Option<Found<Assignment>>, Error> {
        read(self.store(), &Assignment::key(topic)).await
    }

    /// A partition's log.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn log(&self, partition: TopicPartition) -> Result<Option<Found<Log>>, Error> {
        read(self.store(), &Log::key(partition)).await
    }

    /// A session's WAL.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn wal(&self, session: SessionId) -> Result<Option<Found<Wal>>, Error> {
        read(self.store(), &Wal::key(session)).await
    }

    /// Which cluster this is, once it is known.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn cluster(&self) -> Result<Option<Found<Cluster>>, Error> {
        read(self.store(), &Cluster::key()).await
    }
}
