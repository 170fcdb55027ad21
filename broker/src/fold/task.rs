//! The task that folds.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::time::sleep;
use uuid::Uuid;
use weir_ids::{Offset, SessionId, TopicPartition};
use weir_runtime::{Runtime, Stop, watch};
use weir_segment_store::{ReadError, Reader, ReaderSettings, Reference, Store, StoreError};

use super::{Due, FoldSettings, Folding, Wanted, gather::Read, read::read_all};
use crate::{
    Lifetime,
    buffers::Buffers,
    checkpoint::{CheckpointHandle, ObjectNumbers, Written},
    client::Thin,
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
    pub(super) reader: Reader,
    thin: watch::Receiver<Arc<Thin>>,
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
    /// Folds of what `thin` says, too.
    pub(crate) fn new(deps: FolderDeps, thin: watch::Receiver<Arc<Thin>>) -> Self {
        let reader = Reader::new(deps.store.clone(), ReaderSettings::default());
        Self { deps, reader, thin, after: None, rotten: BTreeMap::new() }
    }

    /// Folds what is due after each checkpoint in `written`, and what is wanted, until `stop`.
    pub(crate) async fn run(mut self, mut written: watch::Receiver<Written>, stop: Stop) {
        let mut troubled = false;
        loop {
            let thin = tokio::select! {
                biased;
                () = stop.requested() => return,
                changed = self.thin.changed() => match changed {
                    Ok(()) => Some(Arc::clone(&self.thin.borrow())),
                    Err(_) => return,
                },
                changed = written.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
            };
            let folded = tokio::select! {
                biased;
                () = stop.requested() => return,
                folded = self.tend(thin) => folded,
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

    async fn tend(&mut self, thin: Option<Arc<Thin>>) -> Result<(), Failed> {
        self.fold_all(Wanted::Short).await?;
        self.page_off().await?;
        match thin {
            Some(thin) => self.thicken(&thin).await,
            None => Ok(()),
        }
    }

    /// Folds all that is wanted.
    pub(super) async fn fold_all(&mut self, wanted: Wanted) -> Result<(), Failed> {
        loop {
            let dues = self.due(&wanted).await?;
            if dues.is_empty() {
                return Ok(());
            }
            self.give_way().await;
            self.fold(dues).await?;
        }
    }

    /// What is due of partitions that follow one another, about as much as makes one object: those behind the last that
    /// were looked at, or the first again.
    async fn due(&mut self, wanted: &Wanted) -> Result<Vec<Due>, Failed> {
        loop {
            let from = self.after;
            let mut dues = Vec::new();
            for shard in &*self.deps.shards {
                dues.extend(shard.due(self.deps.settings, wanted.clone(), from).await?);
            }
            dues.retain(|due| !self.is_rotten(due));
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

    /// Whether some of it could not be read before.
    pub(super) fn is_rotten(&self, due: &Due) -> bool {
        let rotten = self.rotten.get(&due.partition);
        rotten.is_some_and(|at| due.references.iter().any(|it| it.base == *at))
    }

    pub(super) async fn give_way(&self) {
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
    pub(super) async fn read(&mut self, dues: Vec<Due>) -> Result<Vec<Read>, Failed> {
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
