//! Load: writers that note what was acknowledged where and when, and readers.
//!
//! A value is its name and filler; the name alone goes into the history. Writers and readers outlive
//! the server: they reconnect and send again by themselves, as clients do in their users' programs.

pub(crate) mod batch;
mod bulk;
mod fetcher;
mod ledger;
mod pipeline;
mod reader;
mod timeline;
mod wide;
mod writer;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use rdkafka::ClientConfig;
use weir_history::Value;

pub use bulk::{BulkSettings, BulkWriter};
pub use fetcher::{FetchTerms, Fetcher};
pub use ledger::{Batch, Ledger};
pub use pipeline::Pipeline;
pub use reader::Reader;
pub use timeline::{Acked, Timeline};
pub use wide::{WideSettings, WideWriter};
pub use writer::{LINGER, Writer, WriterSettings};

/// What makes a value as long as it is to be.
const FILLER: u8 = b'.';
/// How long a writer or reader may be stuck.
const STUCK: Duration = Duration::from_secs(180);

/// A writer that is driven by somebody who keeps the pace.
pub trait Produce: Send {
    /// What has been acknowledged.
    fn timeline(&self) -> Timeline;

    /// Values handed over.
    fn sent(&self) -> u64;

    /// Hands over one more value; waits while too many are in flight.
    ///
    /// # Errors
    /// When it is refused for good, or nothing is acknowledged for long.
    fn send(&mut self) -> Result<()>;

    /// To be called again and again: does what has to be done by the caller's thread.
    ///
    /// # Errors
    /// As [`Self::send`].
    fn turn(&mut self) -> Result<()>;

    /// Lets time pass until there is something to do in [`Self::turn`], or as much as `most`.
    fn pass(&mut self, most: Duration);

    /// Waits until every value is acknowledged; gives what the history must know of this writer, with what it
    /// was told.
    ///
    /// # Errors
    /// When one is refused for good, or it takes too long.
    fn finish(self: Box<Self>) -> Result<(weir_history::Writer, Vec<Acked>)>;
}

/// The payload of a value, of so many bytes at least.
pub(crate) fn payload(value: Value, bytes: usize) -> Bytes {
    let mut payload = Vec::with_capacity(bytes);
    write_payload(value, bytes, &mut payload);
    payload.into()
}

/// The same in memory that is there already.
fn write_payload(value: Value, bytes: usize, to: &mut Vec<u8>) {
    to.clear();
    write!(to, "{value}").expect("memory takes all");
    to.resize(bytes.max(to.len()), FILLER);
}

fn parse(payload: Option<&[u8]>) -> Result<Value> {
    let text =
        std::str::from_utf8(payload.context("no value")?)?.trim_end_matches(char::from(FILLER));
    let (writer, number) = text.split_once('-').with_context(|| format!("not ours: {text}"))?;
    Ok(Value { writer: writer.parse()?, number: number.parse()? })
}

/// Settings of every client: quick to come back.
fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.ms", "10")
        .set("reconnect.backoff.max.ms", "100")
        .set("socket.nagle.disable", "true");
    config
}
