//! The long acceptance runs by name, with figures on standard output.

mod clusters;
mod storages;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use clusters::{ClusterRun, StorePace};
use storages::StorageRun;
use weir_acceptance::bench::Bench;
use weir_acceptance::burst::Burst;
use weir_acceptance::durability::Kill9;
use weir_acceptance::group::Group;
use weir_acceptance::matrix::Matrix;
use weir_acceptance::{damage, hostile, scale, startup};
use weir_test_support::{Kafka, Server, Weir};

/// Long runs against a real server.
#[derive(Parser)]
#[command(name = "cargo xtask accept", bin_name = "cargo xtask accept")]
struct Arguments {
    /// Which server; the runs themselves are proven against Apache Kafka
    #[arg(long, value_enum, default_value = "weir", global = true)]
    against: Against,
    /// A setting of the server: NAME=VALUE, in weir's environment or kafka's properties
    #[arg(long = "setting", global = true, value_parser = setting)]
    settings: Vec<(String, String)>,
    #[command(subcommand)]
    run: Run,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Against {
    Weir,
    Kafka,
}

#[derive(Subcommand)]
enum Run {
    /// Every client writes with every codec, every client reads it back
    Clients {
        /// Records a topic
        #[arg(long, default_value_t = 10_000)]
        count: u32,
        /// Clients that read each topic, taking turns
        #[arg(long, default_value_t = 7)]
        readers: usize,
    },
    /// Three consumers of each client share a topic; one is killed, one is added
    Groups {
        /// Only these groups
        #[arg(value_parser = Group::ALL.map(|group| group.name))]
        names: Vec<String>,
    },
    /// Frames that no client sends
    Hostile {
        /// Frames of each kind
        #[arg(long, default_value_t = 2_000)]
        rounds: u32,
        /// Decides what they are
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Kill -9 under load, and judge what is read back
    Kill9 {
        /// How often
        #[arg(long, default_value_t = 50)]
        cycles: u32,
        /// Decides when it is killed, and what is torn
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Tear the write-ahead log's tail while the server is down
        #[arg(long)]
        tear: bool,
    },
    /// A write-ahead log that is damaged by hand
    Damage {
        /// How often, each time at another place
        #[arg(long, default_value_t = 20)]
        rounds: u64,
    },
    /// Many partitions: memory, time to serve, idle CPU, open files
    Partitions {
        /// How many
        #[arg(long, default_value_t = 10_000)]
        count: i32,
        /// Records in each
        #[arg(long, default_value_t = 10)]
        records: i64,
    },
    /// Many consumers that wait for nothing: CPU
    IdleConsumers {
        /// How many
        #[arg(long, default_value_t = 1_000)]
        count: usize,
        /// How long, in seconds
        #[arg(long, default_value_t = 30)]
        seconds: u64,
        /// As librdkafka's consumers: without fetch sessions
        #[arg(long)]
        without_sessions: bool,
    },
    /// Producers ten times as fast as a consumer: nothing lost, memory bounded
    Burst {
        /// How long, in seconds
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Records a second that the consumer reads
        #[arg(long, default_value_t = 2_000)]
        read_a_second: u64,
    },
    /// Time to serve when empty and with data
    Startup {
        /// How much data, in MiB
        #[arg(long, default_value_t = 5 * 1024)]
        mib: u64,
    },
    #[command(flatten)]
    Cluster(ClusterRun),
    #[command(flatten)]
    Storage(StorageRun),
    /// The small and fast object store of the runs on clusters
    #[command(hide = true)]
    Store {
        #[arg(long)]
        port: u16,
        #[command(flatten)]
        pace: StorePace,
    },
    /// Produce and consume beside Apache Kafka and beside what the machine can do
    BenchFirst {
        /// Data a round, in MiB
        #[arg(long, default_value_t = 1024)]
        mib: u64,
        /// Bytes of each value
        #[arg(long, default_value_t = 1024)]
        value_bytes: usize,
        /// Rounds, besides one to warm up
        #[arg(long, default_value_t = 3)]
        rounds: u32,
    },
}

/// The environment variable that names Weir's binary; `cargo xtask accept` sets it.
const BINARY: &str = "WEIR_TEST_BINARY";

fn binary() -> Result<OsString> {
    std::env::var_os(BINARY).with_context(|| format!("set {BINARY} to weir's binary"))
}

fn setting(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or("say NAME=VALUE")?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

impl Arguments {
    fn start(&self) -> Result<Server> {
        match self.against {
            Against::Kafka => {
                let kafka = Kafka::new();
                self.settings
                    .iter()
                    .fold(kafka, |kafka, (name, to)| kafka.setting(name, to))
                    .start()
            }
            Against::Weir => {
                let weir = Weir::new(binary()?);
                self.settings.iter().fold(weir, |weir, (name, to)| weir.setting(name, to)).start()
            }
        }
    }

    fn run(&self) -> Result<()> {
        match self.run {
            Run::Clients { count, readers } => self.clients(count, readers),
            Run::Groups { ref names } => self.groups(names),
            Run::Hostile { rounds, seed } => show(hostile::run(&self.start()?, rounds, seed)?),
            Run::Kill9 { cycles, seed, tear } => {
                let report = Kill9 { cycles, seed, tear }.run(&mut self.start()?)?;
                println!("{report}");
                report.check()
            }
            Run::Damage { rounds } => {
                damage::cut_tail(&mut self.start()?)?;
                (0..rounds).try_for_each(|seed| damage::flipped_bit(&mut self.start()?, seed))?;
                show(format!("a cut tail is healed, {rounds} flipped bits are refused"))
            }
            Run::Partitions { count, records } => {
                let idle = Duration::from_secs(10);
                show(scale::partitions(&mut self.start()?, count, records, idle)?)
            }
            Run::IdleConsumers { count, seconds, without_sessions } => {
                let time = Duration::from_secs(seconds);
                show(scale::idle_consumers(&self.start()?, count, !without_sessions, time)?)
            }
            Run::Burst { seconds, read_a_second } => {
                let time = Duration::from_secs(seconds);
                let burst = Burst { read_a_second, times: 10, time, value_bytes: 1_024 };
                show(burst.run(&self.start()?)?)
            }
            Run::Startup { mib } => show(startup::run(&mut self.start()?, mib << 20)?),
            Run::Cluster(run) => {
                let report = run.run(binary()?)?;
                println!("{report}");
                report.check()
            }
            Run::Storage(run) => run.run(binary()?),
            Run::Store { port, pace } => {
                let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
                runtime.block_on(weir_test_store::serve(port, pace.pace()))
            }
            Run::BenchFirst { mib, value_bytes, rounds } => {
                let weir = if self.against == Against::Weir { Some(self.start()?) } else { None };
                show(Bench { bytes: mib << 20, value_bytes, rounds }.run(weir)?)
            }
        }
    }

    fn groups(&self, names: &[String]) -> Result<()> {
        let server = self.start()?;
        let wanted = |group: &&Group| names.is_empty() || names.iter().any(|it| it == group.name);
        Group::ALL.iter().filter(wanted).try_for_each(|group| show(group.run(&server)?))
    }

    fn clients(&self, count: u32, readers: usize) -> Result<()> {
        let matrix = Matrix { readers_per_topic: readers, ..Matrix::full(count) };
        let outcome = matrix.run(&self.start()?)?;
        println!("{outcome}");
        if outcome.check().is_err() {
            bail!("clients do not agree");
        }
        Ok(())
    }
}

fn show(report: impl std::fmt::Display) -> Result<()> {
    println!("{report}");
    Ok(())
}

fn main() -> ExitCode {
    match Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
