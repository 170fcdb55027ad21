//! A producer that fills its requests with many partitions, as Java's does and librdkafka's does not: one
//! thread of it touches thousands of partitions a second.
//!
//! Idempotent, `acks=all`. A partition has one batch in flight, which is sent again as it is until it is
//! acknowledged; all that was handed over meanwhile goes into the next. Requests do not wait for each other.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse, TopicName};
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
/// Partitions of one request.
const PARTITIONS: usize = 1_000;
/// Requests that wait for their answers.
const REQUESTS: usize = 100;
/// Values of one batch at most, and their bytes: a topic takes batches of 1 MiB.
const BATCH: usize = 100;
const BATCH_BYTES: usize = 900_000;
/// How long it waits when it has nothing else to do.
const TICK: Duration = Duration::from_millis(2);
/// The server leads nothing any more: another one is to be asked.
const NOT_LEADER: i16 = 6;
/// Errors that pass: no leader, not the leader, timed out, too few replicas (before and after), a network's,
/// storage.
const PASSING: [i16; 7] = [5, NOT_LEADER, 7, 13, 19, 20, 56];

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
    /// How long values wait for company.
    pub linger: Duration,
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
    /// The requests that wait for their answers, with the lanes that they are about.
    asked: VecDeque<(i32, Vec<usize>)>,
    last_request: Duration,
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
    /// A request with it waits for its answer.
    asked: bool,
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
            asked: VecDeque::new(),
            last_request: Duration::ZERO,
            turn: 0,
            sent: 0,
            acknowledged: 0,
            timeline: Timeline::default(),
            patience: Deadline::after(STUCK),
        })
    }

    /// Reads the answers that have come, and sends what has waited long enough.
    fn exchange(&mut self) -> Result<()> {
        if self.in_flight() == 0 {
            self.patience = Deadline::after(STUCK);
        }
        ensure!(!self.patience.has_passed(), "nothing was acknowledged for {STUCK:?}");
        loop {
            match self.answer() {
                Ok(None) => break,
                Ok(Some(answer)) => {
                    let mut partitions =
                        answer.responses.iter().flat_map(|it| &it.partition_responses);
                    partitions.clone().try_for_each(|partition| self.note(partition))?;
                    if partitions.any(|partition| partition.error_code == NOT_LEADER) {
                        return self.go_on_elsewhere("it leads no longer");
                    }
                }
                Err(error) => return self.go_on_elsewhere(&format!("{error:#}")),
            }
        }
        let now = self.settings.clock.elapsed();
        if now < self.last_request + self.settings.linger || self.asked.len() >= REQUESTS {
            return Ok(());
        }
        self.last_request = now;
        let places = self.due()?;
        if places.is_empty() {
            return Ok(());
        }
        match self.connection.send(PRODUCE, &self.request(&places)) {
            Ok(correlation) => self.asked.push_back((correlation, places)),
            Err(error) => return self.go_on_elsewhere(&format!("{error:#}")),
        }
        Ok(())
    }

    /// The next answer, if it has come.
    ///
    /// # Errors
    /// When the connection breaks.
    fn answer(&mut self) -> Result<Option<ProduceResponse>> {
        if self.asked.is_empty() || !self.connection.has_answer()? {
            return Ok(None);
        }
        let Some((correlation, places)) = self.asked.pop_front() else { return Ok(None) };
        let answer = self.connection.receive::<ProduceRequest>(PRODUCE, correlation);
        // Whatever became of it, this request is no longer under way.
        places.iter().for_each(|place| self.lanes[*place].forget_request());
        answer.map(Some)
    }

    /// The partitions of the next request, each with a batch that is not under way.
    fn due(&mut self) -> Result<Vec<usize>> {
        let (count, mut places) = (self.lanes.len(), Vec::new());
        for place in (self.turn..count).chain(0..self.turn) {
            if places.len() == PARTITIONS {
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

    /// Takes an answer about a partition.
    fn note(&mut self, answer: &PartitionProduceResponse) -> Result<()> {
        let (partition, error) = (answer.index, answer.error_code);
        if PASSING.contains(&error) {
            return Ok(());
        }
        // What is refused for good stays refused when it is sent again.
        ensure!(error == 0, "partition {partition} refuses a batch with error {error}");
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
        Ok(())
    }

    /// Goes to the next server: what is in flight is sent again there.
    fn go_on_elsewhere(&mut self, why: &str) -> Result<()> {
        eprintln!("writer {}: {why}; it goes to another server", self.settings.writer);
        let connected = wait::until("a server accepts connections", STUCK, || {
            self.servers.rotate_left(1);
            Connection::open(self.servers[0]).ok()
        });
        self.connection = connected?;
        self.asked.clear();
        self.lanes.iter_mut().for_each(Lane::forget_request);
        Ok(())
    }

    fn in_flight(&self) -> u64 {
        self.sent - self.acknowledged
    }
}

impl Lane {
    /// Its batch is to be sent again.
    fn forget_request(&mut self) {
        self.in_flight.iter_mut().for_each(|batch| batch.asked = false);
    }

    /// Makes what waits a batch unless one is in flight; says whether there is one to be sent.
    fn load(&mut self, producer: Producer, value_bytes: usize) -> Result<bool> {
        if self.in_flight.is_none() && !self.waiting.is_empty() {
            let most = (BATCH_BYTES / value_bytes.max(1)).clamp(1, BATCH);
            let count = self.waiting.len().min(most);
            let values: Vec<_> = self.waiting.drain(..count).collect();
            let payloads = values.iter().map(|(value, _)| payload(*value, value_bytes));
            let batch = batch::encode(payloads, Some((producer, self.sequence)))?;
            self.in_flight = Some(InFlight { asked: false, batch, values });
        }
        let batch = self.in_flight.iter_mut().find(|batch| !batch.asked);
        Ok(batch.map(|batch| batch.asked = true).is_some())
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
            self.turn()?;
            self.pass(TICK);
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

    fn pass(&mut self, most: Duration) {
        // Whether the connection is whole is found out by who reads.
        if self.asked.is_empty() || self.connection.await_answer(most).is_err() {
            wait::let_pass(most);
        }
    }

    fn finish(mut self: Box<Self>) -> Result<(weir_history::Writer, Vec<Acked>)> {
        while self.in_flight() > 0 {
            self.turn()?;
            self.pass(TICK);
        }
        let sent = u32::try_from(self.sent)?;
        let writer = weir_history::Writer { delivery: Delivery::ExactlyOnce, sent };
        Ok((writer, self.timeline.take()))
    }
}
