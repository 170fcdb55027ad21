//! Asking a broker whether it runs a session.

use async_trait::async_trait;
use weir_ids::SessionId;
use weir_meta::{
    controller::{Probe, Probed},
    model::Session,
};
use weir_rpc::{Failed, Links};

use super::{wire, wire::broker_client::BrokerClient as Client};

/// Asks over the links of this process.
pub struct RemoteProbe(pub Links);

#[async_trait]
impl Probe for RemoteProbe {
    async fn probe(&self, id: SessionId, session: &Session) -> Probed {
        let asked = self.0.call_at(session.node, session.rpc.as_deref(), |channel| async move {
            Client::new(channel).session(wire::Nothing::default()).await
        });
        match asked.await {
            Ok(wire::SessionAnswer { session: Some(present) }) if present == id.0 => {
                Probed::Answers
            }
            Ok(_) | Err(Failed::Refused) => Probed::Refuses,
            Err(Failed::Unreachable | Failed::Broken) => Probed::Silent,
        }
    }
}
