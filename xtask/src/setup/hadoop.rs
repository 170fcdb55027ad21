//! HDFS from Maven: Hadoop's NameNode, DataNode and tools, with what they need shaded into a few jars.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use weir_test_cache::{Artifact, HADOOP_VERSION};

use super::artifact;
use super::maven::Jars;
use crate::command;

const JARS: Jars = Jars {
    name: "apache hadoop",
    pom: include_str!("../../hadoop/pom.xml"),
    lock: include_str!("../../hadoop/jars.sha256"),
    lock_file: "xtask/hadoop/jars.sha256",
};

/// The jars that a NameNode reads from end to end whenever it starts, to find what serves WebHDFS.
const SCANNED: [&str; 2] = ["hadoop-client-api", "hadoop-client-minicluster"];

/// Makes sure that the jars are there.
pub(super) fn ensure() -> Result<()> {
    artifact::ensure(Artifact::Hadoop, JARS.lock, |folder| {
        JARS.download(folder)?;
        SCANNED.iter().try_for_each(|name| inflate(folder, name))
    })
}

/// Packs a jar again without compression. Inflating them is two thirds of a NameNode's start.
fn inflate(folder: &Path, name: &str) -> Result<()> {
    let jar = folder.join(format!("{name}-{HADOOP_VERSION}.jar"));
    let scratch = folder.join("scratch");
    std::fs::create_dir(&scratch)?;
    command::run(Command::new("jar").current_dir(&scratch).arg("xf").arg(&jar))?;
    std::fs::remove_file(&jar)?;
    command::run(Command::new("jar").arg("c0Mf").arg(&jar).arg("-C").arg(&scratch).arg("."))?;
    std::fs::remove_dir_all(&scratch)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_covers_the_jars_that_are_packed_again() {
        let sums = JARS.sums();
        for name in SCANNED {
            assert!(sums.contains_key(format!("{name}-{HADOOP_VERSION}.jar").as_str()));
        }
        assert!(sums.values().all(|sum| sum.len() == 64));
    }
}
