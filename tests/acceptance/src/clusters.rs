//! The runs on clusters, as arguments.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use weir_acceptance::cluster::cost::Cost;
use weir_acceptance::cluster::datanodes::Datanodes;
use weir_acceptance::cluster::failover::{Failover, How};
use weir_acceptance::cluster::groups::Groups;
use weir_acceptance::cluster::growth::Growth;
use weir_acceptance::cluster::hot::Hot;
use weir_acceptance::cluster::latency::Latency;
use weir_acceptance::cluster::moves::Moves;
use weir_acceptance::cluster::outage::Outage;
use weir_acceptance::cluster::rolling::Rolling;
use weir_acceptance::cluster::{Report, Setting, StoreKind, TrafficSettings};
use weir_test_store::Pace;
use weir_test_support::HdfsSettings;

#[derive(Clone, Copy, Subcommand)]
pub(crate) enum ClusterRun {
    /// Brokers of a cluster die or stand still under load: how long until all partitions acknowledge again
    Failover {
        /// How many brokers at once
        #[arg(long, default_value_t = 1)]
        victims: usize,
        /// They stand still, and go on later, instead of being killed
        #[arg(long)]
        pause: bool,
        /// The elected controller dies with them
        #[arg(long)]
        with_controller: bool,
        /// How often
        #[arg(long, default_value_t = 20)]
        times: u32,
        #[command(flatten)]
        load: Load,
        /// Decides when they fail, and who
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Every node of a cluster is restarted in order under load: how long a record takes
    Rolling {
        /// How often
        #[arg(long, default_value_t = 1)]
        rounds: u32,
        /// How long load runs between two restarts, in seconds
        #[arg(long, default_value_t = 5)]
        steady_seconds: u64,
        #[command(flatten)]
        load: Load,
    },
    /// Partitions of a cluster are moved one by one under load: how long their records wait
    Moves {
        /// How many
        #[arg(long, default_value_t = 100)]
        times: u32,
        #[command(flatten)]
        load: Load,
        /// Decides which, and where to
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// A fourth broker comes, and is drained, under load: how soon it has its share
    Growth {
        /// How often
        #[arg(long, default_value_t = 3)]
        times: u32,
        /// How long load runs before and between, in seconds
        #[arg(long, default_value_t = 5)]
        steady_seconds: u64,
        #[command(flatten)]
        load: Load,
    },
    /// One partition has a large part of the load: how often partitions move because of it
    Hot {
        /// How long, in seconds
        #[arg(long, default_value_t = 180)]
        seconds: u64,
        /// The last part of that, in which nothing may move, in seconds
        #[arg(long, default_value_t = 60)]
        quiet_seconds: u64,
        #[command(flatten)]
        load: Load,
    },
    /// A steady load: how long records take
    Latency {
        /// How long, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// How many brokers have partitions
        #[arg(long, default_value_t = 3)]
        brokers: usize,
        #[command(flatten)]
        load: Load,
    },
    /// What a load costs: requests to the store, and writes of the metadata
    Cost {
        /// How long, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// How many brokers have partitions
        #[arg(long, default_value_t = 1)]
        brokers: usize,
        #[command(flatten)]
        load: Load,
    },
    /// HDFS under a cluster loses a DataNode, has one that hangs, and loses its NameNode, under load
    Datanodes {
        /// How long load runs in each of these, in seconds
        #[arg(long, default_value_t = 20)]
        seconds: u64,
        #[command(flatten)]
        load: Load,
    },
    /// Coordinators die while many groups have members and offsets, and brokers have no time
    CoordinatorDies {
        /// How many groups
        #[arg(long, default_value_t = 200)]
        groups: usize,
        /// Members of each
        #[arg(long, default_value_t = 5)]
        members: usize,
        /// Offsets that each commits
        #[arg(long, default_value_t = 500)]
        offsets: usize,
        #[command(flatten)]
        load: Load,
    },
    /// etcd is away under load
    Outage {
        /// For how long, in seconds
        #[arg(long, default_value_t = 600)]
        seconds: u64,
        /// Only its leader is killed instead
        #[arg(long)]
        leader: bool,
        #[command(flatten)]
        load: Load,
    },
}

/// What a cluster keeps its records in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Store {
    /// The small and fast object store
    Native,
    /// A real S3 server
    S3,
    /// A directory
    Directory,
    /// HDFS: a NameNode and three DataNodes
    Hdfs,
}

/// How fast the small object store is.
#[derive(Clone, Copy, Args)]
pub(crate) struct StorePace {
    /// Half of its answers take longer, in milliseconds; 0: none is delayed
    #[arg(long, default_value_t = 0)]
    median_ms: u64,
    /// One of a hundred takes longer, in milliseconds
    #[arg(long, default_value_t = 0)]
    p99_ms: u64,
    /// It sends so much to all together; 0: as fast as it goes
    #[arg(long, default_value_t = 0)]
    mib_per_second: u64,
}

/// A cluster and the load on it.
#[derive(Clone, Copy, Args)]
pub(crate) struct Load {
    /// What records are kept in
    #[arg(long, value_enum, default_value = "native")]
    store: Store,
    #[command(flatten)]
    pace: StorePace,
    /// How often DataNodes say to the NameNode that they live, in seconds
    #[arg(long, default_value_t = 3)]
    heartbeat_seconds: u64,
    /// How many copies HDFS keeps
    #[arg(long, default_value_t = 3)]
    copies: usize,
    /// How many partitions
    #[arg(long, default_value_t = 1_000)]
    partitions: i32,
    /// Bytes a second
    #[arg(long, default_value_t = 5_500_000)]
    bytes_per_second: u64,
    /// Bytes of each value
    #[arg(long, default_value_t = 2_200)]
    value_bytes: usize,
    /// Producers that share it. With librdkafka's five requests to a proxy, one partition in each, fewer than
    /// these can hardly write as much through one proxy while the other restarts
    #[arg(long, default_value_t = 8)]
    writers: u16,
    /// They fill their requests with many partitions, as Java's do and librdkafka's do not
    #[arg(long)]
    wide: bool,
    /// How long producers let records linger, in milliseconds
    #[arg(long, default_value_t = 2)]
    writer_linger_ms: u64,
    /// How long brokers let records linger, in milliseconds; without it as they do
    #[arg(long)]
    linger_ms: Option<u64>,
    /// They linger always
    #[arg(long)]
    linger_always: bool,
    /// The part of it that the first partition gets besides its share of the rest
    #[arg(long, default_value_t = 0.0)]
    hot: f64,
}

impl StorePace {
    pub(crate) fn pace(self) -> Pace {
        let Self { median_ms, p99_ms, mib_per_second } = self;
        Pace { median_ms, p99_ms, mib_per_second }
    }
}

/// The small object store, which this program is too.
pub(crate) fn native(pace: Pace) -> Result<StoreKind> {
    let Pace { median_ms, p99_ms, mib_per_second } = pace;
    let options =
        [("median-ms", median_ms), ("p99-ms", p99_ms), ("mib-per-second", mib_per_second)];
    let options = options.into_iter().flat_map(|(name, it)| [format!("--{name}"), it.to_string()]);
    let arguments = std::iter::once("store".to_owned()).chain(options).collect();
    Ok(StoreKind::Native(std::env::current_exe()?, arguments))
}

impl Load {
    pub(crate) fn setting(self, binary: OsString) -> Result<Setting> {
        let store = match self.store {
            Store::S3 => StoreKind::S3,
            Store::Directory => StoreKind::Directory,
            Store::Hdfs => {
                let hdfs = HdfsSettings::default().optimizing().replication(self.copies);
                StoreKind::Hdfs(hdfs.property("dfs.heartbeat.interval", self.heartbeat_seconds))
            }
            Store::Native => native(self.pace.pace())?,
        };
        let linger = self
            .linger_ms
            .map(|linger| format!("linger_ms = {linger}\nlinger_always = {}", self.linger_always));
        let sections = linger.map(|linger| ("broker".to_owned(), linger)).into_iter().collect();
        Ok(Setting { binary: binary.into(), store, sections })
    }

    pub(crate) fn traffic(self) -> TrafficSettings {
        let Self { partitions, bytes_per_second, value_bytes, writers, wide, hot, .. } = self;
        let linger = Duration::from_millis(self.writer_linger_ms);
        TrafficSettings { partitions, bytes_per_second, value_bytes, writers, linger, wide, hot }
    }
}

impl ClusterRun {
    fn load(self) -> Load {
        match self {
            Self::Failover { load, .. }
            | Self::Rolling { load, .. }
            | Self::Moves { load, .. }
            | Self::Growth { load, .. }
            | Self::Hot { load, .. }
            | Self::Latency { load, .. }
            | Self::Cost { load, .. }
            | Self::Datanodes { load, .. }
            | Self::CoordinatorDies { load, .. }
            | Self::Outage { load, .. } => load,
        }
    }

    pub(crate) fn run(self, binary: OsString) -> Result<Report> {
        let (setting, load) = (self.load().setting(binary)?, self.load().traffic());
        match self {
            Self::Failover { victims, pause, with_controller, times, seed, .. } => {
                let how = if pause { How::Pause } else { How::Kill };
                Failover { victims, how, with_controller, times, load, seed }.run(&setting)
            }
            Self::Rolling { rounds, steady_seconds, .. } => {
                let steady = Duration::from_secs(steady_seconds);
                Rolling { rounds, steady, load }.run(&setting)
            }
            Self::Moves { times, seed, .. } => Moves { times, load, seed }.run(&setting),
            Self::Growth { times, steady_seconds, .. } => {
                let steady = Duration::from_secs(steady_seconds);
                Growth { times, steady, load }.run(&setting)
            }
            Self::Hot { seconds, quiet_seconds, .. } => {
                let [time, quiet] = [seconds, quiet_seconds].map(Duration::from_secs);
                Hot { time, quiet, load }.run(&setting)
            }
            Self::Latency { seconds, brokers, .. } => {
                Latency { time: Duration::from_secs(seconds), brokers, load }.run(&setting)
            }
            Self::Cost { seconds, brokers, .. } => {
                Cost { time: Duration::from_secs(seconds), brokers, load }.run(&setting)
            }
            Self::Datanodes { seconds, .. } => {
                Datanodes { time: Duration::from_secs(seconds), load }.run(&setting)
            }
            Self::CoordinatorDies { groups, members, offsets, .. } => {
                Groups { groups, members, offsets, load }.run(&setting)
            }
            Self::Outage { seconds, leader, .. } => {
                let time = (!leader).then(|| Duration::from_secs(seconds));
                Outage { time, load }.run(&setting)
            }
        }
    }
}
