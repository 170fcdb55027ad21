//! Taking leave of a cluster: others are given the time to take over what this broker has.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::BrokerRole;

/// How long partitions are waited for that others are to take; well within the half minute that
/// Kubernetes gives a process to end.
const PATIENCE: Duration = Duration::from_secs(20);

impl BrokerRole {
    /// Waits until others have taken all partitions over, or nobody is there who could. They do once the
    /// node is shown to drain; appends are served meanwhile.
    pub async fn hand_over(&self) {
        let begun = Instant::now();
        let handed_over = async {
            tokio::select! {
                biased;
                () = self.emptied() => true,
                () = self.alone() => false,
            }
        };
        match timeout(PATIENCE, handed_over).await {
            Ok(true) => {
                let took = begun.elapsed();
                tracing::info!(?took, "others have taken over all partitions");
            }
            Ok(false) => tracing::info!("no broker stays that could take partitions over"),
            Err(_) => tracing::warn!(
                waited = ?PATIENCE,
                "others have not taken over all partitions; ending all the same"
            ),
        }
    }

    async fn emptied(&self) {
        if let Some(present) = self.present() {
            present.emptied().await;
        }
    }

    /// Waits until no other broker is there that stays.
    async fn alone(&self) {
        let (view, here) = (self.view(), self.node());
        let mut changes = view.changes();
        // Those that drain are among them only when all do.
        let others = || {
            view.with(|now| now.brokers().into_iter().any(|id| id != here && !now.is_draining(id)))
        };
        while others() {
            changes.next().await;
        }
    }
}
