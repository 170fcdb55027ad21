//! A producer of librdkafka.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use weir_history::{Delivery, Place, Seen, Value};
use weir_test_support::wait::{self, Stopwatch};

use super::{Acked, Produce, STUCK, Timeline, client, write_payload};

/// How long librdkafka goes on sending a record: through any restart.
const KEEP_SENDING: &str = "180000";
/// Records that may wait for their acknowledgement before a writer pauses, unless set otherwise.
const IN_FLIGHT: u64 = 2_000;
/// How long records wait for company in librdkafka, unless set otherwise.
pub const LINGER: Duration = Duration::from_millis(2);

/// How a writer produces.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// Which writer of the history it is.
    pub writer: u16,
    /// `enable.idempotence`.
    pub idempotent: bool,
    /// `client.id`, if not librdkafka's own.
    pub client_id: &'static str,
    /// `acks`: "all", "1" or "0".
    pub acks: &'static str,
    /// The bytes of each value at least.
    pub value_bytes: usize,
    /// `compression.codec`.
    pub codec: &'static str,
    /// `linger.ms`. librdkafka looks at every partition for every request: with thousands, more than a little
    /// makes it several times cheaper.
    pub linger: Duration,
    /// Records that may wait for their acknowledgement before it pauses.
    pub in_flight: u64,
    /// The first of the partitions that it writes to.
    pub first_partition: i32,
    /// What its times are told by.
    pub clock: Stopwatch,
}

impl WriterSettings {
    /// A durable writer of small values.
    pub fn new(writer: u16, idempotent: bool) -> Self {
        Self {
            writer,
            idempotent,
            client_id: "",
            acks: "all",
            value_bytes: 100,
            codec: "none",
            linger: LINGER,
            in_flight: IN_FLIGHT,
            first_partition: 0,
            clock: Stopwatch::start(),
        }
    }
}

/// What librdkafka reported of a writer's records.
struct Reports {
    clock: Stopwatch,
    acknowledged: Timeline,
    /// Records that it gave up, with the last reason.
    refused: Mutex<(u64, Option<KafkaError>)>,
    /// Records reported either way.
    reported: AtomicU64,
    fatal: AtomicBool,
}

impl Reports {
    fn new(clock: Stopwatch) -> Self {
        Self {
            clock,
            acknowledged: Timeline::default(),
            refused: Mutex::default(),
            reported: AtomicU64::new(0),
            fatal: AtomicBool::new(false),
        }
    }
}

/// What librdkafka keeps with a record until it reports on it.
struct HandedOver {
    value: Value,
    at: Duration,
}

#[derive(Clone)]
struct Noting(Arc<Reports>);

impl ClientContext for Noting {
    fn error(&self, error: KafkaError, reason: &str) {
        // Lost connections are what this is about; what can't be healed is told by every record.
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            eprintln!("fatal to a producer: {error}: {reason}");
            self.0.fatal.store(true, Ordering::Relaxed);
        }
    }

    fn log(&self, _level: rdkafka::config::RDKafkaLogLevel, _facility: &str, _message: &str) {}
}

impl ProducerContext for Noting {
    type DeliveryOpaque = Box<HandedOver>;

    fn delivery(&self, result: &DeliveryResult<'_>, record: Box<HandedOver>) {
        match result {
            Ok(message) => {
                let place = Place { partition: message.partition(), offset: message.offset() };
                let HandedOver { value, at: handed_over } = *record;
                self.0.acknowledged.note(Seen { place, value }, handed_over, &self.0.clock);
            }
            Err((error, _)) => {
                let mut refused = self.0.refused.lock().expect("nobody panics with the lock");
                *refused = (refused.0 + 1, Some(error.clone()));
            }
        }
        self.0.reported.fetch_add(1, Ordering::Release);
    }
}

/// A producer whose values are known.
pub struct Writer {
    producer: ThreadedProducer<Noting>,
    reports: Arc<Reports>,
    settings: WriterSettings,
    topic: String,
    partitions: i32,
    sent: u64,
    /// Built anew for each value, in the same place.
    payload: Vec<u8>,
}

impl Writer {
    /// A writer to so many partitions of `topic` in turn.
    ///
    /// # Errors
    /// When librdkafka does not take the settings.
    pub fn new(
        bootstrap: &str,
        topic: &str,
        partitions: i32,
        settings: WriterSettings,
    ) -> Result<Self> {
        let context = Noting(Arc::new(Reports::new(settings.clock)));
        let reports = Arc::clone(&context.0);
        let mut config = client(bootstrap);
        config
            .set("acks", settings.acks)
            .set("enable.idempotence", settings.idempotent.to_string())
            .set("compression.codec", settings.codec)
            .set("message.timeout.ms", KEEP_SENDING)
            .set("retry.backoff.ms", "20")
            .set("retry.backoff.max.ms", "200")
            .set("linger.ms", settings.linger.as_millis().to_string())
            .set("queue.buffering.max.messages", "1000000");
        if !settings.client_id.is_empty() {
            config.set("client.id", settings.client_id);
        }
        let producer = config.create_with_context(context)?;
        let topic = topic.to_owned();
        Ok(Self { producer, reports, settings, topic, partitions, sent: 0, payload: Vec::new() })
    }

    /// Whether so many values are in flight that [`Self::send`] would wait.
    pub fn is_full(&self) -> bool {
        self.in_flight() >= self.settings.in_flight
    }

    /// Hands over one more value; waits while too many are in flight.
    ///
    /// # Errors
    /// When librdkafka refuses it for good, or nothing is acknowledged for long.
    pub fn send(&mut self) -> Result<()> {
        let number = u32::try_from(self.sent).context("a writer numbers 2^32 values")?;
        let value = Value { writer: self.settings.writer, number };
        wait::until("a writer's records are acknowledged", STUCK, || {
            (!self.is_full()).then_some(())
        })?;
        write_payload(value, self.settings.value_bytes, &mut self.payload);
        let turn = i32::try_from(self.sent % u64::try_from(self.partitions)?)?;
        let partition = self.settings.first_partition + turn;
        let key = value.number.to_string();
        let handed_over = Box::new(HandedOver { value, at: self.reports.clock.elapsed() });
        let record = BaseRecord::with_opaque_to(&self.topic, handed_over)
            .partition(partition)
            .key(&key)
            .payload(&self.payload);
        self.producer.send(record).map_err(|(error, _)| error)?;
        self.sent += 1;
        Ok(())
    }

    /// Values handed over and not yet reported on.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.reports.reported.load(Ordering::Acquire)
    }

    /// Values handed over.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Values acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.reports.acknowledged.len_at(Duration::MAX)
    }

    /// What has been acknowledged when.
    pub fn timeline(&self) -> Timeline {
        self.reports.acknowledged.clone()
    }

    /// Waits until every value is acknowledged.
    ///
    /// # Errors
    /// When librdkafka gave one up, or it takes too long.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(STUCK).context("a writer's records are not acknowledged")?;
        wait::until("all reports", STUCK, || (self.in_flight() == 0).then_some(()))?;
        let (count, reason) = &*self.reports.refused.lock().expect("nobody panics with the lock");
        if let Some(reason) = reason {
            bail!("{count} records of writer {} refused for good: {reason}", self.settings.writer);
        }
        ensure!(!self.reports.fatal.load(Ordering::Relaxed), "a fatal error stopped a producer");
        Ok(())
    }

    /// What the history must know of this writer, with what it was told.
    pub fn into_history(self) -> (weir_history::Writer, Vec<Seen>) {
        let (writer, acknowledged) = self.into_timed_history();
        (writer, acknowledged.into_iter().map(|acked| acked.seen).collect())
    }

    /// The same with times.
    pub fn into_timed_history(self) -> (weir_history::Writer, Vec<Acked>) {
        // librdkafka sends again by itself.
        let delivery = match self.settings.idempotent {
            true => Delivery::ExactlyOnce,
            false => Delivery::AtLeastOnce,
        };
        let sent = u32::try_from(self.sent).expect("each value was numbered");
        let writer = weir_history::Writer { delivery, sent };
        (writer, self.reports.acknowledged.take())
    }
}

impl Produce for Writer {
    fn timeline(&self) -> Timeline {
        Writer::timeline(self)
    }

    fn sent(&self) -> u64 {
        self.sent
    }

    fn send(&mut self) -> Result<()> {
        Writer::send(self)
    }

    /// librdkafka has threads of its own.
    fn turn(&mut self) -> Result<()> {
        Ok(())
    }

    fn pass(&mut self, most: Duration) {
        wait::let_pass(most);
    }

    fn finish(self: Box<Self>) -> Result<(weir_history::Writer, Vec<Acked>)> {
        self.flush()?;
        Ok(self.into_timed_history())
    }
}
