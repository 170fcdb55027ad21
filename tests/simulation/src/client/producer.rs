//! A producer of one partition, with several batches in flight.
//!
//! It tries again as the Java client does: with the same sequence numbers, in order, on a new connection
//! if the old one is gone, to whoever leads the partition then. It gives up nothing.

use std::{collections::VecDeque, ops::RangeInclusive, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::FuturesOrdered};
use tokio::time::{Instant, sleep, sleep_until};
use weir_history::{Event, Isolation, Notes, Place, Seen, Value};
use weir_ids::{NodeId, ProducerEpoch, ProducerId, Sequence};
use weir_protocol::{
    ErrorCode,
    codec::Records,
    messages::{
        InitProducerIdRequest, ProduceRequest,
        produce::{PartitionProduceData, TopicProduceData},
    },
    records::BatchBuilder,
};
use weir_runtime::Clock;

use super::{
    Phase, Shared,
    directory::Directory,
    wire::{Answer, Gone, Wire},
};

const PRODUCE_VERSION: i16 = 9;
const INIT_VERSION: i16 = 3;
/// How long a server may wait for durability.
const TIMEOUT_MS: i32 = 4000;
/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);
/// Pause before batches are sent again.
const PAUSE: Duration = Duration::from_millis(100);
/// Batches in flight, as Java's default allows for an idempotent producer.
const IN_FLIGHT: usize = 5;
/// Pause between two batches, in milliseconds: of one that works all the time, and within a spell.
const STEADY_MS: RangeInclusive<u64> = 20..=400;
const BRISK_MS: RangeInclusive<u64> = 5..=40;
/// How long a spell lasts, and the rest behind it.
const SPELL_MS: RangeInclusive<u64> = 1_000..=4_000;
const REST_MS: RangeInclusive<u64> = 4_000..=15_000;
/// How often in a row a sequence may be refused that nothing is in front of.
const REFUSALS_MAX: u32 = 20;

/// A producer, by its promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Idempotent,
    Plain,
}

/// How a producer spreads its work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pace {
    Steady,
    /// It works for a while, rests for longer, and comes back with new connections.
    Spells,
}

struct Batch {
    first: u32,
    count: u32,
    records: Bytes,
    acked: bool,
}

struct Producer {
    directory: Directory,
    notes: Notes,
    writer: u16,
    partition: i32,
    id: Option<ProducerId>,
    /// When its spell of work is over, if it works by spells.
    tired_at: Option<Instant>,
    next: u32,
    batches: VecDeque<Batch>,
    /// Whether brokers know it, because something of it was acknowledged.
    known: bool,
    refusals: u32,
}

/// What became of a batch: its first offset, if that is known.
type Told = Result<Option<i64>, ErrorCode>;

/// Produces to `partition` until the phase ends, and then until everything is acknowledged. Gives how
/// many values were handed over.
pub(crate) async fn produce(
    shared: Shared,
    writer: u16,
    partition: i32,
    kind: Kind,
    pace: Pace,
) -> u32 {
    let notes = shared.recorder.client(Isolation::default());
    let directory = Directory::new(&shared, notes.client().0);
    let id = match kind {
        Kind::Idempotent => Some(init(&directory).await),
        Kind::Plain => None,
    };
    let tired_at = (pace == Pace::Spells).then(Instant::now);
    let mut producer = Producer {
        directory,
        notes,
        writer,
        partition,
        id,
        tired_at,
        next: 0,
        batches: VecDeque::new(),
        known: false,
        refusals: 0,
    };
    producer.run().await;
    producer.next
}

async fn init(directory: &Directory) -> ProducerId {
    loop {
        let request = InitProducerIdRequest { transactional_id: None, ..Default::default() };
        match directory.ask(directory.any(), INIT_VERSION, &request).await {
            Ok(answer) if answer.error_code.is_none() => return ProducerId(answer.producer_id),
            _ => sleep(PAUSE).await,
        }
    }
}

impl Producer {
    async fn run(&mut self) {
        let shared = Arc::clone(&self.directory.shared);
        let mut due = Instant::now() + self.directory.chance.millis(0..=500);
        loop {
            if self.batches.is_empty() {
                self.rest_if_tired().await;
                if shared.phase() != Phase::Working {
                    return;
                }
                sleep_until(due).await;
                self.gather();
            }
            let leader = self.directory.leader_or_ask(self.partition, || false).await;
            let Some(leader) = leader else { continue };
            if self.send_all(leader, &mut due).await.is_err() {
                self.directory.forget(self.partition);
                sleep(PAUSE).await;
            }
        }
    }

    /// Its first batch goes alone: of a producer that it does not know a broker takes any sequence, so a later
    /// batch must not be there when the partition begins to accept. (Java risks it, and begins a new epoch.)
    fn in_flight_max(&self) -> usize {
        if self.known { IN_FLIGHT } else { 1 }
    }

    fn is_tired(&self) -> bool {
        self.tired_at.is_some_and(|at| at <= Instant::now())
    }

    async fn rest_if_tired(&mut self) {
        if self.is_tired() {
            sleep(self.directory.chance.millis(REST_MS)).await;
            self.directory.begin_anew();
            self.tired_at = Some(Instant::now() + self.directory.chance.millis(SPELL_MS));
        }
    }

    /// Sends what there is, and what comes, until something fails. In the end nothing is in flight.
    async fn send_all(&mut self, leader: NodeId, due: &mut Instant) -> Result<(), ErrorCode> {
        let Some(wire) = self.directory.wire(leader).await else {
            return Err(ErrorCode::NETWORK_EXCEPTION);
        };
        let mut in_flight: FuturesOrdered<BoxFuture<'static, Told>> = FuturesOrdered::new();
        for place in 0..self.batches.len() {
            in_flight.push_back(self.send(&wire, place));
        }
        let mut failed = None;
        let mut answered = 0;
        loop {
            let working = self.directory.shared.phase() == Phase::Working;
            let may_send = failed.is_none()
                && working
                && !self.is_tired()
                && in_flight.len() < self.in_flight_max();
            tokio::select! {
                biased;
                Some(told) = in_flight.next() => {
                    match self.told(answered, told) {
                        Ok(()) if failed.is_none() => {
                            self.batches.pop_front();
                        }
                        Ok(()) => answered += 1,
                        Err(code) => {
                            failed.get_or_insert(code);
                            answered += 1;
                        }
                    }
                }
                () = sleep_until(*due), if may_send => {
                    self.gather();
                    let pause = if self.tired_at.is_some() { BRISK_MS } else { STEADY_MS };
                    *due = Instant::now() + self.directory.chance.millis(pause);
                    in_flight.push_back(self.send(&wire, self.batches.len() - 1));
                }
                else => break,
            }
        }
        self.settle();
        match failed {
            Some(code) => {
                if code == ErrorCode::NETWORK_EXCEPTION {
                    wire.end();
                }
                Err(code)
            }
            None => Ok(()),
        }
    }

    /// Forgets what was acknowledged. An idempotent producer sends that again if it lies behind something
    /// that was not: a broker remembers the last five batches, so more may not lie between the first that
    /// it may be asked about and the newest.
    fn settle(&mut self) {
        if self.id.is_none() {
            self.batches.retain(|batch| !batch.acked);
        }
        while self.batches.pop_front_if(|batch| batch.acked).is_some() {}
    }

    /// How many records a batch has.
    fn gathered(&self) -> RangeInclusive<u64> {
        if self.tired_at.is_some() { 1..=16 } else { 1..=6 }
    }

    /// Makes the next batch.
    fn gather(&mut self) {
        let (first, count) = (self.next, self.directory.chance.within(self.gathered()) as u32);
        self.next += count;
        let now = self.directory.shared.clock.now();
        let mut builder = BatchBuilder::new();
        if let Some(id) = self.id {
            builder = builder.producer(id, ProducerEpoch(0), Sequence(first as i32));
        }
        for number in first..first + count {
            let value = format!("{}-{number}", self.writer);
            let pushed = builder.push(now, None, Some(value.as_bytes()), &[]);
            debug_assert!(pushed.is_ok(), "a few bytes fit");
        }
        let records = builder.build().map(|batch| batch.into_batch().into_bytes());
        let records = records.unwrap_or_default();
        self.batches.push_back(Batch { first, count, records, acked: false });
    }

    fn send(&self, wire: &Wire, place: usize) -> BoxFuture<'static, Told> {
        let batch = &self.batches[place];
        let (writer, partition) = (self.writer, self.partition);
        self.notes.note_all((batch.first..batch.first + batch.count).map(|number| {
            let value = Value { writer, number };
            Event::Sent { value, partition, transaction: None }
        }));
        let (topic, index) = self.directory.shared.topics.of(partition);
        let records = Some(Records::from(batch.records.clone()));
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: TIMEOUT_MS,
            topic_data: vec![TopicProduceData {
                name: topic.into(),
                partition_data: vec![PartitionProduceData { index, records }],
                ..Default::default()
            }],
        };
        let answer: Answer<ProduceRequest> = wire.send(PRODUCE_VERSION, &request);
        Box::pin(async move {
            let answer = answer.within(ANSWER_WITHIN).await;
            let answer = answer.map_err(|Gone| ErrorCode::NETWORK_EXCEPTION)?;
            let topic = answer.responses.into_iter().next();
            let partition = topic.and_then(|topic| topic.partition_responses.into_iter().next());
            let partition = partition.ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
            match partition.error_code {
                ErrorCode::NONE => Ok(Some(partition.base_offset)),
                ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Ok(None),
                code => Err(code),
            }
        })
    }

    /// Takes in what became of the batch at `place`.
    fn told(&mut self, place: usize, told: Told) -> Result<(), ErrorCode> {
        let (writer, partition) = (self.writer, self.partition);
        let trace = self.directory.shared.net.trace();
        let batch = &mut self.batches[place];
        let (first, count) = (batch.first, batch.count);
        trace.line(format_args!("p{writer} {first}+{count} to {partition}: {told:?}"));
        match told {
            Ok(base) => {
                batch.acked = true;
                (self.known, self.refusals) = (true, 0);
                self.notes.note_all((0..count).map(|delta| {
                    let offset = base.map_or(-1, |base| base + i64::from(delta));
                    let value = Value { writer, number: first + delta };
                    Event::Acked(Seen { place: Place { partition, offset }, value })
                }));
                Ok(())
            }
            Err(code) => {
                let head = place == 0;
                if code == ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER && head {
                    self.refusals += 1;
                }
                let fatal = !code.is_retriable() && code != ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
                    || self.refusals == REFUSALS_MAX;
                if fatal {
                    let what = format!("p{writer} {first}+{count} to {partition}: {code}");
                    self.directory.shared.outrage(what);
                }
                Err(code)
            }
        }
    }
}
