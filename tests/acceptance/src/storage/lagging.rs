//! Consumers of old data beside a steady load: whether those feel it who read the newest.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_test_store::Pace;
use weir_test_support::wait;

use super::Report;
use super::beside::Beside;
use super::catch_up::VALUE_BYTES;
use super::costs::{Costs, gib, rate};
use super::site::Site;
use crate::cluster::{Setting, Spread};
use crate::load::{BulkSettings, FetchTerms, Fetcher, Ledger};

const ARCHIVE: &str = "archive";
const TAIL: &str = "tail";
/// How long load runs before anything counts.
const WARM: Duration = Duration::from_secs(10);
/// How long what has been written may take to be read.
const READ: Duration = Duration::from_secs(60);

/// Such a run.
#[derive(Clone, Copy, Debug)]
pub struct Lagging {
    /// How much old data there is.
    pub archive_bytes: u64,
    /// Partitions of each of both topics.
    pub partitions: i32,
    /// How many brokers there are.
    pub brokers: u32,
    /// What is written meanwhile, in bytes a second.
    pub bytes_per_second: u64,
    /// How long its batches are.
    pub batch_bytes: usize,
    /// How many read old data.
    pub consumers: usize,
    /// How long they do, and how long nobody does.
    pub time: Duration,
    /// How often.
    pub rounds: usize,
    /// How fast the store is.
    pub pace: Pace,
}

/// Spans of time of one kind.
struct Spans {
    spans: Vec<Range<Duration>>,
    costs: Costs,
}

impl Spans {
    fn none() -> Self {
        Self { spans: Vec::new(), costs: Costs::none() }
    }

    /// Lets time pass, and counts what that costs.
    fn add(&mut self, site: &Site, time: Duration) -> Result<()> {
        let (since, before) = (site.clock.elapsed(), Costs::now(site)?);
        wait::let_pass(time);
        self.costs.add(&Costs::since(site, &before)?);
        self.spans.push(since..site.clock.elapsed());
        Ok(())
    }

    /// How long it took from when batches were due to be sent within these until they were received.
    fn took(&self, written: &Ledger, read: &Ledger, partitions: i32) -> Spread {
        let mut took = Vec::new();
        for partition in 0..partitions {
            let pairs = written.of(partition).iter().zip(read.of(partition));
            let within =
                pairs.filter(|(sent, _)| self.spans.iter().any(|it| it.contains(&sent.at)));
            took.extend(within.map(|(sent, received)| received.at.saturating_sub(sent.at)));
        }
        Spread::of(took)
    }
}

impl Lagging {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut report = Report::default();
        let mut site = Site::start(setting, self.brokers)?;
        for topic in [ARCHIVE, TAIL] {
            site.admin()?.create_topic(topic, self.partitions)?;
        }
        let archive = site.write(self.archive(&site), self.archive_bytes)?;
        report.say(format!("{:.2} GiB of old data", gib(archive.bytes())));
        site.restart_brokers(2 * self.partitions)?;
        site.set_pace(self.pace)?;
        let reader = Beside::reader(self.reader(&site, TAIL)?)?;
        let writer = Beside::writer(site.address(), self.tail(&site))?;
        wait::let_pass(WARM);
        let (mut without, mut with, mut old_bytes) = (Spans::none(), Spans::none(), 0);
        for _ in 0..self.rounds {
            without.add(&site, self.time)?;
            let consumers = self.consumers(&site, &archive)?;
            let bytes = || consumers.iter().map(Beside::bytes).sum::<u64>();
            wait::let_pass(WARM);
            let before = bytes();
            with.add(&site, self.time)?;
            old_bytes += bytes() - before;
            consumers.iter().for_each(Beside::tell);
            for consumer in consumers {
                report.judge(archive.compare("a lagging consumer", &consumer.join()?));
            }
            wait::let_pass(WARM);
        }
        let (written, read) = self.end(writer, reader)?;
        report.judge(written.compare_from("the tail's reader", &read, &BTreeMap::new()));
        self.figures(&mut report, &without, &with, (&written, &read), old_bytes);
        Ok(report)
    }

    /// Ends the load, when all of it has been read.
    fn end(self, writer: Beside, reader: Beside) -> Result<(Ledger, Ledger)> {
        let written = writer.stop()?;
        wait::until("the tail is read to its end", READ, || {
            (reader.bytes() >= written.bytes()).then_some(())
        })
        .with_context(|| format!("{} of {} bytes", reader.bytes(), written.bytes()))?;
        Ok((written, reader.stop()?))
    }

    fn figures(
        self,
        report: &mut Report,
        without: &Spans,
        with: &Spans,
        (written, read): (&Ledger, &Ledger),
        old_bytes: u64,
    ) {
        let [alone, beside] =
            [without, with].map(|spans| spans.took(written, read, self.partitions));
        report.say(format!(
            "{} partitions, {:.1} MiB/s: from send to receipt {alone}; {}",
            self.partitions,
            self.bytes_per_second as f64 / f64::from(1 << 20),
            without.costs,
        ));
        report.say(format!(
            "with {} consumers of old data at {:.0} MiB/s: {beside}; {}",
            self.consumers,
            rate(old_bytes, with.costs.time),
            with.costs,
        ));
        let ratio = |hundredths| {
            let of = |spread: &Spread| spread.percentile(hundredths).as_secs_f64();
            of(&beside) / of(&alone)
        };
        report.say(format!(
            "p50 is {:.2} times, p99 {:.2} times what it is without them; brokers took {:.1} % of a core more",
            ratio(50.0),
            ratio(99.0),
            with.costs.broker_percent() - without.costs.broker_percent(),
        ));
    }

    fn archive(&self, site: &Site) -> BulkSettings {
        BulkSettings {
            topic: ARCHIVE,
            partitions: self.partitions,
            batch_bytes: 800_000,
            value_bytes: VALUE_BYTES,
            bytes_per_second: None,
            seed: 1,
            clock: site.clock,
        }
    }

    fn tail(&self, site: &Site) -> BulkSettings {
        BulkSettings {
            topic: TAIL,
            partitions: self.partitions,
            batch_bytes: self.batch_bytes,
            value_bytes: 500..=2_000,
            bytes_per_second: Some(self.bytes_per_second),
            seed: 2,
            clock: site.clock,
        }
    }

    fn reader(&self, site: &Site, topic: &'static str) -> Result<Fetcher> {
        fetcher(site, topic, self.partitions)
    }

    /// Consumers that begin in different places, and read to the end again and again.
    fn consumers(&self, site: &Site, archive: &Ledger) -> Result<Vec<Beside>> {
        let consumer = |place| {
            let (address, clock) = (site.address(), site.clock);
            let from = archive.ends_of_part(place, self.consumers);
            let starts: Vec<i64> = from.values().copied().collect();
            let left = archive.bytes_from(&starts);
            let again = move || Fetcher::new(address, ARCHIVE, from.clone(), TERMS, clock);
            Beside::rereader(again, left)
        };
        (0..self.consumers).map(consumer).collect()
    }
}

/// As Java's consumer asks by default.
pub(super) const TERMS: FetchTerms =
    FetchTerms { max_bytes: 50 << 20, partition_max_bytes: 1 << 20, max_wait_ms: 500 };

/// A consumer of a whole topic.
pub(super) fn fetcher(site: &Site, topic: &'static str, partitions: i32) -> Result<Fetcher> {
    let from = (0..partitions).map(|it| (it, 0)).collect();
    Fetcher::new(site.address(), topic, from, TERMS, site.clock)
}
