//! Writes seeds for the targets into `fuzz/corpus`: batches that Apache Kafka wrote, and the start
//! of a frame for every API and version.

use std::fs;
use std::io;
use std::path::Path;

use weir_protocol::ApiKey;

fn main() -> io::Result<()> {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR"));
    record_batches(&fuzz.join("../protocol/tests/data/batches"), &fuzz.join("corpus/record_batch"))?;
    frames(&fuzz.join("corpus/frame"))
}

fn record_batches(golden: &Path, corpus: &Path) -> io::Result<()> {
    fs::create_dir_all(corpus)?;
    for entry in fs::read_dir(golden)? {
        let path = entry?.path();
        if let (Some(name), true) = (path.file_name(), path.extension() == Some("bin".as_ref())) {
            fs::copy(&path, corpus.join(name))?;
        }
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
