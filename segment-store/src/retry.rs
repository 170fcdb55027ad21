//! Asking a store again: how long to wait for an answer, how long between attempts, how often.

use std::{future::Future, time::Duration};

use tokio::time::{sleep, timeout};
use weir_runtime::Runtime;

use crate::StoreError;

/// Settings of a [`Retry`].
#[derive(Clone, Debug)]
pub struct RetrySettings {
    /// How long one request may take before its fate counts as unclear and it is sent again.
    pub attempt_timeout_ms: u64,
    /// The first pause before a request is sent again; it doubles, with jitter, up to the longest.
    pub first_pause_ms: u64,
    /// The longest pause.
    pub longest_pause_ms: u64,
    /// How often a request is sent before its error is passed on.
    pub attempts_max: u32,
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self {
            attempt_timeout_ms: 10_000,
            first_pause_ms: 50,
            longest_pause_ms: 5_000,
            attempts_max: 10,
        }
    }
}

/// A way of asking again. Cheap to clone.
#[derive(Clone)]
pub struct Retry {
    runtime: Runtime,
    settings: RetrySettings,
}

impl Retry {
    /// Asks again as `settings` say, with jitter from `runtime`.
    pub fn new(runtime: Runtime, settings: RetrySettings) -> Self {
        Self { runtime, settings }
    }

    /// How often a request is sent.
    pub(crate) fn attempts_max(&self) -> u32 {
        self.settings.attempts_max
    }

    /// Sends a request once; no answer in time is an error too.
    pub(crate) async fn once<T>(
        &self,
        name: impl Fn() -> String,
        request: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let most = Duration::from_millis(self.settings.attempt_timeout_ms);
        timeout(most, request).await.unwrap_or_else(|_| {
            Err(StoreError::Failed { name: name(), what: format!("no answer within {most:?}") })
        })
    }

    /// Sends a request that changes nothing by being repeated, until it is answered or has failed
    /// too often.
    pub(crate) async fn again<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        name: impl Fn() -> String,
        request: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut failures = 0;
        loop {
            let error = match self.once(&name, request()).await {
                Err(error) if error.may_heal() => error,
                answered => return answered,
            };
            failures += 1;
            if failures >= self.settings.attempts_max {
                return Err(error);
            }
            tracing::debug!(%error, failures, "asking the store again");
            self.pause(failures).await;
        }
    }

    /// Waits before a request is sent again that has failed `failures` times.
    pub(crate) async fn pause(&self, failures: u32) {
        let RetrySettings { first_pause_ms, longest_pause_ms, .. } = self.settings;
        let full = first_pause_ms.saturating_mul(1 << failures.clamp(1, 16).saturating_sub(1));
        let full = full.min(longest_pause_ms).max(1);
        // Between half and the whole of it, so that those who failed together do not come back so.
        let pause = full - self.runtime.random_u64() % (full / 2 + 1);
        sleep(Duration::from_millis(pause)).await;
    }
}
