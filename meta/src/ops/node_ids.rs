//! Ids for nodes that ask for one.

use weir_ids::NodeId;

use crate::{
    Error, Metadata,
    cas::{self, Step},
    model::{FIRST_GIVEN_NODE_ID, NextNodeId},
};

impl Metadata {
    /// An id that no node has had before.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn allocate_node_id(&self) -> Result<NodeId, Error> {
        cas::update(self.store(), &NextNodeId::key(), |next: Option<&NextNodeId>| {
            let id = next.map_or(FIRST_GIVEN_NODE_ID, |next| next.next);
            Ok(Step::Put(NextNodeId { next: NodeId(id.0.saturating_add(1)) }, id))
        })
        .await
    }
}
