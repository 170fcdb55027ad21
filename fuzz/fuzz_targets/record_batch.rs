//! Any bytes as record batches: stored ones, and what a client produces.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir_ids::{LeaderEpoch, Offset, Timestamp};
use weir_protocol::records::{
    Batch, BatchBuilder, Crc32c, EndTransaction, Patcher, ProduceRules, Record, RecordRules,
    VerifiedBatch, crc32c, iter, split, validate_produced,
};

/// What a batch may expand to.
const MAX_BYTES: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let bytes = Bytes::copy_from_slice(data);
    let _ = validate_produced(bytes.clone(), &rules());
    for batch in split(bytes).filter_map(Result::ok) {
        read(&batch);
        place(with_right_crc(&batch));
    }
});

fn rules() -> ProduceRules {
    let timestamps = Some((Timestamp(0), Timestamp(i64::MAX / 2)));
    ProduceRules { max_batch_bytes: MAX_BYTES, zstd: true, timestamps }
}

/// Otherwise the CRC would keep nearly everything from the checks behind it.
fn with_right_crc(batch: &Batch) -> VerifiedBatch {
    let mut bytes = batch.bytes().to_vec();
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let _ = validate_produced(bytes.clone().into(), &rules());
    Batch::parse(bytes.into()).expect("it was parsed").verify().expect("its crc was set")
}

fn read(batch: &Batch) {
    let rules = RecordRules { keys: true, timestamps: rules().timestamps };
    let _ = batch.inspect(&rules, MAX_BYTES);
    let records: Result<Vec<Record>, iter::Error> =
        batch.records(MAX_BYTES).and_then(Iterator::collect);
    let target = Timestamp(batch.header().max_timestamp.0 / 2);
    let from = batch.header().base_offset.plus(1);
    let found = batch.find_timestamp(target, from, MAX_BYTES);
    let latest = batch.find_max_timestamp(MAX_BYTES);
    let Ok(records) = records else { return };

    let scanned = records.iter().find(|r| r.timestamp >= target && r.offset >= from);
    // The header may lie: a batch whose maximal timestamp is too early is not searched.
    if let Some(found) = found.expect("its records can be read") {
        assert_eq!(Some(found.offset), scanned.map(|record| record.offset));
    }
    let latest = latest.expect("its records can be read").map(|found| found.timestamp);
    assert_eq!(latest, records.iter().map(|record| record.timestamp).max());
    for record in &records {
        assert_eq!(record.headers.iter().count(), record.headers.len());
        let _ = EndTransaction::read(record);
    }
    rewrite(batch, &records);
}

/// Writes the records again as compaction does.
fn rewrite(batch: &Batch, records: &[Record]) {
    let mut builder = BatchBuilder::rewriting(batch.header());
    for record in records {
        // Near the ends of their ranges offsets and timestamps saturate and lose their order.
        if builder.push_record(record).is_err() {
            return;
        }
    }
    let again = builder.build().expect("it fits in a batch");
    assert_eq!(again.header().last_offset_delta, batch.header().last_offset_delta);
    let read: Vec<Record> =
        again.records(2 * MAX_BYTES).and_then(Iterator::collect).expect("it was just written");
    assert_eq!(read.len(), records.len());
    for (read, record) in read.iter().zip(records) {
        assert_eq!((&read.key, &read.value), (&record.key, &record.value));
        assert_eq!(read.headers, record.headers);
        assert_eq!(read.offset, record.offset);
    }
}

/// Gives the batch a place in a log, both ways, and sums it up as a WAL does.
fn place(batch: VerifiedBatch) {
    let mut patcher = Patcher::new();
    let (offset, epoch) = (Offset(1 << 40), LeaderEpoch(7));
    let patched = patcher.patch(batch.clone(), offset, epoch);
    let timed = patcher.patch_append_time(batch.clone(), offset, epoch, Timestamp(1 << 41));
    for placed in [patched, timed] {
        let bytes = placed.to_bytes();
        let mut sum = Crc32c::new();
        placed.sum_into(&mut sum);
        assert_eq!(sum.finish(), crc32c(&bytes));
        let stored = Batch::parse(bytes).expect("still one batch").verify().expect("crc holds");
        assert_eq!(*stored.header(), placed.header());
        assert_eq!(stored.header().base_offset, offset);
        assert_eq!(stored.payload(), batch.payload());
    }
}
