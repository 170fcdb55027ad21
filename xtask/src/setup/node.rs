//! The JavaScript clients: what the lock file names, checked against its hashes by npm.

use std::process::Command;

use anyhow::{Context, Result};
use weir_test_cache::Artifact;

use super::artifact;
use crate::command;

const PACKAGE: &str = include_str!("../../../tests/clients/kafkajs/package.json");
const LOCK: &str = include_str!("../../../tests/clients/kafkajs/package-lock.json");

/// Makes sure that the packages are there.
pub(super) fn ensure() -> Result<()> {
    artifact::ensure(Artifact::Node, LOCK, |folder| {
        std::fs::write(folder.join("package.json"), PACKAGE)?;
        std::fs::write(folder.join("package-lock.json"), LOCK)?;
        command::run(Command::new("npm").current_dir(folder).args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]))
        .context("npm can't install the javascript clients: is the package registry reachable?")
    })
}
