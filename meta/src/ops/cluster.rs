//! Founding or joining a cluster, and registering its nodes.

use std::time::Duration;

use weir_ids::NodeId;

use crate::{
    Error, Metadata,
    cas::{self, Step},
    model::{Cluster, Import, Node, Record},
    store::{LeaseId, Txn},
};

/// Why a process can't join a cluster.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClusterError {
    /// The store belongs to another cluster.
    #[error(
        "the metadata belongs to cluster {found:?}, not {asked:?}; check the settings \"cluster\" and \"meta.url\""
    )]
    OtherName {
        /// The cluster's name.
        found: String,
        /// The one that was asked for.
        asked: String,
    },
    /// A later version of Weir laid it out.
    #[error(
        "the metadata has layout {found}, this version of weir knows up to {known}; use the newer version"
    )]
    NewerFormat {
        /// Its layout.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// A backup was not read to its end.
    #[error(
        "a backup was not imported to its end into these metadata; run `weir meta import` again"
    )]
    ImportUnfinished,
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

impl Metadata {
    /// The cluster `name`, founded with `id` if there is none yet.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn join_cluster(&self, name: &str, id: &str) -> Result<Cluster, ClusterError> {
        let unfinished = self.store().get(&Import::key()).await.map_err(Error::from)?;
        if unfinished.is_some() {
            return Err(ClusterError::ImportUnfinished);
        }
        cas::update(self.store(), &Cluster::key(), |cluster: Option<&Cluster>| match cluster {
            None => {
                let (id, name) = (id.to_owned(), name.to_owned());
                let founded = Cluster { id, name, format: Cluster::FORMAT };
                Ok(Step::Put(founded.clone(), founded))
            }
            Some(cluster) if cluster.format > Cluster::FORMAT => {
                Err(ClusterError::NewerFormat { found: cluster.format, known: Cluster::FORMAT })
            }
            Some(cluster) if cluster.name != name => {
                Err(ClusterError::OtherName { found: cluster.name.clone(), asked: name.to_owned() })
            }
            Some(cluster) => Ok(Step::Keep(cluster.clone())),
        })
        .await
    }

    /// Shows a node to the cluster as long as `lease` lasts.
    ///
    /// # Errors
    /// [`Error`]; after an unclear answer, register again.
    pub async fn register_node(
        &self,
        id: NodeId,
        node: &Node,
        lease: LeaseId,
    ) -> Result<(), Error> {
        let txn = Txn::new().put_leased(Node::key(id), node.encode(), lease);
        self.store().txn(txn).await?;
        Ok(())
    }

    /// A lease for what goes with this process.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn grant(&self, ttl: Duration) -> Result<LeaseId, Error> {
        Ok(self.store().grant(ttl).await?)
    }
}
