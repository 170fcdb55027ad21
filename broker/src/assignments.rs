//! Following the view: partitions that this node should own are opened, those that others should own
//! are released, those whose topic is gone are dropped, and a topic's new rules reach its partitions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use weir_ids::{NodeId, TopicId, TopicPartition};
use weir_meta::{
    topic_config::{TimestampType, TopicConfig},
    views::{Changes, Snapshot, View},
};
use weir_runtime::Stop;

use crate::{
    Broker, OpenError, TopicRules, opening::Assigned, releases::Releases, shard::ShardHandle,
};

/// How many partitions are opened together: the claims of one round of transactions.
const OPEN_TOGETHER: usize = 1024;
/// How soon what was not opened is tried again, and how soon at last. What a former owner is about to give up is
/// tried when that is heard, and meanwhile more is read of it.
const FIRST_RETRY: Duration = Duration::from_millis(25);
const LONGEST_RETRY: Duration = Duration::from_millis(500);
/// How long a former owner is taken to be about to give something up.
const ABOUT_TO: Duration = Duration::from_secs(2);
/// How long what was read of former owners is kept for what they have not given up.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// How often released partitions are looked at that checkpoints still cover.
const LOOK_AT_COVERED: Duration = Duration::from_secs(30);

/// What this broker has opened.
#[derive(Default)]
struct Opened {
    partitions: BTreeSet<TopicPartition>,
    rules: BTreeMap<TopicId, (Arc<TopicConfig>, Arc<TopicRules>)>,
    /// Those that could not be opened up to now.
    failing: BTreeSet<TopicPartition>,
    /// Those of them that a former owner is about to give up: appends to them wait here.
    expected: BTreeSet<TopicPartition>,
    /// News of what former owners give up.
    releases: Option<Releases>,
    /// What ran on this node before is ended.
    ended_earlier: bool,
    retry_at: Option<Instant>,
    retry_pause: Duration,
    /// Until when nothing is worth a try but what a former owner is heard to give up.
    wait_until: Option<Instant>,
    /// Since when a former owner has had something to give up, or the last of it was given up.
    early_since: Option<Instant>,
}

impl Broker {
    /// Opens what the view assigns to this node now, and follows the view from then on.
    ///
    /// # Errors
    /// If this broker is alone: the first partition that can't be opened now and is not likely to
    /// heal by itself; nothing is followed then.
    pub async fn follow(self: &Arc<Self>, view: &View) -> Result<(), OpenError> {
        // The task begins with what there is now.
        let mut opened = Opened { retry_at: Some(Instant::now()), ..Opened::default() };
        let (changes, now) = (view.changes(), view.now());
        if self.is_sole() {
            opened.ended_earlier = true; // They are read and ended as partitions need them.
            let failures = self.reconcile(&now, &mut opened).await;
            if let Some((_, error)) = failures.into_iter().find(|(_, error)| !error.may_heal()) {
                return Err(error);
            }
        }
        let broker = Arc::clone(self);
        self.part().spawn("assignments", move |stop: Stop| async move {
            tokio::select! {
                biased;
                () = stop.requested() => {}
                _ = broker.over() => {}
                () = broker.keep_up(changes, now, opened) => {}
            }
        });
        Ok(())
    }

    async fn keep_up(&self, mut changes: Changes, mut newest: Arc<Snapshot>, mut opened: Opened) {
        let mut look_at = Instant::now() + LOOK_AT_COVERED;
        loop {
            let (retry_at, only_waits) = (opened.retry_at, opened.only_waits());
            let retry = sleep_until(retry_at.unwrap_or_else(Instant::now));
            let look_ahead = async {
                retry.await;
                if only_waits {
                    self.look_ahead().await;
                }
            };
            tokio::select! {
                biased;
                changed = changes.next() => newest = changed,
                () = released(&mut opened.releases) => {}
                () = look_ahead, if retry_at.is_some() => {
                    if only_waits {
                        opened.retry_at = Some(Instant::now() + FIRST_RETRY);
                        continue;
                    }
                }
                () = sleep_until(look_at) => {
                    look_at = Instant::now() + LOOK_AT_COVERED;
                    if let Err(error) = self.forget_covered().await {
                        tracing::debug!(%error, "can't tell what need not be covered any more");
                    }
                    continue;
                }
            }
            let news = self.reconcile(&newest, &mut opened).await;
            self.note_holds(opened.partitions.len());
            for (partition, error) in news.iter().filter(|(_, error)| !error.is_early()) {
                tracing::warn!(%partition, %error, "a partition is not opened; trying again");
            }
        }
    }

    /// Brings what is open in line with `snapshot`. Returns what could not be opened and has not been
    /// named before.
    async fn reconcile(
        &self,
        snapshot: &Snapshot,
        opened: &mut Opened,
    ) -> Vec<(TopicPartition, OpenError)> {
        self.apply_rules(snapshot, opened);
        self.give_up(snapshot, opened).await;
        if !self.is_sole() && !opened.ended_earlier {
            opened.ended_earlier = self.end_earlier().await;
        }
        let unsettled = self.unsettled().await;
        // What was claimed and never opened has to be opened before it can be given up.
        let wanted: BTreeSet<TopicPartition> = snapshot
            .assigned_to(self.node())
            .chain(unsettled)
            .filter(|partition| !opened.partitions.contains(partition))
            .collect();
        let wanted: Vec<Assigned> = wanted
            .into_iter()
            .filter_map(|partition| {
                let (_, rules) = opened.rules.get(&partition.topic)?;
                Some((partition, Arc::clone(rules)))
            })
            .collect();
        let mut failures = Vec::new();
        self.expect(wanted.iter().map(|(partition, _)| *partition), opened);
        for wanted in wanted.chunks(OPEN_TOGETHER) {
            let results = self.open(wanted.to_vec()).await;
            for ((partition, _), result) in wanted.iter().zip(results) {
                match result {
                    Ok(()) => drop(opened.partitions.insert(*partition)),
                    Err(error) => failures.push((*partition, error)),
                }
            }
        }
        // What was opened only for that: nothing else may ever call for another look.
        self.give_up(snapshot, opened).await;
        let early = failures.iter().filter(|(_, error)| error.is_early());
        let early: BTreeSet<_> = early.map(|(partition, _)| *partition).collect();
        let news = opened.note(failures, snapshot, self.node());
        self.await_releases(early, snapshot, opened);
        if opened.early_for().is_none_or(|early| early > KEPT_FOR) {
            self.forget_read().await;
        }
        news
    }

    /// Appends to these partitions wait until those are open, and to no others.
    fn expect(&self, wanted: impl Iterator<Item = TopicPartition>, opened: &mut Opened) {
        let wanted: BTreeSet<TopicPartition> = wanted.collect();
        let over: Vec<_> = opened.expected.difference(&wanted).copied().collect();
        self.on_shards(&over, ShardHandle::unexpect);
        let new: Vec<_> = wanted.difference(&opened.expected).copied().collect();
        self.on_shards(&new, ShardHandle::expect);
        opened.expected = wanted;
    }

    /// Takes note of what former owners have yet to give up.
    fn await_releases(
        &self,
        early: BTreeSet<TopicPartition>,
        snapshot: &Snapshot,
        opened: &mut Opened,
    ) {
        let topics: BTreeSet<TopicId> = early.iter().map(|partition| partition.topic).collect();
        if topics.is_empty() {
            opened.releases = None;
        } else if opened.releases.as_ref().is_none_or(|known| !topics.is_subset(known.topics())) {
            // None of them was assigned to this node before.
            let from = snapshot.revision();
            opened.releases = Some(Releases::watch(self.metadata(), topics, from));
        }
        // They need not wait for one that takes long.
        let soon = opened.early_for().is_some_and(|early| early < ABOUT_TO);
        self.expect(early.into_iter().filter(|_| soon), opened);
    }

    /// Gives up what is not this node's any more.
    async fn give_up(&self, snapshot: &Snapshot, opened: &mut Opened) {
        let (mut gone, mut moved) = (Vec::new(), Vec::new());
        for partition in &opened.partitions {
            if snapshot.topic_by_id(partition.topic).is_none() {
                gone.push(*partition);
            } else if snapshot.assigned(*partition).is_some_and(|node| node != self.node()) {
                moved.push(*partition);
            }
        }
        for partition in gone.iter().chain(&moved) {
            opened.partitions.remove(partition);
        }
        if !gone.is_empty() {
            for partition in &gone {
                opened.rules.remove(&partition.topic);
            }
            if let Err(error) = self.discard(gone).await {
                tracing::warn!(%error, "deleted partitions are not let go of");
            }
        }
        if !moved.is_empty() {
            self.release(moved).await;
        }
    }

    fn apply_rules(&self, snapshot: &Snapshot, opened: &mut Opened) {
        for topic in snapshot.topics() {
            let known = opened.rules.get(&topic.id);
            if known.is_some_and(|(config, _)| *config == topic.config) {
                continue;
            }
            let rules = Arc::new(rules(&topic.config));
            if known.is_some() {
                self.set_rules(topic.id, &rules);
            }
            opened.rules.insert(topic.id, (Arc::clone(&topic.config), rules));
        }
    }
}

impl Opened {
    /// For how long a former owner has had something to give up and has not.
    fn early_for(&self) -> Option<Duration> {
        self.early_since.map(|since| since.elapsed())
    }

    /// Whether there is nothing to do but to read ahead.
    fn only_waits(&self) -> bool {
        self.releases.is_some() && self.wait_until.is_some_and(|until| Instant::now() < until)
    }

    /// Takes note of what could not be opened, and returns what is new of that.
    fn note(
        &mut self,
        failures: Vec<(TopicPartition, OpenError)>,
        snapshot: &Snapshot,
        node: NodeId,
    ) -> Vec<(TopicPartition, OpenError)> {
        let before = std::mem::take(&mut self.failing);
        let early = failures.iter().any(|(_, error)| error.is_early());
        let all_early = early && failures.iter().all(|(_, error)| error.is_early());
        self.wait_until = all_early.then(|| Instant::now() + LONGEST_RETRY);
        self.failing = failures
            .iter()
            .map(|(partition, _)| *partition)
            .filter(|partition| snapshot.assigned(*partition) == Some(node))
            .collect();
        let moves_on = self.failing != before;
        if !early {
            self.early_since = None;
        } else if moves_on || self.early_since.is_none() {
            self.early_since = Some(Instant::now());
        }
        let soon = self.early_for().is_some_and(|early| early < ABOUT_TO);
        self.retry_pause = match self.retry_pause {
            pause if soon || pause.is_zero() => FIRST_RETRY,
            pause => (pause * 2).min(LONGEST_RETRY),
        };
        let again = !failures.is_empty() || !self.ended_earlier;
        self.retry_at = again.then(|| Instant::now() + self.retry_pause);
        failures.into_iter().filter(|(partition, _)| !before.contains(partition)).collect()
    }
}

/// Waits until a former owner has given something up.
async fn released(releases: &mut Option<Releases>) {
    match releases {
        Some(releases) => releases.next().await,
        None => std::future::pending().await,
    }
}

fn rules(config: &TopicConfig) -> TopicRules {
    let deletes = config.cleanup_policy.delete;
    TopicRules {
        max_batch_bytes: usize::try_from(config.max_message_bytes).unwrap_or(0),
        log_append_time: config.timestamp_type == TimestampType::LogAppendTime,
        timestamp_before_max_ms: config.timestamp_before_max_ms,
        timestamp_after_max_ms: config.timestamp_after_max_ms,
        compacted: config.cleanup_policy.compact,
        min_dirty_ppm: config.min_cleanable_dirty_ppm,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        delete_retention_ms: config.delete_retention_ms,
        retention_ms: Some(config.retention_ms).filter(|ms| deletes && *ms >= 0),
        retention_bytes: u64::try_from(config.retention_bytes).ok().filter(|_| deletes),
        segment_bytes: u64::try_from(config.segment_bytes).unwrap_or(0),
        segment_ms: config.segment_ms,
        ..TopicRules::default()
    }
}
