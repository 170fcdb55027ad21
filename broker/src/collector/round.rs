//! One round: the requests around its decisions.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::{Instant, timeout};
use weir_ids::{Offset, SessionId, TopicPartition};
use weir_meta::{
    Error as MetaError, TrimError,
    model::{CheckpointPointer, Record, Wal},
    store::list,
};
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::{ObjectName, ReadError, StoreError, checkpoint::Chain, journal};

use super::{
    Collector,
    candidates::Unnamed,
    condemned,
    files::Files,
    floor::{MetadataIsOlder, strangers},
    marking::{Asking, Begun, Skipped},
    marks::Found,
    settling::{Settling, settle},
};
use crate::{
    client::SessionReport,
    named::{Listed, listed_by},
    recovery::{Census, SessionError, read_chain},
};

/// What a round has done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Collected {
    /// Objects that were deleted.
    pub deleted: usize,
    /// Objects that nobody names and that wait for a later round.
    pub waiting: usize,
    /// Sessions that the metadata has forgotten.
    pub forgotten: usize,
}

/// Why a round was not completed. Nothing is harmed by trying again later.
#[derive(Debug, thiserror::Error)]
pub enum RoundError {
    /// It could not find out what is named.
    #[error(transparent)]
    Skipped(#[from] Skipped),
    /// The metadata went back in time.
    #[error(transparent)]
    Older(#[from] MetadataIsOlder),
    /// A chain can't be read.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The metadata can't be read or changed.
    #[error(transparent)]
    Metadata(#[from] MetaError),
    /// The trim of a sealed session can't be moved.
    #[error(transparent)]
    Trim(#[from] TrimError),
    /// A page that lists what is needed can't be read.
    #[error(transparent)]
    Page(#[from] ReadError),
    /// The store can't be listed, read, or told to delete.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A session can't be ended or forgotten.
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

impl Collector {
    /// Finds out what nobody needs, and deletes what has not been needed for long enough.
    ///
    /// # Errors
    /// When it can't be completed; what was deleted until then was needed by nobody.
    pub async fn round(&mut self) -> Result<Collected, RoundError> {
        let alone = self.settings.only_objects;
        if !alone {
            self.end_condemned().await?;
        }
        // The store first: whose objects are listed is in the metadata that is read then, unless it was
        // forgotten.
        let listed = self.deps.store.list(None).await?;
        let census = Census::take(&self.deps.metadata).await?;
        let mut forgotten = 0;
        if !alone {
            self.refuse_strangers(&listed, &census).await?;
            forgotten = self.settle(settle(&census)).await?;
        }
        let files = Files::of(&listed, &census.wals);
        let mut begun = Begun::new(listed, census)?;
        self.read_chains(&mut begun).await?;
        let mut asking = begun.ask(self.live().await?)?;
        self.ask(&mut asking).await?;
        let listed_at = self.read_pages(&mut asking).await?;
        let Found { unnamed, thin } = asking.end()?;
        let (now, grace) = (Instant::now(), self.settings.grace);
        self.thinning.found(&thin, listed_at, now, grace);
        let due = self.grace.found(&unnamed, now, grace);
        let due = files.spare(&*self.deps.journal, due, self.settings.requests).await?;
        let deleted = self.sweep(due, &unnamed).await?;
        Ok(Collected { deleted, waiting: unnamed.len() - deleted, forgotten })
    }

    /// Ends the sessions that the controller has condemned: a live session that can't be asked holds up
    /// every round, and one that owned nothing is ended by nobody else.
    async fn end_condemned(&self) -> Result<(), RoundError> {
        for session in condemned::sessions(&self.deps.metadata).await? {
            condemned::end(&self.deps.metadata, &*self.deps.journal, session).await?;
        }
        Ok(())
    }

    async fn refuse_strangers(
        &self,
        listed: &[(ObjectName, u64)],
        census: &Census,
    ) -> Result<(), RoundError> {
        for session in strangers(listed, census)? {
            if !self.deps.journal.is_forgotten(session).await? {
                let revision = census.revision;
                return Err(MetadataIsOlder { session, revision }.into());
            }
        }
        Ok(())
    }

    /// Returns how many sessions are forgotten.
    async fn settle(&self, steps: Vec<Settling>) -> Result<usize, RoundError> {
        let (metadata, mut forgotten) = (&self.deps.metadata, 0);
        for step in steps {
            match step {
                Settling::Trim(session, to) => match metadata.trim_sealed(session, to).await {
                    // Somebody else was quicker.
                    Ok(()) | Err(TrimError::Lost(_) | TrimError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                },
                Settling::Forget(session, revision) => {
                    self.deps.journal.forget(session).await?;
                    let gone = condemned::remove_wal(metadata, session, revision).await?;
                    forgotten += usize::from(gone);
                }
            }
        }
        Ok(forgotten)
    }

    async fn read_chains(&self, begun: &mut Begun) -> Result<(), RoundError> {
        let store = &self.deps.store;
        let read = |(session, pointer): (SessionId, CheckpointPointer)| async move {
            let (chain, checkpoints) = read_chain(store, &pointer).await?;
            Ok::<(SessionId, Chain, Vec<ObjectName>), SessionError>((session, chain, checkpoints))
        };
        let reads: Vec<_> = begun.chains().into_iter().map(read).collect();
        let mut chains = stream::iter(reads).buffer_unordered(self.settings.requests);
        while let Some((session, chain, checkpoints)) = chains.try_next().await? {
            begun.chain(session, &checkpoints, &chain);
        }
        Ok(())
    }

    /// The sessions that are live now.
    async fn live(&self) -> Result<BTreeSet<SessionId>, RoundError> {
        let listed = list(self.deps.metadata.store(), Wal::PREFIX).await;
        let (entries, _) = listed.map_err(MetaError::from)?;
        let mut live = BTreeSet::new();
        for entry in &entries {
            let wal = Wal::decode(entry).map_err(MetaError::from)?;
            live.extend(Wal::session(&entry.key).filter(|_| wal.sealed.is_none()));
        }
        Ok(live)
    }

    async fn ask(&self, asking: &mut Asking) -> Result<(), RoundError> {
        let missing = asking.missing().into_iter();
        let questions: Vec<_> = missing.map(|session| self.ask_one(session)).collect();
        let mut answers = stream::iter(questions).buffer_unordered(self.settings.requests);
        while let Some((session, report, is_live)) = answers.try_next().await? {
            asking.report(session, report, is_live)?;
        }
        Ok(())
    }

    /// Reads what is named by pages only. Returns which of them list something in what owners were told is thin.
    async fn read_pages(
        &self,
        asking: &mut Asking,
    ) -> Result<BTreeSet<(TopicPartition, Offset)>, RoundError> {
        let (thin, mut listed_at) = (&self.thinning.told().objects, BTreeSet::new());
        loop {
            let pages: Vec<_> = std::iter::from_fn(|| asking.take_page()).collect();
            if pages.is_empty() || is_planted(Bug::PagesNotRead) {
                return Ok(listed_at);
            }
            let reader = &self.reader;
            let reads = pages
                .into_iter()
                .map(|(page, from)| async move { listed_by(reader, &page, from).await });
            let reads: Vec<_> = reads.collect();
            let mut listed = stream::iter(reads).buffer_unordered(self.settings.requests);
            while let Some(Listed { named, held, at }) = listed.try_next().await? {
                asking.name(named);
                asking.hold(&held);
                listed_at.extend(held.keys().any(|name| thin.contains(name)).then_some(at));
            }
        }
    }

    /// What `session` reports, and whether it was still live after that.
    async fn ask_one(
        &self,
        session: SessionId,
    ) -> Result<(SessionId, SessionReport, bool), RoundError> {
        let not_reported = || RoundError::from(Skipped::NotReported(session));
        let found = self.deps.view.with(|now| Some(now.session(session)?.session.node));
        let broker = found.and_then(|node| self.deps.brokers.broker(node));
        let broker = broker.ok_or_else(not_reported)?;
        let report =
            timeout(self.settings.report_within, broker.references(self.thinning.told().clone()))
                .await;
        let report = report.ok().and_then(Result::ok).ok_or_else(not_reported)?;
        let wal = self.deps.metadata.wal(session).await?;
        let is_live = wal.is_some_and(|wal| wal.value.sealed.is_none());
        Ok((session, report, is_live))
    }

    /// Deletes what is due, except fences. Returns how much that was.
    async fn sweep(
        &mut self,
        due: Vec<ObjectName>,
        unnamed: &Unnamed,
    ) -> Result<usize, RoundError> {
        let doomed =
            self.fences.spare(&self.deps.store, due, unnamed, self.settings.requests).await?;
        let store = &self.deps.store;
        let chunks = doomed.chunks(DELETE_TOGETHER);
        let deletions: Vec<_> = chunks.map(|names| store.delete_all(names)).collect();
        let mut deletions = stream::iter(deletions).buffer_unordered(self.settings.requests);
        while deletions.try_next().await?.is_some() {}
        Ok(doomed.len())
    }
}

/// How many objects are deleted by one request, where the store can.
const DELETE_TOGETHER: usize = 1_000;
