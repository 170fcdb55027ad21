//! Whether a process lives, whether it serves, and its metrics.
//!
//! The registry is filled while the process is put together and read ever after; every crate
//! registers its own. Nothing here changes anything.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::{encoding::text, registry::Registry};

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
pub(super) fn router(registry: Registry, readiness: Readiness) -> Router {
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
