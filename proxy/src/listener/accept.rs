//! Accepting connections.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::net::{TcpListener, TcpStream};
use weir_runtime::Stop;

use super::{Endpoint, ListenerConfig, Reception};
use crate::connection::{Peer, Service};

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

    /// Accepts connections until `stop`.
    pub(crate) async fn run<S: Service>(self, reception: Reception<S>, stop: Stop) {
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
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%address, %error, "connection closed before it was served");
                continue;
            }
            let peer = Peer { address, endpoint: self.endpoint_of(&stream) };
            let (read, write) = stream.into_split();
            reception.take(peer, read, write);
        }
    }
}
