//! A disk that fails to sync: nothing of that is acknowledged, the server ends, and comes back with all that was. Weir
//! only, on a disk that fails once ([`weir_test_support::Weir::failing_sync`]).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_test_support::{Admin, Server};

use crate::fragile::FragileProducer;

const TOPIC: &str = "failed-sync";
/// Records by which the disk must have failed.
const MOST_RECORDS: u64 = 10_000;
/// How long the server may take to end.
const END: Duration = Duration::from_secs(60);

/// Writes until the server has ended, and starts it again.
///
/// # Errors
/// When it goes on, when it ends as if nothing were wrong, or when an acknowledged record is not there.
pub fn run(server: &mut Server) -> Result<()> {
    Admin::connect(server.address())?.create_topic(TOPIC, 1)?;
    let mut producer = FragileProducer::connect(server.address(), TOPIC, 1, 100)?;
    (0..10).try_for_each(|_| producer.send_acknowledged())?;
    // Refused, or not answered.
    let failed = (0..MOST_RECORDS).any(|_| !matches!(producer.send(), Ok(0)));
    ensure!(failed, "{MOST_RECORDS} records were acknowledged");
    let status = server.process().wait(END).context("it goes on though a sync has failed")?;
    ensure!(!status.success(), "it ended as if nothing were wrong");
    let said = server.process().stderr();
    ensure!(said.contains("Input/output error"), "it does not say what has failed: {said}");
    server.restart()?;
    producer.check_all_readable(server.address())
}
