//! What an owner changes of its partitions' logs.

use async_trait::async_trait;
use weir_ids::{ClaimNumber, LeaderEpoch, Offset, SessionId, Slot, TopicPartition};

use super::logs::read_logs;
use crate::{
    Error, Metadata,
    cas::{self, Plan, Round, read},
    model::{Log, LogState, Owner, Record, Wal},
    store::{Compare, MetaStore, Remedy, Txn},
};

/// A change that an owner makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnedChange {
    /// Gives the log up in order: everything below is durable and nothing more will be written.
    ///
    /// Once it has been sent, the owner must not write under this epoch again, whatever the answer:
    /// it may land late. To go on after an unclear answer, claim again.
    Release {
        /// The first slot that holds nothing of this log any more.
        end_slot: Slot,
        /// The offset that the next record gets.
        end_offset: Offset,
    },
    /// Moves the first offset that readers may ask for. Nothing happens if that is not forward.
    LogStart(Offset),
    /// Publishes what has been folded.
    Manifest(String),
    /// Lets go of a log whose topic is deleted.
    Drop,
    /// Forgets the inherited sessions, if this session's published checkpoint has adopted its
    /// claim; else nothing happens.
    ForgetInherited,
}

/// A change, and the right by which it is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnedUpdate {
    /// Of which partition.
    pub partition: TopicPartition,
    /// The epoch under which it is owned.
    pub epoch: LeaderEpoch,
    /// What.
    pub change: OwnedChange,
}

/// Why an owner's change is not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OwnedError {
    /// There is no such partition any more.
    #[error("there is no partition {partition}")]
    NotFound {
        /// The partition.
        partition: TopicPartition,
    },
    /// Somebody else owns it now, or it has been released: stop serving it.
    #[error("partition {partition} is not owned under epoch {asked} any more, it is at {epoch}")]
    NotOwner {
        /// The partition.
        partition: TopicPartition,
        /// The epoch of the change.
        asked: LeaderEpoch,
        /// The epoch of the log.
        epoch: LeaderEpoch,
        /// Who owns or owned it last.
        owner: Option<Owner>,
    },
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] Error),
}

impl OwnedError {
    /// Retry, fix or stop.
    pub fn remedy(&self) -> Remedy {
        match self {
            OwnedError::NotFound { .. } | OwnedError::NotOwner { .. } => Remedy::Fix,
            OwnedError::Metadata(error) => error.remedy(),
        }
    }
}

impl Metadata {
    /// Makes an owner's changes, at most one a partition; the results are in their order, each the
    /// log as it then is. A change that was made already is found to be made.
    pub async fn update_owned(
        &self,
        session: SessionId,
        updates: &[OwnedUpdate],
    ) -> Vec<Result<Log, OwnedError>> {
        cas::rounds(self.store(), &OwnedPlan { store: self.store(), session }, updates).await
    }
}

struct OwnedPlan<'a> {
    store: &'a dyn MetaStore,
    session: SessionId,
}

#[async_trait]
impl Plan for OwnedPlan<'_> {
    type Item = OwnedUpdate;
    type Result = Result<Log, OwnedError>;

    async fn round(&self, items: &[OwnedUpdate]) -> Result<Round<Self::Result>, Error> {
        let partitions: Vec<_> = items.iter().map(|update| update.partition).collect();
        let logs = read_logs(self.store, &partitions).await?;
        let adopted_through = self.adopted_through(items).await?;
        let (mut txn, mut results) = (Txn::new(), Vec::with_capacity(items.len()));
        for (update, found) in items.iter().zip(&logs) {
            let log = found.as_ref().map(|found| &found.value);
            let result = decide(self.session, update, log, adopted_through);
            if let (Ok(log), Some(found)) = (&result, found)
                && *log != found.value
            {
                let key = Log::key(update.partition);
                let same = Compare::unchanged(key.clone(), found.revision);
                txn = txn.when(same).put(key, log.encode());
            }
            results.push(result);
        }
        Ok(Round { txn, results })
    }

    fn failed(&self, error: Error) -> Self::Result {
        Err(error.into())
    }
}

impl OwnedPlan<'_> {
    /// What this session's published checkpoint has adopted, if anybody asks.
    async fn adopted_through(&self, items: &[OwnedUpdate]) -> Result<ClaimNumber, Error> {
        if !items.iter().any(|update| update.change == OwnedChange::ForgetInherited) {
            return Ok(ClaimNumber::NONE);
        }
        let wal = read::<Wal>(self.store, &Wal::key(self.session)).await?;
        Ok(wal.map_or(ClaimNumber::NONE, |wal| wal.value.adopted_through()))
    }
}

/// What the log is to become, or is already, when `session` makes `update`.
fn decide(
    session: SessionId,
    update: &OwnedUpdate,
    log: Option<&Log>,
    adopted_through: ClaimNumber,
) -> Result<Log, OwnedError> {
    let partition = update.partition;
    let log = log.ok_or(OwnedError::NotFound { partition })?;
    let ended = match update.change {
        OwnedChange::Release { end_slot, end_offset } => {
            Some(LogState::Released { end_slot, end_offset })
        }
        OwnedChange::Drop => Some(LogState::Dropped),
        _ => None,
    };
    let ours = log.owner.filter(|owner| owner.session == session);
    if ours.is_some() && log.leader_epoch == update.epoch && Some(log.state) == ended {
        return Ok(log.clone());
    }
    if !log.is_owned(session, update.epoch) {
        let (asked, epoch) = (update.epoch, log.leader_epoch);
        return Err(OwnedError::NotOwner { partition, asked, epoch, owner: log.owner });
    }
    let mut changed = log.clone();
    changed.state = ended.unwrap_or(log.state);
    match &update.change {
        OwnedChange::Release { .. } | OwnedChange::Drop => {}
        OwnedChange::LogStart(offset) => changed.log_start = log.log_start.max(*offset),
        OwnedChange::Manifest(manifest) => changed.manifest = Some(manifest.clone()),
        OwnedChange::ForgetInherited => {
            if ours.is_some_and(|owner| adopted_through >= owner.claim) {
                changed.inherited.clear();
            }
        }
    }
    Ok(changed)
}
