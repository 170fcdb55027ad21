//! Reading a session's published checkpoints.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use weir_meta::model::CheckpointPointer;
use weir_segment_store::{
    NameError, ObjectName, Store,
    checkpoint::{self, Chain, ChainError, Checkpoint},
};

use super::SessionError;

/// How often a checkpoint is read that does not read as it should: the transport may be to blame.
const READS_OF_ROT: u32 = 3;

/// How many checkpoints are read at once.
const READ_TOGETHER: usize = 32;

/// The chain that ends with what `pointer` names, and the checkpoints that it is made of.
pub(crate) async fn read_chain(
    store: &Store,
    pointer: &CheckpointPointer,
) -> Result<(Chain, Vec<ObjectName>), SessionError> {
    let mut links = Links::default();
    links.follow(store, pointer).await?;
    let names = links.names();
    Ok((Chain::add_up(links.checkpoints.into_values())?, names))
}

/// The checkpoints of a session that goes on, as they were read last: of a later chain only what is new has
/// to be read.
#[derive(Default)]
pub(super) struct Links {
    checkpoints: BTreeMap<u64, Checkpoint>,
}

impl Links {
    /// Reads what is missing of the chain that ends with what `pointer` names, and forgets the rest. Returns
    /// whether anything was.
    pub(super) async fn follow(
        &mut self,
        store: &Store,
        pointer: &CheckpointPointer,
    ) -> Result<bool, SessionError> {
        let name = ObjectName::parse(&pointer.object)?;
        let ObjectName::Checkpoint { session, number } = name else {
            return Err(NameError(pointer.object.clone()).into());
        };
        let is_new = !self.checkpoints.contains_key(&number);
        if is_new {
            self.checkpoints.insert(number, read(store, name).await?);
        }
        let before = Chain::predecessors(&self.checkpoints[&number])?;
        self.checkpoints.retain(|known, _| before.contains(known) || *known == number);
        let missing = before.filter(|number| !self.checkpoints.contains_key(number));
        let reads = missing.map(|number| async move {
            let name = ObjectName::Checkpoint { session, number };
            Ok::<_, SessionError>((number, read(store, name).await?))
        });
        let read: Vec<_> =
            stream::iter(reads.collect::<Vec<_>>()).buffered(READ_TOGETHER).try_collect().await?;
        let is_news = is_new || !read.is_empty();
        self.checkpoints.extend(read);
        Ok(is_news)
    }

    /// What they come to.
    pub(super) fn chain(&self) -> Result<Chain, ChainError> {
        Chain::add_up(self.checkpoints.values().cloned())
    }

    fn names(&self) -> Vec<ObjectName> {
        let name = |(number, checkpoint): (&u64, &Checkpoint)| ObjectName::Checkpoint {
            session: checkpoint.session,
            number: *number,
        };
        self.checkpoints.iter().map(name).collect()
    }
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
