//! What this machine can do at most, in bytes a second.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Result;
use weir_test_support::wait::{Deadline, Stopwatch};

const CHUNK: usize = 1 << 20;
/// How many sums are computed between two looks at the clock.
const SUMS_A_LOOK: usize = 64;
/// How long each is measured.
const TIME: Duration = Duration::from_secs(3);

/// One connection over loopback, in writes of 1 MiB.
pub(super) fn loopback() -> Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || -> Result<()> {
            let mut stream = TcpStream::connect(address)?;
            let chunk = vec![1; CHUNK];
            let deadline = Deadline::after(TIME);
            while !deadline.has_passed() {
                stream.write_all(&chunk)?;
            }
            Ok(())
        });
        let (mut stream, _) = listener.accept()?;
        let mut chunk = vec![0; CHUNK];
        let (mut bytes, watch) = (0, Stopwatch::start());
        loop {
            match stream.read(&mut chunk)? {
                0 => break,
                read => bytes += read,
            }
        }
        let rate = bytes as f64 / watch.elapsed().as_secs_f64();
        writing.join().expect("no thread panics")?;
        Ok(rate)
    })
}

/// One file, in writes of 1 MiB with an `fdatasync` after each.
pub(super) fn disk() -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut file = File::create(folder.path().join("file"))?;
    let chunk = vec![1; CHUNK];
    let (deadline, watch) = (Deadline::after(TIME), Stopwatch::start());
    let mut bytes = 0;
    while !deadline.has_passed() {
        file.write_all(&chunk)?;
        file.sync_data()?;
        bytes += CHUNK;
    }
    Ok(bytes as f64 / watch.elapsed().as_secs_f64())
}

/// CRC32C over 1 MiB again and again, on one core, from its caches.
pub(super) fn crc32c() -> f64 {
    let chunk = vec![1; CHUNK];
    let (deadline, watch) = (Deadline::after(TIME), Stopwatch::start());
    let mut bytes = 0;
    while !deadline.has_passed() {
        for _ in 0..SUMS_A_LOOK {
            std::hint::black_box(weir_protocol::records::crc32c(std::hint::black_box(&chunk)));
        }
        bytes += SUMS_A_LOOK * CHUNK;
    }
    bytes as f64 / watch.elapsed().as_secs_f64()
}
