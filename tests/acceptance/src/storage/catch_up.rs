//! Reading everything from the beginning, out of the store: beside what a plain client of the store gets.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Result, anyhow};
use weir_test_store::Pace;

use super::costs::{Costs, rate};
use super::site::Site;
use super::{Report, ranges};
use crate::cluster::Setting;
use crate::load::{BulkSettings, FetchTerms, Fetcher, Ledger};

const TOPIC: &str = "archive";
/// How long values are.
pub(super) const VALUE_BYTES: RangeInclusive<usize> = 1_024..=65_536;

/// Such a run.
#[derive(Clone, Copy, Debug)]
pub struct CatchUp {
    /// How much is written and read.
    pub bytes: u64,
    /// Partitions of the topic.
    pub partitions: i32,
    /// How many brokers there are.
    pub brokers: u32,
    /// For how long nothing may have been deleted before both begin to read.
    pub still: Duration,
    /// How fast the store is, beside as fast as it goes.
    pub throttled: Pace,
    /// Client and consumer take turns so many times.
    pub rounds: usize,
    /// Ranges that the plain client reads at the same time, and how long they are.
    pub at_once: usize,
    /// How long they are.
    pub range_bytes: u64,
    /// Connections of the consumer: each has its share of the partitions.
    pub connections: usize,
    /// What each asks for.
    pub fetch_bytes: i32,
    /// And of each partition.
    pub partition_bytes: i32,
}

/// What has been read, and what that has cost.
struct Reading {
    bytes: u64,
    costs: Costs,
}

impl Reading {
    fn none() -> Self {
        Self { bytes: 0, costs: Costs::none() }
    }

    fn rate(&self) -> f64 {
        rate(self.bytes, self.costs.time)
    }

    /// Adds what `read` reads.
    fn add(&mut self, site: &Site, read: impl FnOnce() -> Result<u64>) -> Result<()> {
        let before = Costs::now(site)?;
        self.bytes += read()?;
        self.costs.add(&Costs::since(site, &before)?);
        Ok(())
    }
}

impl CatchUp {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut report = Report::default();
        let mut site = Site::start(setting, self.brokers)?;
        site.admin()?.create_topic(TOPIC, self.partitions)?;
        let before = Costs::now(&site)?;
        let written = site.write(self.load(&site), self.bytes)?;
        let writing = Costs::since(&site, &before)?;
        report.say(format!(
            "{} partitions, {:.2} GiB written at {:.0} MiB/s; {}",
            self.partitions,
            super::costs::gib(written.bytes()),
            rate(written.bytes(), writing.time),
            writing.a_gib(written.bytes()),
        ));
        site.restart_brokers(self.partitions)?;
        let stored = site.until_still("the store", self.still, Site::stored_bytes)?;
        report.say(format!("{:.2} GiB lie in the store", super::costs::gib(stored)));
        for (what, pace) in [("throttled", self.throttled), ("unthrottled", Pace::default())] {
            site.set_pace(pace)?;
            let (plain, consumer, read) = self.both(&site, &written)?;
            report.judge(written.compare_from(what, &read, &BTreeMap::new()));
            let Pace { median_ms, mib_per_second, .. } = pace;
            report.say(format!(
                "{what} ({median_ms} ms, {mib_per_second} MiB/s): {} ranges at once {:.1} MiB/s, a consumer {:.1} \
                 MiB/s: {:.1} %; plain: {}; consumer: {}",
                self.at_once,
                plain.rate(),
                consumer.rate(),
                consumer.rate() / plain.rate() * 100.0,
                plain.costs.a_gib(plain.bytes),
                consumer.costs.a_gib(consumer.bytes),
            ));
        }
        Ok(report)
    }

    fn load(&self, site: &Site) -> BulkSettings {
        BulkSettings {
            topic: TOPIC,
            partitions: self.partitions,
            batch_bytes: 800_000,
            value_bytes: VALUE_BYTES,
            bytes_per_second: None,
            seed: 1,
            clock: site.clock,
        }
    }

    /// Has the plain client and the consumer take turns, until both have read everything.
    fn both(&self, site: &Site, written: &Ledger) -> Result<(Reading, Reading, Ledger)> {
        let (mut plain, mut consumer) = (Reading::none(), Reading::none());
        let store = site.store()?;
        let ranges = ranges::all(store, self.range_bytes, written.bytes())?;
        let mut readers = self.readers(site)?;
        for round in 0..self.rounds {
            let part =
                |count: usize| count * round / self.rounds..count * (round + 1) / self.rounds;
            plain.add(site, || {
                let ranges = &ranges[part(ranges.len())];
                ranges::read(store.address(), ranges, self.at_once)?;
                Ok(ranges.iter().map(|range| range.len).sum())
            })?;
            let ends = written.ends_of_part(round + 1, self.rounds);
            consumer.add(site, || read_to(&mut readers, &ends))?;
        }
        let mut read = Ledger::default();
        readers.into_iter().for_each(|reader| read.extend(reader.into_read()));
        Ok((plain, consumer, read))
    }

    fn readers(&self, site: &Site) -> Result<Vec<Fetcher>> {
        let terms = FetchTerms {
            max_bytes: self.fetch_bytes,
            partition_max_bytes: self.partition_bytes,
            max_wait_ms: 500,
        };
        let count = self.connections.clamp(1, usize::try_from(self.partitions)?);
        let reader = |place: usize| {
            let from = (0..self.partitions).skip(place).step_by(count).map(|it| (it, 0)).collect();
            Fetcher::new(site.address(), TOPIC, from, terms, site.clock)
        };
        (0..count).map(reader).collect()
    }
}

/// Has all of them read to these ends; gives how much they have read.
fn read_to(readers: &mut [Fetcher], ends: &BTreeMap<i32, i64>) -> Result<u64> {
    let bytes = |readers: &[Fetcher]| readers.iter().map(Fetcher::bytes).sum::<u64>();
    let before = bytes(readers);
    std::thread::scope(|scope| {
        let reading: Vec<_> =
            readers.iter_mut().map(|reader| scope.spawn(|| reader.read_to(ends))).collect();
        reading
            .into_iter()
            .try_for_each(|it| it.join().map_err(|_| anyhow!("a consumer has panicked"))?)
    })?;
    Ok(bytes(readers) - before)
}
