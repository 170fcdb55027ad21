//! Starting an S3 server on loopback, with an empty bucket. What it keeps goes with it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::{Input, Process, Relay, Usage, cache::Artifact, free_port, http, wait};

/// How long it may take to serve, on a busy machine too.
const START: Duration = Duration::from_secs(60);
const SERVER: &str = include_str!("../s3/server.py");
const BUCKET: &str = "weir";
/// The header of a conditional create, and one of the same length that no server knows.
const CONDITION: &[u8] = b"if-none-match";
const NO_CONDITION: &[u8] = b"x-none-match-";

/// An S3 server. Dropping it kills it.
#[derive(Debug)]
pub struct S3 {
    port: u16,
    process: Process,
    scratch: TempDir,
}

impl S3 {
    /// Starts one and makes a bucket.
    ///
    /// # Errors
    /// When it is not set up, or does not serve in time.
    pub fn start() -> Result<Self> {
        let (port, scratch) = (free_port()?, tempfile::tempdir()?);
        let mut command = Command::new(Artifact::S3.locate()?.join("bin/python"));
        command.arg("-c").arg(SERVER).arg(port.to_string());
        let process = Process::start(&mut command, Input::Empty, scratch.path(), "s3")?;
        let made = wait::until("the S3 server makes a bucket", START, || {
            let made = http::send(address(port), "PUT", &format!("/{BUCKET}"), "");
            made.ok().filter(|(status, _)| *status == 200)
        });
        made.with_context(|| process.tail())?;
        Ok(Self { port, process, scratch })
    }

    /// Starts a small and fast one, `program` with these arguments and `--port`, which makes buckets as needed.
    ///
    /// # Errors
    /// When it does not serve in time.
    pub fn start_native(program: &Path, arguments: &[String]) -> Result<Self> {
        let (port, scratch) = (free_port()?, tempfile::tempdir()?);
        let mut command = Command::new(program);
        command.args(arguments).args(["--port", &port.to_string()]);
        let process = Process::start(&mut command, Input::Empty, scratch.path(), "store")?;
        let serves = wait::until("the store serves", START, || {
            http::get(address(port), "/stats").ok().filter(|(status, _)| *status == 200)
        });
        serves.with_context(|| process.tail())?;
        Ok(Self { port, process, scratch })
    }

    /// What a native one has been asked: how often each kind of request came.
    ///
    /// # Errors
    /// When it does not say.
    pub fn counts(&self) -> Result<BTreeMap<String, u64>> {
        let (_, text) = http::get(address(self.port), "/stats")?;
        let counts = text.lines().filter_map(|line| line.split_once(' '));
        counts.map(|(kind, count)| Ok((kind.to_owned(), count.trim().parse()?))).collect()
    }

    /// How fast a native one is from now on, in its own words.
    ///
    /// # Errors
    /// When it does not understand them.
    pub fn set_pace(&self, pace: &str) -> Result<()> {
        let (status, told) = http::send(self.address(), "PUT", &format!("/pace?{pace}"), "")?;
        ensure!(status == 200, "the store refuses a pace: {told}");
        Ok(())
    }

    /// Its objects, with their bytes.
    ///
    /// # Errors
    /// When it does not list them.
    pub fn objects(&self) -> Result<Vec<(String, u64)>> {
        let (mut objects, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/{BUCKET}?list-type=2&start-after={after}");
            let (_, page) = http::get(self.address(), &path)?;
            for object in page.split("<Contents>").skip(1) {
                let key = tag(object, "Key").context("an object without a key")?;
                let bytes = tag(object, "Size").context("an object without a size")?;
                objects.push((key.to_owned(), bytes.parse()?));
            }
            let Some(next) = tag(&page, "NextContinuationToken") else { return Ok(objects) };
            after = next.to_owned();
        }
    }

    /// What it uses of the machine now.
    ///
    /// # Errors
    /// When it has gone.
    pub fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        address(self.port)
    }

    /// The path of an object.
    pub fn path(&self, key: &str) -> String {
        format!("/{BUCKET}/{key}")
    }

    /// The bucket, and below it what begins with `prefix`.
    pub fn url(&self, prefix: &str) -> String {
        format!("s3://{BUCKET}/{prefix}")
    }

    /// What a client of it must be told.
    pub fn options(&self) -> BTreeMap<String, String> {
        options(address(self.port))
    }

    /// What a client of it must be told that reaches it by this way.
    pub fn options_by(&self, way: &Relay) -> BTreeMap<String, String> {
        options(way.address())
    }

    /// A way to it on which the conditions of creates get lost.
    ///
    /// # Errors
    /// When no port is free.
    pub fn without_conditions(&self) -> Result<Relay> {
        Relay::start(address(self.port), CONDITION, NO_CONDITION)
    }

    /// Where it keeps what it prints.
    pub fn folder(&self) -> &std::path::Path {
        self.scratch.path()
    }

    /// The end of what it has printed, for the message of a failure.
    pub fn tail(&self) -> String {
        self.process.tail()
    }
}

/// What stands between the first tags of this name.
fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    Some(behind.split_once(&format!("</{name}>"))?.0)
}

/// What a client must be told of an S3 server that is reached there.
fn options(endpoint: SocketAddr) -> BTreeMap<String, String> {
    let options = [
        ("endpoint", format!("http://{endpoint}")),
        ("region", "us-east-1".to_owned()),
        ("access_key_id", "test".to_owned()),
        ("secret_access_key", "test".to_owned()),
        // As over TLS, which is not spoken here.
        ("unsigned_payload", "true".to_owned()),
    ];
    options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn address(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
