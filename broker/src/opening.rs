//! Claiming partitions and finding out what they hold: `start → recover → write` of the partition's
//! life, for many at once.

use std::{collections::BTreeSet, sync::Arc};

use weir_ids::{ClaimNumber, SessionId, TopicPartition};
use weir_meta::{ClaimError, Claimed as MetaClaimed, Metadata};

use crate::{
    TopicRules,
    partition::Claimed,
    recovery::{Incomplete, SessionError, Sessions, recover},
};

/// A partition to open, with its topic's rules.
pub type Assigned = (TopicPartition, Arc<TopicRules>);

/// Why a partition is not opened.
#[derive(Debug, thiserror::Error)]
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

/// Partitions are opened by one caller at a time: claims are numbered in order.
pub(crate) struct Opening {
    metadata: Metadata,
    session: SessionId,
    last_claim: ClaimNumber,
    /// The claims that were opened, and under which something may have been written.
    opened: BTreeSet<(TopicPartition, ClaimNumber)>,
    sessions: Sessions,
}

impl Opening {
    pub(crate) fn new(metadata: Metadata, session: SessionId, sessions: Sessions) -> Self {
        let opened = BTreeSet::new();
        Self { metadata, session, last_claim: ClaimNumber::NONE, opened, sessions }
    }

    /// Gives each partition the number of its claim.
    pub(crate) fn number(&mut self, ids: &[TopicPartition]) -> Vec<(TopicPartition, ClaimNumber)> {
        let mut next = || {
            self.last_claim = self.last_claim.next();
            self.last_claim
        };
        ids.iter().map(|id| (*id, next())).collect()
    }

    /// Makes the claims and recovers what they bring. One outcome a claim, in order.
    pub(crate) async fn take_over(
        &mut self,
        claims: &[(TopicPartition, ClaimNumber)],
        rules: &[Arc<TopicRules>],
    ) -> Vec<Outcome> {
        let results = self.claim(claims).await;
        let mut outcomes = Vec::with_capacity(claims.len());
        for ((claim, rules), result) in claims.iter().zip(rules).zip(results) {
            outcomes.push(match result {
                // Somebody else's answer was heard, or none: then the claim may have been made.
                Err(error @ OpenError::Claim(ClaimError::Metadata(_))) => {
                    Outcome::NotRecovered(error)
                }
                Err(error) => Outcome::NotClaimed(error),
                Ok(found) => match self.recover(&found, Arc::clone(rules)).await {
                    Ok(claimed) => {
                        self.opened.insert(*claim);
                        Outcome::Recovered(claimed)
                    }
                    Err(error) => Outcome::NotRecovered(error),
                },
            });
        }
        self.sessions.forget();
        outcomes
    }

    /// Claims; where a dead session is in the way and may be ended, ends it and claims again.
    async fn claim(
        &mut self,
        claims: &[(TopicPartition, ClaimNumber)],
    ) -> Vec<Result<MetaClaimed, OpenError>> {
        let mut results = self.metadata.claim(self.session, claims).await;
        let in_the_way: BTreeSet<SessionId> = results
            .iter()
            .filter_map(|result| match result {
                Err(ClaimError::OwnerNotSealed { owner, .. }) => Some(*owner),
                _ => None,
            })
            .collect();
        let mut stuck = Vec::new();
        for session in &in_the_way {
            if let Err(error) = self.sessions.end(*session).await {
                stuck.push((*session, Arc::new(error)));
            }
        }
        if stuck.len() < in_the_way.len() {
            results = self.metadata.claim(self.session, claims).await;
        }
        let why = |error: ClaimError| match &error {
            ClaimError::OwnerNotSealed { owner, .. } => {
                match stuck.iter().find(|(session, _)| session == owner) {
                    Some((_, why)) => OpenError::Session(Arc::clone(why)),
                    None => error.into(),
                }
            }
            _ => error.into(),
        };
        results.into_iter().map(|result| result.map_err(why)).collect()
    }

    async fn recover(
        &mut self,
        found: &MetaClaimed,
        rules: Arc<TopicRules>,
    ) -> Result<Claimed, OpenError> {
        let (id, mut log) = (found.partition, found.log.clone());
        // Claims of this very session that it never learned of, or could not recover, hold nothing.
        log.inherited
            .retain(|part| part.session != self.session || self.opened.contains(&(id, part.claim)));
        // Newest first: what an adopted checkpoint stands in for need not be readable any more.
        for part in log.inherited.iter().rev() {
            self.sessions.read(part.session).await.map_err(Arc::new)?;
            let adopted = self.sessions.all().get(&part.session);
            let adopted = adopted.and_then(|logs| logs.chain.partitions.get(&id));
            if adopted.is_some_and(|listing| listing.epoch >= part.epoch) {
                break;
            }
        }
        let listing = recover(id, &log, self.sessions.all())?;
        Ok(Claimed { id, epoch: log.leader_epoch, listing, rules })
    }
}
