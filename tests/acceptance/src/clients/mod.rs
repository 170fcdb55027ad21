//! The client libraries and tools that must work unchanged, behind one interface: write these records,
//! read so many back.
//!
//! Each runs as a process of its own, as its users run it. Libraries are driven by the programs in
//! `tests/clients`; kcat and Kafka's console tools by their own command lines.

mod console;
mod kcat;
mod program;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use weir_test_support::{Input, Process};

use crate::records::{Acknowledged, Profile, Record, Stored};

pub use program::member_command;

/// How long a client may take for one topic.
const DONE: Duration = Duration::from_secs(180);

/// A client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// kcat, on librdkafka.
    Kcat,
    /// confluent-kafka, Python on librdkafka.
    ConfluentKafka,
    /// kafka-python, pure Python.
    KafkaPython,
    /// aiokafka, asynchronous Python.
    Aiokafka,
    /// kafkajs, JavaScript.
    Kafkajs,
    /// Apache Kafka's Java client.
    Java,
    /// Apache Kafka's console producer and consumer.
    JavaConsole,
}

/// A way in which record batches are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// snappy, in the framing of the Java library.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

impl Codec {
    /// Every codec; all clients have them all.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// What all clients call it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }
}

impl Client {
    /// Every client.
    pub const ALL: [Client; 7] = [
        Client::Kcat,
        Client::ConfluentKafka,
        Client::KafkaPython,
        Client::Aiokafka,
        Client::Kafkajs,
        Client::Java,
        Client::JavaConsole,
    ];

    /// Its name, as its users know it.
    pub fn name(self) -> &'static str {
        match self {
            Client::Kcat => "kcat",
            Client::ConfluentKafka => "confluent-kafka",
            Client::KafkaPython => "kafka-python",
            Client::Aiokafka => "aiokafka",
            Client::Kafkajs => "kafkajs",
            Client::Java => "java",
            Client::JavaConsole => "java-console",
        }
    }

    /// What its records look like at most.
    pub fn profiles(self) -> &'static [Profile] {
        match self {
            Client::Kcat => &[Profile::ConstantHeaders],
            Client::JavaConsole => &[Profile::Lines],
            _ => &[Profile::Rich, Profile::Binary],
        }
    }

    /// Whether it can show records of that profile.
    pub fn reads(self, profile: Profile) -> bool {
        profile != Profile::Binary || !matches!(self, Client::Kcat | Client::JavaConsole)
    }

    /// Whether its records carry the timestamps that they are given. The others take the clock's.
    pub fn sets_timestamps(self) -> bool {
        !matches!(self, Client::Kcat | Client::JavaConsole)
    }

    /// Writes records to a topic; all of them are acknowledged when it returns. Gives the places that
    /// the client was told, if it tells.
    ///
    /// # Errors
    /// When the client fails or takes too long; the message has its last words.
    pub fn produce(
        self,
        bootstrap: &str,
        topic: &str,
        codec: Codec,
        records: &[Record],
    ) -> Result<Option<Vec<Acknowledged>>> {
        match self {
            Client::Kcat => kcat::produce(bootstrap, topic, codec, records).map(|()| None),
            Client::JavaConsole => {
                console::produce(bootstrap, topic, codec, records).map(|()| None)
            }
            _ => program::produce(self, bootstrap, topic, codec, records).map(Some),
        }
        .with_context(|| format!("{} writes to {topic}", self.name()))
    }

    /// Reads `count` records of a topic from its beginning; in order of partition and offset.
    ///
    /// # Errors
    /// When the client fails or takes too long; the message has its last words.
    pub fn consume(self, bootstrap: &str, topic: &str, count: usize) -> Result<Vec<Stored>> {
        let mut stored = match self {
            Client::Kcat => kcat::consume(bootstrap, topic, count),
            Client::JavaConsole => console::consume(bootstrap, topic, count),
            _ => program::consume(self, bootstrap, topic, count),
        }
        .with_context(|| format!("{} reads {topic}", self.name()))?;
        stored.sort_by_key(|it| (it.record.partition, it.offset));
        Ok(stored)
    }
}

/// Runs a client to its end with `input` on its standard input; gives what it printed.
fn run(command: &mut Command, input: Option<&str>) -> Result<String> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("input");
    let input = match input {
        Some(text) => {
            std::fs::write(&file, text)?;
            Input::File(&file)
        }
        None => Input::Empty,
    };
    run_with(command, input, scratch.path())
}

fn run_with(command: &mut Command, input: Input<'_>, scratch: &Path) -> Result<String> {
    let mut process = Process::start(command, input, scratch, "client")?;
    let status = process.wait(DONE)?;
    if !status.success() {
        bail!("{status}, {}", process.tail());
    }
    Ok(process.stdout())
}
