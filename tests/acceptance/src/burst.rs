//! Producers that write ten times as fast as a consumer reads: nothing is refused for good, nothing is
//! lost, and memory stays within its budget, for the backlog belongs on disk.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_history::{End, Event, History, Isolation, Place, Recorder, Seen};
use weir_test_support::wait::{self, Deadline, Stopwatch};
use weir_test_support::{Admin, Server};

use crate::load::{Reader, Writer, WriterSettings};
use crate::table::mib;

const TOPIC: &str = "burst";
const PARTITIONS: i32 = 4;
/// How often writers and reader take their share.
const TICK: Duration = Duration::from_millis(10);

/// A burst.
#[derive(Clone, Copy, Debug)]
pub struct Burst {
    /// Records a second that the consumer reads.
    pub read_a_second: u64,
    /// How many times that is written.
    pub times: u64,
    /// How long.
    pub time: Duration,
    /// Bytes of each value.
    pub value_bytes: usize,
}

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    sent: u64,
    written: usize,
    bytes: u64,
    took: Duration,
    read_meanwhile: usize,
    before_bytes: u64,
    /// The most memory that the server took.
    pub peak_bytes: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} records sent ({}) acknowledged in {:.1?}, {} read meanwhile, none lost; memory {} \
             before, {} at most",
            self.written,
            self.sent,
            mib(self.bytes),
            self.took,
            self.read_meanwhile,
            mib(self.before_bytes),
            mib(self.peak_bytes)
        )
    }
}

impl Burst {
    /// Runs against `server`.
    ///
    /// # Errors
    /// When a record is refused or lost.
    pub fn run(&self, server: &Server) -> Result<Report> {
        Admin::connect(server.address())?.create_topic(TOPIC, PARTITIONS)?;
        let before_bytes = server.usage()?.rss_bytes;
        let stop = AtomicBool::new(false);
        let watch = Stopwatch::start();
        let (writer, polled) = std::thread::scope(|scope| {
            let slow = scope.spawn(|| self.read_slowly(server, &stop));
            let writer = self.write(server);
            stop.store(true, Ordering::Relaxed);
            Ok::<_, anyhow::Error>((writer?, slow.join().expect("no thread panics")?))
        })?;
        let took = watch.elapsed();
        let sent = writer.sent();
        let (known, acknowledged) = writer.into_history();
        let (written, read_meanwhile) = (acknowledged.len(), polled.len());
        let recorder = Recorder::new();
        let [wrote, read] = [(); 2].map(|()| recorder.client(Isolation::ReadUncommitted));
        wrote.note_all(acknowledged.into_iter().map(Event::Acked));
        read.note_all(
            (0..PARTITIONS).map(|partition| Event::Sought(Place { partition, offset: 0 })),
        );
        read.note_all(polled.into_iter().map(Event::Polled));
        let ends = Admin::connect(server.address())?.end_offsets(TOPIC, PARTITIONS)?;
        let all = Reader::new(&server.bootstrap(), TOPIC, PARTITIONS)?.read_to(&ends)?;
        let end = End::new(&vec![0; ends.len()], &ends, all);
        let history = History { writers: vec![known], end: Some(end), ..recorder.history() };
        let verdict = history.check();
        ensure!(verdict.is_clean(), "after a burst:\n{verdict}");
        let peak_bytes = server.usage()?.peak_rss_bytes;
        let bytes = (written * self.value_bytes) as u64;
        Ok(Report { sent, written, bytes, took, read_meanwhile, before_bytes, peak_bytes })
    }

    fn write(&self, server: &Server) -> Result<Writer> {
        let settings =
            WriterSettings { value_bytes: self.value_bytes, ..WriterSettings::new(0, true) };
        let mut writer = Writer::new(&server.bootstrap(), TOPIC, PARTITIONS, settings)?;
        let deadline = Deadline::after(self.time);
        let watch = Stopwatch::start();
        while !deadline.has_passed() {
            // A server that holds writers back makes the burst smaller, not longer.
            while !deadline.has_passed()
                && writer.sent() < due(self.read_a_second * self.times, watch.elapsed())
            {
                writer.send()?;
            }
            wait::let_pass(TICK);
        }
        writer.flush().context("records of the burst")?;
        Ok(writer)
    }

    fn read_slowly(&self, server: &Server, stop: &AtomicBool) -> Result<Vec<Seen>> {
        let reader = Reader::new(&server.bootstrap(), TOPIC, PARTITIONS)?;
        let watch = Stopwatch::start();
        let mut polled = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            while (polled.len() as u64) < due(self.read_a_second, watch.elapsed()) {
                match reader.poll(Duration::ZERO)? {
                    Some(seen) => polled.push(seen),
                    None => break,
                }
            }
            wait::let_pass(TICK);
        }
        Ok(polled)
    }
}

/// Records that are due after `elapsed`.
fn due(a_second: u64, elapsed: Duration) -> u64 {
    (a_second as f64 * elapsed.as_secs_f64()) as u64
}
