//! Telling the controller of brokers that can't be reached: far sooner than a lease ends.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use weir_ids::{NodeId, SessionId};
use weir_runtime::Stop;

use super::Controller;
use crate::views::View;

/// How often a report is repeated, and how long it may take.
const EVERY: Duration = Duration::from_secs(1);

/// The sessions whose brokers a process can't reach. Whoever holds connections says how they fare; one
/// task reports. Clones are the same.
#[derive(Clone)]
pub struct BrokenLinks(Arc<Inner>);

struct Inner {
    view: View,
    broken: Mutex<BTreeMap<SessionId, NodeId>>,
    noted: Notify,
}

impl BrokenLinks {
    /// Nothing is broken yet. `view` tells which session runs on a node.
    pub fn new(view: View) -> Self {
        Self(Arc::new(Inner { view, broken: Mutex::default(), noted: Notify::new() }))
    }

    /// The connection to `node` broke, or can't be made.
    pub fn broke(&self, node: NodeId) {
        let newest = self.0.view.with(|now| now.session_of(node).map(|found| found.id));
        let Some(session) = newest else { return };
        if self.lock().insert(session, node).is_none() {
            self.0.noted.notify_one();
        }
    }

    /// There is a connection to `node`.
    pub fn works(&self, node: NodeId) {
        self.lock().retain(|_, broken| *broken != node);
    }

    /// Reports what is broken as long as it lasts, until `stop`.
    pub async fn report(&self, controller: &dyn Controller, stop: Stop) {
        loop {
            tokio::select! {
                biased;
                () = stop.requested() => return,
                () = self.0.noted.notified() => {}
            }
            loop {
                let sessions = self.lasting();
                if sessions.is_empty() {
                    break;
                }
                let reports = sessions.into_iter().map(|session| controller.report_broken(session));
                // Only hints: one that is lost is repeated.
                let reporting = timeout(EVERY, join_all(reports));
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    _ = reporting => {}
                }
                tokio::select! {
                    biased;
                    () = stop.requested() => return,
                    () = sleep(EVERY) => {}
                }
            }
        }
    }

    /// What is still broken. A session that has ended is nobody's trouble any more.
    fn lasting(&self) -> Vec<SessionId> {
        let mut broken = self.lock();
        self.0.view.with(|now| broken.retain(|session, _| now.session(*session).is_some()));
        broken.keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, NodeId>> {
        self.0.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
