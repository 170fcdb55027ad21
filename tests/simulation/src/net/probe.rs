//! Asking a broker across the network whether it runs a session.

use async_trait::async_trait;
use weir_ids::SessionId;
use weir_meta::{
    controller::{Probe, Probed},
    model::Session,
};

use super::{Links, links::Failed};

/// Asks over the links of one process.
pub(crate) struct LinkedProbe(pub(crate) Links);

#[async_trait]
impl Probe for LinkedProbe {
    async fn probe(&self, id: SessionId, session: &Session) -> Probed {
        let asked = self.0.call(session.node, "which session", |services| {
            let role = services.role.clone()?;
            Some(Box::pin(async move { role.present().map(|broker| broker.session()) }))
        });
        match asked.await {
            Ok(Some(present)) if present == id => Probed::Answers,
            Ok(_) | Err(Failed::Refused) => Probed::Refuses,
            Err(Failed::Unreachable | Failed::Broken) => Probed::Silent,
        }
    }
}
