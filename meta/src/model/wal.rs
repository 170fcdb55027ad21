//! `wals/{session}`: how far a session's write-ahead log has been checkpointed, trimmed, sealed.
//!
//! ```text
//! wals/00000000000000000041
//! {"v":1,"node":1,"rpc":"10.0.0.1:9192","checkpoint":{"object":"9a/ckp/41/12","number":12,"covers_below":977,
//!  "adopted_through":9},"trim":977,"sealed":{"at":1003}}
//! ```
//!
//! Written by the owner until it is sealed, then by garbage collection alone; never removed while a
//! `logs/` key needs the session. The node is that of the session's broker, so that a later session
//! of the same node may end it, the address that it registered with; keys of older versions do not say.
//!
//! Invariants (decided here, carried out by compare-and-swap):
//! - a checkpoint never covers less, or adopts less, than the one before, and none is published
//!   once the WAL is sealed;
//! - trim never goes back, never passes what the checkpoint covers, and once the WAL is sealed only
//!   garbage collection moves it, up to the seal;
//! - a seal is set once, at or above the trim slot.

use serde::{Deserialize, Serialize};
use weir_ids::{ClaimNumber, NodeId, SessionId, Slot};
use weir_runtime::planted::{Bug, is_planted};

use super::codec::Record;
use crate::store::Key;

/// A session's write-ahead log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wal {
    /// The node that its session runs on, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Where other roles reach its broker, once that has registered: whoever finds that it is not registered can
    /// ask it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<String>,
    /// The newest published checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointPointer>,
    /// Slots below may be deleted.
    pub trim: Slot,
    /// Where it was ended, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Seal>,
}

/// Where the newest checkpoint is and what it covers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CheckpointPointer {
    /// Its object in the store.
    pub object: String,
    /// Its number within the session, from 1.
    pub number: u64,
    /// Every slot below is covered by its chain.
    pub covers_below: Slot,
    /// Every claim up to this one is adopted and included.
    pub adopted_through: ClaimNumber,
}

/// How a WAL was ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seal {
    /// Everything below holds data; nothing at or above it counts.
    pub at: Slot,
    /// What a journal that is not made of slots adds: only that journal reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Why a checkpoint is not published.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WalRefused {
    /// The session has been ended.
    #[error("the WAL is sealed at slot {0}")]
    Sealed(Slot),
    /// It is older than the published one, or covers or adopts less.
    #[error("checkpoint {number} does not follow the published one, {published}")]
    NotNewer {
        /// The one to publish.
        number: u64,
        /// The published one.
        published: u64,
    },
}

/// Why a trim slot does not move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TrimRefused {
    /// The session has been ended: the owner no longer trims.
    #[error("the WAL is sealed at slot {0}")]
    Sealed(Slot),
    /// The session has not been ended: only the owner trims.
    #[error("the WAL is not sealed")]
    NotSealed,
    /// What would be deleted is not covered.
    #[error("slot {asked} is above what may be trimmed, {bound}")]
    NotCovered {
        /// The slot asked for.
        asked: Slot,
        /// The highest allowed.
        bound: Slot,
    },
}

/// Why a WAL is not sealed there.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SealRefused {
    /// It has been sealed already.
    #[error("the WAL is sealed already, at slot {}", .0.at)]
    Already(Seal),
    /// The owner has trimmed meanwhile: begin again from there.
    #[error("the WAL has been trimmed up to slot {0} meanwhile; begin again from there")]
    TrimmedAbove(Slot),
}

impl Record for Wal {}

impl Default for Wal {
    fn default() -> Self {
        Self { node: None, rpc: None, checkpoint: None, trim: Slot::OPEN.next(), sealed: None }
    }
}

impl Wal {
    /// The keys of all WALs.
    pub const PREFIX: &'static str = "wals/";

    /// The key of the WAL of `session`.
    pub fn key(session: SessionId) -> Key {
        format!("{}{:020}", Self::PREFIX, session.0).into()
    }

    /// The session in a WAL's key.
    pub fn session(key: &Key) -> Option<SessionId> {
        key.as_str().strip_prefix(Self::PREFIX)?.parse().ok().map(SessionId)
    }

    /// The WAL of a new session on `node`.
    pub fn of(node: NodeId) -> Self {
        Self { node: Some(node), ..Self::default() }
    }

    /// Through which claim the published checkpoint has adopted.
    pub fn adopted_through(&self) -> ClaimNumber {
        self.checkpoint.as_ref().map_or(ClaimNumber::NONE, |pointer| pointer.adopted_through)
    }

    /// The WAL with `pointer` published.
    ///
    /// # Errors
    /// [`WalRefused`].
    pub fn with_checkpoint(&self, pointer: &CheckpointPointer) -> Result<Wal, WalRefused> {
        if let Some(seal) = &self.sealed {
            return Err(WalRefused::Sealed(seal.at));
        }
        let follows = |before: &CheckpointPointer| {
            pointer.number > before.number
                && pointer.covers_below >= before.covers_below
                && pointer.adopted_through >= before.adopted_through
        };
        match &self.checkpoint {
            Some(before) if !follows(before) => {
                Err(WalRefused::NotNewer { number: pointer.number, published: before.number })
            }
            _ => Ok(Wal { checkpoint: Some(pointer.clone()), ..self.clone() }),
        }
    }

    /// The WAL with its owner's trim moved to `trim`; as it is, when that is not above.
    ///
    /// # Errors
    /// [`TrimRefused`].
    pub fn with_trim(&self, trim: Slot) -> Result<Wal, TrimRefused> {
        if let Some(seal) = &self.sealed {
            return Err(TrimRefused::Sealed(seal.at));
        }
        let covered = self.checkpoint.as_ref().map_or(self.trim, |pointer| pointer.covers_below);
        self.trimmed(trim, covered)
    }

    /// The sealed WAL with its trim moved to `trim` by garbage collection.
    ///
    /// # Errors
    /// [`TrimRefused`].
    pub fn with_sealed_trim(&self, trim: Slot) -> Result<Wal, TrimRefused> {
        let seal = self.sealed.as_ref().ok_or(TrimRefused::NotSealed)?;
        self.trimmed(trim, seal.at)
    }

    fn trimmed(&self, trim: Slot, bound: Slot) -> Result<Wal, TrimRefused> {
        if trim <= self.trim {
            return Ok(self.clone());
        }
        if trim > bound {
            return Err(TrimRefused::NotCovered { asked: trim, bound });
        }
        Ok(Wal { trim, ..self.clone() })
    }

    /// The WAL, ended by `seal`.
    ///
    /// # Errors
    /// [`SealRefused`].
    pub fn with_seal(&self, seal: Seal) -> Result<Wal, SealRefused> {
        if let Some(already) = &self.sealed {
            return Err(SealRefused::Already(already.clone()));
        }
        if self.trim > seal.at && !is_planted(Bug::SealWithoutTrim) {
            return Err(SealRefused::TrimmedAbove(self.trim));
        }
        Ok(Wal { sealed: Some(seal), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(number: u64, covers_below: u64, adopted_through: u64) -> CheckpointPointer {
        CheckpointPointer {
            object: format!("c{number}"),
            number,
            covers_below: Slot(covers_below),
            adopted_through: ClaimNumber(adopted_through),
        }
    }

    #[test]
    fn a_checkpoint_never_covers_less() {
        let wal = Wal::default().with_checkpoint(&pointer(3, 10, 2)).unwrap();
        for worse in [pointer(3, 10, 2), pointer(2, 11, 3), pointer(4, 9, 2), pointer(4, 10, 1)] {
            let refused = wal.with_checkpoint(&worse).unwrap_err();
            assert_eq!(refused, WalRefused::NotNewer { number: worse.number, published: 3 });
        }
        wal.with_checkpoint(&pointer(4, 10, 2)).unwrap();
    }

    #[test]
    fn trim_stays_below_what_is_covered_and_never_goes_back() {
        let wal = Wal::default();
        let bound = Slot(1);
        assert_eq!(wal.with_trim(Slot(2)), Err(TrimRefused::NotCovered { asked: Slot(2), bound }));
        let wal = wal.with_checkpoint(&pointer(1, 10, 0)).unwrap();
        let wal = wal.with_trim(Slot(10)).unwrap();
        assert_eq!(wal.trim, Slot(10));
        assert_eq!(wal.with_trim(Slot(4)).unwrap(), wal);
        assert!(wal.with_trim(Slot(11)).is_err());
    }

    #[test]
    fn a_seal_ends_everything_but_collection() {
        let wal = Wal::default().with_checkpoint(&pointer(1, 10, 0)).unwrap();
        let wal = wal.with_trim(Slot(10)).unwrap();
        let seal = |at| Seal { at: Slot(at), detail: None };
        assert_eq!(wal.with_sealed_trim(Slot(10)), Err(TrimRefused::NotSealed));
        assert_eq!(wal.with_seal(seal(9)), Err(SealRefused::TrimmedAbove(Slot(10))));
        let sealed = wal.with_seal(seal(12)).unwrap();
        assert_eq!(sealed.with_seal(seal(13)), Err(SealRefused::Already(seal(12))));
        let newer = sealed.with_checkpoint(&pointer(2, 12, 0));
        assert_eq!(newer, Err(WalRefused::Sealed(Slot(12))));
        assert_eq!(sealed.with_trim(Slot(11)), Err(TrimRefused::Sealed(Slot(12))));
        assert_eq!(sealed.with_sealed_trim(Slot(12)).unwrap().trim, Slot(12));
        assert!(sealed.with_sealed_trim(Slot(13)).is_err());
    }
}
