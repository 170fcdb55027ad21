//! The tasks that one session consists of, and the ways between them.

use std::sync::Arc;

use tokio::time::Instant;
use weir_ids::SessionId;
use weir_meta::{RegisterError, Registration, store::Remedy};
use weir_runtime::{Tasks, watch};
use weir_segment_store::{Reader, ReaderSettings, journal};

use crate::{
    BrokerDeps, BrokerSettings,
    buffers::Buffers,
    checkpoint::{
        CheckpointHandle, CheckpointInbox, CheckpointSettings, Checkpointer, CheckpointerDeps,
        ObjectNumbers, Written,
    },
    client::Thin,
    compaction::{CompactionSettings, Compactor},
    ending::Ending,
    fold::{FoldSettings, Folder, FolderDeps, Folding},
    metrics::Metrics,
    retention::Retention,
    shard::{Shard, ShardHandle, ShardInbox},
    standing::Standing,
    store_clock::StoreClock,
    trouble::Trouble,
    wal::{Wal, WalHandle, WalInbox},
};

/// Ways to all tasks of a session.
pub(crate) struct Parts {
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) trouble: Trouble,
    pub(crate) metrics: Metrics,
    pub(crate) wal: WalHandle,
    pub(crate) checkpoints: CheckpointHandle,
    pub(crate) shards: Arc<[ShardHandle]>,
    pub(crate) ending: Ending,
    pub(crate) folding: Folding,
    pub(crate) thin: watch::Sender<Arc<Thin>>,
    numbers: ObjectNumbers,
    written: watch::Receiver<Written>,
}

/// What the tasks read.
pub(crate) struct Inboxes {
    wal: WalInbox,
    checkpoints: CheckpointInbox,
    shards: Vec<ShardInbox>,
}

impl Parts {
    pub(crate) fn new(settings: &BrokerSettings, metrics: Metrics) -> (Self, Inboxes) {
        let (wal, wal_inbox) = Wal::handle();
        let (checkpoints, checkpoint_inbox) = CheckpointHandle::new();
        let written = checkpoint_inbox.written();
        let (shards, shard_inboxes): (Vec<_>, Vec<_>) =
            (0..settings.shards.max(1)).map(|_| ShardHandle::new()).unzip();
        let inboxes =
            Inboxes { wal: wal_inbox, checkpoints: checkpoint_inbox, shards: shard_inboxes };
        let parts = Self {
            buffers: Arc::new(Buffers::new(settings.buffer_bytes)),
            trouble: Trouble::new(),
            metrics,
            wal,
            checkpoints,
            shards: shards.into(),
            ending: Ending::default(),
            folding: Folding::default(),
            thin: watch::Sender::new(Arc::default()),
            numbers: ObjectNumbers::default(),
            written,
        };
        (parts, inboxes)
    }

    /// Starts the tasks that records go through.
    pub(crate) fn spawn(
        &self,
        inboxes: Inboxes,
        tasks: &Tasks,
        deps: &BrokerDeps,
        session: SessionId,
        writer: Box<dyn journal::Writer>,
        settings: &BrokerSettings,
    ) {
        for inbox in inboxes.shards {
            let buffers = Arc::clone(&self.buffers);
            let shard = Shard::new(deps.runtime.clone(), buffers, self.wal.clone());
            tasks.spawn("shard", |stop| shard.run(inbox, stop));
        }
        let log = Wal {
            cluster: deps.cluster,
            session,
            runtime: deps.runtime.clone(),
            writer,
            shards: Arc::clone(&self.shards),
            checkpoints: self.checkpoints.clone(),
            trouble: self.trouble.clone(),
            buffers: Arc::clone(&self.buffers),
            metrics: self.metrics.clone(),
            settings: settings.slots.clone(),
            ending: self.ending.clone(),
        };
        tasks.spawn_fallible("write-ahead log", |stop| log.run(inboxes.wal, stop));
        let checkpointer = Checkpointer::new(CheckpointerDeps {
            cluster: deps.cluster,
            session,
            runtime: deps.runtime.clone(),
            metadata: deps.metadata.clone(),
            store: deps.store.clone(),
            journal: Arc::clone(&deps.journal),
            shards: Arc::clone(&self.shards),
            trouble: self.trouble.clone(),
            metrics: self.metrics.clone(),
            settings: CheckpointSettings::of(settings, deps.journal.checkpointing()),
            ending: self.ending.clone(),
            sole: settings.sole,
            numbers: self.numbers.clone(),
        });
        tasks.spawn_fallible("checkpoints", |stop| checkpointer.run(inboxes.checkpoints, stop));
    }

    /// Starts what keeps what is stored in order.
    pub(crate) fn tend(
        &self,
        tasks: &Tasks,
        deps: &BrokerDeps,
        session: SessionId,
        settings: &BrokerSettings,
    ) {
        let deps = FolderDeps {
            cluster: deps.cluster,
            session,
            runtime: deps.runtime.clone(),
            store: deps.store.clone(),
            shards: Arc::clone(&self.shards),
            checkpoints: self.checkpoints.clone(),
            numbers: self.numbers.clone(),
            buffers: Arc::clone(&self.buffers),
            folding: self.folding.clone(),
            metrics: self.metrics.clone(),
            settings: FoldSettings::of(settings, deps.journal.checkpointing()),
        };
        let compaction = CompactionSettings::of(settings, &deps.settings);
        let clock = StoreClock::new(
            deps.runtime.clone(),
            deps.store.clone(),
            session,
            self.checkpoints.clone(),
            self.written.clone(),
        );
        let compactor = Compactor::new(deps.clone(), compaction, clock.clone());
        tasks.spawn("compaction", |stop| compactor.run(stop));
        let pages = ReaderSettings { block_cache_bytes: 0, ..ReaderSettings::default() };
        let retention = Retention {
            shards: Arc::clone(&self.shards),
            checkpoints: self.checkpoints.clone(),
            reader: Reader::new(deps.store.clone(), pages),
            clock,
            interval: settings.tending.retention_interval,
        };
        let folder = Folder::new(deps, self.thin.subscribe());
        let written = self.written.clone();
        tasks.spawn("folds", |stop| folder.run(written, stop));
        tasks.spawn("retention", |stop| retention.run(stop));
    }

    /// Starts what keeps the session known to others, and notices when it is over.
    pub(crate) fn keep(
        &self,
        tasks: &Tasks,
        deps: &BrokerDeps,
        registration: Registration,
        standing: &Arc<Standing>,
    ) {
        let (metadata, ending) = (deps.metadata.clone(), self.ending.clone());
        let told = Arc::clone(standing);
        tasks.spawn_fallible("session", |stop| async move {
            let seen = |sent: Instant| told.seen(sent);
            match registration.keep(&metadata, stop, seen).await {
                Err(error) if is_over(&error) => {
                    ending.tell(&error);
                    Ok(())
                }
                kept => kept,
            }
        });
        let (standing, ending) = (Arc::clone(standing), self.ending.clone());
        tasks.spawn("standing", |stop| async move { standing.watch(&ending, stop).await });
    }
}

fn is_over(error: &RegisterError) -> bool {
    error.remedy() == Remedy::Fix && !matches!(error, RegisterError::Unknown { .. })
}
