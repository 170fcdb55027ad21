//! Load through librdkafka: writers that note what was acknowledged where, and readers.
//!
//! A value is its name and filler; the name alone goes into the history. Writers and readers outlive
//! the server: librdkafka reconnects and sends again by itself, as it does in its users' programs.

use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientConfig, ClientContext};
use weir_history::{Delivery, Place, Seen, Value};
use weir_test_support::wait::{self, Deadline, Stopwatch};

/// How long librdkafka goes on sending a record: through any restart.
const KEEP_SENDING: &str = "180000";
/// Records that may wait for their acknowledgement before a writer pauses, unless set otherwise.
const IN_FLIGHT: u64 = 2_000;
/// How long records wait for company in librdkafka, unless set otherwise.
pub const LINGER: Duration = Duration::from_millis(2);
/// What makes a value as long as it is to be.
const FILLER: u8 = b'.';
/// How long a writer may be stuck.
const STUCK: Duration = Duration::from_secs(180);

/// How a writer produces.
#[derive(Clone, Debug)]
pub struct WriterSettings {
    /// Which writer of the history it is.
    pub writer: u16,
    /// `enable.idempotence`.
    pub idempotent: bool,
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

/// A record that was acknowledged. Times are by its writer's clock.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Which, and where it is.
    pub seen: Seen,
    /// When librdkafka got it.
    pub handed_over: Duration,
    /// When librdkafka said so.
    pub acknowledged: Duration,
}

impl Acked {
    /// How long it took.
    pub fn took(&self) -> Duration {
        self.acknowledged - self.handed_over
    }
}

/// What has been acknowledged to a writer up to now, and when. Clones show the same.
#[derive(Clone)]
pub struct Timeline(Arc<Reports>);

impl Timeline {
    /// How many records were acknowledged by `time`, about.
    pub fn len_at(&self, time: Duration) -> usize {
        self.0.acknowledged().partition_point(|acked| acked.acknowledged < time)
    }

    /// What was acknowledged after the first `seen` records, which are counted on.
    pub fn from(&self, seen: &mut usize) -> Vec<Acked> {
        let more = self.0.acknowledged()[*seen..].to_vec();
        *seen += more.len();
        more
    }

    /// How long each record of a partition took that was acknowledged between two times.
    pub fn took_in(&self, partition: i32, since: Duration, until: Duration) -> Vec<Duration> {
        let (from, to) = (self.len_at(since), self.len_at(until));
        let acked = self.0.acknowledged();
        let of_partition = acked[from..to].iter().filter(|it| it.seen.place.partition == partition);
        of_partition.map(Acked::took).collect()
    }

    /// The record that took longest of those that were acknowledged between two times.
    pub fn slowest(&self, since: Duration, until: Duration) -> Option<Acked> {
        let (from, to) = (self.len_at(since), self.len_at(until));
        self.0.acknowledged()[from..to].iter().max_by_key(|it| it.took()).copied()
    }

    /// How long each record took that was acknowledged between two times.
    pub fn took(&self, since: Duration, until: Duration) -> Vec<Duration> {
        let (from, to) = (self.len_at(since), self.len_at(until));
        let acked = self.0.acknowledged();
        acked[from..to].iter().map(Acked::took).collect()
    }
}

/// What librdkafka reported of a writer's records.
struct Reports {
    clock: Stopwatch,
    /// In the order of their acknowledgement.
    acknowledged: Mutex<Vec<Acked>>,
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
            acknowledged: Mutex::default(),
            refused: Mutex::default(),
            reported: AtomicU64::new(0),
            fatal: AtomicBool::new(false),
        }
    }

    fn acknowledged(&self) -> MutexGuard<'_, Vec<Acked>> {
        self.acknowledged.lock().expect("nobody panics with the lock")
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
                let mut all = self.0.acknowledged();
                let (seen, acknowledged) = (Seen { place, value }, self.0.clock.elapsed());
                all.push(Acked { seen, handed_over, acknowledged });
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
        self.payload.clear();
        write!(self.payload, "{value}")?;
        self.payload.resize(self.settings.value_bytes.max(self.payload.len()), FILLER);
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
        self.reports.acknowledged().len()
    }

    /// What has been acknowledged when.
    pub fn timeline(&self) -> Timeline {
        Timeline(Arc::clone(&self.reports))
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
        (writer, std::mem::take(&mut *self.reports.acknowledged()))
    }
}

/// A consumer of all partitions of a topic, outside any group.
pub struct Reader {
    consumer: BaseConsumer<Quiet>,
    errors: Cell<u64>,
}

struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _error: KafkaError, _reason: &str) {}
    fn log(&self, _level: rdkafka::config::RDKafkaLogLevel, _facility: &str, _message: &str) {}
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

impl Reader {
    /// A reader from the beginning.
    ///
    /// # Errors
    /// When librdkafka does not take the settings.
    pub fn new(bootstrap: &str, topic: &str, partitions: i32) -> Result<Self> {
        let mut config = client(bootstrap);
        config.set("group.id", "unused").set("enable.auto.commit", "false");
        config.set("fetch.wait.max.ms", "100").set("fetch.error.backoff.ms", "50");
        config.set("auto.offset.reset", "error");
        let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, Offset::Offset(0))?;
        }
        consumer.assign(&list)?;
        Ok(Self { consumer, errors: Cell::new(0) })
    }

    /// Polls once; none when nothing came in `most`, or the server is away.
    ///
    /// # Errors
    /// When a record is not one that a [`Writer`] wrote, or its offset is out of range.
    pub fn poll(&self, most: Duration) -> Result<Option<Seen>> {
        match self.consumer.poll(most) {
            None => Ok(None),
            Some(Ok(message)) => {
                let place = Place { partition: message.partition(), offset: message.offset() };
                let value = parse(message.payload()).with_context(|| format!("at {place}"))?;
                Ok(Some(Seen { place, value }))
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                // The log lost its end, or never had what was read.
                Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                    Err(error).context("a consumer's next offset is gone")
                }
                _ => {
                    self.errors.set(self.errors.get() + 1);
                    Ok(None)
                }
            },
        }
    }

    /// How many errors it was told of that pass.
    pub fn errors(&self) -> u64 {
        self.errors.get()
    }

    /// Reads until each partition's offset in `ends` is reached.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn read_to(&self, ends: &[i64]) -> Result<Vec<Seen>> {
        let mut read: Vec<Seen> = Vec::new();
        self.for_each_to(ends, |seen| read.push(seen))?;
        read.sort_by_key(|seen| seen.place.partition); // Stable: keeps the order of reading.
        Ok(read)
    }

    /// The same without keeping what was read.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn count_to(&self, ends: &[i64]) -> Result<()> {
        self.for_each_to(ends, |_| {})
    }

    fn for_each_to(&self, ends: &[i64], mut each: impl FnMut(Seen)) -> Result<()> {
        let mut left = ends.iter().filter(|end| **end > 0).count();
        let mut deadline = Deadline::after(STUCK);
        while left > 0 {
            if let Some(seen) = self.poll(Duration::from_millis(100))? {
                let end = ends.get(usize::try_from(seen.place.partition)?);
                left -= usize::from(end == Some(&(seen.place.offset + 1)));
                each(seen);
                deadline = Deadline::after(STUCK);
            } else {
                ensure!(!deadline.has_passed(), "reading stopped short of the end");
            }
        }
        Ok(())
    }
}

fn parse(payload: Option<&[u8]>) -> Result<Value> {
    let text =
        std::str::from_utf8(payload.context("no value")?)?.trim_end_matches(char::from(FILLER));
    let (writer, number) = text.split_once('-').with_context(|| format!("not ours: {text}"))?;
    Ok(Value { writer: writer.parse()?, number: number.parse()? })
}

/// Settings of every client: quick to come back.
fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "100")
        .set("socket.nagle.disable", "true");
    config
}
