//! The task that folds.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::sleep;
use uuid::Uuid;
use weir_ids::{Offset, SessionId, TopicPartition};
use weir_runtime::{Runtime, Stop, watch};
use weir_segment_store::{
    ObjectName, ReadError, Reader, ReaderSettings, Reference, Store, StoreError, Stored,
    object::{Header, Kind},
};

use super::{
    Due, FoldSettings, Folded, Folding,
    gather::{Read, gather},
};
use crate::{
    buffers::Buffers,
    checkpoint::{CheckpointHandle, ObjectNumbers},
    metrics::Metrics,
    shard::{Gone, ShardHandle},
};

/// How many objects are read together.
const READ_TOGETHER: usize = 4;
/// How long folds wait at a time while producers wait for room, and how often for one fold: what is not folded costs
/// too.
const GIVE_WAY: Duration = Duration::from_millis(50);
const GIVE_WAY_MAX: u32 = 40;

/// What a folder works with.
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
pub(super) enum Failed {
    #[error(transparent)]
    Store(#[from] StoreError),
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
        let reads = self.read(dues).await?;
        if reads.is_empty() {
            return Ok(());
        }
        let number = self.deps.numbers.next();
        let name = ObjectName::Sorted { session: self.deps.session, number };
        let gathered = gather(&self.header(number, Kind::Sorted), reads);
        let _named = self.deps.folding.name(name);
        self.deps.store.create(name, &gathered.body.parts).await?;
        self.deps.metrics.folds.inc();
        self.deps.metrics.folded_bytes.inc_by(gathered.body.len);
        self.replace(gathered.folded(name)).await
    }

    pub(super) fn header(&self, number: u64, kind: Kind) -> Header {
        let FolderDeps { cluster, session, .. } = self.deps;
        Header { cluster, session, number, put_id: self.deps.runtime.random_u64(), kind }
    }

    /// All that is due, object by object; without what can't be read.
    async fn read(&mut self, dues: Vec<Due>) -> Result<Vec<Read>, Failed> {
        let mut by_object: BTreeMap<ObjectName, Vec<(usize, Reference)>> = BTreeMap::new();
        for (place, due) in dues.iter().enumerate() {
            for reference in &due.references {
                by_object.entry(reference.object).or_default().push((place, *reference));
            }
        }
        let reader = &self.reader;
        let requests = by_object.into_iter().map(|(object, wanted)| async move {
            let references: Vec<Reference> = wanted.iter().map(|(_, it)| *it).collect();
            let read = reader.all(object, &references).await;
            wanted.into_iter().zip(read).collect::<Vec<_>>()
        });
        let requests: Vec<_> = requests.collect();
        let mut answers = stream::iter(requests).buffer_unordered(READ_TOGETHER);
        let mut stored: Vec<BTreeMap<Offset, Stored>> =
            dues.iter().map(|_| BTreeMap::new()).collect();
        let mut lost = BTreeSet::new();
        while let Some(answer) = answers.next().await {
            for ((place, reference), read) in answer {
                match read {
                    Ok(read) => drop(stored[place].insert(reference.base, read)),
                    Err(ReadError::Store(error)) if error.may_heal() => return Err(error.into()),
                    Err(error) => {
                        tracing::error!(partition = %dues[place].partition, %error, "a range is not folded");
                        self.rotten.insert(dues[place].partition, reference.base);
                        lost.insert(place);
                    }
                }
            }
        }
        let whole = dues.into_iter().zip(stored).enumerate();
        let whole = whole.filter(|(place, _)| !lost.contains(place));
        Ok(whole.map(|(_, (due, stored))| (due, stored.into_values().collect())).collect())
    }

    /// Tells the shards, and has the next checkpoint list what has changed.
    async fn replace(&self, folded: Vec<Folded>) -> Result<(), Failed> {
        let mut by_shard: Vec<Vec<Folded>> = self.deps.shards.iter().map(|_| Vec::new()).collect();
        for folded in folded {
            by_shard[ShardHandle::of(&self.deps.shards, folded.due.partition).0].push(folded);
        }
        for (shard, folded) in self.deps.shards.iter().zip(by_shard) {
            if !folded.is_empty() {
                self.deps.checkpoints.folded(shard.folded(folded).await?);
            }
        }
        Ok(())
    }
}
