//! Apache Kafka from Maven: the jars of broker, tools and client, and the message definitions in them.
//!
//! Maven resolves and downloads by coordinates. Whatever it brings must be exactly what
//! `kafka/jars.sha256` lists, byte for byte: Maven's own checksums come from where the jars come from.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use weir_test_cache::{Artifact, KAFKA_VERSION};

use super::artifact;
use crate::command;

const POM: &str = include_str!("../../kafka/pom.xml");
const LOCK: &str = include_str!("../../kafka/jars.sha256");

/// The jars that carry message definitions, and the folder that these go to.
const SCHEMA_JARS: [(&str, &str); 2] =
    [("kafka-clients", "kafka-clients"), ("kafka-group-coordinator", "group-coordinator")];

/// Makes sure that jars and definitions are there.
pub(super) fn ensure() -> Result<()> {
    artifact::ensure(Artifact::KafkaJars, LOCK, download)?;
    artifact::ensure(Artifact::KafkaSchemas, LOCK, unpack_schemas)
}

fn download(folder: &Path) -> Result<()> {
    let pom = folder.join("pom.xml");
    std::fs::write(&pom, POM)?;
    command::run(
        Command::new("mvn")
            .args(["--batch-mode", "--quiet", "--file"])
            .arg(&pom)
            .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
            .arg(format!("-DoutputDirectory={}", folder.display())),
    )
    .context("maven can't download apache kafka: is its repository reachable?")?;
    let mut sums = Command::new("sh");
    sums.current_dir(folder).args(["-c", "sha256sum -- *.jar"]);
    compare(LOCK, &command::output(&mut sums)?)
}

/// Compares two lists as `sha256sum` prints them.
fn compare(wanted: &str, found: &str) -> Result<()> {
    let (wanted, found) = (parse(wanted), parse(found));
    for (name, sum) in &wanted {
        match found.get(name) {
            None => bail!("{name} was not downloaded though xtask/kafka/jars.sha256 lists it"),
            Some(other) if other != sum => {
                bail!("{name} has sha-256 {other}, not {sum}: do not use it; find out why")
            }
            Some(_) => {}
        }
    }
    match found.keys().find(|name| !wanted.contains_key(*name)) {
        Some(name) => bail!("{name} was downloaded but is not in xtask/kafka/jars.sha256"),
        None => Ok(()),
    }
}

fn parse(sums: &str) -> BTreeMap<&str, &str> {
    sums.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect()
}

/// Puts the definitions of each jar into a folder of their own.
fn unpack_schemas(folder: &Path) -> Result<()> {
    let jars = Artifact::KafkaJars.locate()?;
    for (name, target) in SCHEMA_JARS {
        let scratch = folder.join("scratch");
        std::fs::create_dir(&scratch)?;
        let jar = jars.join(format!("{name}-{KAFKA_VERSION}.jar"));
        command::run(
            Command::new("jar").current_dir(&scratch).arg("xf").arg(jar).arg("common/message"),
        )?;
        std::fs::rename(scratch.join("common/message"), folder.join(target))?;
        std::fs::remove_dir_all(&scratch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_covers_the_jars_that_definitions_come_from() {
        let lock = parse(LOCK);
        for (name, _) in SCHEMA_JARS {
            assert!(lock.contains_key(format!("{name}-{KAFKA_VERSION}.jar").as_str()));
        }
        assert!(lock.values().all(|sum| sum.len() == 64));
    }

    #[test]
    fn a_difference_is_named() {
        let wanted = "aa  one.jar\nbb  two.jar\n";
        assert!(compare(wanted, wanted).is_ok());
        let says = |found| compare(wanted, found).unwrap_err().to_string();
        assert!(says("aa  one.jar\ncc  two.jar\n").starts_with("two.jar has sha-256 cc, not bb"));
        assert!(says("aa  one.jar\n").starts_with("two.jar was not downloaded"));
        assert!(says("aa  one.jar\nbb  two.jar\ncc  new.jar\n").starts_with("new.jar was"));
    }
}
