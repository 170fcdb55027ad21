//! kcat: keys and values as lines, headers for all records of a run, timestamps from its clock.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Codec, run};
use crate::records::{Hex, Record, Stored};

pub(super) fn produce(
    bootstrap: &str,
    topic: &str,
    codec: Codec,
    records: &[Record],
) -> Result<()> {
    let mut command = Command::new("kcat");
    command.args(["-P", "-b", bootstrap, "-t", topic, "-p", "0", "-K", "\t", "-z", codec.name()]);
    for (name, value) in records.first().map_or(&[][..], |record| &record.headers) {
        command.arg("-H").arg(format!("{name}={}", text(value.as_ref())?));
    }
    let mut lines = String::new();
    for record in records {
        let (key, value) = (text(record.key.as_ref())?, text(record.value.as_ref())?);
        lines.push_str(&format!("{key}\t{value}\n"));
    }
    run(&mut command, Some(&lines))?;
    Ok(())
}

fn text(bytes: Option<&Hex>) -> Result<&str> {
    Ok(std::str::from_utf8(&bytes.context("kcat writes no nulls")?.0)?)
}

/// What `-J` prints of a record.
#[derive(Deserialize)]
struct Printed {
    partition: i32,
    offset: i64,
    ts: i64,
    #[serde(default)]
    headers: Vec<Option<String>>,
    key: Option<String>,
    payload: Option<String>,
}

pub(super) fn consume(bootstrap: &str, topic: &str, count: usize) -> Result<Vec<Stored>> {
    let mut command = Command::new("kcat");
    command.args(["-C", "-q", "-J", "-b", bootstrap, "-t", topic, "-o", "beginning"]);
    command.args(["-c", &count.to_string()]);
    run(&mut command, None)?.lines().map(parse).collect()
}

fn parse(line: &str) -> Result<Stored> {
    let printed: Printed =
        serde_json::from_str(line).with_context(|| format!("not what kcat prints: {line}"))?;
    let headers = printed.headers.chunks(2).map(|pair| {
        let name = pair[0].clone().unwrap_or_default();
        (name, pair.get(1).cloned().flatten().map(Hex::text))
    });
    Ok(Stored {
        offset: printed.offset,
        record: Record {
            partition: printed.partition,
            key: printed.key.map(Hex::text),
            value: printed.payload.map(Hex::text),
            headers: headers.collect(),
            timestamp: printed.ts,
        },
    })
}
