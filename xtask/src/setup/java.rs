//! The Java client program, compiled against Kafka's jars.

use std::process::Command;

use anyhow::{Context, Result};
use weir_test_cache::{Artifact, kafka_class_path};

use super::artifact;
use crate::command;

const SOURCE: &str = include_str!("../../../tests/clients/java/Client.java");
/// What the classes are made from: a new Kafka compiles them again.
const LOCK: &str = concat!(
    include_str!("../../../tests/clients/java/Client.java"),
    include_str!("../../kafka/jars.sha256")
);

/// Makes sure that the classes are there.
pub(super) fn ensure() -> Result<()> {
    artifact::ensure(Artifact::JavaClient, LOCK, |folder| {
        let source = folder.join("Client.java");
        std::fs::write(&source, SOURCE)?;
        command::run(
            Command::new("javac")
                .args(["-Xlint:all,-processing", "-Werror", "-proc:none", "--release", "17"])
                .args(["-cp", &kafka_class_path()?, "-d"])
                .arg(folder)
                .arg(&source),
        )
        .context("javac can't compile tests/clients/java/Client.java")
    })
}
