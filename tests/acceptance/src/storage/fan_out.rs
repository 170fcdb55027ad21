//! Many consumers of the newest records of one partition, at one proxy: what of that reaches brokers and store.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_test_support::wait;

use super::Report;
use super::beside::Beside;
use super::costs::{Costs, rate};
use super::lagging::fetcher;
use super::site::Site;
use crate::cluster::Setting;
use crate::load::BulkSettings;

const TOPIC: &str = "tail";
/// How long load runs before anything counts.
const WARM: Duration = Duration::from_secs(10);
/// How long what has been written may take to be read by all.
const READ: Duration = Duration::from_secs(120);
/// What a broker shows of what it gives to readers.
const READ_BYTES: &str = "weir_broker_read_records_bytes_total";

/// Such a run.
#[derive(Clone, Copy, Debug)]
pub struct FanOut {
    /// How many consumers, a connection each.
    pub consumers: usize,
    /// What is written, in bytes a second.
    pub bytes_per_second: u64,
    /// How long batches are.
    pub batch_bytes: usize,
    /// How long it is measured.
    pub time: Duration,
}

impl FanOut {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When something fails that is no broken promise.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut report = Report::default();
        let site = Site::start(setting, 1)?;
        site.admin()?.create_topic(TOPIC, 1)?;
        let readers = (0..self.consumers).map(|_| Beside::reader(fetcher(&site, TOPIC, 1)?));
        let readers = readers.collect::<Result<Vec<_>>>()?;
        let writer = Beside::writer(site.address(), self.load(&site))?;
        wait::let_pass(WARM);
        let read = || readers.iter().map(Beside::bytes).sum::<u64>();
        let (costs, before) = (Costs::now(&site)?, (writer.bytes(), read(), site.sum(READ_BYTES)?));
        wait::let_pass(self.time);
        let after = (writer.bytes(), read(), site.sum(READ_BYTES)?);
        let costs = Costs::since(&site, &costs)?;
        let (written, read, given) = (after.0 - before.0, after.1 - before.1, after.2 - before.2);
        report.say(format!(
            "{} consumers of one partition: {:.2} MiB/s in, {:.1} MiB/s out; brokers gave {:.2} bytes a byte \
             produced, consumers read {:.2}; {costs}",
            self.consumers,
            rate(written, costs.time),
            rate(read, costs.time),
            given as f64 / written as f64,
            read as f64 / written as f64,
        ));
        let written = writer.stop()?;
        wait::until("all is read", READ, || {
            readers.iter().all(|it| it.bytes() >= written.bytes()).then_some(())
        })
        .with_context(|| format!("{} bytes were written", written.bytes()))?;
        readers.iter().for_each(Beside::tell);
        for reader in readers {
            let read = reader.join()?;
            report.judge(written.compare_from("a consumer", &read, &BTreeMap::new()));
        }
        Ok(report)
    }

    fn load(&self, site: &Site) -> BulkSettings {
        BulkSettings {
            topic: TOPIC,
            partitions: 1,
            batch_bytes: self.batch_bytes,
            value_bytes: 500..=2_000,
            bytes_per_second: Some(self.bytes_per_second),
            seed: 1,
            clock: site.clock,
        }
    }
}
