//! A cluster: nodes as processes over an etcd and a store that all of them reach. Each can be killed, paused,
//! stopped and started again.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Etcd, Input, Process, free_port, wait};

/// How long a node may take to serve, on a busy machine too.
const START: Duration = Duration::from_secs(120);
/// How long a node may take to drain.
const DRAIN: Duration = Duration::from_secs(60);

/// The nodes of a cluster. Dropping it kills them, and removes the store.
#[derive(Debug)]
pub struct Cluster {
    binary: PathBuf,
    nodes: Vec<Node>,
    /// More of a configuration than what follows from the node.
    settings: Vec<(String, String)>,
    etcd: Etcd,
    scratch: TempDir,
}

/// One of them.
#[derive(Debug)]
struct Node {
    id: u32,
    roles: &'static [&'static str],
    kafka_port: u16,
    http_port: u16,
    rpc_port: u16,
    process: Option<Process>,
}

impl Cluster {
    /// A cluster of nodes with these roles, with ids from 1 on, over three members of etcd and a directory.
    ///
    /// # Errors
    /// When a node does not serve in time; the message has the end of its output.
    pub fn start(
        binary: impl AsRef<Path>,
        roles: &[&'static [&'static str]],
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let node = |(id, roles): (u32, &&'static [&'static str])| -> Result<Node> {
            let (kafka_port, http_port, rpc_port) = (free_port()?, free_port()?, free_port()?);
            Ok(Node { id, roles, kafka_port, http_port, rpc_port, process: None })
        };
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut cluster = Self {
            binary: binary.as_ref().to_path_buf(),
            nodes: (1..).zip(roles).map(node).collect::<Result<_>>()?,
            settings: settings.iter().map(owned).collect(),
            etcd: Etcd::start()?,
            scratch: tempfile::tempdir()?,
        };
        let ids: Vec<u32> = cluster.nodes.iter().map(|node| node.id).collect();
        for id in &ids {
            cluster.launch(*id)?;
        }
        for id in ids {
            cluster.wait_until_ready(id)?;
        }
        Ok(cluster)
    }

    /// Its metadata store.
    pub fn etcd(&mut self) -> &mut Etcd {
        &mut self.etcd
    }

    fn node(&mut self, id: u32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    /// The proxies' addresses, as clients want them.
    pub fn bootstrap(&self) -> String {
        let proxies = self.nodes.iter().filter(|node| node.roles.contains(&"proxy"));
        let addresses = proxies.map(|node| address(node.kafka_port).to_string());
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Where clients of a proxy connect.
    pub fn kafka(&self, id: u32) -> SocketAddr {
        address(self.nodes[id as usize - 1].kafka_port)
    }

    /// Where a node serves HTTP.
    pub fn http(&self, id: u32) -> SocketAddr {
        address(self.nodes[id as usize - 1].http_port)
    }

    /// Starts a node that does not run. It may not serve yet.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn launch(&mut self, id: u32) -> Result<()> {
        let file = self.scratch.path().join(format!("node-{id}.toml"));
        std::fs::write(&file, self.configuration(id))?;
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--config"]).arg(&file);
        let name = format!("node-{id}");
        let process = Process::start(&mut command, Input::Empty, self.scratch.path(), &name)?;
        self.node(id).process = Some(process);
        Ok(())
    }

    /// Starts a node in a configuration that must be refused: what it says, and its exit code.
    ///
    /// # Errors
    /// When it runs on instead.
    pub fn refused(
        &self,
        id: u32,
        edit: impl Fn(String) -> String,
    ) -> Result<(String, Option<i32>)> {
        let file = self.scratch.path().join("refused.toml");
        std::fs::write(&file, edit(self.configuration(id)))?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--config"]).arg(&file);
        let mut process = Process::start(&mut command, Input::Empty, folder.path(), "refused")?;
        let status = process.wait(START)?;
        Ok((process.stderr(), status.code()))
    }

    fn configuration(&self, id: u32) -> String {
        let node = &self.nodes[id as usize - 1];
        let roles =
            node.roles.iter().map(|role| format!("{role:?}")).collect::<Vec<_>>().join(", ");
        let (etcd, store) = (self.etcd.url(), self.scratch.path().join("store"));
        let mut text = format!(
            "cluster = \"test\"\n\
             [node]\nid = {id}\nroles = [{roles}]\n\
             [meta]\nurl = \"{etcd}\"\n\
             [store]\nurl = \"file://{}\"\n\
             [kafka]\nlisten = \"{}\"\n\
             [http]\nlisten = \"{}\"\n\
             [rpc]\nlisten = \"{}\"\n",
            store.display(),
            address(node.kafka_port),
            address(node.http_port),
            address(node.rpc_port),
        );
        for (section, lines) in &self.settings {
            let _ = writeln!(text, "[{section}]\n{lines}");
        }
        text
    }

    /// Waits until a node has said that it is ready.
    ///
    /// # Errors
    /// When it does not in time, or has ended.
    pub fn wait_until_ready(&mut self, id: u32) -> Result<()> {
        let node = self.node(id);
        let process = node.process.as_mut().context("it does not run")?;
        let ready = wait::until(&format!("node {id} serves"), START, || {
            if let Some(status) = process.ended() {
                return Some(Err(status));
            }
            let http = address(node.http_port);
            let answer = crate::http::get(http, "/readyz");
            answer.is_ok_and(|(status, _)| status == 200).then_some(Ok(()))
        });
        match ready.with_context(|| process.tail())? {
            Ok(()) => Ok(()),
            Err(status) => bail!("node {id} ended with {status}, {}", process.tail()),
        }
    }

    /// Kills a node without warning (SIGKILL).
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn kill9(&mut self, id: u32) -> Result<()> {
        self.node(id).process.as_mut().map_or(Ok(()), Process::kill9)
    }

    /// Asks a node to drain and end (SIGTERM).
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(&mut self, id: u32) -> Result<ExitStatus> {
        self.node(id).process.as_mut().context("it does not run")?.terminate(DRAIN)
    }

    /// Stops a node's process where it stands, or lets it go on.
    ///
    /// # Errors
    /// When it has gone.
    pub fn pause(&mut self, id: u32, paused: bool) -> Result<()> {
        let process = self.node(id).process.as_ref().context("it does not run")?;
        process.signal(if paused { Signal::STOP } else { Signal::CONT })
    }

    /// The end of what a node has printed, for the message of a failure.
    pub fn tail(&mut self, id: u32) -> String {
        self.node(id).process.as_ref().map(Process::tail).unwrap_or_default()
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
