//! The coordinators of this process: which shard a group belongs to, and the shards' lives.
//!
//! A group's shard follows from its id as in Kafka, so that tools that look into
//! `__consumer_offsets` find a group where they expect it. The topic is created when it is first
//! needed; its partitions never change in number afterwards.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::{OnceCell, oneshot};
use weir_ids::{Offset, PartitionIndex, TopicPartition};
use weir_runtime::{Runtime, Tasks};

use crate::{
    cluster::{Cluster, Topic},
    group::{Error, GroupId},
    settings::Settings,
    shard::{
        Context, Request, Shard,
        log::{Chunk, LogError, LogReader},
    },
};

/// The topic that keeps groups and offsets.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// How long a request waits for the topic to be created.
const TOPIC_TIMEOUT: Duration = Duration::from_secs(5);

/// All shards, reached by direct calls. Cheap to clone.
#[derive(Clone)]
pub struct Coordinator {
    inner: Arc<Inner>,
}

struct Inner {
    context: Context,
    tasks: Tasks,
    topic: OnceCell<Topic>,
    shards: Mutex<BTreeMap<PartitionIndex, Shard>>,
    /// Nothing is kept here.
    is_nobody: bool,
}

impl Coordinator {
    /// Starts. If the topic is there, its shards begin to load in the background. Ends with `tasks`,
    /// or earlier by [`Coordinator::shutdown`].
    pub fn start(
        runtime: Runtime,
        tasks: &Tasks,
        settings: Settings,
        cluster: Arc<dyn Cluster>,
        reader: Arc<dyn LogReader>,
    ) -> Self {
        let context = Context { runtime, cluster, reader, settings: Arc::new(settings) };
        let shards = tasks.child();
        let coordinator = Self::of(context, shards.clone(), false);
        let following = coordinator.clone();
        shards.spawn("coordinator-shards", |stop| async move {
            tokio::select! {
                biased;
                () = stop.requested() => {}
                () = following.follow() => {}
            }
        });
        tasks.spawn("coordinator", |stop| async move {
            stop.requested().await;
            shards.finish().await;
        });
        coordinator
    }

    fn of(context: Context, tasks: Tasks, is_nobody: bool) -> Self {
        let (topic, shards) = (OnceCell::new(), Mutex::new(BTreeMap::new()));
        Self { inner: Arc::new(Inner { context, tasks, topic, shards, is_nobody }) }
    }

    /// A coordinator that keeps nothing and sends everybody away: it answers in the place of one that
    /// can't be reached.
    pub(crate) fn nobody(cluster: Arc<dyn Cluster>) -> Self {
        let (runtime, settings) = (Runtime::system(), Arc::new(Settings::default()));
        let context = Context { runtime, cluster, reader: Arc::new(NoLog), settings };
        Self::of(context, Tasks::new(), true)
    }

    /// Ends: what is on its way to the log is made durable and answered, then whoever waits for a
    /// rebalance is sent to find the coordinator again, and so is whoever asks from now on. Without
    /// it, a client that waits for a rebalance would hold up the end of its proxy.
    pub async fn shutdown(&self) {
        self.inner.tasks.finish().await;
    }

    /// Loads the shards that are to be kept here and lets go of the others, as the cluster changes:
    /// groups expire though nobody asks for them, and who waits at a shard that has gone elsewhere is
    /// sent there.
    async fn follow(&self) {
        loop {
            let known: BTreeSet<PartitionIndex> = self.shards().keys().copied().collect();
            let mine: BTreeMap<PartitionIndex, Shard> = self.all_shards().into_iter().collect();
            self.shards().retain(|index, _| mine.contains_key(index));
            for (_, shard) in mine.iter().filter(|(index, _)| !known.contains(index)) {
                shard.ask(Request::Load).await;
            }
            drop(mine);
            self.inner.context.cluster.changed().await;
        }
    }

    fn shards(&self) -> MutexGuard<'_, BTreeMap<PartitionIndex, Shard>> {
        self.inner.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shards that are kept here; none if the topic does not exist, since then no group does.
    pub(crate) fn all_shards(&self) -> Vec<(PartitionIndex, Shard)> {
        let Inner { context, topic, is_nobody, .. } = &*self.inner;
        let topic = topic.get().cloned().or_else(|| context.cluster.topic_by_name(OFFSETS_TOPIC));
        let Some(topic) = topic.filter(|_| !is_nobody) else { return Vec::new() };
        let mine = (0..topic.partitions)
            .map(PartitionIndex)
            .filter(|index| context.cluster.keeps(TopicPartition::new(topic.id, *index)));
        mine.map(|index| (index, self.shard_at(&topic, index))).collect()
    }

    /// The shard of a group. Creates the topic if that is not there.
    ///
    /// # Errors
    /// If the topic can't be created now, or the shard is kept elsewhere.
    pub(crate) async fn shard_of(&self, group: &GroupId) -> Result<(PartitionIndex, Shard), Error> {
        if self.inner.is_nobody {
            return Err(Error::NotCoordinator);
        }
        let topic = self.inner.topic.get_or_try_init(|| self.find_topic()).await?;
        let index = partition_of(&group.0, topic.partitions);
        if !self.inner.context.cluster.keeps(TopicPartition::new(topic.id, index)) {
            return Err(Error::NotCoordinator);
        }
        Ok((index, self.shard_at(topic, index)))
    }

    async fn find_topic(&self) -> Result<Topic, Error> {
        let context = &self.inner.context;
        if let Some(topic) = context.cluster.topic_by_name(OFFSETS_TOPIC) {
            return Ok(topic);
        }
        let partitions = context.settings.offsets_topic_partitions;
        let made = context.cluster.ensure_internal_topic(OFFSETS_TOPIC, partitions);
        let reason = match tokio::time::timeout(TOPIC_TIMEOUT, made).await {
            Ok(Ok(topic)) => return Ok(topic),
            Ok(Err(reason)) => reason,
            Err(_) => format!("not done within {TOPIC_TIMEOUT:?}"),
        };
        tracing::warn!(topic = OFFSETS_TOPIC, reason, "can't create the internal topic yet");
        Err(Error::NotAvailable)
    }

    fn shard_at(&self, topic: &Topic, index: PartitionIndex) -> Shard {
        let mut shards = self.shards();
        let start = || {
            let partition = TopicPartition::new(topic.id, index);
            Shard::start(&self.inner.tasks, self.inner.context.clone(), partition)
        };
        shards.entry(index).or_insert_with(start).clone()
    }

    /// Asks the shard of `group` something and waits for the answer.
    pub(crate) async fn ask<T>(
        &self,
        group: &GroupId,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Error> {
        let (_, shard) = self.shard_of(group).await?;
        ask(&shard, request).await
    }

    pub(crate) fn context(&self) -> &Context {
        &self.inner.context
    }
}

/// The log of nobody.
struct NoLog;

#[async_trait]
impl LogReader for NoLog {
    async fn read(&self, of: TopicPartition, _: Offset, _: u32) -> Result<Chunk, LogError> {
        Err(LogError::NoOwner(of))
    }
}

/// Asks a shard something and waits for the answer.
pub(crate) async fn ask<T>(
    shard: &Shard,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Result<T, Error> {
    let (to, answer) = oneshot::channel();
    shard.ask(request(to)).await;
    answer.await.map_err(|_| Error::NotCoordinator)
}

/// The partition of `__consumer_offsets` that keeps `group`: Java's hash of the id, as in Kafka.
#[must_use]
pub fn partition_of(group: &str, partitions: u32) -> PartitionIndex {
    let hash = group
        .encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's `abs`: the one number without a counterpart becomes 0.
    let positive = hash.checked_abs().unwrap_or(0).unsigned_abs();
    PartitionIndex(positive.checked_rem(partitions).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By Java's `String.hashCode` and Kafka's `Utils.abs`.
    #[test]
    fn a_group_lies_where_kafka_would_put_it() {
        let cases = [
            ("", 0, 0),
            ("g", 3, 5),
            ("my-group", 12, 1),
            ("console-consumer-12345", 6, 6),
            // Its hash is the smallest integer.
            ("polygenelubricants", 0, 0),
            ("grüße-😀", 27, 1),
            ("connect-cluster", 13, 5),
        ];
        for (group, of_50, of_7) in cases {
            assert_eq!(partition_of(group, 50), PartitionIndex(of_50), "{group}");
            assert_eq!(partition_of(group, 7), PartitionIndex(of_7), "{group}");
        }
    }
}
