//! Who is probably alive: which sessions to condemn, and which nodes partitions may stay with. Pure:
//! it is told what was seen and when, and decides; `driver` and `condemn` look, ask and write.
//!
//! A session is *registered* as long as its lease lasts. One that is not, and whose WAL is not
//! sealed, is *missing*: its broker may have died, or be cut off from the metadata and go on well.
//! It is condemned when
//! - it has been missing for [`MISSING_AFTER`], as this controller has seen it in this term over a link
//!   that has been healthy for [`TRUSTED_AFTER`], and has not answered when asked before that; or
//! - somebody reports it broken, or finds that it is missing, and what is at its address refuses: at once.
//!
//! Partitions stay with a node while it has a registered session; while it has a missing one, which
//! may be serving them; and for [`DEAD_AFTER`] when it has neither, as after an orderly end. They go
//! at once when the newest session of a node is condemned, or when the node says that it drains: as long
//! as there is one that does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use tokio::time::Instant;
use weir_ids::{NodeId, SessionId};

use super::{link::Link, probe::Probed};
use crate::{
    model::Session,
    ops::{SESSION_PROOF, SESSION_TTL},
    views::{SessionView, Snapshot},
};

/// How long a node without a session keeps its partitions.
pub const DEAD_AFTER: Duration = SESSION_TTL.saturating_mul(2);

/// How long a session is missing before it is condemned: as long as its last sign of life proves something.
pub(super) const MISSING_AFTER: Duration = SESSION_PROOF;

/// How long a session has to answer. It is asked so long before it may be condemned.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// How long this controller's own link must have been healthy before it judges by what is missing. When
/// the metadata come back after an outage, all sessions have the time to register again.
pub(super) const TRUSTED_AFTER: Duration = SESSION_TTL.saturating_mul(2);

/// What one term's controller knows of sessions and nodes.
#[derive(Default)]
pub(super) struct Liveness {
    /// The registered sessions, as the view showed them last.
    registered: BTreeMap<SessionId, Session>,
    /// Those that were registered before, until it is looked up what became of their WALs.
    vanished: BTreeMap<SessionId, Session>,
    missing: BTreeMap<SessionId, Missing>,
    /// Whether the WALs have been looked up, and nothing is in doubt since.
    looked: bool,
    /// The condemned sessions that still matter.
    condemned: BTreeSet<SessionId>,
    /// The newest session that was seen of each node.
    newest: BTreeMap<NodeId, SessionId>,
    /// Nodes that had partitions and have no registered session, since when. They stay here, given
    /// up or not, until they have one again.
    away: BTreeMap<NodeId, Instant>,
    /// Nodes that have said that they drain, until they have a session and say so no more.
    draining: BTreeSet<NodeId>,
    /// The sessions that are being asked.
    asked: BTreeSet<SessionId>,
}

/// Which nodes may have partitions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Brokers {
    /// Those that may be given some.
    pub(super) ready: BTreeSet<NodeId>,
    /// Those that may keep what they have.
    pub(super) awaited: BTreeSet<NodeId>,
}

impl Brokers {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = NodeId> {
        self.ready.iter().chain(&self.awaited).copied()
    }

    /// Whether what `node` has may stay there.
    pub(super) fn may_keep(&self, node: NodeId) -> bool {
        self.ready.contains(&node) || self.awaited.contains(&node)
    }
}

struct Missing {
    since: Instant,
    /// When it was asked last, and answered.
    answered: Option<Instant>,
    node: Option<NodeId>,
    /// How it was registered, if that is known.
    session: Option<Session>,
    /// Whether it has been asked since it was found to be missing.
    was_asked: bool,
}

/// A WAL that is not sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unsealed {
    pub(super) node: Option<NodeId>,
    /// Where its session's broker was reached.
    pub(super) rpc: Option<String>,
    pub(super) condemned: bool,
}

/// A session that is to be asked whether it lives.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Suspect {
    pub(super) id: SessionId,
    pub(super) node: Option<NodeId>,
    /// Where it is, if that is known.
    pub(super) session: Option<Session>,
    pub(super) why: Suspicion,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Suspicion {
    /// It has been missing since then: almost for long enough.
    Missing(Instant),
    /// Somebody can't reach it.
    Reported,
    /// It has just been found to be missing.
    Found,
}

impl fmt::Debug for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A point in time says nothing to who reads it.
        f.write_str(match self {
            Self::Missing(_) => "Missing",
            Self::Reported => "Reported",
            Self::Found => "Found",
        })
    }
}

impl Missing {
    /// When it is to be asked, unless there is trouble with the link: it has then been watched for almost
    /// long enough, and has not answered for as long as that takes. `None`: the link is not trusted.
    fn due_at(&self, link: Link) -> Option<Instant> {
        let due = link.watched_from(self.since) + (MISSING_AFTER - ANSWERS_WITHIN);
        let again = self.answered.map_or(due, |at| link.watched_from(at) + TRUSTED_AFTER);
        (link.watched_for() >= TRUSTED_AFTER).then_some(due.max(again))
    }
}

impl Unsealed {
    /// How its session was registered, if that is known.
    fn session(&self) -> Option<Session> {
        Some(Session { node: self.node?, rpc: Some(self.rpc.clone()?), zone: None })
    }
}

impl Suspect {
    /// Whether it is to be condemned, given what came of asking it.
    pub(super) fn is_gone(&self, probed: Probed) -> bool {
        match (self.why, probed) {
            (_, Probed::Answers) => false,
            (Suspicion::Reported | Suspicion::Found, Probed::Silent) => false,
            (_, Probed::Refuses) | (Suspicion::Missing(_), Probed::Silent) => true,
        }
    }
}

impl Liveness {
    /// Takes in which sessions are registered, and which nodes say that they drain.
    pub(super) fn see<'a>(
        &mut self,
        sessions: impl Iterator<Item = &'a SessionView>,
        draining: impl Iterator<Item = NodeId>,
    ) {
        let now: BTreeMap<SessionId, Session> =
            sessions.map(|view| (view.id, view.session.clone())).collect();
        for (id, session) in &now {
            self.note(session.node, *id);
            self.draining.remove(&session.node);
        }
        self.draining.extend(draining);
        self.vanished.extend(std::mem::replace(&mut self.registered, now));
        self.vanished.retain(|id, _| !self.registered.contains_key(id));
        self.missing.retain(|id, _| !self.registered.contains_key(id));
    }

    /// Whether `now` shows other sessions than were seen last, or one that drains now or no longer.
    pub(super) fn is_news(&self, now: &Snapshot) -> bool {
        !now.sessions().map(|view| view.id).eq(self.registered.keys().copied())
            || now
                .sessions()
                .map(|view| view.session.node)
                .any(|node| now.is_draining(node) != self.draining.contains(&node))
    }

    /// Whether the WALs are to be looked up: one that vanished may have been sealed in order, and
    /// so may one that is due.
    pub(super) fn needs_look(&self, now: Instant, link: Link) -> bool {
        let is_due = self.next_due(link).is_some_and(|at| at <= now);
        !self.looked || !self.vanished.is_empty() || is_due
    }

    /// Takes in which WALs are not sealed, as of `at`.
    pub(super) fn look(&mut self, at: Instant, unsealed: &BTreeMap<SessionId, Unsealed>) {
        let mut before = std::mem::take(&mut self.missing);
        for (id, wal) in unsealed {
            let vanished = self.vanished.remove(id);
            let node = wal.node.or(vanished.as_ref().map(|session| session.node));
            if let Some(node) = node {
                self.note(node, *id);
            }
            if wal.condemned {
                self.condemned.insert(*id);
            } else if !self.registered.contains_key(id) {
                let session = vanished.or_else(|| wal.session());
                let now = Missing { since: at, answered: None, node, session, was_asked: false };
                self.missing.insert(*id, before.remove(id).unwrap_or(now));
            }
        }
        self.vanished.clear();
        self.looked = true;
        let newest: BTreeSet<SessionId> = self.newest.values().copied().collect();
        self.condemned.retain(|id| unsealed.contains_key(id) || newest.contains(id));
    }

    /// When a session that is not being asked will have been missing for almost long enough.
    pub(super) fn next_due(&self, link: Link) -> Option<Instant> {
        let idle = self.missing.iter().filter(|(id, _)| !self.asked.contains(id));
        idle.filter_map(|(_, missing)| missing.due_at(link)).min()
    }

    /// The sessions to ask now, given which were reported. They are not suspects again until they
    /// have been [`heard`](Self::heard) of.
    pub(super) fn suspects(
        &mut self,
        now: Instant,
        link: Link,
        reported: &BTreeSet<SessionId>,
    ) -> Vec<Suspect> {
        let mut suspects = Vec::new();
        let idle = self.missing.iter_mut().filter(|(id, _)| !self.asked.contains(id));
        for (id, missing) in idle {
            let why = if missing.due_at(link).is_some_and(|at| at <= now) {
                Suspicion::Missing(missing.since)
            } else if missing.session.is_none() {
                continue;
            } else if reported.contains(id) {
                Suspicion::Reported
            } else if !missing.was_asked {
                Suspicion::Found
            } else {
                continue;
            };
            missing.was_asked = true;
            let (node, session) = (missing.node, missing.session.clone());
            suspects.push(Suspect { id: *id, node, session, why });
        }
        for (id, session) in self.registered.iter().filter(|(id, _)| reported.contains(id)) {
            if !self.condemned.contains(id) && !self.asked.contains(id) {
                let (node, session) = (Some(session.node), Some(session.clone()));
                suspects.push(Suspect { id: *id, node, session, why: Suspicion::Reported });
            }
        }
        self.asked.extend(suspects.iter().map(|suspect| suspect.id));
        suspects
    }

    /// It is known `at` this time what came of asking a session. If it answered and is missing, the waiting
    /// begins again.
    pub(super) fn heard(&mut self, id: SessionId, probed: Probed, at: Instant) {
        self.asked.remove(&id);
        if let (Probed::Answers, Some(missing)) = (probed, self.missing.get_mut(&id)) {
            missing.answered = Some(at);
        }
    }

    /// `suspect` has been condemned.
    pub(super) fn condemned(&mut self, suspect: &Suspect) {
        self.condemned.insert(suspect.id);
        self.missing.remove(&suspect.id);
        if let Some(node) = suspect.node {
            self.note(node, suspect.id);
        }
    }

    /// A session was not condemned after all: it has been sealed, or is registered again.
    pub(super) fn spared(&mut self, id: SessionId) {
        self.missing.remove(&id);
        self.looked = false;
    }

    /// The nodes with a registered session.
    pub(super) fn alive(&self) -> BTreeSet<NodeId> {
        // The view may still show one that has just been condemned.
        let alive = self.registered.iter().filter(|(id, _)| !self.condemned.contains(id));
        alive.map(|(_, session)| session.node).collect()
    }

    /// The nodes that may have partitions, of those that are alive and of `others`.
    pub(super) fn brokers(
        &mut self,
        others: impl IntoIterator<Item = NodeId>,
        at: Instant,
    ) -> Brokers {
        let alive = self.alive();
        for node in others.into_iter().filter(|node| !alive.contains(node)) {
            self.away.entry(node).or_insert(at);
        }
        self.away.retain(|node, _| !alive.contains(node));
        let awaited = self.away.iter().filter(|(node, since)| match self.fate(**node) {
            Fate::Condemned | Fate::Drained => false,
            Fate::Missing => true,
            Fate::Unknown => at.saturating_duration_since(**since) < DEAD_AFTER,
        });
        let awaited = awaited.map(|(node, _)| *node).collect();
        let (drain, stay): (BTreeSet<_>, BTreeSet<_>) =
            alive.into_iter().partition(|node| self.draining.contains(node));
        Brokers { ready: if stay.is_empty() { drain } else { stay }, awaited }
    }

    /// When a node that is away will have been so for too long.
    pub(super) fn next_death(&self, now: Instant) -> Option<Instant> {
        let without = self.away.iter().filter(|(node, _)| self.fate(**node) == Fate::Unknown);
        without.map(|(_, since)| *since + DEAD_AFTER).filter(|at| *at > now).min()
    }

    fn fate(&self, node: NodeId) -> Fate {
        let newest = self.newest.get(&node);
        if newest.is_some_and(|id| self.condemned.contains(id)) {
            Fate::Condemned
        } else if self.draining.contains(&node) {
            Fate::Drained
        } else if self.missing.values().any(|missing| missing.node == Some(node)) {
            Fate::Missing
        } else {
            Fate::Unknown
        }
    }

    fn note(&mut self, node: NodeId, id: SessionId) {
        let newest = self.newest.entry(node).or_insert(id);
        *newest = (*newest).max(id);
    }
}

/// What became of a node that has no registered session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Its newest session is condemned.
    Condemned,
    /// It said that it would leave.
    Drained,
    /// It has a session that may be serving.
    Missing,
    /// No session of it is left to wait for.
    Unknown,
}

#[cfg(test)]
mod tests;
