//! A bound on what all connections together are sent in a second.

use std::sync::Mutex;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream;
use tokio::time::{Instant, sleep_until};

/// How far sending may be behind and still catch up: timers are coarse.
const SLACK: Duration = Duration::from_millis(10);
/// How much is sent at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Who sends next, and when.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: f64,
    next: Mutex<Instant>,
}

impl Throttle {
    /// For so many bytes a second.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        let next = Mutex::new(Instant::now());
        Self { bytes_per_second: bytes_per_second as f64, next }
    }

    /// When so many bytes may be sent, by somebody who asks at `now`.
    fn turn(&self, bytes: usize, now: Instant) -> Instant {
        let mut next = self.next.lock().expect("nobody panics with the lock");
        let begin = now.checked_sub(SLACK).map_or(now, |earliest| (*next).max(earliest));
        *next = begin + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        begin
    }
}

/// `bytes` as a body that is sent as fast as the throttle of all lets it.
pub(crate) fn body(bytes: Bytes, throttle: Option<std::sync::Arc<Throttle>>) -> Body {
    let Some(throttle) = throttle else { return Body::from(bytes) };
    let chunks = stream::unfold((bytes, throttle), |(mut rest, throttle)| async move {
        if rest.is_empty() {
            return None;
        }
        let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
        sleep_until(throttle.turn(chunk.len(), Instant::now())).await;
        Some((Ok::<_, std::convert::Infallible>(chunk), (rest, throttle)))
    });
    Body::from_stream(chunks)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::join_all;

    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn all_together_are_sent_as_much_as_was_said() {
        let (throttle, began) = (Arc::new(Throttle::new(10 << 20)), Instant::now());
        let read = |_| {
            let body = body(vec![1; 5 * MIB].into(), Some(Arc::clone(&throttle)));
            axum::body::to_bytes(body, usize::MAX)
        };
        let read = join_all((0..4).map(read)).await;
        assert!(read.iter().all(|bytes| bytes.as_ref().is_ok_and(|it| it.len() == 5 * MIB)));
        let took = began.elapsed().as_secs_f64();
        assert!((1.95..2.05).contains(&took), "{took} s for 20 MiB");
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_sent_for_long_is_not_made_up_for() {
        let throttle = Arc::new(Throttle::new(10 << 20));
        tokio::time::advance(Duration::from_secs(60)).await;
        let began = Instant::now();
        let body = body(vec![1; 10 * MIB].into(), Some(throttle));
        axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let took = began.elapsed().as_secs_f64();
        assert!((0.95..1.05).contains(&took), "{took} s for 10 MiB");
    }

    #[tokio::test]
    async fn without_a_bound_a_body_is_what_it_is() {
        let read = axum::body::to_bytes(body(Bytes::from_static(b"all"), None), 10).await;
        assert_eq!(read.unwrap(), "all");
    }
}
