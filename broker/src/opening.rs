//! Claiming partitions and finding out what they hold: `start → recover → write` of the partition's
//! life, for many at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::join;
use tokio::time::Instant;
use weir_ids::{ClaimNumber, NodeId, SessionId, Slot, TopicPartition};
use weir_meta::{ClaimError, Claimed as MetaClaimed, Metadata, model::Log, store::Remedy};
use weir_segment_store::checkpoint::Listing;

use crate::{
    TopicRules,
    checkpoint::CheckpointHandle,
    partition::Claimed,
    recovery::{Incomplete, SessionError, Sessions, recover},
    shard::{Gone, ShardHandle},
};

/// A partition to open, with its topic's rules.
pub type Assigned = (TopicPartition, Arc<TopicRules>);

/// Why a partition is not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// It can't be claimed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// A session that held it can't be read.
    #[error(transparent)]
    Session(#[from] Arc<SessionError>),
    /// Its records are not all there.
    #[error("{0}; restore what is missing")]
    Incomplete(String),
    /// It comes back to this broker, which can't checkpoint what it knows of it.
    #[error("what this session has released is not checkpointed yet")]
    NotCheckpointed,
    /// What earlier owners hold changes faster than it is read.
    #[error("the logs of earlier owners change faster than they are read")]
    Moving,
    /// The session is ending.
    #[error("the broker is ending")]
    Ending,
}

impl OpenError {
    /// Whether trying again may help.
    pub(crate) fn may_heal(&self) -> bool {
        match self {
            Self::Claim(error) => error.remedy() != Remedy::Stop,
            Self::Session(error) => error.may_heal(),
            Self::Incomplete(_) => false,
            Self::NotCheckpointed | Self::Moving | Self::Ending => true,
        }
    }

    /// Whether the former owner has yet to give it up or to be ended.
    pub(crate) fn is_early(&self) -> bool {
        match self {
            Self::Claim(ClaimError::OwnerNotSealed { .. }) => true,
            Self::Session(error) => matches!(**error, SessionError::NotSealed(_)),
            _ => false,
        }
    }

    /// Whether the session that opens is over.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Claim(ClaimError::Fenced { .. }))
    }
}

impl From<Incomplete> for OpenError {
    fn from(incomplete: Incomplete) -> Self {
        Self::Incomplete(incomplete.to_string())
    }
}

/// What became of one partition.
pub(crate) enum Outcome {
    /// It can be opened.
    Recovered(Claimed),
    /// It is not claimed.
    NotClaimed(OpenError),
    /// It is claimed, or may be for all that is known, but what it holds is not known: no checkpoint
    /// may say that it is adopted.
    NotRecovered(OpenError),
}

/// What partitions are opened with.
pub(crate) struct OpeningDeps {
    pub(crate) metadata: Metadata,
    pub(crate) session: SessionId,
    pub(crate) shards: Arc<[ShardHandle]>,
    pub(crate) checkpoints: CheckpointHandle,
}

/// Partitions are opened by one caller at a time: claims are numbered in order.
pub(crate) struct Opening {
    deps: OpeningDeps,
    last_claim: ClaimNumber,
    /// Claims that may have been made, of partitions that are not open. They are made good instead
    /// of claiming again: each claim leaves its mark in the metadata.
    unsettled: BTreeMap<TopicPartition, ClaimNumber>,
    /// The claims that were opened, and under which something may have been written.
    opened: BTreeSet<(TopicPartition, ClaimNumber)>,
    sessions: Sessions,
    /// Those that go on and have something to give up.
    awaited: Vec<SessionId>,
    /// What is awaited was here before, and this session has not checkpointed yet what it knows of it.
    uncovered: bool,
    /// Nothing of what this session has released is in this slot or behind it.
    released_below: Slot,
}

/// How often what was recovered is held against the metadata before it is left to later.
const CONFIRMATIONS_MAX: u32 = 10;

impl Opening {
    pub(crate) fn new(deps: OpeningDeps, sessions: Sessions) -> Self {
        let (unsettled, opened) = (BTreeMap::new(), BTreeSet::new());
        let (last_claim, released_below) = (ClaimNumber::NONE, Slot::OPEN);
        let (awaited, uncovered) = (Vec::new(), false);
        Self { deps, last_claim, unsettled, opened, sessions, awaited, uncovered, released_below }
    }

    /// Partitions are released that have nothing from this slot on.
    pub(crate) fn released(&mut self, end: Slot) {
        self.released_below = self.released_below.max(end);
    }

    /// Ends what ran on this node before: those who are to own its partitions need not wait until
    /// somebody else finds that it is dead. Returns whether all of it is ended.
    pub(crate) async fn end_earlier(&mut self, node: NodeId) -> bool {
        let session = self.deps.session;
        let Ok(earlier) = self.deps.metadata.unsealed_before(node, session).await else {
            return false;
        };
        let stuck = self.sessions.end(session, earlier).await;
        self.sessions.forget();
        for (session, error) in &stuck {
            tracing::debug!(%session, %error, "an earlier session of this node is not ended yet");
        }
        stuck.is_empty()
    }

    /// Gives each partition the number of its claim.
    pub(crate) fn number(&mut self, ids: &[TopicPartition]) -> Vec<(TopicPartition, ClaimNumber)> {
        let mut number = |id: &TopicPartition| {
            let next = || {
                self.last_claim = self.last_claim.next();
                self.last_claim
            };
            (*id, *self.unsettled.entry(*id).or_insert_with(next))
        };
        ids.iter().map(&mut number).collect()
    }

    /// Partitions that may be claimed and are not open.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = TopicPartition> {
        self.unsettled.keys().copied()
    }

    /// Makes the claims and recovers what they bring. One outcome a claim, in order.
    pub(crate) async fn take_over(
        &mut self,
        claims: &[(TopicPartition, ClaimNumber)],
        rules: &[Arc<TopicRules>],
    ) -> Vec<Outcome> {
        let begun = Instant::now();
        let results = self.claim(claims).await;
        let claimed = begun.elapsed();
        let made: Vec<&MetaClaimed> = results.iter().filter_map(|it| it.as_ref().ok()).collect();
        let mut recovered = self.recover_all(&made).await.into_iter();
        let (made, took) = (made.len(), begun.elapsed());
        tracing::debug!(claims = claims.len(), made, ?claimed, ?took, "claims were made");
        let mut outcomes = Vec::with_capacity(claims.len());
        for ((claim, rules), result) in claims.iter().zip(rules).zip(&results) {
            outcomes.push(match result {
                Ok(found) => match recovered.next().unwrap_or(Err(OpenError::Moving)) {
                    Ok(listing) => {
                        let (id, epoch) = (found.partition, found.log.leader_epoch);
                        Outcome::Recovered(Claimed { id, epoch, listing, rules: Arc::clone(rules) })
                    }
                    Err(error) => Outcome::NotRecovered(error),
                },
                // Somebody else's answer was heard, or none: then the claim may have been made.
                Err(error @ OpenError::Claim(ClaimError::Metadata(_))) => {
                    Outcome::NotRecovered(error.clone())
                }
                Err(error) => Outcome::NotClaimed(error.clone()),
            });
            self.settle(*claim, outcomes.last());
        }
        outcomes
    }

    fn settle(&mut self, claim: (TopicPartition, ClaimNumber), outcome: Option<&Outcome>) {
        match outcome {
            Some(Outcome::Recovered(_)) => {
                self.unsettled.remove(&claim.0);
                self.opened.insert(claim);
            }
            Some(Outcome::NotClaimed(_)) => drop(self.unsettled.remove(&claim.0)),
            Some(Outcome::NotRecovered(_)) | None => {}
        }
    }

    /// What was recovered is open. What was read is kept: more may come from the same sessions.
    pub(crate) fn opened(&mut self) {
        self.sessions.forget_own();
    }

    /// Nothing more is to come from the sessions that were read.
    pub(crate) fn forget(&mut self) {
        self.sessions.forget();
    }

    /// Claims; where a session is in the way that may be ended, ends it and claims again.
    async fn claim(
        &mut self,
        claims: &[(TopicPartition, ClaimNumber)],
    ) -> Vec<Result<MetaClaimed, OpenError>> {
        let session = self.deps.session;
        let mut results = self.deps.metadata.claim(session, claims).await;
        let in_the_way: BTreeSet<SessionId> = results
            .iter()
            .filter_map(|result| match result {
                Err(ClaimError::OwnerNotSealed { owner, .. }) => Some(*owner),
                _ => None,
            })
            .collect();
        let ends = in_the_way.len();
        let stuck = self.sessions.end(session, in_the_way).await;
        if stuck.len() < ends {
            results = self.deps.metadata.claim(session, claims).await;
        }
        self.await_those_that_go_on(claims, &stuck);
        let stuck: BTreeMap<SessionId, Arc<SessionError>> =
            stuck.into_iter().map(|(session, why)| (session, Arc::new(why))).collect();
        let why = |error: ClaimError| match &error {
            ClaimError::OwnerNotSealed { owner, .. } => {
                stuck.get(owner).map_or(error.clone().into(), |why| Arc::clone(why).into())
            }
            _ => error.into(),
        };
        results.into_iter().map(|result| result.map_err(why)).collect()
    }

    /// Takes note of sessions that go on and are about to give something up.
    fn await_those_that_go_on(
        &mut self,
        claims: &[(TopicPartition, ClaimNumber)],
        stuck: &[(SessionId, SessionError)],
    ) {
        let going_on =
            stuck.iter().filter(|(_, error)| matches!(error, SessionError::NotSealed(_)));
        let going_on: Vec<SessionId> = going_on.map(|(session, _)| *session).collect();
        self.uncovered = !going_on.is_empty() && claims.iter().any(|(id, _)| self.was_here(*id));
        self.awaited = going_on;
    }

    /// Does what can be done before sessions give something up: reads what is new of them. What has been done is kept
    /// when the future is dropped.
    pub(crate) async fn look_ahead(&mut self) {
        let Self { deps, sessions, awaited, uncovered, released_below, .. } = self;
        let cover = async {
            // If it fails it is tried again when it must be.
            if *uncovered {
                *uncovered = !deps.checkpoints.covering(*released_below).await;
            }
        };
        let read = async {
            for session in awaited {
                if let Err(error) = sessions.warm_up(*session).await {
                    tracing::debug!(%session, %error, "it will be read when it has given up its partitions");
                }
            }
        };
        join!(cover, read);
    }

    /// Whether this session has had a partition.
    fn was_here(&self, id: TopicPartition) -> bool {
        let all = (id, ClaimNumber::NONE)..=(id, ClaimNumber(u64::MAX));
        self.opened.range(all).next().is_some()
    }

    /// What earlier owners left of these partitions, in order.
    async fn recover_all(&mut self, made: &[&MetaClaimed]) -> Vec<Result<Listing, OpenError>> {
        let logs: Vec<(TopicPartition, Log)> =
            made.iter().map(|found| (found.partition, self.parts_of(found))).collect();
        let fail_all = |error: OpenError| logs.iter().map(|_| Err(error.clone())).collect();
        for _ in 0..CONFIRMATIONS_MAX {
            if let Err(error) = self.know_own(&logs).await {
                return fail_all(error);
            }
            let upto = upto(&logs);
            let mut recovered = Vec::with_capacity(logs.len());
            for (id, log) in &logs {
                recovered.push(self.recover(*id, log, &upto).await);
            }
            match self.sessions.confirm().await {
                Ok(true) => return recovered,
                // Begun again with what has changed since.
                Ok(false) => {}
                Err(error) => return fail_all(Arc::new(error).into()),
            }
        }
        fail_all(OpenError::Moving)
    }

    /// A claimed log without claims of this very session that it never learned of, or could not
    /// recover: they hold nothing.
    fn parts_of(&self, found: &MetaClaimed) -> Log {
        let (id, mut log) = (found.partition, found.log.clone());
        let own = self.deps.session;
        log.inherited.retain(|part| part.session != own || self.opened.contains(&(id, part.claim)));
        log
    }

    /// Where partitions come back that this session has released, what it knows of them itself. What
    /// is in its log and not yet checkpointed is checkpointed first, also if nobody needs to know: no
    /// checkpoint may hold slots of two of its epochs.
    async fn know_own(&mut self, logs: &[(TopicPartition, Log)]) -> Result<(), OpenError> {
        let own = self.deps.session;
        let ids = logs.iter().map(|(id, _)| *id);
        let back: Vec<TopicPartition> = ids.filter(|id| self.was_here(*id)).collect();
        if back.is_empty() || self.sessions.all().contains_key(&own) {
            return Ok(());
        }
        if !self.deps.checkpoints.covering(self.released_below).await {
            return Err(OpenError::NotCheckpointed);
        }
        let mut listings = Vec::with_capacity(back.len());
        for shard in &*self.deps.shards {
            let here = |id: &&TopicPartition| {
                std::ptr::eq(ShardHandle::of(&self.deps.shards, **id).1, shard)
            };
            let ids = back.iter().filter(here).copied().collect();
            listings.extend(shard.listings(ids).await.map_err(|Gone| OpenError::Ending)?);
        }
        self.sessions.know_own(own, listings);
        Ok(())
    }

    async fn recover(
        &mut self,
        id: TopicPartition,
        log: &Log,
        upto: &BTreeMap<SessionId, Slot>,
    ) -> Result<Listing, OpenError> {
        // Newest first: what an adopted checkpoint stands in for need not be readable any more.
        for part in log.inherited.iter().rev() {
            let end = upto.get(&part.session).copied();
            self.sessions.read(part.session, end).await.map_err(Arc::new)?;
            let adopted = self.sessions.all().get(&part.session);
            let adopted = adopted.and_then(|logs| logs.chain.partitions.get(&id));
            if adopted.is_some_and(|listing| listing.epoch >= part.epoch) {
                break;
            }
        }
        Ok(recover(id, log, self.sessions.all())?)
    }
}

/// How far each session is to be read of which all parts were released: it may go on.
fn upto(logs: &[(TopicPartition, Log)]) -> BTreeMap<SessionId, Slot> {
    let mut ends: BTreeMap<SessionId, Slot> = BTreeMap::new();
    for part in logs.iter().flat_map(|(_, log)| &log.inherited) {
        if let Some(end) = part.end_slot {
            let furthest = ends.entry(part.session).or_insert(end);
            *furthest = end.max(*furthest);
        }
    }
    ends
}
