//! Starting Weir: `weir dev` on a data folder and free ports.

use std::path::{Path, PathBuf};

use anyhow::Result;
use tempfile::TempDir;

use crate::server::{Launch, Readiness};
use crate::{Input, Process, Server, free_port};

/// The first start has a session with a number below this, later ones have not.
const FIRST_SESSIONS: u32 = 6;

/// How Weir is to be started.
#[derive(Debug)]
pub struct Weir {
    binary: PathBuf,
    data: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    disk_mib: Option<u32>,
    failing_sync: Option<u32>,
}

impl Weir {
    /// Weir from this binary; tests pass `env!("CARGO_BIN_EXE_weir")`.
    pub fn new(binary: impl AsRef<Path>) -> Self {
        let binary = binary.as_ref().to_path_buf();
        Self {
            binary,
            data: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            disk_mib: None,
            failing_sync: None,
        }
    }

    /// On this data folder, which stays. Otherwise on a new one, which goes with the server.
    #[must_use]
    pub fn data(mut self, folder: impl AsRef<Path>) -> Self {
        self.data = Some(folder.as_ref().to_path_buf());
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With a setting in the environment.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// On a disk of its own that holds so many MiB: its data folder is one that only it sees, in
    /// memory and in a mount namespace, so that no right is needed and nothing is left behind. Tests
    /// reach it by [`Server::own_data_dir`].
    #[must_use]
    pub fn own_disk(mut self, mib: u32) -> Self {
        self.disk_mib = Some(mib);
        self
    }

    /// On a disk that fails to sync its first log for the `nth` time, and ever after. Later starts have other logs.
    #[must_use]
    pub fn failing_sync(mut self, nth: u32) -> Self {
        self.failing_sync = Some(nth);
        self
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// When it can't be started or does not serve in time; the message has the end of its output.
    pub fn start(self) -> Result<Server> {
        let (launch, data, scratch) = self.launch()?;
        Server::start(launch, data, scratch)
    }

    /// Starts it without waiting, where it is not expected to serve. Its output is in `scratch`.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn start_unready(self, scratch: &Path) -> Result<Process> {
        let (launch, _, _) = self.launch()?;
        Process::start(&mut launch.command(), Input::Empty, scratch, launch.name)
    }

    fn launch(self) -> Result<(Launch, PathBuf, TempDir)> {
        let scratch = tempfile::tempdir()?;
        let data = self.data.unwrap_or_else(|| scratch.path().join("data"));
        let (kafka_port, http_port) = (free_port()?, free_port()?);
        let mut arguments = vec!["dev".to_owned(), "--data".to_owned()];
        arguments.push(data.display().to_string());
        arguments.extend(["--kafka".to_owned(), format!("127.0.0.1:{kafka_port}")]);
        arguments.extend(["--http".to_owned(), format!("127.0.0.1:{http_port}")]);
        arguments.extend(self.arguments);
        let mut program = self.binary;
        if let Some(mib) = self.disk_mib {
            std::fs::create_dir_all(&data)?;
            let mount = format!("mount -t tmpfs -o size={mib}m tmpfs '{}'", data.display());
            let script = format!("{mount} && exec \"$@\"");
            let wrapped = ["-rm", "sh", "-c", &script, "sh"].map(str::to_owned);
            arguments.insert(0, program.display().to_string());
            arguments.splice(0..0, wrapped);
            program = "unshare".into();
        }
        if let Some(nth) = self.failing_sync {
            let fault = format!("inject=fdatasync:error=EIO:when={nth}+");
            let quietly = ["-D", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e"];
            let mut wrapped = quietly.map(str::to_owned).to_vec();
            wrapped.push(fault);
            for session in 1..FIRST_SESSIONS {
                let log = data.join(format!("wal/{session:020}/{:010}.wal", 1));
                wrapped.extend(["-P".to_owned(), log.display().to_string()]);
            }
            wrapped.push(program.display().to_string());
            arguments.splice(0..0, wrapped);
            program = "strace".into();
        }
        let launch = Launch {
            name: "weir",
            program,
            arguments,
            environment: self.environment,
            readiness: Readiness::Line,
            kafka_port,
            http_port: Some(http_port),
        };
        Ok((launch, data, scratch))
    }
}
