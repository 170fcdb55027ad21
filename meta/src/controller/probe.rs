//! Asking a broker directly whether it lives, beside what its lease says.

use async_trait::async_trait;
use weir_ids::SessionId;

use crate::model::Session;

/// Asks brokers. Whoever starts a controller brings the way to reach them.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Asks the broker at `session`'s address whether it runs session `id`. Need not set a deadline:
    /// the controller does.
    async fn probe(&self, id: SessionId, session: &Session) -> Probed;
}

/// What became of asking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probed {
    /// It runs that session.
    Answers,
    /// It surely does not: nothing listens there, or what listens runs another session.
    Refuses,
    /// Nothing was heard: it may be dead, or cut off.
    Silent,
}

/// Reaches nobody: for a node that is alone. Sessions are then judged by their leases.
#[derive(Clone, Copy, Debug)]
pub struct NoProbe;

#[async_trait]
impl Probe for NoProbe {
    async fn probe(&self, _: SessionId, _: &Session) -> Probed {
        Probed::Silent
    }
}
