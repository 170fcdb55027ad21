//! Following the view: partitions that this node should own are opened, those whose topic is gone
//! are given up, and a topic's new rules reach its partitions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use weir_ids::{TopicId, TopicPartition};
use weir_meta::{
    topic_config::{TimestampType, TopicConfig},
    views::{Snapshot, View},
};
use weir_runtime::Stop;

use crate::{Broker, OpenError, TopicRules, opening::Assigned};

/// How many partitions are opened together: the claims of one round of transactions.
const OPEN_TOGETHER: usize = 1024;
/// How soon what was not opened is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// What this broker has opened.
#[derive(Default)]
struct Opened {
    partitions: BTreeSet<TopicPartition>,
    rules: BTreeMap<TopicId, (Arc<TopicConfig>, Arc<TopicRules>)>,
    retry_at: Option<Instant>,
}

impl Broker {
    /// Opens what the view assigns to this node now, and follows the view from then on.
    ///
    /// # Errors
    /// The first partition that can't be opened now and is not likely to heal by itself; nothing is
    /// followed then.
    pub async fn follow(self: &Arc<Self>, view: &View) -> Result<(), OpenError> {
        let mut opened = Opened::default();
        let mut changes = view.changes();
        let failures = self.reconcile(&view.now(), &mut opened).await;
        if let Some((_, error)) = failures.into_iter().find(|(_, error)| !error.may_heal()) {
            return Err(error);
        }
        let broker = Arc::clone(self);
        self.part().spawn("assignments", move |stop: Stop| async move {
            let mut snapshot = None;
            loop {
                let retry_at = opened.retry_at;
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    newest = changes.next() => snapshot = Some(newest),
                    () = sleep_until(retry_at.unwrap_or_else(Instant::now)),
                        if retry_at.is_some() => {}
                }
                let Some(newest) = &snapshot else { continue };
                for (partition, error) in broker.reconcile(newest, &mut opened).await {
                    tracing::error!(%partition, %error, "a partition is not opened");
                }
            }
        });
        Ok(())
    }

    /// Brings what is open in line with `snapshot`. Returns what could not be opened.
    async fn reconcile(
        &self,
        snapshot: &Snapshot,
        opened: &mut Opened,
    ) -> Vec<(TopicPartition, OpenError)> {
        self.apply_rules(snapshot, opened);
        let gone: Vec<TopicPartition> = opened
            .partitions
            .iter()
            .copied()
            .filter(|partition| snapshot.topic_by_id(partition.topic).is_none())
            .collect();
        if !gone.is_empty() {
            for partition in &gone {
                opened.partitions.remove(partition);
                opened.rules.remove(&partition.topic);
            }
            if let Err(error) = self.discard(gone).await {
                tracing::warn!(%error, "deleted partitions are not let go of");
            }
        }
        let wanted: Vec<Assigned> = snapshot
            .assigned_to(self.node())
            .filter(|partition| !opened.partitions.contains(partition))
            .filter_map(|partition| {
                let (_, rules) = opened.rules.get(&partition.topic)?;
                Some((partition, Arc::clone(rules)))
            })
            .collect();
        let mut failures = Vec::new();
        for wanted in wanted.chunks(OPEN_TOGETHER) {
            let results = self.open(wanted.to_vec()).await;
            for ((partition, _), result) in wanted.iter().zip(results) {
                match result {
                    Ok(()) => drop(opened.partitions.insert(*partition)),
                    Err(error) => failures.push((*partition, error)),
                }
            }
        }
        opened.retry_at = (!failures.is_empty()).then(|| Instant::now() + RETRY);
        failures
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

impl OpenError {
    /// Whether trying again may help.
    fn may_heal(&self) -> bool {
        match self {
            Self::Claim(error) => error.remedy() != weir_meta::store::Remedy::Stop,
            Self::Session(_) | Self::Incomplete(_) => false,
        }
    }
}

fn rules(config: &TopicConfig) -> TopicRules {
    TopicRules {
        max_batch_bytes: usize::try_from(config.max_message_bytes).unwrap_or(0),
        log_append_time: config.timestamp_type == TimestampType::LogAppendTime,
        timestamp_before_max_ms: config.timestamp_before_max_ms,
        timestamp_after_max_ms: config.timestamp_after_max_ms,
        compacted: config.cleanup_policy.compact,
        ..TopicRules::default()
    }
}
