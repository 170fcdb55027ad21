//! Reading a session's published checkpoints.

use weir_meta::model::CheckpointPointer;
use weir_segment_store::{
    ObjectName, Store,
    checkpoint::{self, Chain, Checkpoint},
};

use super::SessionError;

/// How often a checkpoint is read that does not read as it should: the transport may be to blame.
const READS_OF_ROT: u32 = 3;

/// The chain that ends with what `pointer` names, and the checkpoints that it is made of.
pub(crate) async fn read_chain(
    store: &Store,
    pointer: &CheckpointPointer,
) -> Result<(Chain, Vec<ObjectName>), SessionError> {
    let name = ObjectName::parse(&pointer.object)?;
    let newest = read(store, name).await?;
    let (mut names, mut checkpoints) = (Vec::new(), Vec::new());
    for number in Chain::predecessors(&newest)? {
        let name = ObjectName::Checkpoint { session: name.session(), number };
        checkpoints.push(read(store, name).await?);
        names.push(name);
    }
    checkpoints.push(newest);
    names.push(name);
    Ok((Chain::add_up(checkpoints)?, names))
}

async fn read(store: &Store, name: ObjectName) -> Result<Checkpoint, SessionError> {
    let mut reads = 0;
    loop {
        let bytes = store.get(name).await?;
        reads += 1;
        match checkpoint::decode(&bytes) {
            Ok(checkpoint) => return Ok(checkpoint),
            Err(error) if reads >= READS_OF_ROT => {
                return Err(SessionError::Checkpoint { name: name.to_string(), error });
            }
            Err(error) => tracing::warn!(%name, %error, "reading a checkpoint again"),
        }
    }
}
