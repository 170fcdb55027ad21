//! The task that folds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::sleep;
use uuid::Uuid;
use weir_ids::{Offset, SessionId, TopicPartition};
use weir_runtime::{Runtime, Stop, watch};
use weir_segment_store::{ReadError, Reader, ReaderSettings, Reference, Store, StoreError};

use super::{Due, FoldSettings, Folding, gather::Read, read::read_all};
use crate::{
    Lifetime,
    buffers::Buffers,
    checkpoint::{CheckpointHandle, ObjectNumbers},
    metrics::Metrics,
    shard::{Gone, ShardHandle},
};

/// How long folds wait at a time while producers wait for room, and how often for one fold: what is not folded costs
/// too.
const GIVE_WAY: Duration = Duration::from_millis(50);
const GIVE_WAY_MAX: u32 = 40;

/// What a folder works with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct FolderDeps {
    pub(crate) cluster: Uuid,
    pub(crate) session: SessionId,
    pub(crate) runtime: Runtime,
    pub(crate) store: Store,
    pub(crate) shards: Arc<[ShardHandle]>,
    pub(crate) checkpoints: CheckpointHandle,
    pub(crate) numbers: ObjectNumbers,
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) folding: Folding,
    pub(crate) metrics: Metrics,
    pub(crate) settings: FoldSettings,
}

/// The folds of one session.
pub(crate) struct Folder {
    pub(super) deps: FolderDeps,
    reader: Reader,
    /// The partition that was looked at last: the next is behind it.
    after: Option<TopicPartition>,
    /// Partitions with a range that can't be read, by its first offset: not tried again in this session.
    rotten: BTreeMap<TopicPartition, Offset>,
}

/// Why nothing is folded for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl Folder {
    pub(crate) fn new(deps: FolderDeps) -> Self {
        let reader = Reader::new(deps.store.clone(), ReaderSettings::default());
        Self { deps, reader, after: None, rotten: BTreeMap::new() }
    }

    /// Folds what is due after each checkpoint in `written`, until `stop`.
    pub(crate) async fn run(mut self, mut written: watch::Receiver<u64>, stop: Stop) {
        let mut troubled = false;
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                changed = written.changed() => if changed.is_err() { return },
            }
            let folded = tokio::select! {
                biased;
                () = stop.requested() => return,
                folded = self.fold_all() => folded,
            };
            match folded {
                Ok(()) => troubled = false,
                Err(Failed::Gone(_)) => return,
                Err(error) if troubled => tracing::debug!(%error, "still nothing is folded"),
                Err(error) => {
                    tracing::warn!(%error, "nothing is folded for now; trying again after the next checkpoint");
                    troubled = true;
                }
            }
        }
    }

    async fn fold_all(&mut self) -> Result<(), Failed> {
        loop {
            let dues = self.due().await?;
            if dues.is_empty() {
                return self.page_off().await;
            }
            self.give_way().await;
            self.fold(dues).await?;
        }
    }

    /// What is due of partitions that follow one another, about as much as makes one object: those behind the last that
    /// were looked at, or the first again.
    async fn due(&mut self) -> Result<Vec<Due>, Failed> {
        loop {
            let from = self.after;
            let mut dues = Vec::new();
            for shard in &*self.deps.shards {
                dues.extend(shard.due(self.deps.settings, from).await?);
            }
            dues.retain(|due: &Due| {
                let rotten = self.rotten.get(&due.partition);
                rotten.is_none_or(|at| due.references.iter().all(|it| it.base != *at))
            });
            dues.sort_by_key(|due| due.partition);
            let mut bytes = 0;
            let wanted = dues.iter().take_while(|due| {
                let fits = bytes < self.deps.settings.object_bytes;
                bytes += due.bytes();
                fits
            });
            dues.truncate(wanted.count());
            self.after = dues.last().map(|due| due.partition);
            if !dues.is_empty() || from.is_none() {
                return Ok(dues);
            }
        }
    }

    async fn give_way(&self) {
        for _ in 0..GIVE_WAY_MAX {
            if !self.deps.buffers.is_scarce() {
                return;
            }
            sleep(GIVE_WAY).await;
        }
    }

    async fn fold(&mut self, dues: Vec<Due>) -> Result<(), Failed> {
        for reads in of_one_lifetime(self.read(dues).await?) {
            let (_, len) = self.deps.write(reads).await?;
            self.deps.metrics.folds.inc();
            self.deps.metrics.folded_bytes.inc_by(len);
        }
        Ok(())
    }

    /// All that is due, in its order; without what can't be read.
    async fn read(&mut self, dues: Vec<Due>) -> Result<Vec<Read>, Failed> {
        let references: Vec<Reference> =
            dues.iter().flat_map(|due| &due.references).copied().collect();
        let mut read = references.iter().zip(read_all(&self.reader, &references).await);
        let mut whole = Vec::with_capacity(dues.len());
        for due in dues {
            let (mut stored, count) = (Vec::new(), due.references.len());
            for (reference, read) in read.by_ref().take(count) {
                match read {
                    Ok(read) => stored.push(read),
                    Err(ReadError::Store(error)) if error.may_heal() => return Err(error.into()),
                    Err(error) => {
                        tracing::error!(partition = %due.partition, %error, "a range is not folded");
                        self.rotten.insert(due.partition, reference.base);
                    }
                }
            }
            if stored.len() == count {
                whole.push((due, stored));
            }
        }
        Ok(whole)
    }
}

/// What makes one object: otherwise a little that stays would keep in the store what lies around it.
fn of_one_lifetime(reads: Vec<Read>) -> impl Iterator<Item = Vec<Read>> {
    let mut alike: BTreeMap<Lifetime, Vec<Read>> = BTreeMap::new();
    for read in reads {
        alike.entry(read.0.lifetime).or_default().push(read);
    }
    alike.into_values()
}
