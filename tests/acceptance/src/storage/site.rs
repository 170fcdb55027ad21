//! A cluster of which the roles are processes of their own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_test_store::Pace;
use weir_test_support::wait::{self, Deadline, Stopwatch};
use weir_test_support::{Admin, Cluster, ClusterSettings, S3};

use crate::cluster::{Setting, StoreKind};
use crate::load::{BulkSettings, BulkWriter, FetchTerms, Fetcher, Ledger};

/// How long partitions may take to be where they should be.
const EVEN: Duration = Duration::from_secs(120);
/// How long the store may take to come to rest.
const AT_REST: Duration = Duration::from_secs(1_800);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_secs(1);

const BROKER: &[&str] = &["broker"];
const PROXY: &[&str] = &["proxy"];
const INNER: &[&str] = &["coordinator", "controller"];

/// See the module.
pub(super) struct Site {
    pub(super) cluster: Cluster,
    pub(super) brokers: Vec<u32>,
    pub(super) proxy: u32,
    pub(super) clock: Stopwatch,
}

impl Site {
    /// Starts one with so many brokers.
    pub(super) fn start(setting: &Setting, brokers: u32) -> Result<Self> {
        let mut roles = vec![BROKER; brokers as usize];
        roles.extend([PROXY, INNER]);
        let cluster = ClusterSettings::new(&setting.binary, &roles);
        let cluster =
            setting.sections.iter().fold(cluster, |it, (name, lines)| it.section(name, lines));
        let StoreKind::Native(program, arguments) = &setting.store else {
            anyhow::bail!("this is a run over the small and fast store");
        };
        let cluster = cluster.on_native(program, arguments.clone()).start()?;
        let brokers: Vec<u32> = (1..=brokers).collect();
        let proxy = brokers.len() as u32 + 1;
        Ok(Self { cluster, brokers, proxy, clock: Stopwatch::start() })
    }

    /// Where clients connect.
    pub(super) fn address(&self) -> SocketAddr {
        self.cluster.proxies()[&self.proxy]
    }

    pub(super) fn admin(&self) -> Result<Admin> {
        Admin::connect(self.address())
    }

    pub(super) fn store(&self) -> Result<&S3> {
        self.cluster.s3().context("the store does not count")
    }

    /// How fast the store is from now on.
    pub(super) fn set_pace(&self, pace: Pace) -> Result<()> {
        self.store()?.set_pace(&pace.query())
    }

    /// The sum of what brokers show under this name.
    pub(super) fn sum(&self, metric: &str) -> Result<u64> {
        self.brokers.iter().map(|broker| self.cluster.metric(*broker, metric)).sum()
    }

    /// Writes so many bytes; gives what they are.
    pub(super) fn write(&self, settings: BulkSettings, bytes: u64) -> Result<Ledger> {
        let mut writer = BulkWriter::new(self.address(), settings)?;
        let (watch, mut shown) = (Stopwatch::start(), Deadline::after(Duration::from_secs(10)));
        while writer.sent_bytes() < bytes {
            writer.turn()?;
            if shown.has_passed() {
                let rate = (writer.sent_bytes() >> 20) as f64 / watch.elapsed().as_secs_f64();
                eprintln!("{} MiB written, {rate:.0} MiB/s", writer.sent_bytes() >> 20);
                shown = Deadline::after(Duration::from_secs(10));
            }
        }
        writer.finish()
    }

    /// Restarts the brokers one after the other, and waits until each has its share again: what they have is in the store
    /// then, and not in their memory.
    pub(super) fn restart_brokers(&mut self, partitions: i32) -> Result<()> {
        for broker in self.brokers.clone() {
            let status = self.cluster.stop(broker)?;
            ensure!(status.success(), "broker {broker} ended with {status}");
            self.cluster.launch(broker)?;
            self.cluster.wait_until_ready(broker)?;
            self.until_even(partitions)?;
        }
        Ok(())
    }

    /// Kills the brokers without warning, starts them again, and waits until each has its share.
    pub(super) fn kill_brokers(&mut self, partitions: i32) -> Result<()> {
        for broker in self.brokers.clone() {
            self.cluster.kill9(broker)?;
        }
        for broker in self.brokers.clone() {
            self.cluster.launch(broker)?;
            self.cluster.wait_until_ready(broker)?;
        }
        self.until_even(partitions)
    }

    /// Waits until each broker has its share of so many partitions.
    pub(super) fn until_even(&self, partitions: i32) -> Result<()> {
        let share = u64::from(partitions.unsigned_abs()) / self.brokers.len() as u64;
        let even =
            |broker: &u32| self.cluster.open_partitions(*broker).is_ok_and(|open| open >= share);
        wait::until("each broker has its share", EVEN, || {
            self.brokers.iter().all(even).then_some(())
        })?;
        Ok(())
    }

    /// Waits until what `figure` gives has not changed for `time`.
    pub(super) fn until_still(
        &self,
        what: &str,
        time: Duration,
        figure: impl Fn(&Self) -> Result<u64>,
    ) -> Result<u64> {
        let deadline = Deadline::after(AT_REST);
        let (mut last, mut still) = (figure(self)?, Deadline::after(time));
        while !still.has_passed() {
            ensure!(!deadline.has_passed(), "{what} does not come to rest");
            wait::let_pass(LOOK);
            let now = figure(self)?;
            if now != last {
                (last, still) = (now, Deadline::after(time));
            }
        }
        Ok(last)
    }

    /// What the store holds.
    pub(super) fn stored_bytes(&self) -> Result<u64> {
        let counts = self.store()?.counts()?;
        counts.get("stored_bytes").copied().context("the store does not say what it holds")
    }

    /// Reads a topic from these offsets to the ends of its partitions; gives what was read.
    pub(super) fn read(&self, topic: &'static str, starts: &[i64], ends: &[i64]) -> Result<Ledger> {
        let terms =
            FetchTerms { max_bytes: 50 << 20, partition_max_bytes: 4 << 20, max_wait_ms: 500 };
        let by_partition = |offsets: &[i64]| (0..).zip(offsets.iter().copied()).collect();
        let from: BTreeMap<i32, i64> = by_partition(starts);
        let mut reader = Fetcher::new(self.address(), topic, from, terms, self.clock)?;
        reader.read_to(&by_partition(ends))?;
        Ok(reader.into_read())
    }
}
