//! `condemned/{session}`: a session that others may end.
//!
//! ```text
//! condemned/00000000000000000041     twenty digits, so that keys sort by session
//! {"v":1}
//! ```
//!
//! Written by the controller alone, in the transaction that takes the session's registration away;
//! goes with the session's `wals/` key. It can't be taken back: a condemned session never registers
//! again. It says that a broker may fence the session's log, and nothing about whether it is still
//! written: what is safe to claim is what `wals/` says is sealed.

use serde::{Deserialize, Serialize};
use weir_ids::SessionId;

use super::codec::Record;
use crate::store::Key;

/// That a session may be ended by others.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Condemned {}

impl Record for Condemned {}

impl Condemned {
    /// The keys of all condemned sessions.
    pub const PREFIX: &'static str = "condemned/";

    /// The key that condemns session `id`.
    pub fn key(id: SessionId) -> Key {
        format!("{}{:020}", Self::PREFIX, id.0).into()
    }

    /// The session in a key.
    pub fn id(key: &Key) -> Option<SessionId> {
        key.as_str().strip_prefix(Self::PREFIX)?.parse().ok().map(SessionId)
    }
}
