//! What runs beside, on a thread of its own, until it is told to end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, anyhow};

use crate::load::{BulkSettings, BulkWriter, Fetcher, Ledger};

/// See the module. It counts something meanwhile: bytes.
pub(super) struct Beside {
    stop: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    thread: JoinHandle<Result<Ledger>>,
}

impl Beside {
    fn start(
        name: &str,
        work: impl FnOnce(&AtomicBool, &AtomicU64) -> Result<Ledger> + Send + 'static,
    ) -> Result<Self> {
        let (stop, bytes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted, what) = (Arc::clone(&stop), Arc::clone(&bytes), name.to_owned());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let done = work(&stopped, &counted);
            // Whoever waits for it would only find that nothing comes.
            done.inspect_err(|error| eprintln!("{what} ended: {error:#}"))
        })?;
        Ok(Self { stop, bytes, thread })
    }

    /// A producer that writes until it is told to end; gives what it wrote.
    pub(super) fn writer(server: SocketAddr, settings: BulkSettings) -> Result<Self> {
        let mut writer = BulkWriter::new(server, settings)?;
        Self::start("writer", move |stop, bytes| {
            while !stop.load(Ordering::Relaxed) {
                writer.turn()?;
                bytes.store(writer.sent_bytes(), Ordering::Relaxed);
            }
            writer.finish()
        })
    }

    /// A consumer that waits for what comes until it is told to end; gives what it read.
    pub(super) fn reader(mut reader: Fetcher) -> Result<Self> {
        Self::start("reader", move |stop, bytes| {
            while !stop.load(Ordering::Relaxed) {
                reader.poll()?;
                bytes.store(reader.bytes(), Ordering::Relaxed);
            }
            Ok(reader.into_read())
        })
    }

    /// A consumer that reads the same again and again as fast as it is given; gives what it read the first time.
    pub(super) fn rereader(
        again: impl Fn() -> Result<Fetcher> + Send + 'static,
        all: u64,
    ) -> Result<Self> {
        Self::start("rereader", move |stop, bytes| {
            let (mut first, mut before) = (None, 0);
            while !stop.load(Ordering::Relaxed) {
                let mut reader = again()?;
                while !stop.load(Ordering::Relaxed) && reader.bytes() < all {
                    reader.poll()?;
                    bytes.store(before + reader.bytes(), Ordering::Relaxed);
                }
                before += reader.bytes();
                first.get_or_insert(reader.into_read());
            }
            Ok(first.unwrap_or_default())
        })
    }

    /// How much it has written or read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Tells it to end.
    pub(super) fn tell(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits for its end.
    pub(super) fn join(self) -> Result<Ledger> {
        self.thread.join().map_err(|_| anyhow!("what ran beside has panicked"))?
    }

    /// Ends it.
    pub(super) fn stop(self) -> Result<Ledger> {
        self.tell();
        self.join()
    }
}
