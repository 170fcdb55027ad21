//! The controller within this process.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::{Notify, Semaphore};
use weir_ids::{NodeId, SessionId};
use weir_runtime::{Runtime, Tasks, watch};

use super::{
    Controller, Error, LoadReport, Loads, Probe, Question, Reply,
    condemn::PROBES_AT_ONCE,
    driver,
    election::{self, Term},
    link::Link,
    placement,
};
use crate::{
    Metadata,
    store::MetaStore,
    views::{SessionView, View},
};

/// How many changes go on at once at most; two of one topic never do.
const NAME_LOCKS: usize = 64;

/// How many reports of broken sessions wait at most; who reports does so again.
const REPORTS_MAX: usize = 1_000;

/// What topics get that don't say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How many partitions.
    pub default_partitions: u32,
    /// What clients are told.
    pub default_replication_factor: i16,
}

impl Default for Settings {
    fn default() -> Self {
        Self { default_partitions: 1, default_replication_factor: 1 }
    }
}

/// A controller that may be elected. Clones share it.
#[derive(Clone)]
pub struct LocalController {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) metadata: Metadata,
    pub(super) view: View,
    pub(super) runtime: Runtime,
    pub(super) node: NodeId,
    pub(super) settings: Settings,
    pub(super) probe: Arc<dyn Probe>,
    /// Bounds how many sessions are asked at once.
    pub(super) probes: Semaphore,
    /// The term, while elected.
    pub(super) term: watch::Sender<Option<Term>>,
    /// This process's link to the metadata, while elected.
    pub(super) link: watch::Sender<Link>,
    /// Wakes the driver: there is something to finish.
    pub(super) nudge: Notify,
    /// Sessions that somebody can't reach, to be looked at by the driver.
    reports: Mutex<BTreeSet<SessionId>>,
    /// What brokers have to do, as they said since that was last asked.
    load_reports: Mutex<BTreeMap<NodeId, LoadReport>>,
    /// Wakes the driver: there are some.
    pub(super) load_reported: Notify,
    loads: Mutex<Loads>,
    names: Vec<tokio::sync::Mutex<()>>,
}

impl LocalController {
    /// A controller on node `node` that stands for election, and works when elected, as `tasks`.
    /// Before it gives a broker up it asks it through `probe`.
    pub fn start(
        metadata: Metadata,
        view: View,
        runtime: Runtime,
        node: NodeId,
        settings: Settings,
        probe: Arc<dyn Probe>,
        tasks: &Tasks,
    ) -> Self {
        let inner = Arc::new(Inner {
            metadata,
            view,
            runtime,
            node,
            settings,
            probe,
            probes: Semaphore::new(PROBES_AT_ONCE),
            term: watch::Sender::new(None),
            link: watch::Sender::new(election::new_link()),
            nudge: Notify::new(),
            reports: Mutex::default(),
            load_reports: Mutex::default(),
            load_reported: Notify::new(),
            loads: Mutex::default(),
            names: (0..NAME_LOCKS).map(|_| tokio::sync::Mutex::default()).collect(),
        });
        let (candidate, driving) = (Arc::clone(&inner), Arc::clone(&inner));
        tasks.spawn("election", |stop| async move { election::run(&candidate, stop).await });
        tasks.spawn("controller", |stop| async move { driver::run(&driving, stop).await });
        Self { inner }
    }

    /// Waits until this controller is elected.
    pub async fn elected(&self) {
        // The sender lives as long as this.
        let _ = self.inner.term.subscribe().wait_for(Option::is_some).await;
    }

    /// Whether this controller is elected, as far as it knows.
    pub fn is_elected(&self) -> bool {
        self.inner.term.borrow().is_some()
    }
}

impl Inner {
    pub(super) fn store(&self) -> &dyn MetaStore {
        self.metadata.store()
    }

    /// Keeps other changes of topic `name` out as long as the guard is held.
    pub(super) async fn lock_name(&self, name: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let mixed = name
            .bytes()
            .fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.names[mixed % NAME_LOCKS].lock().await
    }

    /// The live brokers with what each should own. What this controller has placed since it was
    /// elected counts at once, before the view shows it.
    pub(super) fn loads(&self) -> MutexGuard<'_, Loads> {
        let now = self.view.now();
        let alive = now.brokers();
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        loads.retain(|node, _| alive.contains(node));
        let joined: Vec<NodeId> =
            alive.into_iter().filter(|node| !loads.contains_key(node)).collect();
        if !joined.is_empty() {
            let assigned = now.topics().filter_map(|topic| now.assignment(topic.id));
            let joined = placement::loads(joined, assigned.map(|nodes| &nodes[..]));
            loads.extend(joined);
        }
        loads
    }

    /// Where brokers are, as far as they say so.
    pub(super) fn zones(&self) -> BTreeMap<NodeId, String> {
        let now = self.view.now();
        let zone = |view: &SessionView| Some((view.session.node, view.session.zone.clone()?));
        now.sessions().filter_map(|view| zone(view)).collect()
    }

    fn report(&self, session: SessionId) -> Result<(), Error> {
        self.term()?;
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() < REPORTS_MAX {
            reports.insert(session);
        }
        drop(reports);
        self.nudge.notify_one();
        Ok(())
    }

    /// The sessions that were reported since this was last asked.
    pub(super) fn take_reports(&self) -> BTreeSet<SessionId> {
        std::mem::take(&mut self.reports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn report_load(&self, report: LoadReport) -> Result<(), Error> {
        self.term()?;
        let mut reports = self.load_reports.lock().unwrap_or_else(PoisonError::into_inner);
        if reports.len() < REPORTS_MAX {
            reports.insert(report.node, report);
        }
        drop(reports);
        self.load_reported.notify_one();
        Ok(())
    }

    /// What brokers have to do, as they said since this was last asked.
    pub(super) fn take_load_reports(&self) -> BTreeMap<NodeId, LoadReport> {
        std::mem::take(&mut self.load_reports.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets what was placed: it is counted anew from the view.
    pub(super) fn forget_loads(&self) {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[async_trait]
impl Controller for LocalController {
    async fn ask(&self, question: Question) -> Result<Reply, Error> {
        let Self { inner } = self;
        match question {
            Question::CreateTopic(topic) => inner.create_topic(topic).await.map(Reply::Created),
            Question::DeleteTopic(topic) => inner.delete_topic(topic).await.map(Reply::Deleted),
            Question::CreatePartitions(wanted) => {
                inner.create_partitions(wanted).await.map(|()| Reply::Done)
            }
            Question::AlterConfigs(wanted) => {
                inner.alter_configs(wanted).await.map(|()| Reply::Done)
            }
            Question::ReportBroken(session) => inner.report(session).map(|()| Reply::Done),
            Question::ReportLoad(report) => inner.report_load(report).map(|()| Reply::Done),
            Question::MovePartitions(wanted) => {
                inner.move_partitions(wanted).await.map(|()| Reply::Done)
            }
            Question::Drain(wanted) => inner.drain(wanted).await.map(|()| Reply::Done),
        }
    }
}
