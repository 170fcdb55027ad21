//! Keeping a view up to date: list, watch, and list again when that breaks.

use std::time::Duration;

use futures::{StreamExt, stream, stream::SelectAll};
use tokio::time::{Instant, sleep, sleep_until};
use weir_runtime::Stop;

use super::{
    View,
    snapshot::{PREFIXES, Snapshot},
};
use crate::{
    Error, Metadata,
    model::ModelError,
    store::{Batch, Revision, StoreError, list},
};

/// How long a view waits before it lists again after trouble.
pub const RELIST_PAUSE: Duration = Duration::from_millis(200);

/// How often a view lists although its watches are fine: a lost event heals.
pub const RECONCILE_INTERVAL: Duration = Duration::from_secs(600);

/// Batches of all prefixes, each with its prefix's place in [`PREFIXES`].
type Batches = SelectAll<stream::BoxStream<'static, (usize, Result<Batch, StoreError>)>>;

/// Feeds a view.
pub(super) struct Follower {
    snapshot: Snapshot,
}

impl Follower {
    /// Lists everything.
    pub(super) async fn list(metadata: &Metadata) -> Result<Self, Error> {
        let mut follower = Self { snapshot: Snapshot::default() };
        follower.relist(metadata).await?;
        Ok(follower)
    }

    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Feeds `view` until `stop`.
    pub(super) async fn run(mut self, metadata: &Metadata, view: &View, stop: Stop) {
        loop {
            let follow = self.follow(metadata, view);
            let why = tokio::select! {
                biased;
                () = stop.requested() => return,
                why = follow => why,
            };
            let mut pause = false;
            if let Some(why) = why {
                tracing::info!(reason = %why, "the view of the cluster lists again");
                pause = !matches!(why, StoreError::Compacted { .. });
            }
            let relist = self.relist_until_done(metadata, pause);
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = relist => view.show(self.snapshot.clone()),
            }
        }
    }

    async fn relist_until_done(&mut self, metadata: &Metadata, mut pause: bool) {
        let mut said = false;
        loop {
            if pause {
                sleep(RELIST_PAUSE).await;
            }
            match self.relist(metadata).await {
                Ok(()) => return,
                Err(error) if !said => {
                    tracing::warn!(%error, "the view of the cluster can't be listed; trying on");
                    said = true;
                }
                Err(_) => {}
            }
            pause = true;
        }
    }

    /// Watches and shows what changes, until it is time to list again; says why if that is early.
    async fn follow(&mut self, metadata: &Metadata, view: &View) -> Option<StoreError> {
        let mut batches = self.watch(metadata);
        let reconcile = Instant::now() + RECONCILE_INTERVAL;
        loop {
            let next = tokio::select! {
                biased;
                next = batches.next() => next,
                () = sleep_until(reconcile) => return None,
            };
            match next? {
                (prefix, Ok(batch)) => {
                    let mut troubles = Vec::new();
                    self.snapshot.apply(prefix, &batch.events, &mut troubles);
                    report(&troubles);
                    view.show(self.snapshot.clone());
                }
                (_, Err(error)) => return Some(error),
            }
        }
    }

    fn watch(&self, metadata: &Metadata) -> Batches {
        let watches = PREFIXES.iter().enumerate().map(|(prefix, text)| {
            let watch = metadata.store().watch(text, self.snapshot.applied(prefix).next());
            let batches = stream::unfold(Some(watch), move |watch| async move {
                let mut watch = watch?;
                let batch = watch.next().await;
                let rest = batch.is_ok().then_some(watch);
                Some(((prefix, batch), rest))
            });
            batches.boxed()
        });
        stream::select_all(watches)
    }

    /// Lists every prefix. A store that is older than what has been seen (one
    /// restored from a backup, say) is refused.
    pub(super) async fn relist(&mut self, metadata: &Metadata) -> Result<(), Error> {
        let store = metadata.store();
        let seen = (0..PREFIXES.len()).map(|prefix| self.snapshot.applied(prefix)).max();
        let seen = seen.unwrap_or(Revision::NONE);
        let mut lists = Vec::with_capacity(PREFIXES.len());
        for prefix in PREFIXES {
            lists.push(list(store, prefix).await?);
        }
        let mut next = self.snapshot.clone();
        let mut troubles = Vec::new();
        for (prefix, (entries, revision)) in lists.iter().enumerate() {
            if *revision < seen {
                let error = StoreError::FutureRevision { asked: seen, newest: *revision };
                return Err(error.into());
            }
            next.replace(prefix, entries, *revision, &mut troubles);
        }
        report(&troubles);
        self.snapshot = next;
        Ok(())
    }
}

/// What can't be read is left out; the rest of the cluster goes on.
fn report(troubles: &[ModelError]) {
    for trouble in troubles {
        tracing::error!(error = %trouble, "part of the metadata can't be read and is ignored");
    }
}
