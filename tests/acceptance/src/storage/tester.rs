//! Kafka's own test of log compaction, run against a server: it writes keys again and again, deletes some, waits, reads
//! everything, and compares the latest of each key with what it wrote. Brokers should have little memory for records:
//! what they still have there is not compacted.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use weir_test_support::cache;

use super::Report;
use super::site::Site;
use crate::cluster::Setting;

/// Such a run, in the tool's words.
#[derive(Clone, Copy, Debug)]
pub struct Tester {
    /// How many brokers there are.
    pub brokers: u32,
    /// `--messages`.
    pub messages: u64,
    /// `--duplicates`: how often a key is written.
    pub duplicates: u32,
    /// `--percent-deletes`.
    pub percent_deletes: u32,
    /// `--topics`.
    pub topics: u32,
    /// `--sleep`, in seconds: between writing and reading.
    pub sleep: u32,
}

impl Tester {
    /// Runs on a cluster of its own.
    ///
    /// # Errors
    /// When the tool can't be started, or is not content.
    pub fn run(self, setting: &Setting) -> Result<Report> {
        let mut report = Report::default();
        let site = Site::start(setting, self.brokers)?;
        let scratch = tempfile::tempdir()?;
        let output = self
            .command(&site.cluster.bootstrap(), scratch.path())?
            .output()
            .context("can't start java: run `cargo xtask setup`")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("{said}\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let compacted = site.sum("weir_broker_compacted_bytes_total")?;
        report.say(format!("{said}{} MiB written by compaction", compacted >> 20));
        Ok(report)
    }

    fn command(self, bootstrap: &str, scratch: &Path) -> Result<Command> {
        let jars = [cache::kafka_class_path()?, cache::kafka_test_class_path()?].join(":");
        let mut command = Command::new("java");
        command.arg(format!("-Djava.io.tmpdir={}", scratch.display()));
        command.args(["-Xmx512m", "-cp", &jars, "org.apache.kafka.tools.LogCompactionTester"]);
        command.args(["--bootstrap-server", bootstrap]);
        let Self { messages, duplicates, percent_deletes, topics, sleep, .. } = self;
        for (name, value) in [
            ("messages", messages),
            ("duplicates", duplicates.into()),
            ("percent-deletes", percent_deletes.into()),
            ("topics", topics.into()),
            ("sleep", sleep.into()),
        ] {
            command.arg(format!("--{name}")).arg(value.to_string());
        }
        Ok(command)
    }
}
