//! What a process serves over HTTP.
//!
//! - `health`: whether it lives and serves, and its metrics.
//! - `admin`: the cluster, for operators and their tools.

mod admin;
mod health;

use std::net::SocketAddr;

use axum::Router;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use weir_runtime::Tasks;

pub use admin::{Access, Admin};
pub use health::Readiness;

use crate::listener::ListenError;

/// The routes `/healthz`, `/readyz`, `/metrics`, and those under `/admin/v1/`.
pub fn router(registry: Registry, readiness: Readiness, admin: Admin) -> Router {
    health::router(registry, readiness).merge(admin.router())
}

/// Serves `router` on `listen` (`HOST:PORT`; port 0 takes any) until the group is asked to stop.
/// Returns the address that was bound.
///
/// # Errors
/// When the address can't be listened on.
pub async fn serve(listen: &str, router: Router, tasks: &Tasks) -> Result<SocketAddr, ListenError> {
    let failed = |error| ListenError { what: "HTTP", address: listen.to_owned(), error };
    let socket = TcpListener::bind(listen).await.map_err(failed)?;
    let local = socket.local_addr().map_err(failed)?;
    tasks.spawn_fallible("http", |stop| async move {
        let stopped = async move { stop.requested().await };
        axum::serve(socket, router).with_graceful_shutdown(stopped).await
    });
    Ok(local)
}

#[cfg(test)]
mod tests;
