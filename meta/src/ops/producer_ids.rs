//! Producer ids, handed out from blocks, a spare one always at hand.

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use weir_ids::ProducerId;
use weir_runtime::Tasks;

use crate::{
    Error, Metadata,
    cas::{self, Step},
    model::{NextProducerId, PRODUCER_IDS_PER_BLOCK},
};

/// Hands out producer ids, none twice in the life of the cluster. While the metadata can't be
/// reached, what is left of a block and its spare still are.
#[derive(Clone)]
pub struct ProducerIds {
    metadata: Metadata,
    tasks: Tasks,
    held: Arc<Mutex<Held>>,
    /// Held while a block is being fetched, so that one is fetched at a time.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Held {
    current: Range<i64>,
    spare: Range<i64>,
}

impl Held {
    fn take(&mut self) -> Option<ProducerId> {
        if self.current.is_empty() {
            self.current = std::mem::take(&mut self.spare);
        }
        self.current.next().map(ProducerId)
    }
}

impl Metadata {
    /// The next block of producer ids.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn allocate_producer_ids(&self) -> Result<Range<ProducerId>, Error> {
        cas::update(self.store(), &NextProducerId::key(), |next: Option<&NextProducerId>| {
            let first = next.map_or(0, |next| next.next.0);
            let end = first.saturating_add(PRODUCER_IDS_PER_BLOCK);
            let block = ProducerId(first)..ProducerId(end);
            Ok(Step::Put(NextProducerId { next: ProducerId(end) }, block))
        })
        .await
    }
}

impl ProducerIds {
    /// An allocator that fetches its spare blocks as one of `tasks`.
    pub fn new(metadata: Metadata, tasks: Tasks) -> Self {
        Self { metadata, tasks, held: Arc::default(), fetching: Arc::default() }
    }

    /// A producer id that nobody had before.
    ///
    /// # Errors
    /// [`Error`], when nothing is held and the metadata can't be reached.
    pub async fn next(&self) -> Result<ProducerId, Error> {
        loop {
            let (id, spare_is_missing) = {
                let mut held = self.held();
                (held.take(), held.spare.is_empty())
            };
            if let Some(id) = id {
                if spare_is_missing {
                    self.fetch_spare();
                }
                return Ok(id);
            }
            let _one_at_a_time = self.fetching.lock().await;
            self.fetch().await?;
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches a block unless there is a spare one. The caller holds `fetching`.
    async fn fetch(&self) -> Result<(), Error> {
        if !self.held().spare.is_empty() {
            return Ok(());
        }
        let block = self.metadata.allocate_producer_ids().await?;
        self.held().spare = block.start.0..block.end.0;
        Ok(())
    }

    fn fetch_spare(&self) {
        let Ok(one_at_a_time) = Arc::clone(&self.fetching).try_lock_owned() else { return };
        let this = self.clone();
        self.tasks.spawn("producer ids", |_| async move {
            if let Err(error) = this.fetch().await {
                tracing::debug!(%error, "no spare block of producer ids; the next caller tries again");
            }
            drop(one_at_a_time);
        });
    }
}
