//! HDFS itself: how long values take to be durable that one writer appends to one file, with nothing between.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use hdfs_native::{ClientBuilder, WriteOptions};
use tokio::time::{Instant, sleep_until};
use weir_test_support::Hdfs;

use super::{Spread, TrafficSettings};

/// Bytes of a block, so that the file has one.
const BLOCK_BYTES: u64 = 1 << 30;

/// What values of a load take from when they are there until they are synced: all that have come meanwhile are
/// appended together, and one `hsync` makes them durable.
///
/// # Errors
/// When HDFS fails.
pub(super) fn took(hdfs: &Hdfs, load: TrafficSettings, time: Duration) -> Result<Spread> {
    tokio::runtime::Runtime::new()?.block_on(append(hdfs, load, time)).context("raw hsync")
}

async fn append(hdfs: &Hdfs, load: TrafficSettings, time: Duration) -> Result<Spread> {
    let client = ClientBuilder::new().with_url(hdfs.url()).with_user(Hdfs::superuser()).build()?;
    let options = WriteOptions { block_size: Some(BLOCK_BYTES), ..WriteOptions::default() };
    let mut file = client.create("/raw-hsync", &options).await?;
    let value = Bytes::from(vec![b'x'; load.value_bytes]);
    let pause = Duration::from_secs_f64(load.value_bytes as f64 / load.bytes_per_second as f64);
    let (began, mut took) = (Instant::now(), Vec::new());
    let mut next = began;
    while began.elapsed() < time {
        sleep_until(next).await;
        let first = next;
        while next <= Instant::now() {
            file.write_bytes(value.clone()).await?;
            next += pause;
        }
        file.hsync().await?;
        let synced = Instant::now();
        let mut came = first;
        while came < next {
            took.push(synced - came);
            came += pause;
        }
    }
    file.close().await?;
    Ok(Spread::of(took))
}
