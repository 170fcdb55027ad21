//! Starting HDFS: a NameNode and DataNodes, each a Java process on loopback that can be killed, paused
//! and started again on its data and its ports.
//!
//! Whether they serve is read from the web pages that they keep for monitoring. A NameNode that answers
//! is not enough: it leaves safe mode before it has heard of all blocks, so those who wait here wait
//! until every DataNode that runs has reported its own.

mod conf;
mod daemon;
mod java;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use self::{conf::Properties, daemon::Daemon, java::Java};
use crate::{Usage, free_port, wait};

/// How long any of them may take to serve, on a busy machine too.
const START: Duration = Duration::from_secs(120);
/// A block report that is older by minutes than any process: the NameNode counts from 1970 where there
/// was none.
const NEVER_MINUTES: u64 = 1_000_000;

const NAMENODE: &str = "org.apache.hadoop.hdfs.server.namenode.NameNode";
const DATANODE: &str = "org.apache.hadoop.hdfs.server.datanode.DataNode";
const SHELL: &str = "org.apache.hadoop.fs.FsShell";
const ADMIN: &str = "org.apache.hadoop.hdfs.tools.DFSAdmin";

/// How an HDFS is to be started.
#[derive(Clone, Debug)]
pub struct HdfsSettings {
    datanodes: usize,
    replication: usize,
    heap: String,
    optimizing: bool,
    properties: Vec<(String, String)>,
}

/// A running HDFS. Dropping it kills its processes, and removes their data.
#[derive(Debug)]
pub struct Hdfs {
    namenode: Daemon,
    datanodes: Vec<Datanode>,
    rpc_port: u16,
    java: Java,
    scratch: TempDir,
}

#[derive(Debug)]
struct Datanode {
    daemon: Daemon,
    /// Where clients and other DataNodes send blocks, by which the NameNode lists it.
    data_port: u16,
}

/// What a folder may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// So many files and folders, itself among them.
    Names(u64),
    /// So many bytes, where each copy of a block counts; an open block counts whole.
    Bytes(u64),
}

impl Default for HdfsSettings {
    fn default() -> Self {
        Self {
            datanodes: 3,
            replication: 3,
            heap: "256m".to_owned(),
            optimizing: false,
            properties: Vec::new(),
        }
    }
}

impl HdfsSettings {
    /// So many DataNodes.
    #[must_use]
    pub fn datanodes(mut self, datanodes: usize) -> Self {
        self.datanodes = datanodes;
        self
    }

    /// So many copies of a block, unless its writer asks for others.
    #[must_use]
    pub fn replication(mut self, copies: usize) -> Self {
        self.replication = copies;
        self
    }

    /// With this much heap for each of them, as `-Xmx` takes it.
    #[must_use]
    pub fn heap(mut self, size: &str) -> Self {
        size.clone_into(&mut self.heap);
        self
    }

    /// With code as quick as Java makes it, for runs that measure. A start costs two thirds more CPU, and
    /// the bytes that a DataNode writes one third less.
    #[must_use]
    pub fn optimizing(mut self) -> Self {
        self.optimizing = true;
        self
    }

    /// With one more property of `hdfs-site.xml`, for all of them and for the tools; it goes before
    /// what is set here.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl ToString) -> Self {
        self.properties.push((name.to_owned(), value.to_string()));
        self
    }

    /// Starts it with nothing in it, and waits until it serves with every DataNode.
    ///
    /// # Errors
    /// When the jars are missing, or one of them does not serve in time; the message has the end of its
    /// output.
    pub fn start(self) -> Result<Hdfs> {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path();
        let (rpc_port, http_port) = (free_port()?, free_port()?);
        let conf = self.conf(&folder.join("conf"), rpc_port, namenode(folder, http_port))?;
        let java = Java::new(folder, conf.clone(), &self.heap, self.optimizing)?;
        java.tool(NAMENODE, &["-format", "-nonInteractive"]).context("hdfs can't be formatted")?;
        let namenode = Daemon::new("namenode".to_owned(), NAMENODE, conf, http_port);
        let datanode = |place: usize| -> Result<Datanode> {
            let (name, ports) = (format!("datanode-{place}"), [free_port()?, free_port()?]);
            let own = datanode(&folder.join(&name), ports, free_port()?);
            let conf = self.conf(&folder.join(format!("conf-{place}")), rpc_port, own)?;
            let [data_port, http_port] = ports;
            Ok(Datanode { daemon: Daemon::new(name, DATANODE, conf, http_port), data_port })
        };
        let datanodes = (0..self.datanodes).map(datanode).collect::<Result<_>>()?;
        let mut hdfs = Hdfs { namenode, datanodes, rpc_port, java, scratch };
        hdfs.namenode.launch(&hdfs.java)?;
        for datanode in &mut hdfs.datanodes {
            datanode.daemon.launch(&hdfs.java)?;
        }
        hdfs.wait_until_served()?;
        Ok(hdfs)
    }

    /// Makes a folder with the configuration of one of them: what all are told, what it alone is told,
    /// and what the test asks for.
    fn conf(
        &self,
        folder: &Path,
        rpc_port: u16,
        own: Vec<(&'static str, String)>,
    ) -> Result<PathBuf> {
        Properties::default()
            .with([
                ("dfs.namenode.rpc-address", format!("127.0.0.1:{rpc_port}")),
                ("dfs.replication", self.replication.to_string()),
            ])
            .with(own)
            .with(self.properties.clone())
            .write(folder, rpc_port)
    }
}

fn namenode(folder: &Path, http_port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("dfs.namenode.name.dir", url(&folder.join("namenode"))),
        ("dfs.namenode.http-address", format!("127.0.0.1:{http_port}")),
        // A restart serves as soon as the blocks are there, not half a minute later.
        ("dfs.namenode.safemode.extension", "0".to_owned()),
        // Tests fill blocks of a few kilobytes.
        ("dfs.namenode.fs-limits.min-block-size", "4096".to_owned()),
    ]
}

fn datanode(
    folder: &Path,
    [data_port, http_port]: [u16; 2],
    rpc_port: u16,
) -> Vec<(&'static str, String)> {
    vec![
        ("dfs.datanode.data.dir", url(folder)),
        ("dfs.datanode.hostname", "127.0.0.1".to_owned()),
        ("dfs.datanode.address", format!("127.0.0.1:{data_port}")),
        ("dfs.datanode.http.address", format!("127.0.0.1:{http_port}")),
        ("dfs.datanode.ipc.address", format!("127.0.0.1:{rpc_port}")),
    ]
}

fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

impl Hdfs {
    /// Three DataNodes, and three copies of each block.
    ///
    /// # Errors
    /// As for [`HdfsSettings::start`].
    pub fn start() -> Result<Self> {
        HdfsSettings::default().start()
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("hdfs://127.0.0.1:{}", self.rpc_port)
    }

    /// Who may do anything there: whoever has started it.
    pub fn superuser() -> String {
        std::env::var("USER").unwrap_or_else(|_| "root".to_owned())
    }

    /// The folder with `core-site.xml` and `hdfs-site.xml`, as `HADOOP_CONF_DIR` takes it.
    pub fn conf(&self) -> PathBuf {
        self.scratch.path().join("conf")
    }

    /// The folder that they keep everything in.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// How many DataNodes there are, whether they run or not.
    pub fn datanodes(&self) -> usize {
        self.datanodes.len()
    }

    /// Waits until the NameNode is out of safe mode and has the block reports of all DataNodes that run.
    ///
    /// # Errors
    /// When that takes too long, or one of them has ended; the message has the end of its output.
    pub fn wait_until_served(&mut self) -> Result<()> {
        let mut last = None;
        let served = wait::until("hdfs serves", START, || {
            if let Err(ended) = self.look_for_ended() {
                return Some(Err(ended));
            }
            last = self.serves().err();
            last.is_none().then_some(Ok(()))
        });
        match served {
            Ok(outcome) => outcome,
            Err(late) => {
                let why = last.map(|error| format!("{error:#}")).unwrap_or_default();
                let tails: Vec<String> = self.daemons().map(Daemon::tail).collect();
                Err(late.context(format!("{why}\n{}", tails.join("\n"))))
            }
        }
    }

    fn look_for_ended(&mut self) -> Result<()> {
        self.namenode.look_for_ended()?;
        self.datanodes.iter_mut().try_for_each(|datanode| datanode.daemon.look_for_ended())
    }

    fn serves(&self) -> Result<()> {
        let state = self.namenode.bean("NameNode", "FSNamesystemState")?;
        let state = state["FSState"].as_str().context("the NameNode does not say its state")?;
        ensure!(state == "Operational", "the NameNode is in the state {state}");
        let info = self.namenode.bean("NameNode", "NameNodeInfo")?;
        let live = info["LiveNodes"].as_str().context("the NameNode lists no DataNodes")?;
        let live: Value = serde_json::from_str(live)?;
        for datanode in self.datanodes.iter().filter(|datanode| datanode.daemon.is_awake()) {
            let address = format!("127.0.0.1:{}", datanode.data_port);
            let reported = live[&address]["lastBlockReport"].as_u64();
            let reported = reported.is_some_and(|minutes| minutes < NEVER_MINUTES);
            ensure!(reported, "{address} has not reported its blocks");
        }
        Ok(())
    }

    /// Waits until a DataNode, just started, has made itself known to the NameNode.
    fn wait_until_registered(&mut self, place: usize) -> Result<()> {
        let daemon = &mut self.datanodes[place].daemon;
        let registered = wait::until("the DataNode is registered", START, || {
            if let Err(ended) = daemon.look_for_ended() {
                return Some(Err(ended));
            }
            let info = daemon.bean("DataNode", "DataNodeInfo").ok()?;
            let running = info["BPServiceActorInfo"].as_str()?.contains("\"RUNNING\"");
            running.then_some(Ok(()))
        });
        registered.with_context(|| self.datanodes[place].daemon.tail())?
    }

    /// Kills a DataNode without warning. The NameNode lists it as live for ten minutes more, unless
    /// `dfs.namenode.heartbeat.recheck-interval` says otherwise.
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn kill_datanode(&mut self, place: usize) -> Result<()> {
        self.datanodes[place].daemon.kill9()
    }

    /// Stops a DataNode's process where it stands.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause_datanode(&mut self, place: usize) -> Result<()> {
        self.datanodes[place].daemon.pause()
    }

    /// Lets a DataNode go on that was paused.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume_datanode(&mut self, place: usize) -> Result<()> {
        self.datanodes[place].daemon.resume()
    }

    /// Starts a DataNode on its data, killed first if it runs, and waits until the NameNode knows it.
    ///
    /// # Errors
    /// When it does not register in time; the message has the end of its output.
    pub fn restart_datanode(&mut self, place: usize) -> Result<()> {
        let daemon = &mut self.datanodes[place].daemon;
        daemon.kill9()?;
        daemon.launch(&self.java)?;
        self.wait_until_registered(place)
    }

    /// Kills the NameNode without warning.
    ///
    /// # Errors
    /// When it can't be killed.
    pub fn kill_namenode(&mut self) -> Result<()> {
        self.namenode.kill9()
    }

    /// Starts the NameNode on its data and its port, killed first if it runs, and waits until it serves.
    ///
    /// # Errors
    /// As for [`Hdfs::wait_until_served`].
    pub fn restart_namenode(&mut self) -> Result<()> {
        self.namenode.kill9()?;
        self.namenode.launch(&self.java)?;
        self.wait_until_served()
    }

    /// The bytes that each DataNode has written since it was started; none for one that does not answer.
    /// They are a second or two old.
    pub fn datanode_bytes(&self) -> Vec<Option<u64>> {
        let written = |datanode: &Datanode| {
            let activity = datanode.daemon.bean("DataNode", "DataNodeActivity-*").ok()?;
            activity["BytesWritten"].as_u64()
        };
        self.datanodes.iter().map(written).collect()
    }

    /// What each process uses of the machine, by its name.
    ///
    /// # Errors
    /// When one of them does not run.
    pub fn usage(&self) -> Result<Vec<(String, Usage)>> {
        let usage = |daemon: &Daemon| Ok((daemon.name().to_owned(), daemon.usage()?));
        self.daemons().map(usage).collect()
    }

    fn daemons(&self) -> impl Iterator<Item = &Daemon> {
        let datanodes = self.datanodes.iter().map(|datanode| &datanode.daemon);
        std::iter::once(&self.namenode).chain(datanodes)
    }

    /// What `hadoop fs` prints when it is called so, as the user who may do anything.
    ///
    /// # Errors
    /// When it fails; the message has what it said.
    pub fn shell(&self, arguments: &[&str]) -> Result<String> {
        self.java.tool(SHELL, arguments)
    }

    /// What `hdfs dfsadmin` prints when it is called so.
    ///
    /// # Errors
    /// When it fails; the message has what it said.
    pub fn admin(&self, arguments: &[&str]) -> Result<String> {
        self.java.tool(ADMIN, arguments)
    }

    /// What `hadoop fs -ls -R` prints of a folder.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn ls_r(&self, path: &str) -> Result<String> {
        self.shell(&["-ls", "-R", path])
    }

    /// Enters or leaves safe mode, in which nothing can be changed.
    ///
    /// # Errors
    /// When the NameNode does not answer.
    pub fn safe_mode(&self, on: bool) -> Result<()> {
        self.admin(&["-safemode", if on { "enter" } else { "leave" }]).map(drop)
    }

    /// Limits what a folder may hold.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn set_quota(&self, path: &str, quota: Quota) -> Result<()> {
        let (command, most) = match quota {
            Quota::Names(names) => ("-setQuota", names),
            Quota::Bytes(bytes) => ("-setSpaceQuota", bytes),
        };
        self.admin(&[command, &most.to_string(), path]).map(drop)
    }

    /// Takes all limits from a folder.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn clear_quota(&self, path: &str) -> Result<()> {
        self.admin(&["-clrQuota", path])?;
        self.admin(&["-clrSpaceQuota", path]).map(drop)
    }
}
