//! Reading a session's published checkpoints.

use std::{ops::Range, sync::Arc};

use futures::stream::{self, StreamExt, TryStreamExt};
use weir_ids::SessionId;
use weir_meta::model::CheckpointPointer;
use weir_segment_store::{
    NameError, ObjectName, Store,
    checkpoint::{self, Chain, Checkpoint},
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
    let (session, _) = named(pointer)?;
    let mut links = Links::default();
    links.follow(store, pointer, |_| {}).await?;
    let name = |number| ObjectName::Checkpoint { session, number };
    Ok((Arc::unwrap_or_clone(links.chain), links.numbers.map(name).collect()))
}

fn named(pointer: &CheckpointPointer) -> Result<(SessionId, u64), NameError> {
    match ObjectName::parse(&pointer.object)? {
        ObjectName::Checkpoint { session, number } => Ok((session, number)),
        _ => Err(NameError(pointer.object.clone())),
    }
}

/// The chain of one session that goes on, as it was read last: of a later one only what is new has to be read.
pub(super) struct Links {
    chain: Arc<Chain>,
    /// The checkpoints that the chain is made of.
    numbers: Range<u64>,
}

impl Default for Links {
    fn default() -> Self {
        Self { chain: Arc::new(Chain::empty()), numbers: 0..0 }
    }
}

impl Links {
    /// Reads what is missing of the chain that ends with what `pointer` names, and forgets the rest. `met`
    /// sees each checkpoint that is read.
    pub(super) async fn follow(
        &mut self,
        store: &Store,
        pointer: &CheckpointPointer,
        met: impl Fn(&Checkpoint),
    ) -> Result<Arc<Chain>, SessionError> {
        let (session, number) = named(pointer)?;
        let end = number.saturating_add(1);
        if end == self.numbers.end {
            return Ok(Arc::clone(&self.chain));
        }
        let newest = read(store, ObjectName::Checkpoint { session, number }).await?;
        let before = Chain::predecessors(&newest)?;
        if before.start != self.numbers.start || self.numbers.end > number {
            *self = Self { numbers: before.start..before.start, ..Self::default() };
        }
        // What has been added is kept when the future is dropped.
        let missing = (self.numbers.end..number).map(|number| async move {
            read(store, ObjectName::Checkpoint { session, number }).await
        });
        let mut missing = stream::iter(missing.collect::<Vec<_>>()).buffered(READ_TOGETHER).boxed();
        while let Some(checkpoint) = missing.try_next().await? {
            self.add(checkpoint, &met)?;
        }
        self.add(newest, &met)?;
        Ok(Arc::clone(&self.chain))
    }

    fn add(&mut self, next: Checkpoint, met: impl Fn(&Checkpoint)) -> Result<(), SessionError> {
        met(&next);
        // Whatever does not fit leaves nothing behind that is half added up.
        let mut whole = std::mem::take(self);
        Arc::make_mut(&mut whole.chain).add(next)?;
        whole.numbers.end += 1;
        *self = whole;
        Ok(())
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
