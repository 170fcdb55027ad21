//! What an elected controller does by itself: it finishes what was interrupted, removes what was
//! deleted, and keeps the assignments even as brokers come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use tokio::time::{Instant, sleep, sleep_until};
use weir_ids::{NodeId, PartitionIndex, TopicId};
use weir_runtime::Stop;

use super::{
    election::Term,
    error::Error,
    local::Inner,
    placement::{self, Move},
};
use crate::{
    cas::{self, Plan, Round, read},
    model::{Assignment, Creation, Deletion, Leadership, ModelError, Record},
    ops::SESSION_TTL,
    store::{Compare, MetaStore, Remedy, Txn, list},
    views::Snapshot,
};

/// How long a broker may be away before its partitions are given to others.
pub const DEAD_AFTER: Duration = SESSION_TTL.saturating_mul(2);

/// How soon what could not be finished is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How often the driver looks although nobody called it: what a delayed write has begun is found.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// The brokers that are probably alive.
pub(super) fn alive(now: &Snapshot) -> BTreeSet<NodeId> {
    now.sessions().map(|session| session.session.node).collect()
}

/// Works whenever this controller is elected, until `stop`.
pub(super) async fn run(inner: &Inner, stop: Stop) {
    let mut terms = inner.term.subscribe();
    loop {
        let work = async {
            let term = match terms.wait_for(Option::is_some).await {
                Ok(term) => *term,
                Err(_) => return,
            };
            let Some(term) = term else { return };
            tokio::select! {
                biased;
                _ = terms.wait_for(|now| *now != Some(term)) => {}
                () = Driver::new(inner, term).run() => {}
            }
        };
        tokio::select! {
            biased;
            () = stop.requested() => return,
            () = work => {}
        }
    }
}

/// One term's work.
struct Driver<'a> {
    inner: &'a Inner,
    term: Term,
    /// Brokers that had partitions and are not alive, since when. They stay here, given up or not,
    /// until they are alive again.
    absent: BTreeMap<NodeId, Instant>,
    /// Over which brokers the partitions were evened out last.
    evened: Option<BTreeSet<NodeId>>,
}

impl<'a> Driver<'a> {
    fn new(inner: &'a Inner, term: Term) -> Self {
        inner.forget_loads();
        Self { inner, term, absent: BTreeMap::new(), evened: None }
    }

    async fn run(mut self) {
        let mut changes = self.inner.view.changes();
        loop {
            let done = match self.work().await {
                Ok(done) => done,
                Err(Error::NotController { .. }) => return,
                Err(error) if error.remedy() == Remedy::Stop => {
                    tracing::error!(%error, "the controller can't go on");
                    return std::future::pending().await;
                }
                Err(error) => {
                    tracing::debug!(%error, "the controller tries again");
                    false
                }
            };
            let now = Instant::now();
            let deaths = self.absent.values().map(|since| *since + DEAD_AFTER);
            let dead_at = deaths.filter(|at| *at > now).min();
            tokio::select! {
                biased;
                () = self.inner.nudge.notified() => {}
                () = until_brokers_change(&mut changes, self.evened.as_ref()) => {}
                () = sleep(if done { SWEEP_INTERVAL } else { RETRY_PAUSE }) => {}
                () = sleep_until(dead_at.unwrap_or(now)), if dead_at.is_some() => {}
            }
        }
    }

    /// `false`: something is left to do.
    async fn work(&mut self) -> Result<bool, Error> {
        let mut done = self.finish_creations().await?;
        done &= self.finish_deletions().await?;
        self.even_out().await?;
        Ok(done)
    }

    async fn finish_creations(&self) -> Result<bool, Error> {
        let (inner, mut done) = (self.inner, true);
        for (id, creation) in intents::<Creation>(inner, Creation::PREFIX, Creation::topic).await? {
            // Whoever is still at work on it holds the name.
            let _alone = inner.lock_name(&creation.name).await;
            done &= inner.undo_creation(self.term, id).await?;
        }
        Ok(done)
    }

    async fn finish_deletions(&self) -> Result<bool, Error> {
        let (inner, mut done) = (self.inner, true);
        for (id, deletion) in intents::<Deletion>(inner, Deletion::PREFIX, Deletion::topic).await? {
            done &= inner.remove(self.term, id, &deletion).await?;
        }
        Ok(done)
    }

    /// Evens out the assignments if the brokers are others than last time.
    async fn even_out(&mut self) -> Result<(), Error> {
        let now = self.inner.view.now();
        let alive = alive(&now);
        if alive.is_empty() {
            return Ok(());
        }
        let brokers = self.brokers(&now, alive);
        if self.evened.as_ref() == Some(&brokers) {
            return Ok(());
        }
        let topics = now.topics().filter_map(|topic| Some((topic, now.assignment(topic.id)?)));
        let assignments: Vec<(TopicId, &[NodeId])> = topics
            .map(|(topic, nodes)| (topic.id, &nodes[..nodes.len().min(topic.partitions as usize)]))
            .collect();
        let moves = placement::rebalance(&assignments, &brokers);
        if !moves.is_empty() {
            tracing::info!(moves = moves.len(), brokers = brokers.len(), "evening out partitions");
            self.carry_out(moves).await?;
        }
        self.inner.forget_loads();
        self.evened = Some(brokers);
        Ok(())
    }

    /// The brokers that partitions may stay with: the live ones, and those away for a short time.
    fn brokers(&mut self, now: &Snapshot, alive: BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let at = Instant::now();
        let assigned = now.topics().filter_map(|topic| now.assignment(topic.id));
        let assigned: BTreeSet<NodeId> = assigned.flat_map(|nodes| nodes.iter().copied()).collect();
        let known = self.evened.iter().flatten().copied();
        for node in assigned.into_iter().chain(known).filter(|node| !alive.contains(node)) {
            self.absent.entry(node).or_insert(at);
        }
        self.absent.retain(|node, _| !alive.contains(node));
        let short = self.absent.iter().filter(|(_, since)| at - **since < DEAD_AFTER);
        short.map(|(node, _)| *node).chain(alive).collect()
    }

    async fn carry_out(&self, moves: Vec<Move>) -> Result<(), Error> {
        let mut by_topic: BTreeMap<TopicId, Vec<Move>> = BTreeMap::new();
        for one in moves {
            by_topic.entry(one.partition.topic).or_default().push(one);
        }
        let plan = MovePlan { store: self.inner.store(), term: self.term };
        let items: Vec<_> = by_topic.into_iter().collect();
        for result in cas::rounds(self.inner.store(), &plan, &items).await {
            result?;
        }
        Ok(())
    }
}

/// Waits until the live brokers are not those of `evened`.
async fn until_brokers_change(
    changes: &mut crate::views::Changes,
    evened: Option<&BTreeSet<NodeId>>,
) {
    loop {
        let alive = alive(&*changes.next().await);
        if !alive.is_empty() && Some(&alive) != evened {
            return;
        }
    }
}

/// What was begun and not finished, under `prefix`.
async fn intents<T: Record>(
    inner: &Inner,
    prefix: &str,
    topic: impl Fn(&crate::store::Key) -> Option<TopicId>,
) -> Result<Vec<(TopicId, T)>, Error> {
    let (entries, _) = list(inner.store(), prefix).await?;
    let named = entries.iter().filter_map(|entry| Some((topic(&entry.key)?, entry)));
    let read: Result<Vec<_>, ModelError> =
        named.map(|(topic, entry)| Ok((topic, T::decode(entry)?))).collect();
    Ok(read.map_err(crate::Error::from)?)
}

/// Changes the assignments of topics.
struct MovePlan<'a> {
    store: &'a dyn MetaStore,
    term: Term,
}

#[async_trait]
impl Plan for MovePlan<'_> {
    type Item = (TopicId, Vec<Move>);
    type Result = Result<(), crate::Error>;

    async fn round(&self, items: &[Self::Item]) -> Result<Round<Self::Result>, crate::Error> {
        let mut txn = Txn::new().when(Compare::unchanged(Leadership::key(), self.term.revision));
        for (topic, moves) in items {
            let key = Assignment::key(*topic);
            // A topic that is gone needs no move.
            let Some(found) = read::<Assignment>(self.store, &key).await? else { continue };
            let mut assignment = found.value.clone();
            for Move { partition, from, to } in moves {
                let PartitionIndex(number) = partition.partition;
                if let Some(node) = assignment.nodes.get_mut(number as usize)
                    && node == from
                {
                    *node = *to;
                }
            }
            if assignment != found.value {
                let same = Compare::unchanged(key.clone(), found.revision);
                txn = txn.when(same).put(key, assignment.encode());
            }
        }
        Ok(Round { txn, results: items.iter().map(|_| Ok(())).collect() })
    }

    fn failed(&self, error: crate::Error) -> Self::Result {
        Err(error)
    }
}
