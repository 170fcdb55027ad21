//! A consumer group of the classic protocol, without I/O: requests and passing time in, answers and
//! states to store out.
//!
//! ```text
//!            first join                    all rejoined, or time is up
//!   Empty ───────────────► PreparingRebalance ───────────────► CompletingRebalance
//!     ▲                     ▲    │      ▲  join with news, leave,       │ the leader's
//!     └─────────────────────┼────┘      │  expiry, sync time is up      │ assignment
//!        nobody is left     │           └───────────────────────────────┤ is durable
//!                           └────────────────────── Stable ◄────────────┘
//! ```
//! Dead, in Kafka's terms, is a group that is not in its shard's map any more.
//!
//! Invariants:
//! - one leader, a member, unless the group is empty; generations only rise;
//! - every request that waits is answered: by the next step of the rebalance, by its member's
//!   removal, or by a newer request of the same member;
//! - an assignment goes to no member before the log has it.
//!
//! Behaviour follows Kafka's `GroupMetadataManager`, down to which timers are reset by what, since
//! clients were written against that. Where we differ: a request that a newer one of the same
//! member replaces is answered instead of forgotten; what is elected among equals does not depend
//! on the order of a hash map.
//!
//! Time is handed in ([`Cx`]) and deadlines come out ([`Group::next_deadline`]). A heartbeat only
//! moves a number; nothing is scheduled or cancelled.

mod effects;
mod error;
mod join;
mod member;
mod members;
mod names;
mod rebalance;
mod session;
mod stored;
mod sync;
#[cfg(test)]
mod tests;
mod view;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use bytestring::ByteString;
use tokio::time::Instant;
use weir_ids::Timestamp;

pub(crate) use effects::{
    Answer, Effects, JoinAnswer, JoinRefused, Joined, JoinedMember, Store, Synced, Then,
};
pub(crate) use error::Error;
pub(crate) use join::Join;
pub(crate) use member::{Client, Protocol, Protocols};
pub(crate) use names::{Generation, GroupId, InstanceId, MemberId, Token};
pub(crate) use session::{Identity, Leaving};
pub(crate) use stored::duration;
pub(crate) use sync::Sync;
pub(crate) use view::Described;

use crate::settings::Settings;
use members::Members;

/// A rebalance waits this long at least, so that members that allow no time can't keep it spinning.
const REBALANCE_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The time, and how to behave.
#[derive(Clone, Copy)]
pub(crate) struct Cx<'a> {
    /// Monotonic: deadlines are counted in it.
    pub(crate) now: Instant,
    /// The time of day: what is stored.
    pub(crate) wall: Timestamp,
    /// How to behave.
    pub(crate) settings: &'a Settings,
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    state: State,
    /// When it entered the state; `NONE` if the log does not say.
    since: Timestamp,
    generation: Generation,
    /// `None` until a member joins: offsets can be committed without members.
    protocol_type: Option<ByteString>,
    /// What the members voted for.
    protocol: Option<ByteString>,
    members: Members,
    /// Ids that were handed out and not joined with yet, and until when they are good.
    pending: BTreeMap<MemberId, Instant>,
}

/// Where a group stands.
#[derive(Debug)]
enum State {
    /// No members. Offsets may remain.
    Empty,
    /// Members are asked to join again.
    PreparingRebalance {
        /// When those that have not are given up.
        until: Instant,
        /// For the first rebalance of an empty group, which waits for members to gather.
        first: Option<Gathering>,
    },
    /// The leader is asked to assign.
    CompletingRebalance {
        /// Who has not asked for its assignment yet.
        syncs: Syncs,
        /// What the leader assigned and the log does not have yet.
        assigning: Option<BTreeMap<MemberId, Bytes>>,
    },
    /// All is assigned.
    Stable {
        /// Who has not asked for its assignment yet.
        syncs: Syncs,
    },
}

/// The wait before the first rebalance: extended when members come, up to the rebalance timeout.
#[derive(Clone, Copy, Debug)]
struct Gathering {
    delay: Duration,
    remaining: Duration,
    member_added: bool,
}

/// Members that still have to sync in this generation.
#[derive(Clone, Debug)]
struct Syncs {
    missing: BTreeSet<MemberId>,
    until: Instant,
}

impl Syncs {
    fn deadline(&self) -> Option<Instant> {
        (!self.missing.is_empty()).then_some(self.until)
    }
}

impl Group {
    /// A group that nobody has joined.
    #[must_use]
    pub(crate) fn new(cx: &Cx<'_>) -> Self {
        Self {
            state: State::Empty,
            since: cx.wall,
            generation: Generation(0),
            protocol_type: None,
            protocol: None,
            members: Members::default(),
            pending: BTreeMap::new(),
        }
    }

    /// Whether nothing is left that only memory knows: no members and no ids handed out.
    #[must_use]
    pub(crate) fn is_vacant(&self) -> bool {
        matches!(self.state, State::Empty) && self.pending.is_empty()
    }

    /// Whether the group has no members. Ids may still be handed out.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.state, State::Empty)
    }

    /// When [`Group::tick`] has something to do, unless an event changes it.
    #[must_use]
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let phase = match &self.state {
            State::Empty => None,
            State::PreparingRebalance { until, .. } => Some(*until),
            State::CompletingRebalance { syncs, .. } | State::Stable { syncs } => syncs.deadline(),
        };
        let members = self.members.iter().filter_map(|(_, member)| member.deadline());
        phase.into_iter().chain(members).chain(self.pending.values().copied()).min()
    }

    /// Asserts what always holds.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        self.members.check();
        match &self.state {
            State::Empty => assert!(self.members.is_empty()),
            State::PreparingRebalance { .. } => {
                assert!(self.members.iter().all(|(_, member)| member.syncing.is_none()));
            }
            State::CompletingRebalance { syncs, .. } | State::Stable { syncs } => {
                assert!(!self.members.is_empty() && self.protocol.is_some());
                assert!(syncs.missing.iter().all(|id| self.members.contains(id)));
            }
        }
        let pending = |id: &MemberId| self.pending.contains_key(id);
        assert!(!self.members.ids().any(pending));
    }

    /// The generation.
    #[cfg(test)]
    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }

    fn enter(&mut self, cx: &Cx<'_>, state: State) {
        self.state = state;
        self.since = cx.wall;
    }

    /// How long a rebalance waits: as long as the most patient member asks for.
    fn rebalance_timeout(&self) -> Duration {
        let longest = self.members.iter().map(|(_, member)| member.rebalance_timeout).max();
        longest.unwrap_or_default().max(REBALANCE_TIMEOUT_MIN)
    }
}
