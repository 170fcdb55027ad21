//! The other end: a listener, and the services behind it.

use std::{io, net::SocketAddr};

use futures::{StreamExt, stream};
use tokio::net::{TcpListener, TcpStream};
use tonic::service::Routes;
use weir_runtime::{Runtime, Tasks};

use crate::{
    Identity,
    connection::{
        CONNECTION_WINDOW_BYTES, FRAME_BYTES_MAX, PING_EVERY, PING_WITHIN, STREAM_WINDOW_BYTES,
    },
    hello::{Greeter, HelloServer},
};

/// Nobody can listen there.
#[derive(Debug, thiserror::Error)]
#[error("rpc.listen is {listen:?}, where this process can't listen: {error}")]
pub struct BindError {
    listen: String,
    error: io::Error,
}

/// A listener that serves nobody yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Listens at `listen`, as `HOST:PORT`.
    ///
    /// # Errors
    /// When it can't.
    pub async fn bind(listen: &str) -> Result<Self, BindError> {
        let bind = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind.await.map_err(|error| BindError { listen: listen.to_owned(), error })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `services` as `own`, until `tasks` stop. `runtime` tells what time it is.
    pub fn serve(self, own: Identity, runtime: Runtime, services: Routes, tasks: &Tasks) {
        let services = services.add_service(HelloServer::new(Greeter { own, runtime }));
        tasks.spawn_fallible("rpc", |stop| async move {
            let server = tonic::transport::Server::builder()
                .http2_keepalive_interval(Some(PING_EVERY))
                .http2_keepalive_timeout(Some(PING_WITHIN))
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_frame_size(FRAME_BYTES_MAX)
                .add_routes(services)
                .serve_with_incoming(incoming(self.listener));
            tokio::select! {
                biased;
                () = stop.requested() => Ok(()),
                served = server => served,
            }
        });
    }
}

/// What is accepted. An accept that fails says nothing of the next.
fn incoming(listener: TcpListener) -> impl futures::Stream<Item = io::Result<TcpStream>> {
    let accept = |listener: TcpListener| async move {
        let accepted = listener.accept().await;
        if let Err(error) = &accepted {
            tracing::warn!(%error, "a connection of another node is not accepted");
            // Out of file descriptors, most often: some may be free in a moment.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        Some((accepted.map(|(stream, _)| stream), listener))
    };
    stream::unfold(listener, accept).filter_map(|accepted| async move {
        let stream = accepted.ok()?;
        let _ = stream.set_nodelay(true);
        Some(Ok(stream))
    })
}
