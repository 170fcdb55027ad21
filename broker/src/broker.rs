//! One run of the broker role: a session, its log, its shards, and the way partitions come and go.

use std::sync::Arc;

use futures::future::join_all;
use prometheus_client::registry::Registry;
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;
use weir_ids::{NodeId, Offset, SessionId, Slot, TopicId, TopicPartition};
use weir_meta::{
    Metadata, OwnedChange, OwnedError, OwnedUpdate, RegisterError, SESSION_TTL,
    model::{Seal, Session},
    store::Remedy,
};
use weir_runtime::{Runtime, TaskError, Tasks, watch};
use weir_segment_store::{
    Store,
    journal::{self, Journal},
};

use crate::{
    BrokerSettings, TopicRules,
    buffers::Buffers,
    checkpoint::CheckpointHandle,
    client::{ReadError, Thin},
    collector::{FloorError, refuse_if_metadata_is_older},
    ending::Ending,
    fold::Folding,
    local::LocalBroker,
    metrics::Metrics,
    opening::{Assigned, OpenError, Opening, OpeningDeps, Outcome},
    partition::Claimed,
    parts::Parts,
    recovery::{Noted, Right, SessionError, Sessions},
    shard::{LogStart, ShardHandle},
    standing::Standing,
    trouble::Trouble,
    wal::WalHandle,
};

/// What a broker works with.
#[derive(Clone)]
pub struct BrokerDeps {
    /// The cluster that its objects name.
    pub cluster: Uuid,
    /// The node that it runs on.
    pub node: NodeId,
    /// Time and chance.
    pub runtime: Runtime,
    /// The cluster's metadata.
    pub metadata: Metadata,
    /// Where objects are.
    pub store: Store,
    /// Where write-ahead logs are.
    pub journal: Arc<dyn Journal>,
    /// What its session tells others.
    pub session: Session,
}

impl StartError {
    /// Whether trying again may help.
    pub(crate) fn may_heal(&self) -> bool {
        match self {
            Self::Metadata(error) => error.remedy() == Remedy::Retry,
            Self::Floor(FloorError::Older(_)) => false,
            Self::Floor(FloorError::Journal(error)) => error.advice() == journal::Advice::Retry,
            Self::Floor(FloorError::Metadata(error)) => error.remedy() == Remedy::Retry,
            Self::Session(error) => error.may_heal(),
            Self::Register(error) => error.remedy() != Remedy::Stop,
            Self::Journal(error) => error.advice() != journal::Advice::Stop,
        }
    }
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] weir_meta::Error),
    /// The metadata is older than what is in the store, or that can't be told.
    #[error(transparent)]
    Floor(#[from] FloorError),
    /// What an earlier session left can't be read.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The session can't be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// Its log can't be opened.
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

/// A running broker.
pub struct Broker {
    deps: Arc<BrokerDeps>,
    session: SessionId,
    shards: Arc<[ShardHandle]>,
    buffers: Arc<Buffers>,
    trouble: Trouble,
    metrics: Metrics,
    wal: WalHandle,
    checkpoints: CheckpointHandle,
    standing: Arc<Standing>,
    ending: Ending,
    sole: bool,
    opening: Mutex<Opening>,
    noted: Noted,
    folding: Folding,
    thin: watch::Sender<Arc<Thin>>,
    /// How many partitions are open here, as of the last look at the assignments.
    holds: watch::Sender<Option<usize>>,
    /// Ends first: what feeds the log.
    front: Tasks,
    /// Ends last: the log and its checkpoints.
    back: Tasks,
}

impl Broker {
    /// Opens a session and its log. Its tasks belong to `tasks`, which stops when one of them fails.
    ///
    /// # Errors
    /// When the session or its log can't be opened.
    pub async fn start(
        deps: BrokerDeps,
        settings: BrokerSettings,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, StartError> {
        Self::open_session(deps, settings, Metrics::default(), tasks).await
    }

    /// The same, with figures that outlive the session.
    pub(crate) async fn open_session(
        deps: BrokerDeps,
        settings: BrokerSettings,
        metrics: Metrics,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, StartError> {
        let right = if settings.sole { Right::Sole } else { Right::Of(deps.node) };
        let (metadata, store) = (deps.metadata.clone(), deps.store.clone());
        let mut sessions = Sessions::new(metadata, store, Arc::clone(&deps.journal), right);
        // Before anything is changed: what can't be recovered must not be started over.
        if settings.sole {
            sessions.read_all().await?;
        }
        if !settings.sole {
            refuse_if_metadata_is_older(&*deps.journal, &deps.metadata).await?;
        }
        let session = deps.metadata.allocate_session(deps.node).await?;
        let writer = deps.journal.open(session).await?;
        let asked = Instant::now();
        let registration =
            deps.metadata.register_session(session, &deps.session, SESSION_TTL).await?;
        let (front, back) = (tasks.child(), tasks.child());
        let (parts, inboxes) = Parts::new(&settings, metrics);
        let standing = Arc::new(Standing::new(asked, parts.wal.clone()));
        parts.spawn(inboxes, &back, &deps, session, writer, &settings);
        parts.tend(&front, &deps, session, &settings);
        parts.keep(&front, &deps, registration, &standing);
        let Parts {
            buffers,
            trouble,
            metrics,
            wal,
            checkpoints,
            shards,
            ending,
            folding,
            thin,
            ..
        } = parts;
        let opening = OpeningDeps {
            metadata: deps.metadata.clone(),
            session,
            shards: Arc::clone(&shards),
            checkpoints: checkpoints.clone(),
        };
        let noted = sessions.noted();
        Ok(Arc::new(Self {
            opening: Mutex::new(Opening::new(opening, sessions)),
            deps: Arc::new(deps),
            session,
            shards,
            buffers,
            trouble,
            metrics,
            wal,
            checkpoints,
            standing,
            ending,
            sole: settings.sole,
            noted,
            folding,
            thin,
            holds: watch::Sender::new(None),
            front,
            back,
        }))
    }

    /// The session, for those who want to know.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Shows the broker's figures in `registry`.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.metrics.register(registry);
    }

    /// The client of this broker within the process.
    pub fn client(self: &Arc<Self>) -> LocalBroker {
        LocalBroker::new(Arc::clone(self))
    }

    /// Bytes of records in memory, and the limit.
    pub fn buffered_bytes(&self) -> (u64, u64) {
        (self.buffers.used(), self.buffers.limit())
    }

    pub(crate) fn node(&self) -> NodeId {
        self.deps.node
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.deps.metadata
    }

    pub(crate) fn store(&self) -> &Store {
        &self.deps.store
    }

    pub(crate) fn journal(&self) -> &dyn Journal {
        &*self.deps.journal
    }

    pub(crate) fn shards(&self) -> &Arc<[ShardHandle]> {
        &self.shards
    }

    pub(crate) fn noted(&self) -> &Noted {
        &self.noted
    }

    pub(crate) fn folding(&self) -> &Folding {
        &self.folding
    }

    pub(crate) fn thin(&self) -> &watch::Sender<Arc<Thin>> {
        &self.thin
    }

    pub(crate) fn checkpoints(&self) -> &CheckpointHandle {
        &self.checkpoints
    }

    pub(crate) fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    pub(crate) fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    pub(crate) fn part(&self) -> &Tasks {
        &self.front
    }

    pub(crate) fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(crate) fn wal(&self) -> &WalHandle {
        &self.wal
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether this is known to be the only broker.
    pub(crate) fn is_sole(&self) -> bool {
        self.sole
    }

    /// Waits until the session is over, without being asked to end; says why.
    pub(crate) async fn over(&self) -> String {
        self.ending.told().await
    }

    /// Drops everything at once: the session is over. Whoever waits is told that its append is
    /// unclear.
    pub(crate) async fn abandon(&self) {
        self.ending.tell(&"the session was given up");
        self.front.finish().await;
        self.back.finish().await;
        self.metrics.partitions.set(0);
    }

    /// Ends what ran on this node before; see [`Opening::end_earlier`].
    pub(crate) async fn end_earlier(&self) -> bool {
        self.opening.lock().await.end_earlier(self.node()).await
    }

    /// Partitions that may be claimed and are not open.
    pub(crate) async fn unsettled(&self) -> Vec<TopicPartition> {
        self.opening.lock().await.unsettled().collect()
    }

    /// Takes note that partitions are released that have nothing from this slot on.
    pub(crate) async fn released_below(&self, end: Slot) {
        self.opening.lock().await.released(end);
    }

    /// Reads what is new of sessions that have something to give up to this broker.
    pub(crate) async fn look_ahead(&self) {
        self.opening.lock().await.look_ahead().await;
    }

    /// Forgets what was read of other sessions.
    pub(crate) async fn forget_read(&self) {
        self.opening.lock().await.forget();
    }

    /// Claims, recovers and opens partitions. One answer each, in order; those that fail may be
    /// tried again.
    pub async fn open(&self, assigned: Vec<Assigned>) -> Vec<Result<(), OpenError>> {
        let begun = Instant::now();
        let mut opening = self.opening.lock().await;
        let (ids, rules): (Vec<_>, Vec<_>) = assigned.into_iter().unzip();
        let claims = opening.number(&ids);
        self.checkpoints.claimed(claims.iter().map(|(id, claim)| (*claim, *id)).collect());
        let outcomes = opening.take_over(&claims, &rules).await;
        let (mut recovered, mut settled) = (Vec::new(), Vec::new());
        let mut results = Vec::with_capacity(claims.len());
        for ((_, claim), outcome) in claims.into_iter().zip(outcomes) {
            let error = match outcome {
                Outcome::Recovered(claimed) => {
                    settled.push(claim);
                    recovered.push(claimed);
                    results.push(Ok(()));
                    continue;
                }
                Outcome::NotClaimed(error) => {
                    settled.push(claim);
                    error
                }
                Outcome::NotRecovered(error) => error,
            };
            if error.is_over() {
                self.ending.tell(&error);
            }
            results.push(Err(error));
        }
        let mut by_shard: Vec<Vec<Claimed>> = self.shards.iter().map(|_| Vec::new()).collect();
        for claimed in recovered {
            by_shard[ShardHandle::of(&self.shards, claimed.id).0].push(claimed);
        }
        let opened = self.shards.iter().zip(by_shard).map(|(shard, claimed)| shard.open(claimed));
        join_all(opened).await;
        opening.opened();
        let open = results.iter().filter(|result| result.is_ok()).count();
        self.metrics.partitions.inc_by(open as i64);
        if open > 0 {
            tracing::info!(partitions = open, took = ?begun.elapsed(), "partitions are open");
        }
        self.checkpoints.settled(settled);
        results
    }

    /// Gives partitions up whose topic is deleted: what they hold is dropped.
    ///
    /// # Errors
    /// When the metadata can't be changed; the partitions are given up nevertheless.
    pub async fn discard(&self, ids: Vec<TopicPartition>) -> Result<(), OwnedError> {
        let _opening = self.opening.lock().await;
        let mut updates = Vec::with_capacity(ids.len());
        for id in &ids {
            let (_, shard) = ShardHandle::of(&self.shards, *id);
            if let Some(epoch) = shard.ask(*id, |partition| partition.epoch()).await {
                updates.push(OwnedUpdate { partition: *id, epoch, change: OwnedChange::Drop });
            }
        }
        self.on_shards(&ids, ShardHandle::close);
        self.metrics.partitions.dec_by(updates.len() as i64);
        self.checkpoints.closed(ids);
        let results = self.deps.metadata.update_owned(self.session, &updates).await;
        results.into_iter().try_for_each(|result| match result {
            Ok(_) | Err(OwnedError::NotFound { .. } | OwnedError::NotOwner { .. }) => Ok(()),
            Err(error) => Err(error),
        })
    }

    /// A topic's rules have changed.
    pub fn set_rules(&self, topic: TopicId, rules: &Arc<TopicRules>) {
        self.shards.iter().for_each(|shard| shard.rules(topic, Arc::clone(rules)));
    }

    /// Moves a partition's log start and records that.
    pub(crate) async fn delete_records(
        &self,
        id: TopicPartition,
        before: Option<Offset>,
    ) -> Result<Offset, ReadError> {
        let (_, shard) = ShardHandle::of(&self.shards, id);
        let bounds = shard.ask(id, |partition| (partition.epoch(), partition.offsets())).await;
        let (epoch, offsets) = bounds.ok_or(ReadError::NotOwner(id))?;
        let (log_start, durable) = (offsets.log_start, offsets.durable);
        let offset = before.unwrap_or(durable);
        if offset > durable || offset.0 < 0 {
            return Err(ReadError::OutOfRange { offset, log_start, durable });
        }
        if offset > log_start {
            let change = OwnedChange::LogStart(offset);
            let update = OwnedUpdate { partition: id, epoch, change };
            let mut results = self.deps.metadata.update_owned(self.session, &[update]).await;
            match results.pop() {
                Some(Ok(_)) => {}
                Some(Err(OwnedError::NotOwner { .. } | OwnedError::NotFound { .. })) | None => {
                    return Err(ReadError::NotOwner(id));
                }
                Some(Err(error)) => return Err(ReadError::Storage(error.to_string())),
            }
        }
        let moved = shard.ask(id, move |partition| partition.start_at(offset)).await;
        // The next full checkpoint does not name what they were in.
        self.checkpoints.starts(vec![LogStart { partition: id, epoch, offset }]);
        moved.ok_or(ReadError::NotOwner(id))
    }

    /// Takes note of how many partitions are open here.
    pub(crate) fn note_holds(&self, partitions: usize) {
        self.holds.send_replace(Some(partitions));
    }

    /// Waits until no partition is open here, and none is being given up.
    pub(crate) async fn emptied(&self) {
        // The sender lives as long as this.
        let _ = self.holds.subscribe().wait_for(|holds| *holds == Some(0)).await;
    }

    /// Makes a checkpoint of everything that is durable now; true if it is published.
    pub async fn checkpoint(&self) -> bool {
        self.checkpoints.now().await
    }

    /// Ends in order: what was accepted becomes durable, is checkpointed, and the session is sealed,
    /// so that the next owner has nothing to scan.
    ///
    /// # Errors
    /// The first error of a task of this broker, now or before.
    pub async fn shutdown(&self) -> Result<(), TaskError> {
        self.standing.withdraw();
        self.front.shutdown().await?;
        // From here on nothing is accepted: no slot may land behind the end that is recorded.
        join_all(self.shards.iter().map(ShardHandle::drain)).await;
        let end = self.wal.flush().await;
        if !self.checkpoints.now().await {
            tracing::warn!("no last checkpoint was made; the next start will read the log");
        }
        self.back.shutdown().await?;
        if let Some(end) = end {
            let seal = Seal { at: end, detail: None };
            if let Err(error) = self.deps.metadata.seal(self.session, seal).await {
                tracing::warn!(%error, "the end of the session is not recorded");
            }
        }
        Ok(())
    }

    pub(crate) fn on_shards(
        &self,
        ids: &[TopicPartition],
        tell: impl Fn(&ShardHandle, Vec<TopicPartition>),
    ) {
        let mut by_shard = vec![Vec::new(); self.shards.len()];
        for id in ids {
            by_shard[ShardHandle::of(&self.shards, *id).0].push(*id);
        }
        for (shard, ids) in self.shards.iter().zip(by_shard).filter(|(_, ids)| !ids.is_empty()) {
            tell(shard, ids);
        }
    }
}
