//! How long a server takes to serve: with nothing, and with data.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use weir_test_support::wait::Stopwatch;
use weir_test_support::{Admin, Server};

use crate::load::{Writer, WriterSettings};
use crate::table::mib;

const TOPIC: &str = "startup";
const PARTITIONS: i32 = 8;
/// Bytes of each value: the bytes count here, not the records.
const VALUE_BYTES: usize = 32 << 10;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// From the start of the process to its first answer, without data.
    pub empty: Duration,
    /// Memory of the server right after.
    pub empty_bytes: u64,
    data_bytes: u64,
    /// With data, after SIGTERM.
    pub after_stop: Duration,
    /// With data, after SIGKILL.
    pub after_kill: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ready after {:.0?} when empty, with {} of memory; with {} of data after {:.0?} when \
             stopped, {:.0?} when killed",
            self.empty,
            mib(self.empty_bytes),
            mib(self.data_bytes),
            self.after_stop,
            self.after_kill
        )
    }
}

/// Fills `server`, which has just started on no data, with `bytes` and restarts it.
///
/// # Errors
/// When something fails, or records are missing after a restart.
pub fn run(server: &mut Server, bytes: u64) -> Result<Report> {
    let (empty, empty_bytes) = (server.ready_after(), server.usage()?.rss_bytes);
    Admin::connect(server.address())?.create_topic(TOPIC, PARTITIONS)?;
    let settings = WriterSettings { value_bytes: VALUE_BYTES, ..WriterSettings::new(0, true) };
    let mut writer = Writer::new(&server.bootstrap(), TOPIC, PARTITIONS, settings)?;
    let records = bytes.div_ceil(VALUE_BYTES as u64);
    (0..records).try_for_each(|_| writer.send())?;
    writer.flush()?;
    drop(writer);
    server.stop()?;
    let after_stop = restart(server, records)?;
    server.kill9()?;
    let after_kill = restart(server, records)?;
    let data_bytes = records * VALUE_BYTES as u64;
    Ok(Report { empty, empty_bytes, data_bytes, after_stop, after_kill })
}

/// Restarts; gives the time until every partition answers.
fn restart(server: &mut Server, records: u64) -> Result<Duration> {
    let watch = Stopwatch::start();
    server.restart()?;
    let ends = Admin::connect(server.address())?.end_offsets(TOPIC, PARTITIONS)?;
    let took = watch.elapsed();
    let total: i64 = ends.iter().sum();
    ensure!(total.cast_unsigned() == records, "{total} of {records} records after a restart");
    Ok(took)
}
