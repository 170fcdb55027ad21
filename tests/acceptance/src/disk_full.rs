//! A full disk: producers get a storage error, consumers go on, and it heals by itself when space
//! returns. Weir only, on a disk of its own.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_test_support::wait;
use weir_test_support::{Admin, Server};

use crate::fragile::FragileProducer;

const TOPIC: &str = "disk-full";
const VALUE_BYTES: usize = 100 << 10;
/// Kafka's code for "the disk failed".
const KAFKA_STORAGE_ERROR: i16 = 56;
/// Records by which a full disk must have shown itself, whatever was preallocated.
const MOST_RECORDS: u64 = 20_000;
/// How long it may take to heal.
const HEALED: Duration = Duration::from_secs(60);

/// Fills the disk of `server` and frees it again.
///
/// # Errors
/// When producers get another answer than they should, or an acknowledged record is not there.
pub fn run(server: &Server) -> Result<()> {
    Admin::connect(server.address())?.create_topic(TOPIC, 1)?;
    let mut producer = FragileProducer::connect(server.address(), TOPIC, 1, VALUE_BYTES)?;
    (0..100).try_for_each(|_| producer.send_acknowledged())?;

    let filler = server.own_data_dir().join("filler");
    fill(&filler)?;
    let refused = (0..MOST_RECORDS).find_map(|_| match producer.send() {
        Ok(0) => None,
        refused => Some(refused),
    });
    let error = refused.context("producers never noticed that the disk is full")??;
    ensure!(error == KAFKA_STORAGE_ERROR, "a full disk is error {error}");
    producer.check_all_readable(server.address()).context("consumers beside a full disk")?;

    fs::remove_file(&filler)?;
    wait::until("producers go on when space returns", HEALED, || {
        matches!(producer.send(), Ok(0)).then_some(())
    })?;
    (0..100).try_for_each(|_| producer.send_acknowledged())?;
    producer.check_all_readable(server.address()).context("after the disk was freed")
}

/// Writes a file until nothing more fits.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    for size in [1 << 20, 4 << 10] {
        let chunk = vec![1; size];
        while file.write_all(&chunk).is_ok() {}
    }
    Ok(())
}
