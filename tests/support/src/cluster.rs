//! A cluster: nodes as processes over an etcd and a store that all of them reach. Each can be killed, paused,
//! stopped and started again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{Etcd, Hdfs, HdfsSettings, Input, Operator, Process, S3, Usage, free_port, wait};

/// How long a node may take to serve, on a busy machine too.
const START: Duration = Duration::from_secs(120);
/// How long a node may take to drain.
const DRAIN: Duration = Duration::from_secs(60);

/// How a cluster is to be started.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    binary: PathBuf,
    roles: Vec<&'static [&'static str]>,
    /// In which zone each node is, in turn; none: they do not say.
    zones: Vec<&'static str>,
    /// Nodes ask for their ids in the cluster.
    auto_ids: bool,
    /// More of a configuration than what follows from the node: sections and their lines.
    sections: Vec<(String, String)>,
    store: StoreKind,
}

/// What a cluster keeps its records in.
#[derive(Clone, Debug)]
enum StoreKind {
    /// A directory that all nodes see.
    Directory,
    /// An S3 server that somebody else wrote.
    S3,
    /// A small and fast one: a program and its arguments.
    Native(PathBuf, Vec<String>),
    /// HDFS.
    Hdfs(HdfsSettings),
}

/// What runs beside the nodes and keeps their records.
#[derive(Debug)]
enum Running {
    Nothing,
    S3(S3),
    Hdfs(Box<Hdfs>),
}

/// The nodes of a cluster. Dropping it kills them, and removes the store.
#[derive(Debug)]
pub struct Cluster {
    settings: ClusterSettings,
    nodes: Vec<Node>,
    etcd: Etcd,
    store: Running,
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

impl Node {
    fn new(id: u32, roles: &'static [&'static str]) -> Result<Self> {
        let (kafka_port, http_port, rpc_port) = (free_port()?, free_port()?, free_port()?);
        Ok(Self { id, roles, kafka_port, http_port, rpc_port, process: None })
    }
}

impl ClusterSettings {
    /// Nodes with these roles, with ids from 1 on, over three members of etcd and a directory.
    pub fn new(binary: impl AsRef<Path>, roles: &[&'static [&'static str]]) -> Self {
        let (binary, roles) = (binary.as_ref().to_path_buf(), roles.to_vec());
        let (zones, sections) = (Vec::new(), Vec::new());
        let store = StoreKind::Directory;
        Self { binary, roles, zones, auto_ids: false, sections, store }
    }

    /// With nodes in these zones in turn.
    #[must_use]
    pub fn zones(mut self, zones: &[&'static str]) -> Self {
        self.zones = zones.to_vec();
        self
    }

    /// With nodes that ask for their ids in the cluster.
    #[must_use]
    pub fn auto_ids(mut self) -> Self {
        self.auto_ids = true;
        self
    }

    /// Over an S3 server instead of a directory.
    #[must_use]
    pub fn on_s3(mut self) -> Self {
        self.store = StoreKind::S3;
        self
    }

    /// Over a small and fast S3 server instead of a directory; see [`S3::start_native`].
    #[must_use]
    pub fn on_native(mut self, program: impl Into<PathBuf>, arguments: Vec<String>) -> Self {
        self.store = StoreKind::Native(program.into(), arguments);
        self
    }

    /// Over HDFS instead of a directory.
    #[must_use]
    pub fn on_hdfs(mut self, settings: HdfsSettings) -> Self {
        self.store = StoreKind::Hdfs(settings);
        self
    }

    /// With another section of the configuration.
    #[must_use]
    pub fn section(mut self, name: &str, lines: &str) -> Self {
        self.sections.push((name.to_owned(), lines.to_owned()));
        self
    }

    /// Starts the nodes and waits until they serve.
    ///
    /// # Errors
    /// When one does not in time; the message has the end of its output.
    pub fn start(self) -> Result<Cluster> {
        let nodes = (1..).zip(&self.roles).map(|(id, roles)| Node::new(id, roles));
        let mut cluster = Cluster {
            nodes: nodes.collect::<Result<_>>()?,
            etcd: Etcd::start()?,
            store: match &self.store {
                StoreKind::Directory => Running::Nothing,
                StoreKind::S3 => Running::S3(S3::start()?),
                StoreKind::Native(program, arguments) => {
                    Running::S3(S3::start_native(program, arguments)?)
                }
                StoreKind::Hdfs(settings) => Running::Hdfs(Box::new(settings.clone().start()?)),
            },
            scratch: tempfile::tempdir()?,
            settings: self,
        };
        cluster.start_all()?;
        Ok(cluster)
    }
}

impl Cluster {
    /// Starts all nodes, and waits until they serve.
    ///
    /// # Errors
    /// When one does not in time; the message has the end of its output.
    pub fn start_all(&mut self) -> Result<()> {
        let ids: Vec<u32> = self.nodes.iter().map(|node| node.id).collect();
        for id in &ids {
            self.launch(*id)?;
        }
        for id in ids {
            self.wait_until_ready(id)?;
        }
        Ok(())
    }

    /// Kills all nodes without warning.
    ///
    /// # Errors
    /// When one can't be killed.
    pub fn kill9_all(&mut self) -> Result<()> {
        let mut processes = self.nodes.iter_mut().filter_map(|node| node.process.as_mut());
        processes.try_for_each(Process::kill9)
    }

    /// Asks all nodes to drain and end (SIGTERM).
    ///
    /// # Errors
    /// When one does not end in time.
    pub fn stop_all(&mut self) -> Result<()> {
        let ids: Vec<u32> = self.nodes.iter().map(|node| node.id).collect();
        ids.into_iter().try_for_each(|id| self.stop(id).map(drop))
    }

    /// Puts an empty etcd in the place of its own.
    ///
    /// # Errors
    /// When that does not serve in time.
    pub fn replace_etcd(&mut self) -> Result<()> {
        self.etcd = Etcd::start()?;
        Ok(())
    }

    /// Runs `weir` with `arguments` and the configuration of a node; gives what it prints on standard error.
    ///
    /// # Errors
    /// When it fails.
    pub fn run(&self, id: u32, arguments: &[&str]) -> Result<String> {
        let file = self.scratch.path().join("run.toml");
        std::fs::write(&file, self.configuration(id))?;
        let mut command = Command::new(&self.settings.binary);
        let output = command.args(arguments).arg("--config").arg(&file).output()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        if !output.status.success() {
            bail!("weir {arguments:?}: {said}");
        }
        Ok(said)
    }

    /// Its object store, if that is a server.
    pub fn s3(&self) -> Option<&S3> {
        match &self.store {
            Running::S3(s3) => Some(s3),
            _ => None,
        }
    }

    /// Its HDFS, if it is over one.
    pub fn hdfs(&mut self) -> Option<&mut Hdfs> {
        match &mut self.store {
            Running::Hdfs(hdfs) => Some(hdfs),
            _ => None,
        }
    }

    /// Its metadata store.
    pub fn etcd(&mut self) -> &mut Etcd {
        &mut self.etcd
    }

    fn node(&mut self, id: u32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    /// Where clients of the proxies connect, by node.
    pub fn proxies(&self) -> BTreeMap<u32, SocketAddr> {
        let proxies = self.nodes.iter().filter(|node| node.roles.contains(&"proxy"));
        proxies.map(|node| (node.id, address(node.kafka_port))).collect()
    }

    /// The proxies' addresses, as clients want them.
    pub fn bootstrap(&self) -> String {
        self.proxies().values().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// Where a node serves HTTP.
    pub fn http(&self, id: u32) -> SocketAddr {
        address(self.nodes[id as usize - 1].http_port)
    }

    /// An operator who talks to a node.
    pub fn operator(&self, id: u32) -> Operator {
        Operator::at(self.http(id))
    }

    /// Adds a node and starts it; gives its id. It may not serve yet.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn add(&mut self, roles: &'static [&'static str]) -> Result<u32> {
        let id = u32::try_from(self.nodes.len())? + 1;
        self.nodes.push(Node::new(id, roles)?);
        self.launch(id)?;
        Ok(id)
    }

    /// Starts a node that does not run. It may not serve yet.
    ///
    /// # Errors
    /// When the program can't be started.
    pub fn launch(&mut self, id: u32) -> Result<()> {
        let file = self.scratch.path().join(format!("node-{id}.toml"));
        std::fs::write(&file, self.configuration(id))?;
        let mut command = Command::new(&self.settings.binary);
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
        let mut command = Command::new(&self.settings.binary);
        command.args(["serve", "--config"]).arg(&file);
        let mut process = Process::start(&mut command, Input::Empty, folder.path(), "refused")?;
        let status = process.wait(START)?;
        Ok((process.stderr(), status.code()))
    }

    fn configuration(&self, id: u32) -> String {
        let node = &self.nodes[id as usize - 1];
        let roles =
            node.roles.iter().map(|role| format!("{role:?}")).collect::<Vec<_>>().join(", ");
        let (etcd, store) = (self.etcd.url(), self.store());
        let zones = &self.settings.zones;
        let zone = zones.get(node.id as usize - 1).map(|zone| format!("zone = {zone:?}\n"));
        let zone = zone.unwrap_or_default();
        let id = if self.settings.auto_ids { "\"auto\"".to_owned() } else { id.to_string() };
        let mut text = format!(
            "cluster = \"test\"\n\
             [node]\nid = {id}\nroles = [{roles}]\n{zone}\
             [meta]\nurl = \"{etcd}\"\n\
             [store]\n{store}\n\
             [kafka]\nlisten = \"{}\"\n\
             [http]\nlisten = \"{}\"\n\
             [rpc]\nlisten = \"{}\"\n",
            address(node.kafka_port),
            address(node.http_port),
            address(node.rpc_port),
        );
        for (section, lines) in &self.settings.sections {
            let _ = writeln!(text, "[{section}]\n{lines}");
        }
        text
    }

    fn store(&self) -> String {
        match &self.store {
            Running::Nothing => {
                format!("url = \"file://{}\"", self.scratch.path().join("store").display())
            }
            Running::Hdfs(hdfs) => {
                let user = Hdfs::superuser();
                format!("url = \"{}/weir\"\noptions = {{ user = {user:?} }}", hdfs.url())
            }
            Running::S3(s3) => {
                let options = s3.options().into_iter().map(|(name, it)| format!("{name} = {it:?}"));
                let options = options.collect::<Vec<_>>().join(", ");
                format!("url = {:?}\noptions = {{ {options} }}", s3.url("test"))
            }
        }
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

    /// The ids of nodes' processes.
    ///
    /// # Errors
    /// When one does not run.
    pub fn process_ids(&self, ids: &[u32]) -> Result<Vec<u32>> {
        let process = |id: &u32| self.nodes[*id as usize - 1].process.as_ref().map(Process::id);
        ids.iter()
            .map(|id| process(id).with_context(|| format!("node {id} does not run")))
            .collect()
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

    /// How many partitions a broker has open, by its own metrics.
    ///
    /// # Errors
    /// When it does not say.
    pub fn open_partitions(&self, id: u32) -> Result<u64> {
        self.metric(id, "weir_broker_partitions")
    }

    /// What a node shows under this name.
    ///
    /// # Errors
    /// When it does not.
    pub fn metric(&self, id: u32, name: &str) -> Result<u64> {
        let (_, metrics) = crate::http::get(self.http(id), "/metrics")?;
        let shown = |line: &str| {
            line.split_once(' ').filter(|(shown, _)| *shown == name).map(|(_, it)| it.to_owned())
        };
        let value = metrics.lines().find_map(shown);
        Ok(value.with_context(|| format!("node {id} shows no {name}"))?.trim().parse()?)
    }

    /// What nodes' processes use of the machine now.
    ///
    /// # Errors
    /// When one does not run.
    pub fn usage(&self, ids: &[u32]) -> Result<Vec<Usage>> {
        self.process_ids(ids)?.into_iter().map(Usage::of).collect()
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
    pub fn tail(&self, id: u32) -> String {
        self.nodes[id as usize - 1].process.as_ref().map(Process::tail).unwrap_or_default()
    }
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
