//! Starting etcd: three members, or one, on loopback, each a process that can be killed, paused and
//! started again on its data.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Input, Process, free_port, wait};

/// How long the members may take to elect a leader, on a busy machine too.
const START: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);

/// How an etcd is to be started.
#[derive(Debug)]
pub struct EtcdSettings {
    members: usize,
    quota_bytes: Option<u64>,
}

/// The members of an etcd. Dropping it kills them, and removes their data.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    settings: EtcdSettings,
    scratch: TempDir,
}

#[derive(Debug)]
struct Member {
    client_port: u16,
    peer_port: u16,
    /// How often its data has been made anew.
    generation: u32,
    process: Option<Process>,
}

impl Default for EtcdSettings {
    fn default() -> Self {
        Self { members: 3, quota_bytes: None }
    }
}

impl EtcdSettings {
    /// So many members.
    #[must_use]
    pub fn members(mut self, members: usize) -> Self {
        self.members = members;
        self
    }

    /// With room for so much.
    #[must_use]
    pub fn quota_bytes(mut self, bytes: u64) -> Self {
        self.quota_bytes = Some(bytes);
        self
    }

    /// Starts them, and waits until they serve.
    ///
    /// # Errors
    /// When etcd is not installed, or does not serve in time.
    pub fn start(self) -> Result<Etcd> {
        let scratch = tempfile::tempdir()?;
        let member = |_| -> Result<Member> {
            let (client_port, peer_port) = (free_port()?, free_port()?);
            Ok(Member { client_port, peer_port, generation: 0, process: None })
        };
        let members = (0..self.members).map(member).collect::<Result<_>>()?;
        let mut etcd = Etcd { members, settings: self, scratch };
        etcd.start_all()?;
        Ok(etcd)
    }
}

impl Etcd {
    /// Three members.
    ///
    /// # Errors
    /// As for [`EtcdSettings::start`].
    pub fn start() -> Result<Self> {
        EtcdSettings::default().start()
    }

    /// The members' addresses, as `HOST:PORT,HOST:PORT`.
    pub fn hosts(&self) -> String {
        let hosts = self.members.iter().map(|member| format!("127.0.0.1:{}", member.client_port));
        hosts.collect::<Vec<_>>().join(",")
    }

    /// Where Weir finds them.
    pub fn url(&self) -> String {
        format!("etcd://{}", self.hosts())
    }

    /// How many there are.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// The folder that they keep everything in.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Starts those that do not run, and waits until all serve.
    ///
    /// # Errors
    /// When they do not in time; the message has the end of one's output.
    pub fn start_all(&mut self) -> Result<()> {
        for place in 0..self.members.len() {
            self.launch(place)?;
        }
        self.wait_until_served()
    }

    /// Starts one that does not run. It may not serve yet.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn launch(&mut self, place: usize) -> Result<()> {
        let running = |process: &mut Process| process.ended().is_none();
        if self.members[place].process.as_mut().is_some_and(running) {
            return Ok(());
        }
        let mut command = self.command(place);
        let name = format!("etcd-{place}");
        let process = Process::start(&mut command, Input::Empty, self.scratch.path(), &name);
        let process = process.context("run `cargo xtask setup`, which installs etcd")?;
        self.members[place].process = Some(process);
        Ok(())
    }

    fn command(&self, place: usize) -> Command {
        let member = &self.members[place];
        let (client, peer) = (url(member.client_port), url(member.peer_port));
        let cluster = self.members.iter().enumerate();
        let cluster: Vec<String> =
            cluster.map(|(n, it)| format!("m{n}={}", url(it.peer_port))).collect();
        let mut command = Command::new("etcd");
        command
            .arg("--data-dir")
            .arg(self.data(place))
            .args(["--name", &format!("m{place}")])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster.join(",")])
            .args(["--initial-cluster-state", "new", "--logger", "zap", "--log-level", "warn"])
            .args(["--heartbeat-interval", "100", "--election-timeout", "1000"])
            // Debian refuses to start it where it was not tried; there it works as well.
            .env("ETCD_UNSUPPORTED_ARCH", "arm64");
        if let Some(bytes) = self.settings.quota_bytes {
            command.args(["--quota-backend-bytes", &bytes.to_string()]);
        }
        command
    }

    fn data(&self, place: usize) -> PathBuf {
        let generation = self.members[place].generation;
        self.scratch.path().join(format!("data-{place}-{generation}"))
    }

    /// Waits until every member answers linearizable reads.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_until_served(&mut self) -> Result<()> {
        let served = wait::until("etcd serves", START, || {
            self.control(&["endpoint", "health"]).is_ok().then_some(())
        });
        served.with_context(|| self.tail())
    }

    fn tail(&self) -> String {
        let tails = self.members.iter().filter_map(|member| member.process.as_ref());
        tails.map(Process::tail).collect::<Vec<_>>().join("\n")
    }

    /// What `etcdctl` says when it is called so.
    ///
    /// # Errors
    /// When it fails; the message has what it printed.
    pub fn control(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.hosts(), "--command-timeout", "5s"])
            .args(arguments)
            .output()
            .context("can't run etcdctl: run `cargo xtask setup`")?;
        if !output.status.success() {
            bail!("etcdctl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The revision that it is at: how often it has been written.
    ///
    /// # Errors
    /// When it does not say.
    pub fn revision(&self) -> Result<u64> {
        let answer = self.control(&["get", "--write-out", "json", "nothing"])?;
        let answer: serde_json::Value = serde_json::from_str(&answer)?;
        answer["header"]["revision"].as_u64().context("it does not say its revision")
    }

    /// The member that leads.
    ///
    /// # Errors
    /// When there is none.
    pub fn leader(&self) -> Result<usize> {
        for place in 0..self.members.len() {
            let endpoint = format!("127.0.0.1:{}", self.members[place].client_port);
            let output = Command::new("etcdctl")
                .env("ETCDCTL_API", "3")
                .args(["--endpoints", &endpoint, "--command-timeout", "2s"])
                .args(["endpoint", "status", "--write-out", "simple"])
                .output()?;
            // endpoint, id, version, size, is leader, …
            let line = String::from_utf8_lossy(&output.stdout).into_owned();
            if line.split(", ").nth(4) == Some("true") {
                return Ok(place);
            }
        }
        bail!("no member of etcd leads")
    }

    /// Kills a member without warning.
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn kill9(&mut self, place: usize) -> Result<()> {
        self.members[place].process.as_mut().map_or(Ok(()), Process::kill9)
    }

    /// Stops all members as an operator would.
    ///
    /// # Errors
    /// When one runs on.
    pub fn stop(&mut self) -> Result<()> {
        for member in &self.members {
            if let Some(process) = &member.process {
                // One may have ended already.
                let _ = process.signal(Signal::TERM);
            }
        }
        for member in &mut self.members {
            if let Some(process) = &mut member.process {
                process.terminate(STOP)?;
            }
        }
        Ok(())
    }

    /// Stops a member's process where it stands, or lets it go on.
    ///
    /// # Errors
    /// When it has gone.
    pub fn pause(&self, place: usize, paused: bool) -> Result<()> {
        let process = self.members[place].process.as_ref().context("it does not run")?;
        process.signal(if paused { Signal::STOP } else { Signal::CONT })
    }

    /// Saves what it holds.
    ///
    /// # Errors
    /// When etcdctl fails.
    pub fn save(&self, file: &Path) -> Result<()> {
        let endpoint = format!("127.0.0.1:{}", self.members[0].client_port);
        let output = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &endpoint, "snapshot", "save"])
            .arg(file)
            .output()?;
        if !output.status.success() {
            bail!("etcdctl snapshot save: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    /// Stops all members and starts them again on what was saved.
    ///
    /// # Errors
    /// When it can't be restored.
    pub fn restore(&mut self, file: &Path) -> Result<()> {
        self.stop()?;
        let cluster = self.members.iter().enumerate();
        let cluster: Vec<String> =
            cluster.map(|(n, it)| format!("m{n}={}", url(it.peer_port))).collect();
        for place in 0..self.members.len() {
            self.members[place].generation += 1;
            let output = Command::new("etcdctl")
                .env("ETCDCTL_API", "3")
                .args(["snapshot", "restore"])
                .arg(file)
                .arg("--data-dir")
                .arg(self.data(place))
                .args(["--name", &format!("m{place}"), "--initial-cluster", &cluster.join(",")])
                .args(["--initial-advertise-peer-urls", &url(self.members[place].peer_port)])
                .output()?;
            if !output.status.success() {
                bail!("etcdctl snapshot restore: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        self.start_all()
    }
}

fn url(port: u16) -> String {
    format!("http://{}:{port}", Ipv4Addr::LOCALHOST)
}
