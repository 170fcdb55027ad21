//! Starting Apache Kafka: one KRaft node from the cached jars. Suites are proven against it, and
//! benchmarks run beside it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::server::{Launch, Readiness};
use crate::{Server, cache, free_port};

/// What `kafka-server-start.sh` gives the broker.
const DEFAULT_HEAP: &str = "1g";
/// A cluster id, of which each server needs one; they never meet.
const CLUSTER_ID: &str = "d2Vpci10ZXN0LWNsdXN0ZX";

/// How Apache Kafka is to be started.
#[derive(Debug)]
pub struct Kafka {
    heap: String,
    settings: Vec<(String, String)>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self::new()
    }
}

impl Kafka {
    /// One node with its defaults, save that a group does not wait for more members before its first
    /// rebalance.
    pub fn new() -> Self {
        Self { heap: DEFAULT_HEAP.to_owned(), settings: Vec::new() }
    }

    /// With this much heap, as `-Xmx` takes it.
    #[must_use]
    pub fn heap(mut self, size: &str) -> Self {
        size.clone_into(&mut self.heap);
        self
    }

    /// With one more line of `server.properties`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// Starts it on a new data folder and waits until it serves.
    ///
    /// # Errors
    /// When the jars are missing, or it does not serve in time.
    pub fn start(self) -> Result<Server> {
        let scratch = tempfile::tempdir()?;
        let data = scratch.path().join("data");
        let (kafka_port, controller_port) = (free_port()?, free_port()?);
        let properties = scratch.path().join("server.properties");
        let text = self.properties(&data, kafka_port, controller_port);
        std::fs::write(&properties, text)?;
        let class_path = cache::kafka_class_path()?;
        let properties = properties.display().to_string();
        let mut format = Command::new("java");
        format.args(["-cp", &class_path, "kafka.tools.StorageTool", "format"]);
        format.args(["--cluster-id", CLUSTER_ID, "--config", &properties]);
        let formatted = format.output().context("can't start java: run `cargo xtask setup`")?;
        if !formatted.status.success() {
            bail!("kafka can't format: {}", String::from_utf8_lossy(&formatted.stderr));
        }
        let launch = Launch {
            name: "kafka",
            program: "java".into(),
            arguments: vec![
                format!("-Xms{}", self.heap),
                format!("-Xmx{}", self.heap),
                "-cp".to_owned(),
                class_path,
                "kafka.Kafka".to_owned(),
                properties,
            ],
            environment: Vec::new(),
            readiness: Readiness::Answer,
            kafka_port,
            http_port: None,
        };
        Server::start(launch, data, scratch)
    }

    fn properties(&self, data: &Path, kafka_port: u16, controller_port: u16) -> String {
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
             listeners=PLAINTEXT://127.0.0.1:{kafka_port},CONTROLLER://127.0.0.1:{controller_port}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{kafka_port}\n\
             controller.listener.names=CONTROLLER\n\
             offsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=5\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n\
             log.dirs={}\n",
            data.display()
        );
        for (name, value) in &self.settings {
            text.push_str(&format!("{name}={value}\n"));
        }
        text
    }
}
