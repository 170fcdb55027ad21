//! A producer that fills its requests with many partitions, as Java's does and librdkafka's does not: one
//! thread of it touches thousands of partitions a second.
//!
//! Idempotent, `acks=all`. A partition has one batch in flight, which is sent again as it is until it is
//! acknowledged; all that was handed over meanwhile goes into the next.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use weir_history::{Delivery, Place, Seen, Value};
use weir_test_support::wait::{self, Deadline, Stopwatch};
use weir_test_support::wire::Connection;

use super::batch::{self, Producer};
use super::{Acked, Produce, STUCK, Timeline, payload};

/// The version of Produce that it speaks: topics by name.
const PRODUCE: i16 = 9;
const INIT_PRODUCER_ID: i16 = 4;
/// What a request may wait for at the server.
const TIMEOUT_MS: i32 = 30_000;
/// Partitions of one request, and requests that are sent before an answer is read.
const PARTITIONS: usize = 1_000;
const REQUESTS: usize = 5;
/// Values of one batch.
const BATCH: usize = 100;
/// How long it waits before it sends again what was refused.
const PAUSE: Duration = Duration::from_millis(20);
/// Errors that pass: no leader, not the leader, timed out, too few replicas (before and after), a network's,
/// storage.
const PASSING: [i16; 7] = [5, 6, 7, 13, 19, 20, 56];

/// How it produces.
#[derive(Clone, Copy, Debug)]
pub struct WideSettings {
    /// Which writer of the history it is.
    pub writer: u16,
    /// The topic.
    pub topic: &'static str,
    /// The first of the partitions that it writes to.
    pub first_partition: i32,
    /// How many there are.
    pub partitions: usize,
    /// The bytes of each value at least.
    pub value_bytes: usize,
    /// Values that may wait for their acknowledgement.
    pub in_flight: u64,
    /// What its times are told by.
    pub clock: Stopwatch,
}

/// A producer whose values are known.
#[derive(Debug)]
pub struct WideWriter {
    settings: WideSettings,
    /// The server it talks to, and those it goes to when that one is gone.
    servers: VecDeque<SocketAddr>,
    connection: Connection,
    producer: Producer,
    lanes: Vec<Lane>,
    /// The partition that is looked at first next time.
    turn: usize,
    sent: u64,
    acknowledged: u64,
    timeline: Timeline,
    patience: Deadline,
}

/// One partition.
#[derive(Debug, Default)]
struct Lane {
    /// What is to be sent, and when it was handed over.
    waiting: VecDeque<(Value, Duration)>,
    in_flight: Option<InFlight>,
    sequence: i32,
}

#[derive(Debug)]
struct InFlight {
    batch: Bytes,
    values: Vec<(Value, Duration)>,
}

impl WideWriter {
    /// A producer of its own id.
    ///
    /// # Errors
    /// When no server gives it one.
    pub fn new(servers: &[SocketAddr], settings: WideSettings) -> Result<Self> {
        let mut servers: VecDeque<_> = servers.iter().copied().collect();
        let count = servers.len().max(1);
        servers.rotate_left(usize::from(settings.writer) % count);
        let mut connection = Connection::open(*servers.front().context("there is no server")?)?;
        let mut ask = || {
            let request = InitProducerIdRequest::default().with_transactional_id(None);
            let answer = connection.request(INIT_PRODUCER_ID, &request).ok()?;
            let (id, epoch) = (answer.producer_id.0, answer.producer_epoch);
            (answer.error_code == 0).then_some(Producer { id, epoch })
        };
        let producer = wait::until("there is a producer id", STUCK, &mut ask)?;
        let lanes = (0..settings.partitions).map(|_| Lane::default()).collect();
        Ok(Self {
            settings,
            servers,
            connection,
            producer,
            lanes,
            turn: 0,
            sent: 0,
            acknowledged: 0,
            timeline: Timeline::default(),
            patience: Deadline::after(STUCK),
        })
    }

    /// Sends what waits, up to a few requests, and reads the answers.
    fn exchange(&mut self) -> Result<()> {
        let mut asked = Vec::new();
        for places in self.due()?.chunks(PARTITIONS) {
            let Ok(correlation) = self.connection.send(PRODUCE, &self.request(places)) else {
                return self.reconnect();
            };
            asked.push(correlation);
        }
        let mut refused = false;
        for correlation in asked {
            let Ok(answer) = self.connection.receive::<ProduceRequest>(PRODUCE, correlation) else {
                return self.reconnect();
            };
            for partition in answer.responses.iter().flat_map(|it| &it.partition_responses) {
                refused |= !self.note(partition)?;
            }
        }
        if refused {
            wait::let_pass(PAUSE);
        }
        Ok(())
    }

    /// The partitions of the next requests, each with a batch in flight.
    fn due(&mut self) -> Result<Vec<usize>> {
        let (count, mut places) = (self.lanes.len(), Vec::new());
        for place in (self.turn..count).chain(0..self.turn) {
            if places.len() == REQUESTS * PARTITIONS {
                break;
            }
            if self.lanes[place].load(self.producer, self.settings.value_bytes)? {
                places.push(place);
            }
        }
        self.turn = places.last().map_or(self.turn, |last| (last + 1) % count);
        Ok(places)
    }

    fn request(&self, places: &[usize]) -> ProduceRequest {
        let data = places.iter().map(|place| {
            let batch = self.lanes[*place].in_flight.as_ref().map(|it| it.batch.clone());
            let index = self.settings.first_partition + *place as i32;
            PartitionProduceData::default().with_index(index).with_records(batch)
        });
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str(self.settings.topic)))
            .with_partition_data(data.collect());
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(TIMEOUT_MS);
        request.with_topic_data(vec![topic])
    }

    /// Takes an answer about a partition; says whether its batch is acknowledged.
    fn note(&mut self, answer: &PartitionProduceResponse) -> Result<bool> {
        let (partition, error) = (answer.index, answer.error_code);
        if PASSING.contains(&error) {
            ensure!(!self.patience.has_passed(), "partition {partition} is refused with {error}");
            return Ok(false);
        }
        ensure!(error == 0, "partition {partition} refuses a batch for good with error {error}");
        let place = usize::try_from(partition - self.settings.first_partition)?;
        let lane = self.lanes.get_mut(place).context("an answer about another partition")?;
        let sent = lane.in_flight.take().context("an answer that nobody waits for")?;
        lane.sequence += i32::try_from(sent.values.len())?;
        for (offset, (value, handed_over)) in (answer.base_offset..).zip(sent.values) {
            let seen = Seen { place: Place { partition, offset }, value };
            self.timeline.note(seen, handed_over, &self.settings.clock);
            self.acknowledged += 1;
        }
        self.patience = Deadline::after(STUCK);
        Ok(true)
    }

    /// Goes to the next server: what is in flight is sent again there.
    fn reconnect(&mut self) -> Result<()> {
        let connected = wait::until("a server accepts connections", STUCK, || {
            self.servers.rotate_left(1);
            Connection::open(self.servers[0]).ok()
        });
        self.connection = connected?;
        if self.patience.has_passed() {
            bail!("nothing was acknowledged for {STUCK:?}");
        }
        Ok(())
    }

    fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged
    }
}

impl Lane {
    /// Makes what waits a batch unless one is in flight; says whether one is.
    fn load(&mut self, producer: Producer, value_bytes: usize) -> Result<bool> {
        if self.in_flight.is_none() && !self.waiting.is_empty() {
            let count = self.waiting.len().min(BATCH);
            let values: Vec<_> = self.waiting.drain(..count).collect();
            let payloads = values.iter().map(|(value, _)| payload(*value, value_bytes));
            let batch = batch::encode(payloads, Some((producer, self.sequence)))?;
            self.in_flight = Some(InFlight { batch, values });
        }
        Ok(self.in_flight.is_some())
    }
}

impl Produce for WideWriter {
    fn timeline(&self) -> Timeline {
        self.timeline.clone()
    }

    fn sent(&self) -> u64 {
        self.sent
    }

    fn send(&mut self) -> Result<()> {
        while self.in_flight() >= self.settings.in_flight {
            self.exchange()?;
        }
        let number = u32::try_from(self.sent).context("a writer numbers 2^32 values")?;
        let value = Value { writer: self.settings.writer, number };
        let place = (self.sent % self.lanes.len() as u64) as usize;
        self.lanes[place].waiting.push_back((value, self.settings.clock.elapsed()));
        self.sent += 1;
        Ok(())
    }

    fn turn(&mut self) -> Result<()> {
        self.exchange()
    }

    fn finish(mut self: Box<Self>) -> Result<(weir_history::Writer, Vec<Acked>)> {
        while self.in_flight() > 0 {
            self.exchange()?;
        }
        let sent = u32::try_from(self.sent)?;
        let writer = weir_history::Writer { delivery: Delivery::ExactlyOnce, sent };
        Ok((writer, self.timeline.take()))
    }
}
