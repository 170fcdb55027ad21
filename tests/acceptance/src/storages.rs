//! The runs on storage for years, as arguments.

use std::ffi::OsString;
use std::fmt::Display;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use weir_acceptance::cluster::Setting;
use weir_acceptance::storage::Report;
use weir_acceptance::storage::catch_up::CatchUp;
use weir_acceptance::storage::compaction::Compaction;
use weir_acceptance::storage::fan_out::FanOut;
use weir_acceptance::storage::lagging::Lagging;
use weir_acceptance::storage::retention::Retention;
use weir_acceptance::storage::stored::Stored;
use weir_acceptance::storage::tester::Tester;
use weir_test_store::Pace;

use crate::clusters::{Load, StorePace, native};

/// For how long nothing may have happened before that counts as rest.
const STILL: Duration = Duration::from_secs(90);
/// Where logs are cut off: a broker whose checkpoints name what nobody needs writes all of them anew after five minutes.
const REWRITTEN: Duration = Duration::from_secs(345);

#[derive(Clone, Copy, Subcommand)]
pub(crate) enum StorageRun {
    /// Everything is read from the beginning, out of the store, beside a plain client of the store
    CatchUp(CatchUpArgs),
    /// Consumers of old data beside a steady load: whether those feel it who read the newest
    Lagging(LaggingArgs),
    /// Many consumers of the newest records of one partition: what of that reaches broker and store
    FanOut {
        /// How many
        #[arg(long, default_value_t = 100)]
        consumers: usize,
        /// What is written, in bytes a second
        #[arg(long, default_value_t = 1_000_000)]
        bytes_per_second: u64,
        /// How long batches are
        #[arg(long, default_value_t = 16_384)]
        batch_bytes: usize,
        /// How long it is measured, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        #[command(flatten)]
        site: Site,
    },
    /// A compacted topic of many keys: the latest of each is left, where it was written
    Compaction(CompactionArgs),
    /// Kafka's own test of log compaction
    CompactionTester {
        /// Records of each topic
        #[arg(long, default_value_t = 1_000_000)]
        messages: u64,
        /// How often a key is written
        #[arg(long, default_value_t = 5)]
        duplicates: u32,
        /// Hundredths of them that are deletes
        #[arg(long, default_value_t = 10)]
        percent_deletes: u32,
        /// Topics
        #[arg(long, default_value_t = 1)]
        topics: u32,
        /// What it waits between writing and reading, in seconds
        #[arg(long, default_value_t = 90)]
        sleep: u32,
        #[command(flatten)]
        site: Site,
    },
    /// What lies in the store, and what was written to it, of what was produced
    Stored {
        /// How long load runs, in seconds
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// How many brokers have partitions
        #[arg(long, default_value_t = 1)]
        brokers: usize,
        #[command(flatten)]
        collecting: Collecting,
        #[command(flatten)]
        load: Load,
    },
    /// Records expire or are deleted, and topics are: what the store gives back
    Retention {
        /// How much is written to each of three topics, in MiB
        #[arg(long, default_value_t = 1024)]
        mib: u64,
        /// Partitions of each
        #[arg(long, default_value_t = 12)]
        partitions: i32,
        /// `retention.ms` of one topic, in seconds
        #[arg(long, default_value_t = 60)]
        age_seconds: u64,
        /// What the partitions of another keep together, in MiB
        #[arg(long, default_value_t = 256)]
        kept_mib: u64,
        #[command(flatten)]
        site: Site,
    },
}

/// Reading everything beside a plain client.
#[derive(Clone, Copy, Args)]
pub(crate) struct CatchUpArgs {
    /// How much is written and read, in MiB
    #[arg(long, default_value_t = 10 * 1024)]
    mib: u64,
    /// Partitions
    #[arg(long, default_value_t = 12)]
    partitions: i32,
    /// What the store sends in a second when it is throttled, in MiB
    #[arg(long, default_value_t = 200)]
    throttle_mib: u64,
    /// What it takes to the first byte then, in milliseconds
    #[arg(long, default_value_t = 30)]
    first_byte_ms: u64,
    /// How often both take turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Ranges that the plain client reads at the same time
    #[arg(long, default_value_t = 16)]
    at_once: usize,
    /// How long these are, in MiB
    #[arg(long, default_value_t = 4)]
    range_mib: u64,
    /// Connections of the consumer, each with its share of the partitions
    #[arg(long, default_value_t = 3)]
    connections: usize,
    /// `fetch.max.bytes`, in MiB
    #[arg(long, default_value_t = 50)]
    fetch_mib: i32,
    /// `max.partition.fetch.bytes`, in MiB
    #[arg(long, default_value_t = 1)]
    partition_mib: i32,
    #[command(flatten)]
    site: Site,
}

/// Consumers of old data beside a steady load.
#[derive(Clone, Copy, Args)]
pub(crate) struct LaggingArgs {
    /// How much old data there is, in MiB
    #[arg(long, default_value_t = 4 * 1024)]
    mib: u64,
    /// Partitions of each topic
    #[arg(long, default_value_t = 12)]
    partitions: i32,
    /// What is written meanwhile, in bytes a second
    #[arg(long, default_value_t = 10_000_000)]
    bytes_per_second: u64,
    /// How long its batches are
    #[arg(long, default_value_t = 65_536)]
    batch_bytes: usize,
    /// How many read old data
    #[arg(long, default_value_t = 10)]
    consumers: usize,
    /// How long they do, and how long nobody does, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How often
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    #[command(flatten)]
    pace: StorePace,
    #[command(flatten)]
    site: Site,
}

/// A compacted topic of many keys.
#[derive(Clone, Copy, Args)]
pub(crate) struct CompactionArgs {
    /// How many keys
    #[arg(long, default_value_t = 10_000_000)]
    keys: u64,
    /// How often each is written
    #[arg(long, default_value_t = 10)]
    updates: u64,
    /// Bytes of a value at least
    #[arg(long, default_value_t = 12)]
    value_bytes: usize,
    /// Partitions
    #[arg(long, default_value_t = 1)]
    partitions: i32,
    /// `broker.compaction_bytes`, in MiB
    #[arg(long, default_value_t = 128)]
    compaction_mib: u64,
    #[command(flatten)]
    site: Site,
}

/// The cluster.
#[derive(Clone, Copy, Args)]
pub(crate) struct Site {
    /// How many brokers there are
    #[arg(long, default_value_t = 3)]
    brokers: u32,
    #[command(flatten)]
    collecting: Collecting,
    /// How long after a round of log compaction the next begins, in seconds
    #[arg(long, default_value_t = 5)]
    compaction_seconds: u64,
    /// How often records are looked for that are too old, in seconds
    #[arg(long, default_value_t = 5)]
    retention_seconds: u64,
    /// For how long nothing may have happened before that counts as rest, in seconds. Without it 90, and where logs are
    /// cut off longer than brokers take to write down anew what they refer to
    #[arg(long)]
    still_seconds: Option<u64>,
}

/// When what nobody refers to is deleted.
#[derive(Clone, Copy, Args)]
pub(crate) struct Collecting {
    /// How long after a round of the collector the next begins, in seconds
    #[arg(long, default_value_t = 10)]
    collector_seconds: u64,
    /// How long it leaves what nobody refers to, in seconds
    #[arg(long, default_value_t = 30)]
    grace_seconds: u64,
}

impl Collecting {
    fn section(self) -> (String, String) {
        let Self { collector_seconds, grace_seconds } = self;
        let [interval, grace] = [collector_seconds, grace_seconds].map(|seconds| seconds * 1_000);
        ("collector".to_owned(), format!("interval_ms = {interval}\ngrace_ms = {grace}"))
    }
}

impl Site {
    fn setting(self, binary: OsString, broker: &str) -> Result<Setting> {
        let [compaction, retention] =
            [self.compaction_seconds, self.retention_seconds].map(|seconds| seconds * 1_000);
        let broker = format!(
            "compaction_interval_ms = {compaction}\nretention_interval_ms = {retention}\n{broker}"
        );
        let sections = vec![self.collecting.section(), ("broker".to_owned(), broker)];
        Ok(Setting { binary: binary.into(), store: native(Pace::default())?, sections })
    }

    fn still(self, or: Duration) -> Duration {
        self.still_seconds.map_or(or, Duration::from_secs)
    }
}

impl CatchUpArgs {
    fn run(self, binary: OsString) -> Result<Report> {
        let first_byte = self.first_byte_ms;
        let throttled =
            Pace { median_ms: first_byte, p99_ms: first_byte, mib_per_second: self.throttle_mib };
        let run = CatchUp {
            bytes: self.mib << 20,
            partitions: self.partitions,
            brokers: self.site.brokers,
            still: self.site.still(STILL),
            throttled,
            rounds: self.rounds,
            at_once: self.at_once,
            range_bytes: self.range_mib << 20,
            connections: self.connections,
            fetch_bytes: self.fetch_mib << 20,
            partition_bytes: self.partition_mib << 20,
        };
        run.run(&self.site.setting(binary, "")?)
    }
}

impl LaggingArgs {
    fn run(self, binary: OsString) -> Result<Report> {
        let run = Lagging {
            archive_bytes: self.mib << 20,
            partitions: self.partitions,
            brokers: self.site.brokers,
            bytes_per_second: self.bytes_per_second,
            batch_bytes: self.batch_bytes,
            consumers: self.consumers,
            time: Duration::from_secs(self.seconds),
            rounds: self.rounds,
            pace: self.pace.pace(),
        };
        run.run(&self.site.setting(binary, "")?)
    }
}

impl CompactionArgs {
    fn run(self, binary: OsString) -> Result<Report> {
        let setting_bytes = self.compaction_mib << 20;
        let run = Compaction {
            keys: self.keys,
            updates: self.updates,
            value_bytes: self.value_bytes,
            partitions: self.partitions,
            brokers: self.site.brokers,
            still: self.site.still(STILL),
            setting_bytes,
        };
        let broker = format!("compaction_bytes = {setting_bytes}");
        run.run(&self.site.setting(binary, &broker)?)
    }
}

/// Shows what a run came to, and whether that is right.
fn show<R: Display>(report: R, check: impl Fn(&R) -> Result<()>) -> Result<()> {
    println!("{report}");
    check(&report)
}

impl StorageRun {
    pub(crate) fn run(self, binary: OsString) -> Result<()> {
        match self {
            Self::CatchUp(run) => show(run.run(binary)?, Report::check),
            Self::Lagging(run) => show(run.run(binary)?, Report::check),
            Self::Compaction(run) => show(run.run(binary)?, Report::check),
            Self::FanOut { consumers, bytes_per_second, batch_bytes, seconds, site } => {
                let time = Duration::from_secs(seconds);
                let run = FanOut { consumers, bytes_per_second, batch_bytes, time };
                show(run.run(&site.setting(binary, "")?)?, Report::check)
            }
            Self::CompactionTester {
                messages,
                duplicates,
                percent_deletes,
                topics,
                sleep,
                site,
            } => {
                let brokers = site.brokers;
                let run = Tester { brokers, messages, duplicates, percent_deletes, topics, sleep };
                // What is in memory for readers is not compacted.
                let setting = site.setting(binary, "buffer_bytes = 8388608")?;
                show(run.run(&setting)?, Report::check)
            }
            Self::Stored { seconds, brokers, collecting, load } => {
                let mut setting = load.setting(binary)?;
                setting.sections.push(collecting.section());
                let rounds = 3 * (collecting.collector_seconds + collecting.grace_seconds);
                let [time, still] = [seconds, rounds].map(Duration::from_secs);
                let run = Stored { time, still, brokers, load: load.traffic() };
                show(run.run(&setting)?, weir_acceptance::cluster::Report::check)
            }
            Self::Retention { mib, partitions, age_seconds, kept_mib, site } => {
                let run = Retention {
                    bytes: mib << 20,
                    partitions,
                    brokers: site.brokers,
                    age: Duration::from_secs(age_seconds),
                    kept_bytes: kept_mib << 20,
                    still: site.still(REWRITTEN),
                };
                show(run.run(&site.setting(binary, "")?)?, Report::check)
            }
        }
    }
}
