//! Client libraries, driven by the programs in `tests/clients`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use weir_test_support::cache::{self, Artifact};

use super::{Client, Codec, run};
use crate::records::{Acknowledged, Record, Stored, from_lines, to_lines};

pub(super) fn produce(
    client: Client,
    bootstrap: &str,
    topic: &str,
    codec: Codec,
    records: &[Record],
) -> Result<Vec<Acknowledged>> {
    let mut command = command(client, "produce", bootstrap, topic)?;
    command.args(["--codec", codec.name()]);
    from_lines(&run(&mut command, Some(&to_lines(records)?))?)
}

pub(super) fn consume(
    client: Client,
    bootstrap: &str,
    topic: &str,
    count: usize,
) -> Result<Vec<Stored>> {
    let mut command = command(client, "consume", bootstrap, topic)?;
    command.args(["--count", &count.to_string()]);
    from_lines(&run(&mut command, None)?)
}

/// The command that joins a group and prints what happens.
///
/// # Errors
/// When the client has no such command, or is not set up.
pub fn member_command(
    client: Client,
    bootstrap: &str,
    topic: &str,
    group: &str,
) -> Result<Command> {
    let mut command = command(client, "member", bootstrap, topic)?;
    command.args(["--group", group]);
    Ok(command)
}

fn command(client: Client, what: &str, bootstrap: &str, topic: &str) -> Result<Command> {
    let mut command = match client {
        Client::ConfluentKafka => python("confluent.py")?,
        Client::KafkaPython => python("kafka_python.py")?,
        Client::Aiokafka => python("aio.py")?,
        Client::Kafkajs => {
            let mut command = Command::new("node");
            command.env("NODE_PATH", cache::node_path()?);
            command.env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
            command.arg(programs().join("kafkajs/client.js"));
            command
        }
        Client::Java => {
            let classes = Artifact::JavaClient.locate()?;
            let class_path = format!("{}:{}", classes.display(), cache::kafka_class_path()?);
            let mut command = Command::new("java");
            // A client's heap, not a quarter of the machine.
            command.args(["-Xmx256m", "-XX:+UseSerialGC", "-cp", &class_path, "Client"]);
            command
        }
        Client::Kcat | Client::JavaConsole => bail!("{} has no program", client.name()),
    };
    command.args([what, "--bootstrap", bootstrap, "--topic", topic]);
    Ok(command)
}

fn python(program: &str) -> Result<Command> {
    let mut command = Command::new(cache::python()?);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(programs().join("python").join(program));
    Ok(command)
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("clients")
}
