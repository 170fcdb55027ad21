//! Load that touches every partition again and again at a steady pace, and knows of each record when it was
//! handed over and when it was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use weir_history::{End, Event, History, Isolation, Recorder, Verdict};
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::{Admin, Cluster};

use super::TOPIC;
use crate::load::{Acked, Reader, Timeline, Writer, WriterSettings};

/// Records that may wait for their acknowledgement: those of some ten seconds.
const IN_FLIGHT: u64 = 300_000;
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
}

/// Load under way: `acks=all`, idempotent.
pub struct Traffic {
    settings: TrafficSettings,
    timeline: Timeline,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Writer>>,
}

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
        let TrafficSettings { partitions, bytes_per_second, value_bytes } = settings;
        let load =
            WriterSettings { value_bytes, in_flight: IN_FLIGHT, ..WriterSettings::new(0, true) };
        let mut writer = Writer::new(&cluster.bootstrap(), TOPIC, partitions, load)?;
        let (timeline, stop) = (writer.timeline(), Arc::new(AtomicBool::new(false)));
        let stopping = Arc::clone(&stop);
        let per_second = bytes_per_second as f64 / value_bytes as f64;
        let pace = move || {
            let clock = Stopwatch::start();
            while !stopping.load(Ordering::Relaxed) {
                let due = (clock.elapsed().as_secs_f64() * per_second) as u64;
                while writer.sent() < due {
                    writer.send()?;
                }
                wait::let_pass(TICK);
            }
            Ok(writer)
        };
        let thread = std::thread::Builder::new().name("traffic".to_owned()).spawn(pace)?;
        Ok(Self { settings, timeline, stop, thread })
    }

    /// When everything is noted.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Waits until a record of every partition is acknowledged that was handed over after `since`; gives for
    /// each how long after that it was.
    ///
    /// # Errors
    /// When it takes more than `most`.
    pub fn acknowledged_again(&self, since: Duration, most: Duration) -> Result<Vec<Duration>> {
        let mut first: Vec<Option<Duration>> = vec![None; self.settings.partitions as usize];
        let (mut seen, mut missing) = (self.timeline.len_at(since), first.len());
        let done = wait::until("every partition acknowledges again", most, || {
            for acked in self.timeline.from(&mut seen) {
                let of = &mut first[acked.seen.place.partition as usize];
                if acked.handed_over >= since && of.is_none() {
                    *of = Some(acked.acknowledged - since);
                    missing -= 1;
                }
            }
            (missing == 0).then_some(())
        });
        done.with_context(|| format!("{missing} partitions do not"))?;
        Ok(first.into_iter().flatten().collect())
    }

    /// Ends, reads everything back and judges it.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn finish(self, cluster: &Cluster) -> Result<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        let writer = self.thread.join().map_err(|_| anyhow!("the load has panicked"))??;
        writer.flush()?;
        let (known, acked) = writer.into_timed_history();
        ensure!(!acked.is_empty(), "nothing was acknowledged");
        let partitions = self.settings.partitions;
        let (_, address) = cluster.proxies().pop_first().context("there is no proxy")?;
        let ends = Admin::connect(address)?.end_offsets(TOPIC, partitions)?;
        let read = Reader::new(&cluster.bootstrap(), TOPIC, partitions)?.read_to(&ends)?;
        let recorder = Recorder::new();
        let notes = recorder.client(Isolation::ReadUncommitted);
        notes.note_all(acked.iter().map(|it| Event::Acked(it.seen)));
        let end = Some(End::new(&vec![0; ends.len()], &ends, read));
        let history = History { writers: vec![known], end, ..recorder.history() };
        Ok(Outcome { verdict: history.check(), acked })
    }
}
