//! `sessions/{id}`: a run of a broker that is probably alive. `session-ids`: where ids come from.
//!
//! ```text
//! session-ids                        rewritten for each new session; its revision is the id, with
//! {"v":1,"node":1,"above":812}       `above` added once the metadata were read from a backup
//! sessions/00000000000000000041      leased; twenty digits, so that keys sort by session
//! {"v":1,"node":1,"rpc":"10.0.1.7:9650","zone":"az-a"}
//! ```
//!
//! The key goes when the lease ends. That says nothing about the session's WAL: the broker may
//! register again under the same id as long as its WAL is unsealed.

use serde::{Deserialize, Serialize};
use weir_ids::{NodeId, SessionId};

use super::codec::{ModelError, Record};
use crate::store::{Entry, Key, Revision};

/// A registered session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// The node that it runs on.
    pub node: NodeId,
    /// Where other roles reach the broker; `None`: only within its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<String>,
    /// Its zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Record for Session {}

impl Session {
    /// The keys of all registered sessions.
    pub const PREFIX: &'static str = "sessions/";

    /// The key of session `id`.
    pub fn key(id: SessionId) -> Key {
        format!("{}{:020}", Self::PREFIX, id.0).into()
    }

    /// The session in a key.
    pub fn id(key: &Key) -> Option<SessionId> {
        key.as_str().strip_prefix(Self::PREFIX)?.parse().ok().map(SessionId)
    }
}

/// The write whose revision, added to [`SessionAllocation::above`], is a session's id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionAllocation {
    /// Who asked last.
    pub node: NodeId,
    /// How far ids had come before these metadata were read from a backup.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub above: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Record for SessionAllocation {}

impl SessionAllocation {
    /// Its key.
    pub fn key() -> Key {
        "session-ids".into()
    }

    /// The highest id that a session can have at `revision`, given what was under the key by then.
    ///
    /// # Errors
    /// [`ModelError`] when that can't be read.
    pub fn highest(found: Option<&Entry>, revision: Revision) -> Result<SessionId, ModelError> {
        let above = found.map(Self::decode).transpose()?.map_or(0, |allocation| allocation.above);
        Ok(Self::id(above, revision))
    }

    /// The id that a write at `revision` gives. Metadata that were damaged can make it no new one: then its
    /// log exists already, and is not opened again.
    pub(crate) fn id(above: u64, revision: Revision) -> SessionId {
        SessionId(above.saturating_add(revision.0))
    }
}
