//! `logs/{topic id}/{partition}`: who may write a partition, and where its log is found.
//!
//! ```text
//! logs/7f1f…/0000000007                      ten digits, so that keys sort by partition
//! {"v":1,"epoch":3,"owner":{"session":41,"claim":9},"state":"open","log_start":0,
//!  "manifest":"5c/seg/7f1f…/m-12",
//!  "inherited":[{"session":17,"epoch":2,"claim":4,"end_slot":88,"end_offset":5120}]}
//! ```
//!
//! Written by the owner; made and removed by the controller. Nobody watches these keys.
//!
//! Invariants (each is a decision of this file, carried out by compare-and-swap):
//! - the leader epoch grows by exactly one with each claim, and never otherwise;
//! - a claim needs the previous owner's log released, or its WAL sealed, or the same session;
//! - a claim adds the previous owner to the inherited sessions, and takes away those before it only
//!   if that owner's *published* checkpoint had adopted its claim, and so holds all they held;
//! - log start never goes back; only the owner, under its epoch, moves it.

use serde::{Deserialize, Serialize};
use weir_ids::{
    ClaimNumber, LeaderEpoch, Offset, PartitionIndex, SessionId, Slot, TopicId, TopicPartition,
};

use super::codec::Record;
use crate::store::Key;

/// A partition's log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Log {
    /// How often it has been claimed, from the topic's floor on.
    #[serde(rename = "epoch")]
    pub leader_epoch: LeaderEpoch,
    /// Who has the right to write, or had it last. `None` until the first claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whether the owner still uses that right.
    pub state: LogState,
    /// The first offset that readers may ask for.
    pub log_start: Offset,
    /// The manifest of what has been folded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Sessions that hold parts of the log which the owner may not have adopted, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherited: Vec<Inherited>,
}

/// The session that claimed a log, and the number of that claim within the session.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Owner {
    /// The session.
    pub session: SessionId,
    /// Its claim.
    pub claim: ClaimNumber,
}

/// Whether a log's owner still writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogState {
    /// It may.
    Open,
    /// It gave the log up in order: nothing of it is behind this slot and offset.
    Released {
        /// The first slot of the owner's WAL that holds nothing of this log any more.
        end_slot: Slot,
        /// The offset that the next record gets.
        end_offset: Offset,
    },
    /// Its topic is deleted and the owner has let go: the key may be removed.
    Dropped,
}

/// A session that wrote a part of the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Inherited {
    /// The session.
    pub session: SessionId,
    /// The epoch under which it wrote.
    pub epoch: LeaderEpoch,
    /// Its claim.
    pub claim: ClaimNumber,
    /// Where its part ends, if it was released; else its WAL's seal tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_slot: Option<Slot>,
    /// The offset behind its last record, if it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_offset: Option<Offset>,
}

impl Record for Log {}

impl Log {
    /// The keys of all logs.
    pub const PREFIX: &'static str = "logs/";

    /// The keys of the logs of `topic`.
    pub fn prefix(topic: TopicId) -> String {
        format!("{}{topic}/", Self::PREFIX)
    }

    /// The key of a partition's log.
    pub fn key(of: TopicPartition) -> Key {
        format!("{}{}/{:010}", Self::PREFIX, of.topic, of.partition.0).into()
    }

    /// The partition in a log's key.
    pub fn partition(key: &Key) -> Option<TopicPartition> {
        let (topic, partition) = key.as_str().strip_prefix(Self::PREFIX)?.split_once('/')?;
        if partition.len() != 10 || !partition.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let topic = topic.parse().ok().map(TopicId)?;
        Some(TopicPartition::new(topic, PartitionIndex(partition.parse().ok()?)))
    }

    /// The log of a new partition, whose first claim gets the epoch above `floor`.
    pub fn new(floor: LeaderEpoch) -> Self {
        Self {
            leader_epoch: floor,
            owner: None,
            state: LogState::Open,
            log_start: Offset::ZERO,
            manifest: None,
            inherited: Vec::new(),
        }
    }

    /// The session whose WAL must be sealed before `claimant` may claim the log.
    pub fn must_be_sealed(&self, claimant: SessionId) -> Option<SessionId> {
        let owner = self.owner.filter(|owner| owner.session != claimant)?;
        (self.state == LogState::Open).then_some(owner.session)
    }

    /// The log as `by` claims it. `adopted_through` is what the previous owner's published
    /// checkpoint says; [`ClaimNumber::NONE`] when it has none.
    #[must_use]
    pub fn claimed(&self, by: Owner, adopted_through: ClaimNumber) -> Log {
        let mut inherited = self.inherited.clone();
        if let Some(owner) = self.owner {
            if adopted_through >= owner.claim {
                inherited.clear();
            }
            inherited.push(self.part_of(owner));
        }
        Log {
            leader_epoch: self.leader_epoch.next(),
            owner: Some(by),
            state: LogState::Open,
            inherited,
            ..self.clone()
        }
    }

    fn part_of(&self, owner: Owner) -> Inherited {
        let (end_slot, end_offset) = match self.state {
            LogState::Released { end_slot, end_offset } => (Some(end_slot), Some(end_offset)),
            LogState::Open | LogState::Dropped => (None, None),
        };
        Inherited {
            session: owner.session,
            epoch: self.leader_epoch,
            claim: owner.claim,
            end_slot,
            end_offset,
        }
    }

    /// Whether it is `by`'s claim that holds.
    pub fn is_claimed(&self, by: Owner) -> bool {
        self.state == LogState::Open && self.owner == Some(by)
    }

    /// Whether `session`, under `epoch`, has the right to write it.
    pub fn is_owned(&self, session: SessionId, epoch: LeaderEpoch) -> bool {
        self.state == LogState::Open
            && self.leader_epoch == epoch
            && self.owner.is_some_and(|owner| owner.session == session)
    }

    /// Whether the log still needs what `session` holds: it is the owner, or inherited and not
    /// known to be adopted. `adopted_through` is what the *owner's* published checkpoint says.
    pub fn needs(&self, session: SessionId, adopted_through: ClaimNumber) -> bool {
        let Some(owner) = self.owner else { return false };
        owner.session == session
            || (adopted_through < owner.claim
                && self.inherited.iter().any(|part| part.session == session))
    }
}
