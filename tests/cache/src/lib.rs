//! Where the clients and servers that tests need are kept on this machine.
//!
//! `cargo xtask setup` fills the cache, tests look things up in it; this crate is what both agree on
//! and does nothing else. The cache lies outside `target/`, so that cleaning a build or cloning
//! afresh downloads nothing again. A folder that exists is complete: it appears by one rename.

use std::fmt;
use std::path::{Path, PathBuf};

/// The Apache Kafka version that tests and benchmarks run beside Weir.
pub const KAFKA_VERSION: &str = "4.3.1";
/// The Apache Hadoop version whose HDFS tests run against.
pub const HADOOP_VERSION: &str = "3.5.0";

/// Something that `cargo xtask setup` puts into the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Artifact {
    /// The jars of an Apache Kafka broker, its tools and the Java client.
    KafkaJars,
    /// The jars of Apache Kafka's test tools.
    KafkaTests,
    /// The JSON definitions of Kafka's messages, out of the jars: `{jar}/*.json`.
    KafkaSchemas,
    /// The jars of HDFS: its servers and its tools.
    Hadoop,
    /// A Python environment with the Python clients.
    Python,
    /// A Python environment with an S3 server.
    S3,
    /// The JavaScript clients: a folder with `node_modules`.
    Node,
    /// The classes of the Java client program, compiled.
    JavaClient,
}

impl Artifact {
    /// Every artifact, each after those that it is made from.
    pub const ALL: [Artifact; 8] = [
        Artifact::KafkaJars,
        Artifact::KafkaTests,
        Artifact::KafkaSchemas,
        Artifact::Hadoop,
        Artifact::Python,
        Artifact::S3,
        Artifact::Node,
        Artifact::JavaClient,
    ];

    /// The folder's name within the cache, also what `cargo xtask setup` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Artifact::KafkaJars => "kafka-4.3.1",
            Artifact::KafkaTests => "kafka-tests-4.3.1",
            Artifact::KafkaSchemas => "kafka-schemas-4.3.1",
            Artifact::Hadoop => "hadoop-3.5.0",
            Artifact::Python => "python-clients",
            Artifact::S3 => "s3-server",
            Artifact::Node => "node-clients",
            Artifact::JavaClient => "java-client",
        }
    }

    /// Where the artifact is, or would be once it has been set up.
    pub fn path(self) -> PathBuf {
        cache_dir().join(self.name())
    }

    /// Where the artifact is.
    ///
    /// # Errors
    /// When it has not been set up on this machine.
    pub fn locate(self) -> Result<PathBuf, Missing> {
        let path = self.path();
        if path.is_dir() { Ok(path) } else { Err(Missing { what: self.name(), path }) }
    }
}

/// An artifact that is not on this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Missing {
    what: &'static str,
    path: PathBuf,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not at {}: run `cargo xtask setup`", self.what, self.path.display())
    }
}

/// Reads like the message, since tests unwrap it.
impl fmt::Debug for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Missing {}

/// The cache: `$WEIR_CACHE`, else `weir` below `$XDG_CACHE_HOME`, else `~/.cache/weir`.
pub fn cache_dir() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    choose(set("WEIR_CACHE"), set("XDG_CACHE_HOME"), set("HOME"))
}

fn choose(own: Option<PathBuf>, xdg: Option<PathBuf>, home: Option<PathBuf>) -> PathBuf {
    own.or_else(|| xdg.map(|xdg| xdg.join("weir")))
        .or_else(|| home.map(|home| home.join(".cache/weir")))
        .unwrap_or_else(|| Path::new("/tmp").join("weir-cache"))
}

/// The folder with Kafka's message definitions, `{kafka-clients,group-coordinator}/*.json`.
///
/// # Errors
/// When it has not been set up on this machine.
pub fn kafka_schemas() -> Result<PathBuf, Missing> {
    Artifact::KafkaSchemas.locate()
}

/// What `java -cp` wants for Apache Kafka's broker, tools and client.
///
/// # Errors
/// When the jars have not been set up on this machine.
pub fn kafka_class_path() -> Result<String, Missing> {
    Ok(format!("{}/*", Artifact::KafkaJars.locate()?.display()))
}

/// What `java -cp` wants besides for Apache Kafka's test tools.
///
/// # Errors
/// When the jars have not been set up on this machine.
pub fn kafka_test_class_path() -> Result<String, Missing> {
    Ok(format!("{}/*", Artifact::KafkaTests.locate()?.display()))
}

/// What `java -cp` wants for the servers and tools of HDFS, beside a folder with its configuration.
///
/// # Errors
/// When the jars have not been set up on this machine.
pub fn hadoop_class_path() -> Result<String, Missing> {
    Ok(format!("{}/*", Artifact::Hadoop.locate()?.display()))
}

/// The Python interpreter that finds the Python clients.
///
/// # Errors
/// When the environment has not been set up on this machine.
pub fn python() -> Result<PathBuf, Missing> {
    Ok(Artifact::Python.locate()?.join("bin/python"))
}

/// What `NODE_PATH` must be for the JavaScript clients to be found.
///
/// # Errors
/// When they have not been set up on this machine.
pub fn node_path() -> Result<PathBuf, Missing> {
    Ok(Artifact::Node.locate()?.join("node_modules"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_setting_wins() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(choose(path("/a"), path("/b"), path("/c")), PathBuf::from("/a"));
        assert_eq!(choose(None, path("/b"), path("/c")), PathBuf::from("/b/weir"));
        assert_eq!(choose(None, None, path("/c")), PathBuf::from("/c/.cache/weir"));
    }

    #[test]
    fn names_carry_the_version_that_they_hold() {
        assert!(Artifact::KafkaJars.name().ends_with(KAFKA_VERSION));
        assert!(Artifact::KafkaTests.name().ends_with(KAFKA_VERSION));
        assert!(Artifact::KafkaSchemas.name().ends_with(KAFKA_VERSION));
        assert!(Artifact::Hadoop.name().ends_with(HADOOP_VERSION));
    }

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        let missing = Missing { what: "python-clients", path: "/x".into() };
        assert_eq!(format!("{missing:?}"), "python-clients is not at /x: run `cargo xtask setup`");
    }
}
