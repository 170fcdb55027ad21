//! Load that touches every partition again and again at a steady pace, and knows of each record when it was
//! handed over and when it was acknowledged.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use weir_history::{End, Event, History, Isolation, Recorder, Verdict};
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::{Admin, Cluster};

use super::TOPIC;
use crate::load::{
    Acked, Produce, Reader, Timeline, WideSettings, WideWriter, Writer, WriterSettings,
};

/// Records of one that may wait for their acknowledgement: those of some ten seconds.
const IN_FLIGHT: u64 = 50_000;
/// How finely the pace is kept.
const TICK: Duration = Duration::from_millis(2);

/// How much load.
#[derive(Clone, Copy, Debug)]
pub struct TrafficSettings {
    /// How many partitions are written in turn.
    pub partitions: i32,
    /// Bytes a second.
    pub bytes_per_second: u64,
    /// Bytes a value.
    pub value_bytes: usize,
    /// How many producers share it: one has five requests in flight to a proxy at most, and unless it is wide,
    /// one partition in each.
    pub writers: u16,
    /// How long records wait for company in their producer.
    pub linger: Duration,
    /// They fill their requests with many partitions, as Java's do and librdkafka's do not.
    pub wide: bool,
    /// The part of it that the first partition gets besides its share of the rest.
    pub hot: f64,
}

/// Load under way: `acks=all`, idempotent. Each of several producers has partitions of its own.
pub struct Traffic {
    settings: TrafficSettings,
    clock: Stopwatch,
    stop: Arc<AtomicBool>,
    lanes: Vec<Lane>,
}

/// One producer.
struct Lane {
    timeline: Timeline,
    thread: JoinHandle<Result<Written>>,
}

/// What the history must know of a producer, with what it was told.
type Written = (weir_history::Writer, Vec<Acked>);

/// What became of all that was sent.
pub struct Outcome {
    /// Every record that was acknowledged.
    pub acked: Vec<Acked>,
    /// What the checker found.
    pub verdict: Verdict,
}

impl Traffic {
    /// Begins.
    ///
    /// # Errors
    /// When librdkafka does not take the settings.
    pub fn start(cluster: &Cluster, settings: TrafficSettings) -> Result<Self> {
        let (clock, stop) = (Stopwatch::start(), Arc::new(AtomicBool::new(false)));
        let count = i32::from(settings.writers).min(settings.partitions);
        let border = |place: i32| settings.partitions * place / count;
        let even = (0..count).map(|place| {
            let partitions = border(place)..border(place + 1);
            let share =
                f64::from(partitions.end - partitions.start) / f64::from(settings.partitions);
            (partitions, share * (1.0 - settings.hot))
        });
        let hot = (settings.hot > 0.0).then_some((0..1, settings.hot));
        let lanes = even.chain(hot).enumerate().map(|(place, (partitions, share))| {
            let writer = u16::try_from(place)?;
            let per_second = settings.bytes_per_second as f64 / settings.value_bytes as f64 * share;
            let pace = Pace { clock, per_second, ahead: place as f64 / f64::from(count) };
            let producer = settings.producer(cluster, writer, partitions, clock)?;
            let (timeline, stop) = (producer.timeline(), Arc::clone(&stop));
            let thread = std::thread::Builder::new().name(format!("traffic-{place}"));
            let thread = thread.spawn(move || {
                let done = paced(producer, pace, &stop);
                // Whoever waits for its records would only find that they do not come.
                done.inspect_err(|error| eprintln!("writer {writer} ended: {error:#}"))
            })?;
            Ok(Lane { timeline, thread })
        });
        let lanes = lanes.collect::<Result<_>>()?;
        Ok(Self { settings, clock, stop, lanes })
    }

    /// The time since it began.
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How long each record took that was acknowledged between two times.
    pub fn took(&self, since: Duration, until: Duration) -> Vec<Duration> {
        self.lanes.iter().flat_map(|lane| lane.timeline.took(since, until)).collect()
    }

    /// How long each record of a partition took that was acknowledged between two times.
    pub fn took_in(&self, partition: i32, since: Duration, until: Duration) -> Vec<Duration> {
        let took = |lane: &Lane| lane.timeline.took_in(partition, since, until);
        self.lanes.iter().flat_map(took).collect()
    }

    /// The record that took longest of those that were acknowledged between two times.
    pub fn slowest(&self, since: Duration, until: Duration) -> Option<Acked> {
        let slowest = self.lanes.iter().filter_map(|lane| lane.timeline.slowest(since, until));
        slowest.max_by_key(Acked::took)
    }

    /// How many records have been acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.lanes.iter().map(|lane| lane.timeline.len_at(Duration::MAX)).sum()
    }

    /// Waits until a record of every partition is acknowledged that was handed over after `since`; gives for
    /// each partition how long after that it was.
    ///
    /// # Errors
    /// When it takes more than `most`.
    pub fn acknowledged_again(&self, since: Duration, most: Duration) -> Result<Vec<Duration>> {
        let mut first: Vec<Option<Duration>> = vec![None; self.settings.partitions as usize];
        let mut seen: Vec<usize> =
            self.lanes.iter().map(|lane| lane.timeline.len_at(since)).collect();
        let mut missing = first.len();
        let done = wait::until("every partition acknowledges again", most, || {
            for (lane, seen) in self.lanes.iter().zip(&mut seen) {
                for acked in lane.timeline.from(seen) {
                    let of = &mut first[acked.seen.place.partition as usize];
                    if acked.handed_over >= since && of.is_none() {
                        *of = Some(acked.acknowledged - since);
                        missing -= 1;
                    }
                }
            }
            (missing == 0).then_some(())
        });
        done.with_context(|| {
            let waiting = (0..).zip(&first).filter(|(_, first)| first.is_none());
            let some: Vec<usize> = waiting.map(|(partition, _)| partition).take(10).collect();
            format!("{missing} partitions do not, {some:?} among them")
        })?;
        Ok(first.into_iter().flatten().collect())
    }

    /// Ends, reads everything back and judges it.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn finish(self, cluster: &Cluster) -> Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        let (mut writers, mut acked) = (Vec::new(), Vec::new());
        for lane in self.lanes {
            let (known, more) =
                lane.thread.join().map_err(|_| anyhow!("the load has panicked"))??;
            writers.push(known);
            acked.extend(more);
        }
        ensure!(!acked.is_empty(), "nothing was acknowledged");
        let partitions = self.settings.partitions;
        let (_, address) = cluster.proxies().pop_first().context("there is no proxy")?;
        let ends = Admin::connect(address)?.end_offsets(TOPIC, partitions)?;
        let read = Reader::new(&cluster.bootstrap(), TOPIC, partitions)?.read_to(&ends)?;
        let recorder = Recorder::new();
        let notes = recorder.client(Isolation::ReadUncommitted);
        notes.note_all(acked.iter().map(|it| Event::Acked(it.seen)));
        let end = Some(End::new(&vec![0; ends.len()], &ends, read));
        let history = History { writers, end, ..recorder.history() };
        Ok(Outcome { verdict: history.check(), acked })
    }
}

impl TrafficSettings {
    /// A producer to some of the partitions.
    fn producer(
        &self,
        cluster: &Cluster,
        writer: u16,
        partitions: Range<i32>,
        clock: Stopwatch,
    ) -> Result<Box<dyn Produce>> {
        let first_partition = partitions.start;
        let &Self { value_bytes, linger, .. } = self;
        if self.wide {
            let settings = WideSettings {
                writer,
                topic: TOPIC,
                first_partition,
                partitions: partitions.len(),
                value_bytes,
                linger,
                in_flight: IN_FLIGHT,
                clock,
            };
            let servers: Vec<_> = cluster.proxies().into_values().collect();
            return Ok(Box::new(WideWriter::new(&servers, settings)?));
        }
        let settings = WriterSettings {
            value_bytes,
            linger,
            in_flight: IN_FLIGHT,
            first_partition,
            clock,
            ..WriterSettings::new(writer, true)
        };
        let count = i32::try_from(partitions.len())?;
        Ok(Box::new(Writer::new(&cluster.bootstrap(), TOPIC, count, settings)?))
    }
}

/// Writes until `stop` as `pace` says; ends when all is acknowledged.
fn paced(mut producer: Box<dyn Produce>, pace: Pace, stop: &AtomicBool) -> Result<Written> {
    while !stop.load(Ordering::Relaxed) {
        let due = pace.due();
        while producer.sent() < due {
            producer.send()?;
        }
        producer.turn()?;
        producer.pass(TICK);
    }
    producer.finish()
}

/// When a writer writes.
#[derive(Clone, Copy)]
struct Pace {
    clock: Stopwatch,
    per_second: f64,
    /// Which part of the time between two records has passed at the beginning: writers take turns.
    ahead: f64,
}

impl Pace {
    /// How many records are to be handed over by now.
    fn due(self) -> u64 {
        (self.clock.elapsed().as_secs_f64() * self.per_second + self.ahead) as u64
    }
}
