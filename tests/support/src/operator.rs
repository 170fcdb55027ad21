//! What an operator asks of a cluster over HTTP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{http, wait};

/// How long the controller may be away.
const PATIENCE: Duration = Duration::from_secs(30);
/// Statuses of what may be tried again.
const TRY_AGAIN: u16 = 503;

/// An operator who talks to one node.
#[derive(Clone, Copy, Debug)]
pub struct Operator {
    node: SocketAddr,
}

impl Operator {
    /// One who talks to the node that serves HTTP at this address.
    pub fn at(node: SocketAddr) -> Self {
        Self { node }
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/admin/v1/{path}");
        let (status, answer) = wait::until("the cluster answers", PATIENCE, || {
            let answer = http::send(self.node, method, &path, &body);
            answer.ok().filter(|(status, _)| *status != TRY_AGAIN)
        })?;
        if status >= 300 {
            bail!("{method} {path}: {status} {answer}");
        }
        serde_json::from_str(&answer).with_context(|| format!("{method} {path}: {answer}"))
    }

    fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path, &Value::Null)
    }

    /// The elected controller.
    ///
    /// # Errors
    /// When nobody answers; so everywhere here.
    pub fn controller(&self) -> Result<u32> {
        let node = self.get("nodes")?["controller"].as_u64().context("there is no controller")?;
        Ok(u32::try_from(node)?)
    }

    /// The session of each node that has one.
    pub fn sessions(&self) -> Result<BTreeMap<u32, u64>> {
        let nodes = self.get("nodes")?;
        let nodes = nodes["nodes"].as_array().context("no list of nodes")?;
        let session = |node: &Value| {
            Some((u32::try_from(node["id"].as_u64()?).ok()?, node["session"].as_u64()?))
        };
        Ok(nodes.iter().filter_map(session).collect())
    }

    /// Which node is to own each partition of a topic.
    pub fn placement(&self, topic: &str) -> Result<Vec<u32>> {
        let placement = self.get(&format!("topics/{topic}/partitions"))?;
        let partitions = placement["partitions"].as_array().context("no list of partitions")?;
        let node = |it: &Value| it["node"].as_u64().and_then(|node| u32::try_from(node).ok());
        partitions.iter().map(|it| node(it).context("a partition without a node")).collect()
    }

    /// Gives a partition to a node.
    pub fn move_partition(&self, topic: &str, partition: u32, to: u32) -> Result<()> {
        let wanted = json!({ "topic": topic, "partitions": [partition], "to": to });
        self.ask("POST", "moves", &wanted).map(drop)
    }

    /// Takes everything from a node.
    pub fn drain(&self, node: u32) -> Result<()> {
        self.ask("PUT", &format!("nodes/{node}/drain"), &Value::Null).map(drop)
    }

    /// Lets a node have something again.
    pub fn undrain(&self, node: u32) -> Result<()> {
        self.ask("DELETE", &format!("nodes/{node}/drain"), &Value::Null).map(drop)
    }
}
