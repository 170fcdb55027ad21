//! A server that speaks Kafka's protocol, as a child process on loopback that can be killed and
//! started again on the same data and port.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::wait::{self, Stopwatch};
use crate::wire::Connection;
use crate::{Input, Kafka, Process, Usage, Weir};

/// How long a server may take to serve, on a busy machine too.
const START: Duration = Duration::from_secs(120);
/// How long a server may take to drain.
const DRAIN: Duration = Duration::from_secs(60);

/// How a server tells that it serves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Readiness {
    /// By a line on standard output.
    Line,
    /// Only by answering.
    Answer,
}

/// How to start a server, the first time and again.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) readiness: Readiness,
    pub(crate) kafka_port: u16,
    pub(crate) http_port: Option<u16>,
}

impl Launch {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A server and its data. Dropping it kills it, and removes the data unless it was given a folder.
#[derive(Debug)]
pub struct Server {
    launch: Launch,
    process: Process,
    data: PathBuf,
    scratch: TempDir,
    ready_after: Duration,
}

impl Server {
    /// Starts what `launch` describes; its output goes to `scratch`.
    pub(crate) fn start(launch: Launch, data: PathBuf, scratch: TempDir) -> Result<Self> {
        let watch = Stopwatch::start();
        let process =
            Process::start(&mut launch.command(), Input::Empty, scratch.path(), launch.name)?;
        let mut server = Self { launch, process, data, scratch, ready_after: Duration::ZERO };
        server.wait_until_ready(0)?;
        server.ready_after = watch.elapsed();
        Ok(server)
    }

    /// Waits until the process has printed more lines than `lines` or answers.
    fn wait_until_ready(&mut self, lines: usize) -> Result<()> {
        let name = self.launch.name;
        let address = self.address();
        let ready = wait::until(&format!("{name} serves"), START, || {
            if let Some(status) = self.process.ended() {
                return Some(Err(status));
            }
            let ready = match self.launch.readiness {
                Readiness::Line => self.process.stdout().lines().count() > lines,
                Readiness::Answer => Connection::open(address).is_ok_and(|mut it| it.is_served()),
            };
            ready.then_some(Ok(()))
        });
        match ready.with_context(|| self.process.tail())? {
            Ok(()) => Ok(()),
            Err(status) => bail!("{name} ended with {status}, {}", self.process.tail()),
        }
    }

    /// Where Kafka clients connect to.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.launch.kafka_port).into()
    }

    /// The same, as clients want it: `HOST:PORT`.
    pub fn bootstrap(&self) -> String {
        self.address().to_string()
    }

    /// Where it serves HTTP, if it does.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.launch.http_port.map(|port| (Ipv4Addr::LOCALHOST, port).into())
    }

    /// The folder with its data.
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The folder with its data as the server itself sees it, where it has a disk of its own.
    pub fn own_data_dir(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.process.id()));
        root.join(self.data.strip_prefix("/").unwrap_or(&self.data))
    }

    /// "weir" or "kafka".
    pub fn name(&self) -> &'static str {
        self.launch.name
    }

    /// The time from the start of the process until it served, at the last start.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// The process, for its output and signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What the process uses of the machine now.
    ///
    /// # Errors
    /// When it has gone; the message has the end of its output.
    pub fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// Kills it without warning (SIGKILL). [`Self::restart`] starts it again.
    ///
    /// # Errors
    /// When the process can't be killed.
    pub fn kill9(&mut self) -> Result<()> {
        self.process.kill9()
    }

    /// Asks it to drain and end (SIGTERM).
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        self.process.terminate(DRAIN)
    }

    /// Starts it again on the same data and ports, after it has ended.
    ///
    /// # Errors
    /// When it still runs, can't be started, or does not serve in time.
    pub fn restart(&mut self) -> Result<()> {
        if self.process.ended().is_none() {
            bail!("{} still runs: kill or stop it first", self.launch.name);
        }
        let lines = self.process.stdout().lines().count();
        let watch = Stopwatch::start();
        self.process = self.launch_again()?;
        self.wait_until_ready(lines)?;
        self.ready_after = watch.elapsed();
        Ok(())
    }

    fn launch_again(&self) -> Result<Process> {
        let mut command = self.launch.command();
        Process::start(&mut command, Input::Empty, self.scratch.path(), self.launch.name)
    }

    /// Starts it again where it must refuse to start: gives its exit code and what it said on standard
    /// error.
    ///
    /// # Errors
    /// When it runs on instead.
    pub fn restart_refused(&mut self) -> Result<(Option<i32>, String)> {
        let said_before = self.process.stderr().len();
        self.process = self.launch_again()?;
        let status = self.process.wait(START)?;
        Ok((status.code(), self.process.stderr().split_off(said_before)))
    }
}

/// The server that the suites run against: Weir from `weir_binary`, or Apache Kafka when the
/// environment says `WEIR_TEST_SERVER=kafka`, which proves the suites themselves.
///
/// # Errors
/// When it can't be started.
pub fn server_under_test(weir_binary: impl AsRef<Path>) -> Result<Server> {
    match std::env::var("WEIR_TEST_SERVER").as_deref() {
        Ok("kafka") => Kafka::new().start(),
        Ok("weir") | Err(_) => Weir::new(weir_binary).start(),
        Ok(other) => bail!("WEIR_TEST_SERVER is {other}: say weir or kafka"),
    }
}
