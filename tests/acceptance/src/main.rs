//! The long acceptance runs by name, with figures on standard output.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand, ValueEnum};
use weir_acceptance::durability::Kill9;
use weir_acceptance::group::Group;
use weir_acceptance::hostile;
use weir_acceptance::matrix::Matrix;
use weir_test_support::{Kafka, Server, Weir};

/// Long runs against a real server.
#[derive(Parser)]
#[command(name = "cargo xtask accept", bin_name = "cargo xtask accept")]
struct Arguments {
    /// Which server; the runs themselves are proven against Apache Kafka
    #[arg(long, value_enum, default_value = "weir", global = true)]
    against: Against,
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
    Groups,
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
}

/// The environment variable that names Weir's binary; `cargo xtask accept` sets it.
const BINARY: &str = "WEIR_TEST_BINARY";

fn start(against: Against) -> Result<Server> {
    match against {
        Against::Kafka => Kafka::new().start(),
        Against::Weir => {
            let binary = std::env::var_os(BINARY);
            let binary = binary.with_context(|| format!("set {BINARY} to weir's binary"))?;
            Weir::new(binary).start()
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    match arguments.run {
        Run::Clients { count, readers } => {
            let server = start(arguments.against)?;
            let matrix = Matrix { readers_per_topic: readers, ..Matrix::full(count) };
            let outcome = matrix.run(&server)?;
            println!("{outcome}");
            if outcome.check().is_err() {
                bail!("clients do not agree");
            }
            Ok(())
        }
        Run::Groups => {
            let server = start(arguments.against)?;
            for group in Group::ALL {
                println!("{}", group.run(&server)?);
            }
            Ok(())
        }
        Run::Hostile { rounds, seed } => {
            println!("{}", hostile::run(&start(arguments.against)?, rounds, seed)?);
            Ok(())
        }
        Run::Kill9 { cycles, seed, tear } => {
            let report = Kill9 { cycles, seed, tear }.run(&mut start(arguments.against)?)?;
            println!("{report}");
            report.check()
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
