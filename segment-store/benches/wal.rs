//! What it costs to make a slot durable, beside what the disk takes for the same bytes.
//!
//! `journal` is the whole way of one slot: to the writer's thread, one vectored write, `fdatasync`,
//! the answer; now and then a new file is made. `preallocated` is a plain write and `fdatasync` of
//! the same bytes to space that was only reserved, as a journal's files are; `overwritten` the same
//! where bytes were written before, so that the file system has nothing to note.
//!
//! The three take turns, for a disk's speed changes by the second and with its neighbours: only
//! ratios of turns say something. That is why this has a table of its own and not a harness that
//! measures one after the other.
//!
//! What it decides: whether files should be filled instead of reserved. Files lie below `TMPDIR`: it
//! should be on the disk that is meant.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on fails")]

use std::{
    fs::File,
    io::{Seek, Write},
    time::Duration,
};

use tempfile::TempDir;
use tokio::{runtime::Runtime, time::Instant};
use weir_ids::{SessionId, Slot};
use weir_protocol::records::PatchedBatch;
use weir_segment_store::{
    journal::{FileJournal, FileJournalSettings, Journal, Writer},
    object::Body,
    testing::{self, CLUSTER, batch, body, chunk, partition},
};

/// Records of a slot: a small batch alone, a usual one, several gathered, a full slot.
const SIZES: [usize; 4] = [1 << 10, 64 << 10, 1 << 20, 8 << 20];
/// The size of a batch in larger slots.
const BATCH_BYTES: usize = 64 << 10;
const TURNS: usize = 100;
/// Turns of the largest slots.
const LARGE_TURNS: usize = 40;
const SESSION: SessionId = SessionId(1);

fn main() {
    warm_up();
    println!("median of {TURNS} turns ({LARGE_TURNS} of the largest), and the fastest");
    println!(
        "{:>9} {:>25} {:>25} {:>25} {:>21}",
        "bytes", "journal", "preallocated", "overwritten", "journal/preallocated"
    );
    for size in SIZES {
        compare(size);
    }
}

/// Memory that a virtual machine gets from its host for the first time is several times slower than
/// later. Takes as much for the page cache as the comparison does.
fn warm_up() {
    const WARM_BYTES: usize = 1 << 30;
    let mut file = tempfile::tempfile().unwrap();
    let piece = vec![1; 1 << 20];
    (0..WARM_BYTES / piece.len()).for_each(|_| file.write_all(&piece).unwrap());
    file.sync_all().unwrap();
}

fn compare(size: usize) {
    let batches = batches(size);
    let bytes = testing::bytes(&slot(&batches));
    let turns = if size == 8 << 20 { LARGE_TURNS } else { TURNS };
    let all = bytes.len() as u64 * (turns as u64 + 1);
    let mut log = Log::open();
    let (mut reserved, mut filled) = (reserved(all), filled(all));
    let (mut journal, mut preallocated, mut overwritten) = (vec![], vec![], vec![]);
    for _ in 0..=turns {
        let body = slot(&batches);
        journal.push(timed(|| log.append(body)));
        preallocated.push(timed(|| write(&mut reserved, &bytes)));
        overwritten.push(timed(|| write(&mut filled, &bytes)));
    }
    // The first turn opens files.
    let ratio = ratio(&journal[1..], &preallocated[1..]);
    let mut columns = String::new();
    for times in [&mut journal, &mut preallocated, &mut overwritten] {
        let times = &mut times[1..];
        times.sort_unstable();
        let (median, fastest) = (times[times.len() / 2], times[0]);
        let rate = bytes.len() as f64 / median.as_secs_f64() / 1e6;
        let (median, fastest) = (median.as_micros(), fastest.as_micros());
        columns.push_str(&format!(" {median:>6} {fastest:>6} us {rate:>4.0} MB/s"));
    }
    println!("{:>9}{columns} {ratio:>21.2}", bytes.len());
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The median of the ratios of turns.
fn ratio(of: &[Duration], to: &[Duration]) -> f64 {
    let mut ratios: Vec<f64> =
        of.iter().zip(to).map(|(of, to)| of.as_secs_f64() / to.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

/// Batches of about `bytes` together.
fn batches(bytes: usize) -> Vec<PatchedBatch> {
    const RECORD_BYTES: usize = 108;
    let records = (bytes.min(BATCH_BYTES) / RECORD_BYTES) as i64;
    let count = bytes.div_ceil(BATCH_BYTES) as i64;
    (0..count).map(|number| batch(1, number * records, records)).collect()
}

fn slot(batches: &[PatchedBatch]) -> Body {
    body(SESSION, Slot(1), vec![chunk(partition(0), 1, batches)])
}

/// A log that is open for writing.
struct Log {
    runtime: Runtime,
    writer: Box<dyn Writer>,
    next: Slot,
    _directory: TempDir,
}

impl Log {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let settings = FileJournalSettings::default();
        let weir = weir_runtime::Runtime::system();
        let journal = FileJournal::new(directory.path(), CLUSTER, weir, settings);
        let writer = runtime.block_on(journal.open(SESSION)).unwrap();
        Self { runtime, writer, next: Slot(1), _directory: directory }
    }

    fn append(&mut self, body: Body) {
        let written = self.writer.append(self.next, body);
        self.runtime.block_on(written).unwrap();
        self.next = self.next.next();
    }
}

/// A file with room for `len` bytes that were never written.
fn reserved(len: u64) -> File {
    let file = tempfile::tempfile().unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, len).unwrap();
    file.sync_all().unwrap();
    file
}

/// A file of `len` bytes, to be written over.
fn filled(len: u64) -> File {
    let mut file = tempfile::tempfile().unwrap();
    let zeros = vec![0; 1 << 20];
    (0..len.div_ceil(1 << 20)).for_each(|_| file.write_all(&zeros).unwrap());
    file.sync_all().unwrap();
    file.rewind().unwrap();
    file
}

fn write(file: &mut File, bytes: &[u8]) {
    file.write_all(bytes).unwrap();
    file.sync_data().unwrap();
}
