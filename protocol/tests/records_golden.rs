//! Batches that Apache Kafka wrote are read as Kafka reads them, and written as Kafka writes them.
//! What is in `data/batches` and how it was made: the README there.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::fmt::Write;
use std::path::Path;

use bytes::Bytes;
use weir_ids::{Offset, Timestamp};
use weir_protocol::records::{
    Batch, BatchBuilder, EndTransaction, Marker, ProduceRules, Record, TimestampType, crc32c,
    split, validate_produced,
};

const MAX_BYTES: usize = 1 << 20;

fn golden(name: &str) -> Bytes {
    read(&format!("{name}.bin")).into()
}

fn read(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/batches").join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn batches(name: &str) -> Vec<Batch> {
    split(golden(name)).collect::<Result<_, _>>().unwrap()
}

fn records(batch: &Batch) -> Vec<Record> {
    batch.records(MAX_BYTES).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The same lines as `Golden.java` prints.
fn dump(bytes: Bytes) -> String {
    let mut out = String::new();
    for batch in split(bytes) {
        let batch = batch.unwrap().verify().unwrap();
        let header = batch.header();
        let attributes = header.attributes;
        write!(
            out,
            "batch {}..{} epoch {} codec {} time {:?} {} producer {}/{}/{}..{}",
            header.base_offset,
            header.last_offset(),
            header.leader_epoch,
            attributes.compression().unwrap().name(),
            attributes.timestamp_type(),
            header.max_timestamp,
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
            header.last_sequence(),
        )
        .unwrap();
        out.push_str(if attributes.is_transactional() { " transactional" } else { "" });
        out.push_str(if attributes.is_control() { " control" } else { "" });
        if attributes.has_delete_horizon() {
            write!(out, " horizon {}", header.base_timestamp).unwrap();
        }
        out.push('\n');
        for record in records(&batch) {
            let (key, value) = (show(record.key), show(record.value));
            let header = |(key, value)| format!("{}={}", show(Some(key)), show(value));
            let headers = record.headers.iter().map(header).collect::<Vec<_>>().join(" ");
            writeln!(out, "{} {} {key} {value} [{headers}]", record.offset, record.timestamp)
                .unwrap();
        }
    }
    out
}

fn show(bytes: Option<Bytes>) -> String {
    match bytes {
        None => "null".into(),
        Some(bytes) if bytes.len() <= 40 => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("'{hex}'")
        }
        Some(bytes) => format!("{}:{:08x}", bytes.len(), crc32c(&bytes)),
    }
}

#[test]
fn every_golden_batch_reads_as_kafka_reads_it() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/batches");
    let mut seen = 0;
    for file in std::fs::read_dir(data).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let expected = String::from_utf8(read(&format!("{name}.txt"))).unwrap();
            assert_eq!(dump(golden(name)), expected, "{name}");
            seen += 1;
        }
    }
    assert_eq!(seen, 15);
}

#[test]
fn what_a_java_producer_writes_is_accepted() {
    let rules = ProduceRules { max_batch_bytes: MAX_BYTES, zstd: true, timestamps: None };
    for kind in ["mixed", "large"] {
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            validate_produced(golden(&format!("{kind}-{codec}")), &rules).unwrap();
        }
    }
    validate_produced(golden("idempotent"), &rules).unwrap();
    validate_produced(golden("transactional"), &rules).unwrap();
}

#[test]
fn uncompressed_batches_are_written_byte_for_byte_as_kafka_does() {
    for name in ["mixed-none", "large-none", "idempotent", "transactional", "markers"] {
        for batch in batches(name) {
            let header = batch.header();
            let attributes = header.attributes;
            let mut builder = BatchBuilder::new()
                .base_offset(header.base_offset)
                .leader_epoch(header.leader_epoch)
                .producer(header.producer_id, header.producer_epoch, header.base_sequence);
            if attributes.is_transactional() {
                builder = builder.transactional();
            }
            if attributes.is_control() {
                builder = builder.control();
            }
            for record in records(&batch) {
                builder.push_record(&record).unwrap();
            }
            assert_eq!(builder.build().unwrap().bytes(), batch.bytes(), "{name}");
        }
    }
}

#[test]
fn markers_are_read_and_written_as_kafka_does() {
    let batches = batches("markers");
    let ends: Vec<_> = batches.iter().map(|b| EndTransaction::read(&records(b)[0])).collect();
    let commit = EndTransaction { marker: Marker::Commit, coordinator_epoch: 21 };
    let abort = EndTransaction { marker: Marker::Abort, coordinator_epoch: 22 };
    assert_eq!(ends, [Some(commit), Some(abort)]);
    for (end, theirs) in [commit, abort].iter().zip(&batches) {
        let header = theirs.header();
        let now = header.max_timestamp;
        let ours = end.to_batch(header.producer_id, header.producer_epoch, now).unwrap();
        assert_eq!(ours.bytes()[16..], theirs.bytes()[16..]);
    }
}

#[test]
fn compaction_can_rewrite_what_kafka_has_compacted() {
    let batch = &batches("compacted")[0];
    let mut builder = BatchBuilder::rewriting(batch.header());
    for record in records(batch) {
        builder.push_record(&record).unwrap();
    }
    let again = builder.build().unwrap().into_batch();
    assert_eq!(records(&again), records(batch));
    let mut header = *again.header();
    (header.crc, header.length) = (batch.header().crc, batch.header().length);
    assert_eq!(header, *batch.header());

    let empty = BatchBuilder::rewriting(batch.header()).build().unwrap();
    assert_eq!(records(&empty), []);
    assert_eq!(empty.header().next_offset(), Offset(10));
    assert_eq!(empty.header().max_timestamp, batch.header().max_timestamp);
}

#[test]
fn times_are_found_exactly_in_compressed_batches() {
    let t0 = 1_700_000_000_000;
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let batch = &batches(&format!("mixed-{codec}"))[0];
        let find = |time, from| {
            let found = batch.find_timestamp(Timestamp(time), Offset(from), MAX_BYTES).unwrap();
            found.map(|found| (found.offset.0, found.timestamp.0 - t0))
        };
        assert_eq!(find(0, 0), Some((0, 0)));
        assert_eq!(find(t0 + 1, 0), Some((1, 1000)));
        assert_eq!(find(t0 + 1, 2), Some((3, 70_000)));
        assert_eq!(find(t0 + 70_001, 0), Some((6, 86_400_000)));
        assert_eq!(find(t0 + 86_400_001, 0), None);
        assert_eq!(find(0, 7), None);
        let latest = batch.find_max_timestamp(MAX_BYTES).unwrap().unwrap();
        assert_eq!((latest.offset, latest.timestamp.0 - t0), (Offset(6), 86_400_000));
    }
}

#[test]
fn with_append_time_every_record_is_as_late_as_its_batch() {
    let batch = &batches("append-time")[0];
    assert_eq!(batch.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
    let late = batch.header().max_timestamp;
    let found = batch.find_timestamp(late, Offset(1235), MAX_BYTES).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (Offset(1235), late));
    let latest = batch.find_max_timestamp(MAX_BYTES).unwrap().unwrap();
    assert_eq!((latest.offset, latest.timestamp), (Offset(1234), late));
}
