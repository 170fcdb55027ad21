//! Command lines of Hadoop's programs, all of which are Java.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache;

/// For all of them: IPv4 as Hadoop's scripts choose it, few threads and little memory for collecting
/// garbage, and no statistics that a killed process leaves in `/tmp`.
const OPTIONS: [&str; 3] =
    ["-Djava.net.preferIPv4Stack=true", "-XX:+UseSerialGC", "-XX:-UsePerfData"];
/// For a server: it ends where it would limp on, and its log has times but not each look at its pages.
const SERVER: [&str; 4] = [
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.log.http.requests=warn",
];
/// Of Java's two compilers only the quick one: half of a start is compiling.
const NOT_OPTIMIZING: &str = "-XX:TieredStopAtLevel=1";
/// For a tool, which lives for a second: quick to start, and silent unless something is wrong.
const TOOL: [&str; 4] = [
    "-Xmx128m",
    NOT_OPTIMIZING,
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.org.apache.hadoop.util.NativeCodeLoader=error",
];

/// What all command lines have in common.
#[derive(Debug)]
pub(super) struct Java {
    class_path: String,
    /// The configuration of the tools.
    conf: PathBuf,
    heap: String,
    optimizing: bool,
    folder: PathBuf,
}

impl Java {
    /// Programs that keep what they need in `folder`.
    pub(super) fn new(folder: &Path, conf: PathBuf, heap: &str, optimizing: bool) -> Result<Self> {
        let class_path = cache::hadoop_class_path()?;
        fs::create_dir(folder.join("tmp"))?;
        Ok(Self { class_path, conf, heap: heap.to_owned(), optimizing, folder: folder.to_owned() })
    }

    /// The folder that output goes to.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A server with a configuration of its own.
    pub(super) fn server(&self, class: &str, conf: &Path) -> Command {
        let heap = format!("-Xmx{}", self.heap);
        let compiler = (!self.optimizing).then_some(NOT_OPTIMIZING);
        self.command(class, conf, SERVER.into_iter().chain([heap.as_str()]).chain(compiler))
    }

    /// What a tool prints.
    pub(super) fn tool(&self, class: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(class, &self.conf, TOOL);
        let output = command.args(arguments).output();
        let output = output.context("can't start java: run `cargo xtask setup`")?;
        let (said, wrong) = (text(&output.stdout), text(&output.stderr));
        if !output.status.success() {
            let name = class.rsplit('.').next().unwrap_or(class);
            bail!("{name} {}: {}\n{wrong}{said}", arguments.join(" "), output.status);
        }
        Ok(said)
    }

    fn command<'a>(
        &self,
        class: &str,
        conf: &Path,
        options: impl IntoIterator<Item = &'a str>,
    ) -> Command {
        let mut command = Command::new("java");
        command
            .args(OPTIONS)
            .args(options)
            .arg(format!("-Djava.io.tmpdir={}", self.folder.join("tmp").display()))
            .args(["-cp", &format!("{}:{}", conf.display(), self.class_path), class]);
        command
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}
