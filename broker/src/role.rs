//! The broker role of a node: one session after the other.
//!
//! A session that others have ended, or may end at any moment, is worth nothing any more: whoever
//! waits is told that its append is unclear, everything is dropped, and another session is opened that
//! follows the assignments again. A broker that is fenced comes back by itself within a moment, and
//! nobody has to notice.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use prometheus_client::registry::Registry;
use tokio::time::sleep;
use weir_ids::NodeId;
use weir_meta::views::View;
use weir_runtime::{Stop, TaskError, Tasks};

use crate::{
    Broker, BrokerDeps, BrokerSettings, OpenError, StartError, client::BrokerClient,
    current::CurrentBroker, metrics::Metrics,
};

/// How soon another session is opened after one that could not be; doubles up to the second.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// Why the role does not start.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// No session can be opened.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A partition can't be opened, and that is not likely to heal by itself.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// See the module.
pub struct BrokerRole {
    sessions: Sessions,
    /// Ends first: what opens sessions.
    opening: Tasks,
}

/// What sessions are opened with, and the present one.
#[derive(Clone)]
struct Sessions {
    deps: BrokerDeps,
    settings: BrokerSettings,
    view: View,
    tasks: Tasks,
    metrics: Metrics,
    client: CurrentBroker,
    present: Arc<ArcSwapOption<Broker>>,
}

impl BrokerRole {
    /// Opens the first session and follows the view. Its tasks belong to `tasks`, which stops when
    /// one of them fails for good.
    ///
    /// # Errors
    /// When no session can be opened, or a partition of a broker that is alone.
    pub async fn start(
        deps: BrokerDeps,
        settings: BrokerSettings,
        view: View,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, RoleError> {
        let sessions = Sessions {
            deps,
            settings,
            view,
            tasks: tasks.child(),
            metrics: Metrics::default(),
            client: CurrentBroker::default(),
            present: Arc::default(),
        };
        sessions.open().await?;
        let opening = tasks.child();
        let next = sessions.clone();
        opening.spawn_fallible("broker", |stop| next.run(stop));
        Ok(Arc::new(Self { sessions, opening }))
    }

    /// The one client that reaches this broker, whichever session it is in.
    pub fn client(&self) -> Arc<dyn BrokerClient> {
        Arc::new(self.sessions.client.clone())
    }

    /// The broker in its present session; `None` between two.
    pub fn present(&self) -> Option<Arc<Broker>> {
        self.sessions.present.load_full()
    }

    pub(crate) fn view(&self) -> &View {
        &self.sessions.view
    }

    pub(crate) fn node(&self) -> NodeId {
        self.sessions.deps.node
    }

    /// Shows the broker's figures in `registry`.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.sessions.metrics.register(registry);
    }

    /// Ends in order, as [`Broker::shutdown`] does.
    ///
    /// # Errors
    /// The first error of a task of this broker, now or before.
    pub async fn shutdown(&self) -> Result<(), TaskError> {
        self.opening.shutdown().await?;
        if let Some(present) = self.present() {
            present.shutdown().await?;
        }
        self.sessions.tasks.shutdown().await
    }
}

impl Sessions {
    /// Opens a session and follows the view in it.
    async fn open(&self) -> Result<(), RoleError> {
        let (deps, settings) = (self.deps.clone(), self.settings.clone());
        let broker =
            Broker::open_session(deps, settings, self.metrics.clone(), &self.tasks).await?;
        self.present.store(Some(Arc::clone(&broker)));
        self.client.set(Some(broker.client()));
        broker.follow(&self.view).await?;
        Ok(())
    }

    /// Opens another session whenever the present one is over.
    async fn run(self, stop: Stop) -> Result<(), RoleError> {
        loop {
            let Some(present) = self.present.load_full() else { return Ok(()) };
            let why = tokio::select! {
                biased;
                () = stop.requested() => return Ok(()),
                why = present.over() => why,
            };
            tracing::warn!(session = %present.session(), why, "the session is over; opening another");
            self.client.set(None);
            present.abandon().await;
            tokio::select! {
                biased;
                () = stop.requested() => return Ok(()),
                opened = self.open_again() => opened?,
            }
        }
    }

    async fn open_again(&self) -> Result<(), RoleError> {
        let mut pause = FIRST_RETRY;
        loop {
            match self.open().await {
                Err(RoleError::Start(error)) if error.may_heal() => {
                    tracing::warn!(%error, "no session can be opened for now; trying again");
                }
                opened => return opened,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_RETRY);
        }
    }
}
