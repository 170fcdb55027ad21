//! What one round finds unnamed. No I/O.
//!
//! A round goes through three phases, each a type: [`Begun`], until the published chains have been read;
//! [`Asking`], until every live session has reported; then what nobody named. The order matters: references
//! move from a chain into the memory of whoever recovers, so reading chains first and asking afterwards
//! sees them on at least one side (`docs/proof.md`, 4.).

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{Offset, SessionId, TopicPartition};
use weir_meta::model::CheckpointPointer;
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::{ObjectName, checkpoint::Chain, pages::PageRef};

use super::{
    candidates::candidates,
    marks::{Found, Marks},
};
use crate::{Named, client::SessionReport, recovery::Census};

/// Why a round ends without having found anything out. A later one may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// A log needs a session of which the metadata knows nothing.
    #[error("partition {partition} needs session {session}, which the metadata does not know")]
    WalMissing {
        /// Which session.
        session: SessionId,
        /// Whose log.
        partition: TopicPartition,
    },
    /// A session can't be asked what it refers to.
    #[error("session {0} is live, but does not say what it refers to")]
    NotReported(SessionId),
    /// A session was live when the round began, and was ended before it had reported.
    #[error("session {0} was ended before it said what it refers to")]
    Ended(SessionId),
    /// Nobody has this partition open, so nobody says all that it refers to.
    #[error("partition {0} is open at no broker")]
    Unowned(TopicPartition),
}

/// A round that reads chains.
#[derive(Debug)]
pub(super) struct Begun {
    marks: Marks,
    pages: BTreeMap<PageRef, Offset>,
    /// Sessions that were live when the round began.
    live: BTreeSet<SessionId>,
    claimed: BTreeSet<TopicPartition>,
    needs: Vec<(SessionId, TopicPartition)>,
    /// The chains that are still to be read.
    chains: BTreeMap<SessionId, CheckpointPointer>,
}

/// A round that asks sessions.
#[derive(Debug)]
pub(super) struct Asking {
    marks: Marks,
    /// Pages that are named, and from which offset on what they list is needed.
    pages: BTreeMap<PageRef, Offset>,
    missing: BTreeSet<SessionId>,
    unowned: BTreeSet<TopicPartition>,
}

impl Begun {
    /// Begins a round. `listed` was listed before `census` was taken, so that a session is in it whose
    /// objects are.
    pub(super) fn new(
        listed: impl IntoIterator<Item = (ObjectName, u64)>,
        census: Census,
    ) -> Result<Self, Skipped> {
        let mut chains = BTreeMap::new();
        for (session, partition) in &census.needs {
            let (session, partition) = (*session, *partition);
            let wal = census.wals.get(&session);
            let (wal, _) = wal.ok_or(Skipped::WalMissing { session, partition })?;
            let published = wal.checkpoint.clone().filter(|_| !is_planted(Bug::ChainsNotRead));
            chains.extend(published.map(|pointer| (session, pointer)));
        }
        let live = census.wals.iter().filter(|(_, (wal, _))| wal.sealed.is_none());
        Ok(Self {
            marks: Marks::new(candidates(listed, &census.wals)),
            pages: BTreeMap::new(),
            live: live.map(|(session, _)| *session).collect(),
            claimed: census.claimed.into_iter().collect(),
            needs: census.needs,
            chains,
        })
    }

    /// The published chains to read: those of the sessions that some log needs.
    pub(super) fn chains(&self) -> Vec<(SessionId, CheckpointPointer)> {
        self.chains.clone().into_iter().collect()
    }

    /// The chain of `session`, which is made of `checkpoints`. It names what its partitions refer to whose
    /// logs need the session. The slots behind it are no candidates.
    pub(super) fn chain(&mut self, session: SessionId, checkpoints: &[ObjectName], chain: &Chain) {
        self.chains.remove(&session);
        checkpoints.iter().for_each(|name| self.marks.name(name));
        let from = self.needs.partition_point(|(needed, _)| *needed < session);
        let needs = self.needs[from..].iter().take_while(|(needed, _)| *needed == session);
        let mut named = Named { pages: std::mem::take(&mut self.pages), ..Named::default() };
        for listing in needs.filter_map(|(_, partition)| chain.partitions.get(partition)) {
            named.add(listing);
        }
        named.objects.iter().for_each(|name| self.marks.name(name));
        self.pages = named.pages;
    }

    /// All chains are read. `live` are the sessions that are live now: one that began since then may have
    /// taken references over already.
    pub(super) fn ask(self, live: BTreeSet<SessionId>) -> Result<Asking, Skipped> {
        assert!(self.chains.is_empty(), "chains are read before anybody is asked: {self:?}");
        if let Some(ended) = self.live.difference(&live).next() {
            return Err(Skipped::Ended(*ended));
        }
        if is_planted(Bug::SessionsNotAsked) {
            let (missing, unowned) = Default::default();
            return Ok(Asking { marks: self.marks, pages: self.pages, missing, unowned });
        }
        let (marks, pages, unowned) = (self.marks, self.pages, self.claimed);
        Ok(Asking { marks, pages, missing: live, unowned })
    }
}

impl Asking {
    /// The sessions that have not reported.
    pub(super) fn missing(&self) -> Vec<SessionId> {
        self.missing.iter().copied().collect()
    }

    /// What `asked` has answered. `is_live` was found out afterwards.
    pub(super) fn report(
        &mut self,
        asked: SessionId,
        report: SessionReport,
        is_live: bool,
    ) -> Result<(), Skipped> {
        if report.session != asked {
            return Err(Skipped::NotReported(asked));
        }
        if !is_live {
            return Err(Skipped::Ended(asked));
        }
        self.name(report.named);
        self.hold(&report.held);
        for partition in &report.partitions {
            self.unowned.remove(partition);
        }
        self.missing.remove(&asked);
        Ok(())
    }

    /// This is needed.
    pub(super) fn name(&mut self, named: Named) {
        named.objects.iter().for_each(|name| self.marks.name(name));
        let mut all = Named { pages: std::mem::take(&mut self.pages), ..Named::default() };
        named.pages.into_iter().for_each(|(page, from)| all.add_page(page, from));
        self.pages = all.pages;
    }

    /// Partitions refer to so many bytes.
    pub(super) fn hold(&mut self, held: &BTreeMap<ObjectName, u64>) {
        held.iter().for_each(|(name, bytes)| self.marks.hold(name, *bytes));
    }

    /// A page that is named and has not been read, and from which offset on what it lists is needed.
    pub(super) fn take_page(&mut self) -> Option<(PageRef, Offset)> {
        self.pages.pop_first()
    }

    /// What nobody has named, and of what little is needed. All pages must have been read.
    pub(super) fn end(self) -> Result<Found, Skipped> {
        assert!(
            self.pages.is_empty(),
            "pages are read before anything counts as unnamed: {self:?}"
        );
        if let Some(session) = self.missing.first() {
            return Err(Skipped::NotReported(*session));
        }
        match self.unowned.first() {
            Some(partition) => Err(Skipped::Unowned(*partition)),
            None => Ok(self.marks.found()),
        }
    }
}

#[cfg(test)]
mod tests;
