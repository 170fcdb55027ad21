//! The Python clients: one virtual environment, every file checked against its hash by pip.

use std::process::Command;

use anyhow::{Context, Result};
use weir_test_cache::Artifact;

use super::{artifact, debian};
use crate::command;

const REQUIREMENTS: &str = include_str!("../../../tests/clients/python/requirements.txt");

/// Makes sure that the environment is there and its interpreter still exists.
pub(super) fn ensure() -> Result<()> {
    let place = Artifact::Python.path();
    if place.is_dir() && !place.join("bin/python").is_file() {
        // The Python that it was made with has gone, by an upgrade for example.
        std::fs::remove_dir_all(&place)?;
    }
    artifact::ensure(Artifact::Python, REQUIREMENTS, |folder| {
        if command::output(Command::new("python3").args(["-c", "import ensurepip"])).is_err() {
            debian::install(&["python3-venv"])?; // Debian's Python comes without.
        }
        command::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let requirements = folder.join("requirements.txt");
        std::fs::write(&requirements, REQUIREMENTS)?;
        command::run(
            Command::new(folder.join("bin/python"))
                .args(["-m", "pip", "install", "--quiet", "--no-cache-dir", "--only-binary=:all:"])
                .args(["--require-hashes", "--no-deps", "-r"])
                .arg(&requirements),
        )
        .context("pip can't install the python clients: is the package index reachable?")
    })
}
