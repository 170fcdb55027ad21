//! Apache Kafka from Maven: the jars of broker, tools and client, and the message definitions in them.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use weir_test_cache::{Artifact, KAFKA_VERSION};

use super::artifact;
use super::maven::Jars;
use crate::command;

const JARS: Jars = Jars {
    name: "apache kafka",
    pom: include_str!("../../kafka/pom.xml"),
    lock: include_str!("../../kafka/jars.sha256"),
    lock_file: "xtask/kafka/jars.sha256",
};

/// Its own test tools: what tests log compaction is among them.
const TEST_JARS: Jars = Jars {
    name: "apache kafka's test tools",
    pom: include_str!("../../kafka-tests/pom.xml"),
    lock: include_str!("../../kafka-tests/jars.sha256"),
    lock_file: "xtask/kafka-tests/jars.sha256",
};

/// The jars that carry message definitions, and the folder that these go to.
const SCHEMA_JARS: [(&str, &str); 2] =
    [("kafka-clients", "kafka-clients"), ("kafka-group-coordinator", "group-coordinator")];

/// Makes sure that jars and definitions are there.
pub(super) fn ensure() -> Result<()> {
    artifact::ensure(Artifact::KafkaJars, JARS.lock, |folder| JARS.download(folder))?;
    artifact::ensure(Artifact::KafkaTests, TEST_JARS.lock, |folder| TEST_JARS.download(folder))?;
    artifact::ensure(Artifact::KafkaSchemas, JARS.lock, unpack_schemas)
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
        let sums = JARS.sums();
        for (name, _) in SCHEMA_JARS {
            assert!(sums.contains_key(format!("{name}-{KAFKA_VERSION}.jar").as_str()));
        }
        assert!(sums.values().all(|sum| sum.len() == 64));
        let tools = format!("kafka-tools-{KAFKA_VERSION}-test.jar");
        assert!(TEST_JARS.sums().contains_key(tools.as_str()));
    }
}
