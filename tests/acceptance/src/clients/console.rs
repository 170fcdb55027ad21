//! Kafka's console producer and consumer: keys, values and headers as lines, timestamps from the
//! producer's clock.

use std::process::Command;

use anyhow::{Context, Result, bail};
use weir_test_support::cache;

use super::{Codec, run};
use crate::records::{Hex, Record, Stored};

/// Between the fields that the consumer prints.
const FIELD: &str = "\u{1}";
/// Between headers.
const HEADER: &str = "\u{2}";
/// In place of what is null.
const NULL: &str = "\u{3}";
/// What the consumer prints where a record has no headers.
const NO_HEADERS: &str = "NO_HEADERS";

pub(super) fn produce(
    bootstrap: &str,
    topic: &str,
    codec: Codec,
    records: &[Record],
) -> Result<()> {
    let mut command = tool("ConsoleProducer")?;
    command.args(["--bootstrap-server", bootstrap, "--topic", topic]);
    command.args(["--compression-codec", codec.name()]);
    for property in ["parse.key=true", "parse.headers=true"] {
        command.args(["--reader-property", property]);
    }
    let mut lines = String::new();
    for record in records {
        let mut headers = Vec::new();
        for (name, value) in &record.headers {
            headers.push(format!("{name}:{}", text(value.as_ref())?));
        }
        let (key, value) = (text(record.key.as_ref())?, text(record.value.as_ref())?);
        lines.push_str(&format!("{}\t{key}\t{value}\n", headers.join(",")));
    }
    run(&mut command, Some(&lines))?;
    Ok(())
}

fn text(bytes: Option<&Hex>) -> Result<&str> {
    Ok(std::str::from_utf8(&bytes.context("the console producer writes no nulls")?.0)?)
}

pub(super) fn consume(bootstrap: &str, topic: &str, count: usize) -> Result<Vec<Stored>> {
    let mut command = tool("consumer.ConsoleConsumer")?;
    command.args(["--bootstrap-server", bootstrap, "--topic", topic, "--from-beginning"]);
    command.args(["--max-messages", &count.to_string()]);
    for what in ["timestamp", "partition", "offset", "headers", "key", "value"] {
        command.args(["--formatter-property", &format!("print.{what}=true")]);
    }
    for (name, value) in
        [("key.separator", FIELD), ("headers.separator", HEADER), ("null.literal", NULL)]
    {
        command.args(["--formatter-property", &format!("{name}={value}")]);
    }
    run(&mut command, None)?.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<Stored> {
    let fields: Vec<&str> = line.split(FIELD).collect();
    let [timestamp, partition, offset, headers, key, value] = fields[..] else {
        bail!("not what the console consumer prints: {line}");
    };
    let number = |field: &str, name: &str| -> Result<i64> {
        let number = field.strip_prefix(name).with_context(|| format!("no {name} in {field}"))?;
        Ok(number.parse()?)
    };
    let bytes = |text: &str| (text != NULL).then(|| Hex::text(text));
    let mut pairs = Vec::new();
    if headers != NO_HEADERS {
        for header in headers.split(HEADER) {
            let (name, value) = header.split_once(':').context("a header without value")?;
            pairs.push((name.to_owned(), bytes(value)));
        }
    }
    Ok(Stored {
        offset: number(offset, "Offset:")?,
        record: Record {
            partition: i32::try_from(number(partition, "Partition:")?)?,
            key: bytes(key),
            value: bytes(value),
            headers: pairs,
            timestamp: number(timestamp, "CreateTime:")?,
        },
    })
}

fn tool(name: &str) -> Result<Command> {
    let mut command = Command::new("java");
    command.args(["-Xmx256m", "-XX:+UseSerialGC", "-Dfile.encoding=UTF-8", "-cp"]);
    command.arg(cache::kafka_class_path()?).arg(format!("org.apache.kafka.tools.{name}"));
    Ok(command)
}
