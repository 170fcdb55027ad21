//! Jars from Maven, held to the hashes that this repository lists.
//!
//! Maven resolves and downloads by coordinates. Whatever it brings must be exactly what the list has,
//! byte for byte: Maven's own checksums come from where the jars come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// A set of jars: what to ask Maven for, and what must come of it.
pub(super) struct Jars {
    /// What the messages call it.
    pub(super) name: &'static str,
    /// A project that depends on them.
    pub(super) pom: &'static str,
    /// All of them, as `sha256sum` prints them.
    pub(super) lock: &'static str,
    /// The file that holds `lock`.
    pub(super) lock_file: &'static str,
}

impl Jars {
    /// Puts them into `folder`.
    pub(super) fn download(&self, folder: &Path) -> Result<()> {
        let pom = folder.join("pom.xml");
        std::fs::write(&pom, self.pom)?;
        command::run(
            Command::new("mvn")
                .args(["--batch-mode", "--quiet", "--file"])
                .arg(&pom)
                .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
                .arg(format!("-DoutputDirectory={}", folder.display())),
        )
        .with_context(|| {
            format!("maven can't download {}: is its repository reachable?", self.name)
        })?;
        let mut sums = Command::new("sh");
        sums.current_dir(folder).args(["-c", "sha256sum -- *.jar"]);
        self.compare(&command::output(&mut sums)?)
    }

    /// Compares what was downloaded, as `sha256sum` prints it, with what is wanted.
    fn compare(&self, found: &str) -> Result<()> {
        let (wanted, found) = (self.sums(), parse(found));
        for (name, sum) in &wanted {
            match found.get(name) {
                None => bail!("{name} was not downloaded though {} lists it", self.lock_file),
                Some(other) if other != sum => {
                    bail!("{name} has sha-256 {other}, not {sum}: do not use it; find out why")
                }
                Some(_) => {}
            }
        }
        match found.keys().find(|name| !wanted.contains_key(*name)) {
            Some(name) => bail!("{name} was downloaded but is not in {}", self.lock_file),
            None => Ok(()),
        }
    }

    /// The sum of each jar.
    pub(super) fn sums(&self) -> BTreeMap<&'static str, &'static str> {
        parse(self.lock)
    }
}

fn parse(sums: &str) -> BTreeMap<&str, &str> {
    sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named() {
        let lock = "aa  one.jar\nbb  two.jar\n";
        let jars = Jars { name: "jars", pom: "", lock, lock_file: "jars.sha256" };
        assert!(jars.compare(lock).is_ok());
        let says = |found| jars.compare(found).unwrap_err().to_string();
        assert!(says("aa  one.jar\ncc  two.jar\n").starts_with("two.jar has sha-256 cc, not bb"));
        assert!(says("aa  one.jar\n").starts_with("two.jar was not downloaded"));
        assert!(says("aa  one.jar\nbb  two.jar\ncc  new.jar\n").starts_with("new.jar was"));
    }
}
