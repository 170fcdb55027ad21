//! Every limit of the proxy, with its default, and what they add up to.
//!
//! Names are those of Kafka's broker settings where there is one. All sizes are bytes and all times
//! are `Duration`s; nothing here is read from a file: whoever assembles the process fills it in.

use std::time::Duration;

use weir_meta::controller;
use weir_protocol::codec::DECODED_BYTES_MAX;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The limits of one proxy. [`Settings::check`] says whether they fit together.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `socket.request.max.bytes`: a longer frame closes its connection.
    pub request_max_bytes: usize,
    /// The longest frame of any request other than Produce. Those are decoded into structures that
    /// take a multiple of their bytes, where a produce request is mostly records.
    pub control_request_max_bytes: usize,
    /// `queued.max.request.bytes`: what all frames that are being received or worked on may hold.
    pub request_memory_bytes: usize,
    /// What longer requests may hold decoded, beside their frames.
    pub decoded_memory_bytes: usize,
    /// What all answers that are being made or written may hold.
    pub response_memory_bytes: usize,
    /// `max.connections`: further ones are closed at once.
    pub connections_max: usize,
    /// `max.connections.per.ip`.
    pub connections_per_address_max: usize,
    /// `connections.max.idle.ms`: a connection without a request for so long is closed.
    pub connection_idle: Duration,
    /// A new connection must have sent its first whole frame by then.
    pub first_request: Duration,
    /// How long a frame may take, beyond what [`Settings::frame_bytes_per_second`] allows.
    pub frame_grace: Duration,
    /// A frame that arrives more slowly than this, after its grace, closes its connection.
    pub frame_bytes_per_second: usize,
    /// How long a socket may refuse to take an answer while others wait for response memory.
    /// Without such need it is [`Settings::connection_idle`].
    pub write_stall: Duration,
    /// How many requests of a connection may be decoded and not yet answered.
    pub pipeline_requests_max: usize,
    /// How long a stopping proxy waits for answers that are under way.
    pub drain: Duration,
    /// `fetch.max.bytes`: the most that one fetch response carries, whatever is asked.
    pub fetch_max_bytes: usize,
    /// The longest that a fetch waits for data, whatever is asked.
    pub fetch_max_wait: Duration,
    /// What all fetch sessions may hold; beyond it a client gets none and goes on naming everything.
    pub fetch_session_memory_bytes: usize,
    /// How many fetches may read behind the tail, from the store, at the same time.
    pub lagging_reads_max: usize,
    /// The most that a batch may decompress to while a time is looked up in it.
    pub decompressed_batch_max_bytes: usize,
    /// How many partitions without a waiting fetch a tail stream may stay subscribed to.
    pub idle_subscriptions_max: usize,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// What new topics get that don't say: what the controller was told too, shown to clients.
    pub new_topics: controller::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_max_bytes: 100 * MIB,
            control_request_max_bytes: 8 * MIB,
            request_memory_bytes: 256 * MIB,
            decoded_memory_bytes: 128 * MIB,
            response_memory_bytes: 256 * MIB,
            connections_max: 20_000,
            connections_per_address_max: 10_000,
            connection_idle: Duration::from_secs(600),
            first_request: Duration::from_secs(30),
            frame_grace: Duration::from_secs(10),
            frame_bytes_per_second: 16 * KIB,
            write_stall: Duration::from_secs(30),
            pipeline_requests_max: 64,
            drain: Duration::from_secs(5),
            fetch_max_bytes: 55 * MIB,
            fetch_max_wait: Duration::from_secs(300),
            fetch_session_memory_bytes: 64 * MIB,
            lagging_reads_max: 32,
            decompressed_batch_max_bytes: 128 * MIB,
            idle_subscriptions_max: 10_000,
            auto_create_topics: true,
            new_topics: controller::Settings::default(),
        }
    }
}

/// Settings that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value}, but must be {rule}")]
pub struct SettingsError {
    /// Which.
    pub setting: &'static str,
    /// Its value.
    pub value: usize,
    /// What would do.
    pub rule: String,
}

impl Settings {
    /// Whether the settings fit together.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), SettingsError> {
        let at_least = |setting, value, least: usize, why: &str| {
            if value >= least {
                return Ok(());
            }
            Err(SettingsError { setting, value, rule: format!("at least {least}{why}") })
        };
        at_least("request_max_bytes", self.request_max_bytes, KIB, "")?;
        at_least("control_request_max_bytes", self.control_request_max_bytes, KIB, "")?;
        let twice = self.request_max_bytes.saturating_mul(2);
        let why = ", twice request_max_bytes";
        at_least("request_memory_bytes", self.request_memory_bytes, twice, why)?;
        let why = ", the most that one request decodes to";
        at_least("decoded_memory_bytes", self.decoded_memory_bytes, DECODED_BYTES_MAX, why)?;
        at_least("response_memory_bytes", self.response_memory_bytes, MIB, "")?;
        at_least("fetch_max_bytes", self.fetch_max_bytes, KIB, "")?;
        at_least("connections_max", self.connections_max, 1, "")?;
        at_least("connections_per_address_max", self.connections_per_address_max, 1, "")?;
        at_least("frame_bytes_per_second", self.frame_bytes_per_second, 1, "")?;
        at_least("pipeline_requests_max", self.pipeline_requests_max, 1, "")?;
        at_least("lagging_reads_max", self.lagging_reads_max, 1, "")
    }

    /// What the proxy may hold at most, part by part.
    #[must_use]
    pub fn memory_budget(&self) -> Vec<(&'static str, usize)> {
        vec![
            ("requests", self.request_memory_bytes),
            ("decoded requests", self.decoded_memory_bytes),
            ("responses", self.response_memory_bytes),
            ("fetch sessions", self.fetch_session_memory_bytes),
            ("time look-ups", self.decompressed_batch_max_bytes),
            ("connections", self.connections_max.saturating_mul(CONNECTION_BYTES)),
        ]
    }
}

/// What a connection without a request takes: its task, its queue and its place in the tables.
const CONNECTION_BYTES: usize = 4 * KIB;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fit_together() {
        Settings::default().check().unwrap();
    }

    #[test]
    fn a_frame_must_fit_into_the_memory_for_frames() {
        let settings = Settings { request_memory_bytes: 100 * MIB, ..Settings::default() };
        let error = settings.check().unwrap_err().to_string();
        assert!(error.starts_with("request_memory_bytes is 104857600, but must be at least"));
    }
}
