//! Claiming partitions: taking the right to write them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use futures::future::{try_join, try_join_all};
use weir_ids::{ClaimNumber, SessionId, Slot, TopicId, TopicPartition};

use super::logs::read_logs;
use crate::{
    Error, Metadata,
    cas::{self, Found, Plan, Round, read},
    model::{Assignment, Log, LogState, Owner, Record, Wal},
    store::{Compare, Key, MetaStore, Remedy, Txn},
};

/// A partition that has been claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claimed {
    /// Which.
    pub partition: TopicPartition,
    /// Its log, as claimed: the new epoch, and the sessions to recover it from.
    pub log: Log,
}

/// Why a partition is not claimed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ClaimError {
    /// There is no such partition, or its topic is being deleted.
    #[error("there is no partition {partition}, or it is being deleted")]
    NotFound {
        /// The partition.
        partition: TopicPartition,
    },
    /// The session that owns it must be ended first.
    #[error("partition {partition} belongs to session {owner}, whose WAL is not sealed; seal it")]
    OwnerNotSealed {
        /// The partition.
        partition: TopicPartition,
        /// Whose WAL to seal.
        owner: SessionId,
    },
    /// The claiming session itself has been ended.
    #[error("session {session} has been ended at slot {at}; open a new one")]
    Fenced {
        /// The session.
        session: SessionId,
        /// Where its WAL is sealed.
        at: Slot,
    },
    /// A session that the metadata names has no WAL: nothing should ever lead here.
    #[error("session {session} has no WAL in the metadata; restore it from a backup")]
    WalMissing {
        /// The session.
        session: SessionId,
    },
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

impl ClaimError {
    /// Retry, fix or stop.
    pub fn remedy(&self) -> Remedy {
        match self {
            ClaimError::NotFound { .. }
            | ClaimError::OwnerNotSealed { .. }
            | ClaimError::Fenced { .. } => Remedy::Fix,
            ClaimError::WalMissing { .. } => Remedy::Stop,
            ClaimError::Metadata(error) => error.remedy(),
        }
    }
}

impl Metadata {
    /// Claims partitions for `session`, each with the number that the session gives the claim. The
    /// results are in the order of the claims. A claim that was made already (same session, same
    /// number) is found to be made.
    ///
    /// The claims that fit share a transaction; it requires that no log has changed, that each
    /// topic is there, that this session's WAL is unsealed and that every previous owner's WAL is
    /// sealed, unless it released the log.
    pub async fn claim(
        &self,
        session: SessionId,
        claims: &[(TopicPartition, ClaimNumber)],
    ) -> Vec<Result<Claimed, ClaimError>> {
        cas::rounds(self.store(), &ClaimPlan { store: self.store(), session }, claims).await
    }
}

struct ClaimPlan<'a> {
    store: &'a dyn MetaStore,
    session: SessionId,
}

/// What a round of claims has read.
struct Seen {
    logs: Vec<Option<Found<Log>>>,
    /// Of this session and of every owner of those logs.
    wals: BTreeMap<SessionId, Option<Found<Wal>>>,
    /// The topics that are not being deleted.
    live: BTreeSet<TopicId>,
}

#[async_trait]
impl Plan for ClaimPlan<'_> {
    type Item = (TopicPartition, ClaimNumber);
    type Result = Result<Claimed, ClaimError>;

    async fn round(&self, items: &[Self::Item]) -> Result<Round<Self::Result>, Error> {
        let seen = self.look(items).await?;
        let (mut txn, mut others) = (Txn::new(), BTreeMap::new());
        let mut results = Vec::with_capacity(items.len());
        for ((partition, number), found) in items.iter().zip(&seen.logs) {
            let by = Owner { session: self.session, claim: *number };
            let claimed = match found.as_ref().filter(|_| seen.live.contains(&partition.topic)) {
                None => Err(ClaimError::NotFound { partition: *partition }),
                Some(found) if found.value.is_claimed(by) => Ok(found.value.clone()),
                Some(found) => {
                    let claimed = seen.decide(*partition, &found.value, by, &mut others);
                    if let Ok(log) = &claimed {
                        let key = Log::key(*partition);
                        let same = Compare::unchanged(key.clone(), found.revision);
                        txn = txn.when(same).put(key, log.encode());
                    }
                    claimed
                }
            };
            results.push(claimed.map(|log| Claimed { partition: *partition, log }));
        }
        txn.compares.extend(others.into_values());
        Ok(Round { txn, results })
    }

    fn failed(&self, error: Error) -> Self::Result {
        Err(error.into())
    }
}

impl ClaimPlan<'_> {
    async fn look(&self, items: &[(TopicPartition, ClaimNumber)]) -> Result<Seen, Error> {
        let topics: BTreeSet<TopicId> =
            items.iter().map(|(partition, _)| partition.topic).collect();
        let live = try_join_all(topics.into_iter().map(|topic| async move {
            let assignment = self.store.get(&Assignment::key(topic)).await?;
            Ok::<_, Error>(assignment.map(|_| topic))
        }));
        let partitions: Vec<_> = items.iter().map(|(partition, _)| *partition).collect();
        let (live, logs) = try_join(live, read_logs(self.store, &partitions)).await?;
        let owners = logs.iter().flatten().filter_map(|found| found.value.owner);
        let mut sessions: BTreeSet<SessionId> = owners.map(|owner| owner.session).collect();
        sessions.insert(self.session);
        let wals = try_join_all(sessions.into_iter().map(|session| async move {
            Ok::<_, Error>((session, read(self.store, &Wal::key(session)).await?))
        }));
        let wals = wals.await?.into_iter().collect();
        Ok(Seen { logs, wals, live: live.into_iter().flatten().collect() })
    }
}

impl Seen {
    fn wal(&self, session: SessionId) -> Result<&Found<Wal>, ClaimError> {
        self.wals.get(&session).and_then(Option::as_ref).ok_or(ClaimError::WalMissing { session })
    }

    /// What `log` is to become when `by` claims it. What else this rests on goes to `others`.
    fn decide(
        &self,
        partition: TopicPartition,
        log: &Log,
        by: Owner,
        others: &mut BTreeMap<Key, Compare>,
    ) -> Result<Log, ClaimError> {
        let mut rests_on = |compare: Compare| others.insert(compare.key.clone(), compare);
        if log.state == LogState::Dropped {
            return Err(ClaimError::NotFound { partition });
        }
        let own = self.wal(by.session)?;
        if let Some(seal) = &own.value.sealed {
            return Err(ClaimError::Fenced { session: by.session, at: seal.at });
        }
        if let Some(owner) = log.must_be_sealed(by.session)
            && self.wal(owner)?.value.sealed.is_none()
        {
            return Err(ClaimError::OwnerNotSealed { partition, owner });
        }
        let mut adopted_through = ClaimNumber::NONE;
        if let Some(owner) = log.owner {
            // One that released the log may publish just now: then the inherited list is another.
            let previous = self.wal(owner.session)?;
            adopted_through = previous.value.adopted_through();
            rests_on(Compare::unchanged(Wal::key(owner.session), previous.revision));
        }
        rests_on(Compare::unchanged(Wal::key(by.session), own.revision));
        rests_on(Compare::present(Assignment::key(partition.topic)));
        Ok(log.claimed(by, adopted_through))
    }
}
