//! Writes seeds for the targets into `fuzz/corpus`: batches that Apache Kafka wrote, the start of a
//! frame for every API and version, and stored files.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;

use weir_ids::{SessionId, Slot};
use weir_protocol::ApiKey;
use weir_runtime::{Runtime, Seeded, SystemClock};
use weir_segment_store::journal::{FileJournal, FileJournalSettings, Journal};
use weir_segment_store::testing::{CLUSTER, batch, body, chunk, partition};

fn main() -> Result<(), Box<dyn Error>> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = fuzz.join("corpus");
    golden(&fuzz.join("../protocol/tests/data/batches"), &corpus.join("record_batch"))?;
    golden(&fuzz.join("../segment-store/tests/golden"), &corpus.join("object"))?;
    log(&corpus.join("object"))?;
    largest_numbers(&corpus.join("object"))?;
    frames(&corpus.join("frame"))?;
    Ok(())
}

/// Files that tests keep.
fn golden(from: &Path, corpus: &Path) -> io::Result<()> {
    fs::create_dir_all(corpus)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        if let (Some(name), true) = (path.file_name(), path.extension() == Some("bin".as_ref())) {
            fs::copy(&path, corpus.join(name))?;
        }
    }
    Ok(())
}

/// Files of a write-ahead log: a full one and one with unused space.
fn log(corpus: &Path) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(write_log(directory.path()))?;
    for file in fs::read_dir(directory.path().join("wal").join(format!("{:020}", 1)))? {
        let file = file?;
        fs::copy(file.path(), corpus.join(file.file_name()))?;
        let mut bytes = fs::read(file.path())?;
        bytes.resize(bytes.len() + 128, 0);
        fs::write(corpus.join(file.file_name()).with_extension("unused"), bytes)?;
    }
    Ok(())
}

async fn write_log(root: &Path) -> Result<(), Box<dyn Error>> {
    let settings = FileJournalSettings { file_bytes: 2048, ..FileJournalSettings::default() };
    let runtime = Runtime::new(SystemClock, Seeded::new(1));
    let mut log = FileJournal::new(root, CLUSTER, runtime, settings).open(SessionId(1)).await?;
    for slot in 1..=4 {
        let base = 10 * slot as i64;
        let chunks = vec![
            chunk(partition(0), 1, &[batch(1, base, 1), batch(1, base + 1, 1)]),
            chunk(partition(1), 2, &[batch(2, base, 1)]),
        ];
        log.append(Slot(slot), body(SessionId(1), Slot(slot), chunks)).await?;
    }
    Ok(())
}

/// The largest slot and the largest number of a checkpoint, each in the two fields that must agree:
/// the target puts sums right, but mutations seldom change two fields alike.
fn largest_numbers(corpus: &Path) -> io::Result<()> {
    const FIRST_SLOT: usize = 48;
    const SLOT: usize = 128 + 8;
    const NUMBER: usize = 20;
    const FULL: usize = 28;
    for (seed, fields) in
        [("0000000001.wal", [FIRST_SLOT, SLOT]), ("checkpoint-v1.bin", [NUMBER, FULL])]
    {
        let mut bytes = fs::read(corpus.join(seed))?;
        fields.iter().for_each(|field| bytes[*field..field + 8].fill(0xff));
        fs::write(corpus.join(seed).with_extension("largest"), bytes)?;
    }
    Ok(())
}

/// Zeros are empty strings and arrays nearly everywhere, ones are short ones: the fuzzer needs to be
/// told only which frames there are.
fn frames(corpus: &Path) -> io::Result<()> {
    fs::create_dir_all(corpus)?;
    for api in ApiKey::ALL {
        for version in api.advertised().iter() {
            for fill in [0, 1] {
                let mut frame = Vec::new();
                frame.extend_from_slice(&(*api as i16).to_be_bytes());
                frame.extend_from_slice(&version.to_be_bytes());
                frame.extend_from_slice(&7_i32.to_be_bytes());
                frame.extend_from_slice(b"\0\x04fuzz");
                // Flexible headers end with a count of tagged fields.
                frame.extend_from_slice(&[0]);
                frame.extend_from_slice(&[fill; 64]);
                fs::write(corpus.join(format!("{}-{version}-{fill}", api.name())), frame)?;
            }
        }
    }
    Ok(())
}
