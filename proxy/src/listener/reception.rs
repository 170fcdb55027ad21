//! Where connections come in, from whichever listener, or from none.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use weir_runtime::Tasks;

use super::Admission;
use crate::connection::{self, Peer, Service, Shared};

/// Serves connections, each as a task, as long as the caps allow. Clones count together.
pub(crate) struct Reception<S> {
    pub(crate) tasks: Tasks,
    pub(crate) service: Arc<S>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) admission: Arc<Admission>,
}

impl<S> Clone for Reception<S> {
    fn clone(&self) -> Self {
        Self {
            tasks: self.tasks.clone(),
            service: Arc::clone(&self.service),
            shared: Arc::clone(&self.shared),
            admission: Arc::clone(&self.admission),
        }
    }
}

impl<S: Service> Reception<S> {
    /// Serves the client at the other end of `read` and `write`, or drops them.
    pub(crate) fn take<R, W>(&self, peer: Peer, read: R, write: W)
    where
        R: AsyncRead + Unpin + Send + 'static,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let address = peer.address;
        let (service, shared) = (Arc::clone(&self.service), Arc::clone(&self.shared));
        let admitted = match self.admission.admit(address.ip()) {
            Ok(admitted) => admitted,
            Err(reason) => {
                shared.metrics.connections_refused.inc();
                tracing::debug!(%address, %reason, "connection refused");
                return;
            }
        };
        self.tasks.spawn("connection", move |stop| async move {
            shared.metrics.connections.inc();
            let end = connection::serve(read, write, peer, &*service, &shared, stop).await;
            if end.is_orderly() {
                tracing::trace!(%address, reason = %end, "connection ended");
            } else {
                tracing::debug!(%address, reason = %end, "connection closed");
            }
            shared.metrics.connections.dec();
            drop(admitted);
        });
    }
}
