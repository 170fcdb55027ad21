//! Produce and consume throughput beside Apache Kafka and beside what the machine can do at most.
//!
//! One driver (librdkafka) for all servers, and all on the same machine at once with it, so only the
//! ratios tell. Servers take turns, round after round, so that a noisy minute hits all of them; the
//! table shows the median round.

mod machine;

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_test_support::wait::Stopwatch;
use weir_test_support::{Admin, Kafka, Server};

use crate::load::{Reader, Writer, WriterSettings};
use crate::table::{Table, mib};

const PARTITIONS: i32 = 4;

/// A comparison.
#[derive(Clone, Copy, Debug)]
pub struct Bench {
    /// Bytes that each round writes and reads.
    pub bytes: u64,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// Rounds, besides one to warm up.
    pub rounds: u32,
}

/// One direction of one round.
#[derive(Clone, Copy, Debug)]
struct Figures {
    bytes: u64,
    records: u64,
    took: Duration,
    server_cpu: Duration,
}

impl Figures {
    fn mib_a_second(&self) -> f64 {
        self.bytes as f64 / f64::from(1 << 20) / self.took.as_secs_f64()
    }

    fn cpu_a_gib(&self) -> f64 {
        self.server_cpu.as_secs_f64() / (self.bytes as f64 / f64::from(1 << 30))
    }
}

/// A server with the figures of its rounds.
struct Contender {
    name: &'static str,
    server: Server,
    produced: Vec<Figures>,
    consumed: Vec<Figures>,
}

/// The table.
#[derive(Debug)]
pub struct Report(Table);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Bench {
    /// Runs `weir`, if given, beside Apache Kafka as it comes and with a flush of each append.
    ///
    /// # Errors
    /// When a server fails.
    pub fn run(&self, weir: Option<Server>) -> Result<Report> {
        let mut contenders = Vec::new();
        let mut contend = |name, server| {
            let (produced, consumed) = (Vec::new(), Vec::new());
            contenders.push(Contender { name, server, produced, consumed });
        };
        if let Some(weir) = weir {
            contend("weir", weir);
        }
        contend("kafka", Kafka::new().start()?);
        let flushing = Kafka::new().setting("log.flush.interval.messages", 1);
        contend("kafka, fsync each append", flushing.start()?);
        for round in 0..=self.rounds {
            for contender in &mut contenders {
                let (produced, consumed) = self
                    .round(&contender.server, round)
                    .with_context(|| format!("{} in round {round}", contender.name))?;
                eprintln!(
                    "round {round}, {}: {:.0} MiB/s in, {:.0} MiB/s out",
                    contender.name,
                    produced.mib_a_second(),
                    consumed.mib_a_second()
                );
                if round > 0 {
                    contender.produced.push(produced);
                    contender.consumed.push(consumed);
                }
            }
        }
        self.table(&mut contenders)
    }

    fn table(&self, contenders: &mut [Contender]) -> Result<Report> {
        let titles = ["", "", "MiB/s", "records/s", "server CPU s/GiB", "peak memory"];
        let mut table = Table::new(titles);
        for contender in contenders {
            let peak = mib(contender.server.usage()?.peak_rss_bytes);
            let directions =
                [("produce", &mut contender.produced), ("consume", &mut contender.consumed)];
            for (direction, rounds) in directions {
                let Some(median) = median(rounds) else { continue };
                table.row([
                    contender.name.to_owned(),
                    direction.to_owned(),
                    format!("{:.0}", median.mib_a_second()),
                    format!("{:.0}", median.records as f64 / median.took.as_secs_f64()),
                    format!("{:.2}", median.cpu_a_gib()),
                    peak.clone(),
                ]);
            }
        }
        for (what, bytes_a_second) in [
            ("loopback TCP", machine::loopback()?),
            ("CRC32C", machine::crc32c()),
            ("1 MiB writes, fdatasync each", machine::disk()?),
        ] {
            let shown = format!("{:.0}", bytes_a_second / f64::from(1 << 20));
            table.row(["machine".to_owned(), what.to_owned(), shown]);
        }
        Ok(Report(table))
    }

    /// Writes and reads a topic.
    fn round(&self, server: &Server, round: u32) -> Result<(Figures, Figures)> {
        let topic = format!("bench-{round}");
        let mut admin = Admin::connect(server.address())?;
        admin.create_topic(&topic, PARTITIONS)?;
        let records = self.bytes.div_ceil(self.value_bytes as u64);
        let produced = self.measure(server, records, || {
            let settings = WriterSettings {
                value_bytes: self.value_bytes,
                in_flight: 100_000,
                ..WriterSettings::new(0, true)
            };
            let mut writer = Writer::new(&server.bootstrap(), &topic, PARTITIONS, settings)?;
            (0..records).try_for_each(|_| writer.send())?;
            writer.flush()
        })?;
        let ends = admin.end_offsets(&topic, PARTITIONS)?;
        let consumed = self.measure(server, records, || {
            Reader::new(&server.bootstrap(), &topic, PARTITIONS)?.count_to(&ends)
        })?;
        Ok((produced, consumed))
    }

    fn measure(
        &self,
        server: &Server,
        records: u64,
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Figures> {
        let (before, watch) = (server.usage()?.cpu, Stopwatch::start());
        work()?;
        let took = watch.elapsed();
        let server_cpu = server.usage()?.cpu.saturating_sub(before);
        Ok(Figures { bytes: records * self.value_bytes as u64, records, took, server_cpu })
    }
}

/// The round with the median time.
fn median(rounds: &mut [Figures]) -> Option<Figures> {
    rounds.sort_by_key(|round| round.took);
    rounds.get(rounds.len() / 2).copied()
}
