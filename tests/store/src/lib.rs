//! A small S3 server for measurements: what is asked of a store, at the speed of memory, with delays on demand.
//!
//! It is not what correctness is tested against; that is a server that somebody else wrote. It knows one
//! bucket of any name, puts (with `If-None-Match: *`), ranges, heads, deletes and listings, checks no signature
//! and keeps everything in memory. Each request waits for as long as a log-normal draw says, half of it before
//! its effect and half behind it, and all answers together may be sent only so many bytes a second. `GET /stats`
//! tells how often each kind of request came; `PUT /pace?median_ms=30&p99_ms=30&mib_per_second=200` changes from then
//! on how long requests wait, and how fast answers are sent (0: as fast as it goes).

mod answer;
mod delay;
mod objects;
mod pace;
mod throttle;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use tokio::net::TcpListener;
use weir_runtime::{Clock, SystemClock};

pub use delay::Delays;
use objects::{Kind, Objects};
pub use pace::Pace;
use throttle::Throttle;

/// The largest body of a request: a sorted object, and some.
const BODY_BYTES_MAX: usize = 256 << 20;

struct Server {
    objects: Mutex<Objects>,
    speed: Mutex<Speed>,
}

/// How fast it is.
struct Speed {
    delays: Delays,
    throttle: Option<Arc<Throttle>>,
}

impl From<Pace> for Speed {
    fn from(pace: Pace) -> Self {
        let throttle = pace.bytes_per_second().map(|bytes| Arc::new(Throttle::new(bytes)));
        Self { delays: pace.delays(), throttle }
    }
}

/// Serves on loopback until the process ends.
///
/// # Errors
/// When the port is not free.
pub async fn serve(port: u16, pace: Pace) -> Result<()> {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    let listener = TcpListener::bind(address).await.with_context(|| format!("port {port}"))?;
    axum::serve(listener, router(pace)).await.context("the server has ended")
}

fn router(pace: Pace) -> Router {
    let (objects, speed) = (Mutex::default(), Mutex::new(pace.into()));
    let limit = axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX);
    Router::new().fallback(handle).layer(limit).with_state(Arc::new(Server { objects, speed }))
}

async fn handle(
    State(server): State<Arc<Server>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path == "stats" {
        return answer::text(StatusCode::OK, server.lock().counts());
    }
    if path == "pace" {
        return server.set_pace(uri.query().unwrap_or_default());
    }
    let Some((_, key)) = path.split_once('/').filter(|(_, key)| !key.is_empty()) else {
        return server.of_bucket(&method, uri.query().unwrap_or_default(), &body).await;
    };
    let half = server.half_a_delay();
    tokio::time::sleep_until(half()).await;
    let response = {
        let mut objects = server.lock();
        match method {
            Method::PUT => {
                objects.count(Kind::Put);
                let only_if_absent = headers.contains_key("if-none-match");
                answer::put(objects.put(key, body, only_if_absent, SystemClock.now()))
            }
            Method::GET | Method::HEAD => {
                let (head, mut sent) = (method == Method::HEAD, 0);
                objects.count(if head { Kind::Head } else { Kind::Get });
                let range = headers.get("range").and_then(|range| range.to_str().ok());
                let answer = answer::get(objects.get(key), range, |bytes| {
                    sent = if head { 0 } else { bytes.len() };
                    if head { Body::empty() } else { throttle::body(bytes, server.throttle()) }
                });
                objects.count_bytes(sent);
                answer
            }
            Method::DELETE => {
                objects.count(Kind::Delete);
                objects.delete(key);
                answer::text(StatusCode::NO_CONTENT, String::new())
            }
            _ => answer::text(StatusCode::METHOD_NOT_ALLOWED, String::new()),
        }
    };
    tokio::time::sleep_until(half()).await;
    response
}

impl Server {
    fn lock(&self) -> std::sync::MutexGuard<'_, Objects> {
        self.objects.lock().expect("nobody panics with the lock")
    }

    /// Half of a delay from whenever it is asked.
    fn half_a_delay(&self) -> impl Fn() -> tokio::time::Instant + use<> {
        let delay = self.speed().delays.draw();
        move || tokio::time::Instant::now() + delay / 2
    }

    fn speed(&self) -> std::sync::MutexGuard<'_, Speed> {
        self.speed.lock().expect("nobody panics with the lock")
    }

    fn throttle(&self) -> Option<Arc<Throttle>> {
        self.speed().throttle.clone()
    }

    fn set_pace(&self, query: &str) -> Response {
        let Some(pace) = Pace::parse(query) else {
            let what = format!("{query} is no pace");
            return answer::text(StatusCode::BAD_REQUEST, what);
        };
        *self.speed() = pace.into();
        answer::text(StatusCode::OK, String::new())
    }

    /// What is asked of the bucket: to make it, to list it, to delete many objects of it.
    async fn of_bucket(&self, method: &Method, query: &str, body: &Bytes) -> Response {
        let half = self.half_a_delay();
        tokio::time::sleep_until(half()).await;
        let response = match *method {
            Method::GET => {
                let mut objects = self.lock();
                objects.count(Kind::List);
                answer::list(&objects, query)
            }
            Method::POST => {
                let mut objects = self.lock();
                objects.count(Kind::Delete);
                let keys = answer::keys_in(body);
                keys.iter().for_each(|key| objects.delete(key));
                answer::deleted(&keys)
            }
            _ => answer::text(StatusCode::OK, String::new()),
        };
        tokio::time::sleep_until(half()).await;
        response
    }
}

#[cfg(test)]
mod tests;
