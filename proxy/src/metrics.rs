//! What the proxy counts.
//!
//! Numbers on the way of every request are found by array index, not through a label map: looking
//! a label up costs more than counting.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use weir_protocol::{ApiKey, ErrorCode};

/// API keys lie below this; 92 is the highest of Kafka 4.3.
const API_KEYS: i16 = 100;
/// Seconds; from a memory copy to a store that struggles.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabels {
    api: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    api: &'static str,
    code: i16,
}

/// The proxy's counters.
pub(crate) struct Metrics {
    pub(crate) connections: Gauge,
    pub(crate) connections_refused: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) fetches_waiting: Gauge,
    pub(crate) produce_seconds: Histogram,
    pub(crate) fetch_seconds: Histogram,
    /// By API key.
    requests: Vec<Option<Counter>>,
    requests_by_api: Family<ApiLabels, Counter>,
    errors: Family<ErrorLabels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let requests_by_api = Family::<ApiLabels, Counter>::default();
        let counter = |key| {
            let api = ApiKey::from_key(key)?.name();
            Some(requests_by_api.get_or_create_owned(&ApiLabels { api }))
        };
        Self {
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            fetches_waiting: Gauge::default(),
            produce_seconds: Histogram::new(LATENCY_BUCKETS),
            fetch_seconds: Histogram::new(LATENCY_BUCKETS),
            requests: (0..API_KEYS).map(counter).collect(),
            requests_by_api,
            errors: Family::default(),
        }
    }
}

impl Metrics {
    /// Counts a request.
    pub(crate) fn request(&self, api: ApiKey) {
        if let Some(Some(counter)) = self.requests.get(api as usize) {
            counter.inc();
        }
    }

    /// Counts an error in an answer.
    pub(crate) fn error(&self, api: ApiKey, code: ErrorCode) {
        if !code.is_none() {
            self.errors.get_or_create(&ErrorLabels { api: api.name(), code: code.0 }).inc();
        }
    }

    /// Shows the counters as `weir_proxy_…`.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("weir_proxy");
        registry.register("connections", "Open connections", self.connections.clone());
        let help = "Connections closed at once because a cap was reached";
        registry.register("connections_refused", help, self.connections_refused.clone());
        registry.register("bytes_in", "Bytes of requests", self.bytes_in.clone());
        registry.register("bytes_out", "Bytes of responses", self.bytes_out.clone());
        let help = "Fetches that wait for records";
        registry.register("fetches_waiting", help, self.fetches_waiting.clone());
        let help = "From a whole produce request to its answer";
        registry.register("produce_seconds", help, self.produce_seconds.clone());
        let help = "From a fetch's turn to its answer, waits included";
        registry.register("fetch_seconds", help, self.fetch_seconds.clone());
        registry.register("requests", "Requests by kind", self.requests_by_api.clone());
        registry.register("errors", "Error codes sent, by request", self.errors.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_requests_and_errors_by_kind() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.request(ApiKey::Fetch);
        metrics.error(ApiKey::Fetch, ErrorCode::OFFSET_OUT_OF_RANGE);
        metrics.error(ApiKey::Fetch, ErrorCode::NONE);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert!(text.contains("weir_proxy_requests_total{api=\"Fetch\"} 1"), "{text}");
        assert!(text.contains("weir_proxy_errors_total{api=\"Fetch\",code=\"1\"} 1"), "{text}");
        assert!(!text.contains("code=\"0\""), "{text}");
    }
}
