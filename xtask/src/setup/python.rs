//! What comes from Python's index: virtual environments, every file checked against its hash by pip.

use std::process::Command;

use anyhow::{Context, Result};
use weir_test_cache::Artifact;

use super::{artifact, debian};
use crate::command;

const CLIENTS: &str = include_str!("../../../tests/clients/python/requirements.txt");
const S3: &str = include_str!("../../../tests/support/s3/requirements.txt");

/// Makes sure that the environments are there and their interpreters still exist.
pub(super) fn ensure() -> Result<()> {
    environment(Artifact::Python, CLIENTS)?;
    environment(Artifact::S3, S3)
}

fn environment(artifact: Artifact, requirements: &str) -> Result<()> {
    let place = artifact.path();
    if place.is_dir() && !place.join("bin/python").is_file() {
        // The Python that it was made with has gone, by an upgrade for example.
        std::fs::remove_dir_all(&place)?;
    }
    artifact::ensure(artifact, requirements, |folder| {
        if command::output(Command::new("python3").args(["-c", "import ensurepip"])).is_err() {
            debian::install(&["python3-venv"])?; // Debian's Python comes without.
        }
        command::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let list = folder.join("requirements.txt");
        std::fs::write(&list, requirements)?;
        command::run(
            Command::new(folder.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--no-cache-dir", "--only-binary=:all:"])
                .args(["--require-hashes", "--no-deps", "-r"])
                .arg(&list),
        )
        .context("pip can't install what is listed: is the package index reachable?")
    })
}
