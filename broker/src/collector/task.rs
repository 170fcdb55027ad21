//! The task that runs rounds while this node is the elected collector, and keeps copies of the catalog.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use tokio::time::sleep;
use weir_ids::NodeId;
use weir_meta::{
    Metadata,
    election::{Standing, Term},
    model::Leadership,
    views::View,
};
use weir_runtime::{Stop, Tasks, watch};
use weir_segment_store::{Reader, ReaderSettings, Store, journal::Journal};

use super::{Collected, RoundError, fences::Fences, grace::Grace, thinning::Thinning};
use crate::{catalog, client::Brokers};

/// What a collector works with. Cheap to clone.
#[derive(Clone)]
pub struct CollectorDeps {
    /// The node that it runs on.
    pub node: NodeId,
    /// The cluster's metadata.
    pub metadata: Metadata,
    /// Where objects are. It asks again by itself.
    pub store: Store,
    /// Where write-ahead logs are: in the same store.
    pub journal: Arc<dyn Journal>,
    /// Which sessions run on which nodes.
    pub view: View,
    /// How their brokers are reached.
    pub brokers: Arc<dyn Brokers>,
}

/// A collector's settings.
#[derive(Clone, Debug)]
pub struct CollectorSettings {
    /// How long after a round the next begins.
    pub interval: Duration,
    /// How long what nobody names stays. It must exceed the time that a reader takes who was told where
    /// to look, and may cover the time between backups.
    pub grace: Duration,
    /// Within what time a session must say what it refers to.
    pub report_within: Duration,
    /// How many requests are made at once.
    pub requests: usize,
    /// The only broker of all clears away sessions by itself ([`crate::Broker::retire_sessions`]), with files that only
    /// it can see: then only objects are looked after.
    pub only_objects: bool,
}

impl Default for CollectorSettings {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(300),
            grace: Duration::from_secs(600),
            report_within: Duration::from_secs(30),
            requests: 16,
            only_objects: false,
        }
    }
}

/// A collector, and what it remembers from round to round. Losing that costs time only.
pub struct Collector {
    pub(super) deps: CollectorDeps,
    pub(super) settings: CollectorSettings,
    pub(super) grace: Grace,
    pub(super) thinning: Thinning,
    pub(super) fences: Fences,
    pub(super) reader: Reader,
}

impl Collector {
    /// A collector that has seen nothing. It works when its rounds are called; most callers want
    /// [`Collector::start`].
    pub fn new(deps: CollectorDeps, settings: CollectorSettings) -> Self {
        let reader = Reader::new(deps.store.clone(), ReaderSettings::default());
        let (grace, thinning, fences) = Default::default();
        Self { deps, settings, grace, thinning, fences, reader }
    }

    /// Stands for election on this node and runs rounds whenever it is elected, as one of `tasks`.
    pub fn start(deps: CollectorDeps, settings: CollectorSettings, tasks: &Tasks) {
        tasks.spawn("collector", |stop| async move {
            let (metadata, node) = (deps.metadata.clone(), deps.node);
            let (term, key) = (watch::Sender::new(None), Leadership::collector());
            let store = metadata.store();
            let standing = Standing { store, key, node, term: &term, signs: &|_| {} };
            let working = work(deps, settings, term.subscribe(), stop.clone());
            tokio::join!(standing.run(stop), working);
        });
    }

    /// Runs one round after the other.
    async fn run(mut self) {
        let mut troubled = false;
        loop {
            let round = self.round().await;
            troubled = tell(round, troubled);
            sleep(self.settings.interval).await;
        }
    }
}

/// Works whenever elected, until `stop`.
async fn work(
    deps: CollectorDeps,
    settings: CollectorSettings,
    mut terms: watch::Receiver<Option<Term>>,
    stop: Stop,
) {
    loop {
        tokio::select! {
            biased;
            () = stop.requested() => return,
            // The sender lives as long as this.
            _ = terms.wait_for(Option::is_some) => {}
        }
        let term = *terms.borrow();
        let rounds = Collector::new(deps.clone(), settings.clone()).run().boxed();
        let copies = catalog::keep(deps.metadata.clone(), deps.store.clone()).boxed();
        tokio::select! {
            biased;
            () = stop.requested() => return,
            _ = terms.wait_for(|now| *now != term) => {}
            () = rounds => {}
            () = copies => {}
        }
    }
}

/// Logs what a round came to; trouble once until it is over, except what needs a person.
fn tell(round: Result<Collected, RoundError>, troubled: bool) -> bool {
    match round {
        Ok(Collected { deleted: 0, forgotten: 0, .. }) => {
            tracing::debug!("a round of the collector found nothing to delete");
            false
        }
        Ok(Collected { deleted, waiting, forgotten }) => {
            tracing::info!(deleted, waiting, forgotten, "deleted what nobody needs");
            false
        }
        Err(RoundError::Older(error)) => {
            tracing::error!(%error, "nothing is deleted");
            true
        }
        Err(error) if troubled => {
            tracing::debug!(%error, "a round of the collector was not completed");
            true
        }
        Err(error) => {
            tracing::warn!(%error, "a round of the collector was not completed; trying again");
            true
        }
    }
}
