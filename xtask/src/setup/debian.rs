//! Programs that Debian ships, installed when `PATH` does not have them.

use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{self, in_path};

/// A program that tests run, and the package that brings it.
const PROGRAMS: [(&str, &str); 8] = [
    ("cc", "gcc"),
    ("make", "make"),
    ("kcat", "kcat"),
    ("javac", "default-jdk-headless"),
    ("mvn", "maven"),
    ("python3", "python3-venv"),
    ("node", "nodejs"),
    ("npm", "npm"),
];

/// Installs what is missing.
pub(super) fn ensure() -> Result<()> {
    let packages = missing(in_path);
    if packages.is_empty() {
        return Ok(());
    }
    if !in_path("apt-get") {
        bail!("tests need {}, and there is no apt-get: install them", packages.join(" "));
    }
    command::run(privileged()?.args(["apt-get", "update"]))?;
    command::run(
        privileged()?
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["apt-get", "install", "--yes", "--no-install-recommends"])
            .args(&packages),
    )?;
    let still = missing(in_path);
    if !still.is_empty() {
        bail!("apt-get brought {} but they are not in PATH: add them", still.join(" "));
    }
    Ok(())
}

/// The packages whose program `has` does not find.
fn missing(has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    PROGRAMS.into_iter().filter(|(program, _)| !has(program)).map(|(_, package)| package).collect()
}

/// A command that runs its arguments as root.
fn privileged() -> Result<Command> {
    let user = command::output(Command::new("id").arg("-u"))?;
    if user.trim() == "0" {
        return Ok(Command::new("env"));
    }
    if in_path("sudo") {
        return Ok(Command::new("sudo"));
    }
    let packages = missing(in_path).join(" ");
    bail!("not root and no sudo: have `apt-get install {packages}` run for you")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert_eq!(missing(|program| program != "kcat"), ["kcat"]);
        assert!(missing(|_| true).is_empty());
    }
}
