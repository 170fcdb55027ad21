//! Sets up what tests need on a machine that has nothing but Rust.
//!
//! Two kinds of things: programs that Debian ships (clients, Java, Python, Node), installed by apt-get
//! when they are missing; and artifacts with pinned versions and hashes, downloaded by the package
//! managers' own clients into the cache of `weir-test-cache`. Both are idempotent; see
//! [`artifact`] for what makes the cache safe to interrupt and to share.

mod artifact;
mod debian;
mod hadoop;
mod java;
mod kafka;
mod maven;
mod node;
mod python;

use anyhow::Result;
use clap::ValueEnum;

use crate::command::{Stopwatch, say};

/// A part of the set-up that can be asked for alone.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Programs that Debian ships: kcat, java, maven, python, node
    Debian,
    /// Apache Kafka's jars and message definitions
    Kafka,
    /// Apache Hadoop's jars, for HDFS
    Hadoop,
    /// The Python clients, and the S3 server
    Python,
    /// The JavaScript clients
    Node,
    /// The Java client program, compiled
    Java,
}

/// Sets up the parts in `what`, or all when there are none.
///
/// # Errors
/// The first part that can't be set up, with what to do about it.
pub(crate) fn run(what: &[Part]) -> Result<()> {
    let watch = Stopwatch::start();
    let wanted = |part| what.is_empty() || what.contains(&part);
    if wanted(Part::Debian) {
        debian::ensure()?;
    }
    if wanted(Part::Kafka) || wanted(Part::Java) {
        kafka::ensure()?;
    }
    if wanted(Part::Hadoop) {
        hadoop::ensure()?;
    }
    if wanted(Part::Python) {
        python::ensure()?;
    }
    if wanted(Part::Node) {
        node::ensure()?;
    }
    if wanted(Part::Java) {
        java::ensure()?;
    }
    let cache = weir_test_cache::cache_dir();
    say(format!("set up in {:.1?}, cache at {}", watch.elapsed(), cache.display()));
    Ok(())
}
