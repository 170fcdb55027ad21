//! A plain client of the store: ranges of objects, several at once, and what comes is thrown away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use weir_test_support::S3;

/// How much is taken from a socket at a time.
const TAKE_BYTES: usize = 256 << 10;

/// A range of an object.
#[derive(Clone, Debug)]
pub(super) struct Range {
    path: String,
    from: u64,
    /// Bytes.
    pub(super) len: u64,
}

/// Everything in the store that holds records, in ranges of at most so many bytes; at most so much in all.
pub(super) fn all(store: &S3, range_bytes: u64, most_bytes: u64) -> Result<Vec<Range>> {
    let (mut ranges, mut left) = (Vec::new(), most_bytes);
    for (key, bytes) in store.objects()? {
        let has_records = ["/wal/", "/sorted/"].iter().any(|kind| key.contains(kind));
        if !has_records {
            continue;
        }
        let mut from = 0;
        while from < bytes && left > 0 {
            let len = (bytes - from).min(range_bytes).min(left);
            ranges.push(Range { path: store.path(&key), from, len });
            (from, left) = (from + len, left - len);
        }
    }
    Ok(ranges)
}

/// Reads all of them, so many at the same time.
pub(super) fn read(store: SocketAddr, ranges: &[Range], at_once: usize) -> Result<()> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let readers = (0..at_once).map(|_| {
            scope.spawn(|| -> Result<()> {
                let mut connection = BufReader::new(TcpStream::connect(store)?);
                let mut taken = vec![0; TAKE_BYTES];
                while let Some(range) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
                    get(&mut connection, range, &mut taken)?;
                }
                Ok(())
            })
        });
        let readers: Vec<_> = readers.collect();
        readers.into_iter().try_for_each(|reader| {
            reader.join().map_err(|_| anyhow!("a reader of ranges has panicked"))?
        })
    })
}

fn get(connection: &mut BufReader<TcpStream>, range: &Range, taken: &mut [u8]) -> Result<()> {
    let Range { path, from, len } = range;
    let last = from + len - 1;
    write!(
        connection.get_mut(),
        "GET {path} HTTP/1.1\r\nHost: store\r\nRange: bytes={from}-{last}\r\n\r\n"
    )?;
    let mut status = String::new();
    connection.read_line(&mut status)?;
    ensure!(status.contains(" 206 "), "{path} {from}..{last}: {status}");
    let mut length = None;
    loop {
        let mut header = String::new();
        connection.read_line(&mut header)?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<u64>()?);
        }
    }
    let mut left = length.context("an answer without a length")?;
    ensure!(left == *len, "{path} {from}..{last}: {left} bytes");
    while left > 0 {
        let most = taken.len().min(usize::try_from(left)?);
        connection.read_exact(&mut taken[..most])?;
        left -= most as u64;
    }
    Ok(())
}
