//! The command line.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use weir_meta::backup::Summary;

use crate::{
    backup,
    config::{self, Config},
    fsck, inspect, logging,
    node::{Place, Running},
};

/// A cloud-native message queue that speaks the Kafka protocol.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything on this machine: no other services are needed.
    Dev(Dev),
    /// Run a node as its configuration says.
    Serve(Serve),
    /// Print a file of the write-ahead log, an object or a checkpoint for a person to read.
    Inspect(Inspect),
    /// Check that everything is there that the metadata lead to, and bring lost metadata back.
    Fsck(Fsck),
    /// Save the metadata in a file, and read them back.
    #[command(subcommand)]
    Meta(Meta),
}

#[derive(Subcommand)]
enum Meta {
    /// Write a backup of the metadata, as of one moment. Nodes of a cluster may go on meanwhile.
    Export {
        /// The configuration of a node, in TOML: it says where the metadata are.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Where to; without it, to standard output.
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Read a backup into empty metadata, before any node is started on them.
    Import {
        /// The configuration of a node, in TOML: it says where the metadata are to be.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Where from; without it, from standard input.
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
}

#[derive(Args)]
struct Dev {
    /// Where everything is kept.
    #[arg(long, value_name = "DIR", default_value = "weir-data")]
    data: PathBuf,
    /// Where Kafka clients connect.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    kafka: String,
    /// Where health and metrics are served.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9644")]
    http: String,
}

#[derive(Args)]
struct Serve {
    /// The configuration, in TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The roles to run, instead of those of the configuration.
    #[arg(long, value_name = "ROLE,...", value_delimiter = ',')]
    roles: Vec<String>,
}

#[derive(Args)]
struct Inspect {
    /// A file of a data directory.
    file: PathBuf,
    /// Print a line for each record batch too.
    #[arg(long)]
    batches: bool,
}

/// Looks at everything that the metadata lead to, and changes nothing unless told. Nodes of a cluster may go on
/// meanwhile; a node that keeps everything on its own disk must be stopped.
#[derive(Args)]
struct Fsck {
    #[command(flatten)]
    place: FsckPlace,
    /// Read every record, and compare its checksum.
    #[arg(long)]
    records: bool,
    /// Delete what nobody needs, if no broker runs that would do it.
    #[arg(long)]
    repair: bool,
    /// Write metadata that are lost anew, from what is in the store. All nodes must be stopped.
    #[arg(long, conflicts_with = "repair")]
    rebuild_metadata: bool,
    /// A backup that says what topics are called, instead of the newest copy in the store.
    #[arg(long, value_name = "FILE", requires = "rebuild_metadata")]
    base: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct FsckPlace {
    /// The configuration of a node, in TOML: it says where everything is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory of `weir dev`.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Does what the command line says.
pub(crate) fn run() -> Result<()> {
    match Cli::parse().command {
        Command::Dev(dev) => {
            let mut base = Config::default();
            base.kafka.listen = dev.kafka;
            base.http.listen = dev.http;
            base.groups.initial_rebalance_delay_ms = 0;
            let config = config::load(&base, None)?;
            serve(&config, &Place::one(&dev.data))
        }
        Command::Serve(serve_args) => {
            let mut config = config::load(&Config::default(), Some(&serve_args.config))?;
            if !serve_args.roles.is_empty() {
                config.node.roles = serve_args.roles;
            }
            serve(&config, &Place::of(&config)?)
        }
        Command::Inspect(Inspect { file, batches }) => {
            let stdout = std::io::stdout();
            Ok(inspect::inspect(&file, batches, &mut stdout.lock())?)
        }
        Command::Fsck(asked) => one_thread()?.block_on(check_or_rebuild(asked)),
        Command::Meta(meta) => one_thread()?.block_on(save_or_restore(meta)),
    }
}

async fn check_or_rebuild(asked: Fsck) -> Result<()> {
    let config = config::load(&Config::default(), asked.place.config.as_deref())?;
    let place = match asked.place.data {
        Some(data) => Place::one(&data),
        None => Place::of(&config)?,
    };
    match asked.rebuild_metadata {
        true => fsck::rebuild(&config, &place, asked.base.as_deref()).await,
        false => fsck::check(&config, &place, asked.records, asked.repair).await,
    }
}

async fn save_or_restore(meta: Meta) -> Result<()> {
    let (done, Summary { revision, entries }) = match meta {
        Meta::Export { config, to } => {
            let config = config::load(&Config::default(), Some(&config))?;
            ("exported", backup::export(&Place::of(&config)?, to.as_deref()).await?)
        }
        Meta::Import { config, from } => {
            let config = config::load(&Config::default(), Some(&config))?;
            ("imported", backup::import(&Place::of(&config)?, from.as_deref()).await?)
        }
    };
    eprintln!("{done} {entries} entries of revision {revision}");
    Ok(())
}

fn one_thread() -> Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("the async runtime can't be started")
}

fn serve(config: &Config, place: &Place) -> Result<()> {
    logging::start(&config.log)?;
    raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime can't be started")?;
    runtime.block_on(serve_until_told(config, place))
}

/// Every connection takes a file descriptor, and the usual soft limit is a thousand.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, current = ?limit.current, "the limit of open files is not raised");
    }
}

async fn serve_until_told(config: &Config, place: &Place) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let node = tokio::select! {
        started = Running::start(config, place) => started?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    println!("weir is ready: {}{}", node.describe(), place.describe());
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = node.failed() => {}
    }
    node.shutdown().await
}
