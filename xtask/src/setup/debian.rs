//! Programs that Debian ships, installed when `PATH` does not have them.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command::{self, in_path};

/// A program that tests run, and the package that brings it.
const PROGRAMS: [(&str, &str); 11] = [
    ("cc", "gcc"),
    ("make", "make"),
    ("kcat", "kcat"),
    ("strace", "strace"),
    ("javac", "default-jdk-headless"),
    ("mvn", "maven"),
    ("python3", "python3-venv"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("etcd", "etcd-server"),
    ("etcdctl", "etcd-client"),
];

/// Installs what is missing.
pub(super) fn ensure() -> Result<()> {
    let packages = missing(in_path);
    if packages.is_empty() {
        return Ok(());
    }
    install(&packages)?;
    let still = missing(in_path);
    if !still.is_empty() {
        bail!("apt-get brought {} but they are not in PATH: add them", still.join(" "));
    }
    Ok(())
}

/// Installs packages.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !in_path("apt-get") {
        bail!("tests need {list}, and there is no apt-get: install them");
    }
    let root =
        privileges().with_context(|| format!("have `apt-get install {list}` run for you"))?;
    command::run(Command::new(root).args(["apt-get", "update"]))?;
    command::run(
        Command::new(root)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["apt-get", "install", "--yes", "--no-install-recommends"])
            .args(packages),
    )
}

/// The packages whose program `has` does not find.
fn missing(has: impl Fn(&str) -> bool) -> Vec<&'static str> {
    PROGRAMS.into_iter().filter(|(program, _)| !has(program)).map(|(_, package)| package).collect()
}

/// The program that runs its arguments as root.
fn privileges() -> Result<&'static str> {
    let user = command::output(Command::new("id").arg("-u"))?;
    match user.trim() {
        "0" => Ok("env"),
        _ if in_path("sudo") => Ok("sudo"),
        _ => bail!("not root, and there is no sudo"),
    }
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
