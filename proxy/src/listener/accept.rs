//! Accepting connections.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};
use weir_runtime::{Stop, Tasks};

use super::{Admission, Endpoint, ListenerConfig};
use crate::connection::{self, Peer, Service, Shared};

/// How long to wait after an error of `accept`: mostly there are no more file descriptors, and
/// asking again at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener that can't be opened: the address is taken, not of this machine, or no address.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for {what}: {error}; choose another address")]
pub struct ListenError {
    /// What for.
    pub what: &'static str,
    /// Where.
    pub address: String,
    /// What the system says.
    pub error: io::Error,
}

/// A bound socket that clients can connect to, and that nobody accepts from yet.
pub(crate) struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    endpoint: Arc<Endpoint>,
}

impl Listener {
    pub(crate) async fn bind(config: ListenerConfig) -> Result<Self, ListenError> {
        let ListenerConfig { name, listen, advertise, zone } = config;
        let failed = |error| ListenError { what: "Kafka clients", address: listen.clone(), error };
        let socket = TcpListener::bind(&listen).await.map_err(failed)?;
        let local = socket.local_addr().map_err(failed)?;
        let (host, port) = advertise.unwrap_or_else(|| {
            let host = listen.rsplit_once(':').map_or(listen.as_str(), |(host, _)| host);
            (host.trim_matches(['[', ']']).to_owned(), local.port())
        });
        Ok(Self { socket, local, endpoint: Arc::new(Endpoint { name, host, port, zone }) })
    }

    /// The address that was bound.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// What clients are told.
    pub(crate) fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// What the client of a connection is told. Where nothing was configured and every address is
    /// listened on, it is the one that this client has found.
    fn endpoint_of(&self, stream: &TcpStream) -> Arc<Endpoint> {
        let any = self.endpoint.host.parse().is_ok_and(|host: IpAddr| host.is_unspecified());
        match stream.local_addr() {
            Ok(local) if any => {
                let host = local.ip().to_canonical().to_string();
                Arc::new(Endpoint { host, ..Endpoint::clone(&self.endpoint) })
            }
            _ => Arc::clone(&self.endpoint),
        }
    }

    /// Accepts connections until the group is asked to stop. Each is a task of the group.
    pub(crate) async fn run<S: Service>(
        self,
        tasks: Tasks,
        stop: Stop,
        service: Arc<S>,
        shared: Arc<Shared>,
        admission: Arc<Admission>,
    ) {
        let mut stopping = std::pin::pin!(stop.requested());
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut stopping => return,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    let listener = &self.endpoint.name;
                    tracing::warn!(%error, listener, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let admitted = match admission.admit(address.ip()) {
                Ok(admitted) => admitted,
                Err(reason) => {
                    shared.metrics.connections_refused.inc();
                    tracing::debug!(%address, %reason, "connection refused");
                    continue;
                }
            };
            let peer = Peer { address, endpoint: self.endpoint_of(&stream) };
            let (service, shared) = (Arc::clone(&service), Arc::clone(&shared));
            tasks.spawn("connection", move |stop| async move {
                shared.metrics.connections.inc();
                serve(stream, peer, &*service, &shared, stop).await;
                shared.metrics.connections.dec();
                drop(admitted);
            });
        }
    }
}

async fn serve<S: Service>(
    mut stream: TcpStream,
    peer: Peer,
    service: &S,
    shared: &Shared,
    stop: Stop,
) {
    let address = peer.address;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%address, %error, "connection closed before it was served");
        return;
    }
    let (read, write) = stream.split();
    let end = connection::serve(read, write, peer, service, shared, stop).await;
    if end.is_orderly() {
        tracing::trace!(%address, reason = %end, "connection ended");
    } else {
        tracing::debug!(%address, reason = %end, "connection closed");
    }
}
