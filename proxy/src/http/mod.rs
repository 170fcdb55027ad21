//! What a process serves over HTTP: whether it lives, whether it serves, and its metrics.
//!
//! The registry is filled while the process is put together and read ever after; every crate
//! registers its own. Nothing here changes anything.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{encoding::text, registry::Registry};
use tokio::net::TcpListener;
use weir_runtime::Tasks;

use crate::listener::ListenError;

/// What scrapers of the OpenMetrics text format expect.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether the process serves. Cheap to clone; clones tell and show the same.
#[derive(Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says from now on that it does, or that it does not.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    /// What was said last; at first that it does not.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the answers are made of.
struct Shown {
    registry: Registry,
    readiness: Readiness,
}

/// The routes `/healthz`, `/readyz` and `/metrics`.
pub fn router(registry: Registry, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Arc::new(Shown { registry, readiness }))
}

async fn ready(State(shown): State<Arc<Shown>>) -> (StatusCode, &'static str) {
    if shown.readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or stopping\n")
    }
}

async fn metrics(State(shown): State<Arc<Shown>>) -> impl IntoResponse {
    let mut body = String::new();
    match text::encode(&mut body, &shown.registry) {
        Ok(()) => Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], body)),
        Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
    }
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
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    async fn ask(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn tells_health_readiness_and_metrics_until_stopped() {
        let mut registry = Registry::default();
        let counter = Counter::<u64>::default();
        registry.register("weir_tests", "Tests", counter.clone());
        counter.inc();
        let (readiness, tasks) = (Readiness::default(), Tasks::new());
        let router = router(registry, readiness.clone());
        let address = serve("127.0.0.1:0", router, &tasks).await.unwrap();

        assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));
        readiness.set(true);
        assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        let metrics = ask(address, "/metrics").await;
        assert!(metrics.contains("weir_tests_total 1"), "{metrics}");
        assert!(metrics.contains("openmetrics-text"), "{metrics}");
        assert!(ask(address, "/").await.starts_with("HTTP/1.1 404"));
        tasks.shutdown().await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let tasks = Tasks::new();
        let free = || router(Registry::default(), Readiness::default());
        let address = serve("127.0.0.1:0", free(), &tasks).await.unwrap();
        let error = serve(&address.to_string(), free(), &tasks).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {address} for HTTP: ")), "{error}");
    }
}
