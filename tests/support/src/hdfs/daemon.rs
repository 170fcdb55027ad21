//! One server process, and what its pages for monitoring say.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use serde_json::Value;

use super::java::Java;
use crate::{Input, Process, Usage, http};

/// A NameNode or a DataNode. It keeps its place while no process runs.
#[derive(Debug)]
pub(super) struct Daemon {
    name: String,
    class: &'static str,
    conf: PathBuf,
    http_port: u16,
    process: Option<Process>,
    paused: bool,
}

impl Daemon {
    /// One that does not run yet.
    pub(super) fn new(name: String, class: &'static str, conf: PathBuf, http_port: u16) -> Self {
        Self { name, class, conf, http_port, process: None, paused: false }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Starts its process, whatever became of the one before.
    pub(super) fn launch(&mut self, java: &Java) -> Result<()> {
        let mut command = java.server(self.class, &self.conf);
        let process = Process::start(&mut command, Input::Empty, java.folder(), &self.name);
        self.process = Some(process.context("run `cargo xtask setup`, which installs java")?);
        self.paused = false;
        Ok(())
    }

    /// Kills its process, if one runs.
    pub(super) fn kill9(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill9())
    }

    pub(super) fn pause(&mut self) -> Result<()> {
        self.process()?.signal(Signal::STOP)?;
        self.paused = true;
        Ok(())
    }

    pub(super) fn resume(&mut self) -> Result<()> {
        self.process()?.signal(Signal::CONT)?;
        self.paused = false;
        Ok(())
    }

    fn process(&self) -> Result<&Process> {
        self.process.as_ref().with_context(|| format!("{} does not run", self.name))
    }

    /// Whether it was started, and neither killed nor paused since.
    pub(super) fn is_awake(&self) -> bool {
        self.process.is_some() && !self.paused
    }

    /// Whether its process ended by itself, which is an error.
    pub(super) fn look_for_ended(&mut self) -> Result<()> {
        match self.process.as_mut().and_then(Process::ended) {
            Some(status) => bail!("{} ended with {status}; {}", self.name, self.tail()),
            None => Ok(()),
        }
    }

    /// What it publishes under this name; `*` stands for anything.
    pub(super) fn bean(&self, service: &str, name: &str) -> Result<Value> {
        let address = (Ipv4Addr::LOCALHOST, self.http_port).into();
        let path = format!("/jmx?qry=Hadoop:service={service},name={name}");
        let (status, body) = http::get(address, &path)?;
        if status != 200 {
            bail!("{} answers {path} with status {status}", self.name);
        }
        let mut body: Value = serde_json::from_str(&body)?;
        let bean = body["beans"].get_mut(0).map(Value::take);
        bean.with_context(|| format!("{} does not publish {name} yet", self.name))
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        self.process()?.usage()
    }

    /// The last lines of its output, for the message of a failure.
    pub(super) fn tail(&self) -> String {
        let tail = self.process.as_ref().map(Process::tail).unwrap_or_default();
        format!("{}: {tail}", self.name)
    }
}
