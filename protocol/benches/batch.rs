//! What a batch costs on its way: parsing and checking its header, its CRC, its place in the log,
//! and walking over its records for those who must.
//!
//! What it decides: how a batch is patched (`records::patch`).

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on fails")]

use bytes::{Bytes, BytesMut};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use weir_ids::{LeaderEpoch, Offset, Timestamp};
use weir_protocol::records::{
    Batch, BatchBuilder, Compression, Crc32c, Patcher, ProduceRules, VerifiedBatch,
    validate_produced,
};

fn main() {
    divan::main();
}

/// The sizes of batches: one small record, a few, many, the default maximum.
const SIZES: &[usize] = &[100, 1 << 10, 100 << 10, 1 << 20];

/// A batch of about `size` bytes in records of at most 1 KiB.
fn batch(size: usize, compression: Compression) -> VerifiedBatch {
    let value: Vec<u8> = (0..1000_u32).map(|i| (i * i % 251) as u8).collect();
    let mut builder = BatchBuilder::new().compression(compression);
    loop {
        let value = &value[..value.len().min(size - 61 - 20)];
        builder.push(Timestamp(1_700_000_000_000), Some(b"key"), Some(value), &[]).unwrap();
        if builder.block_bytes() + 61 + 1024 > size {
            return builder.build().unwrap();
        }
    }
}

#[divan::bench(args = SIZES)]
fn parse(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = batch(size, Compression::None).into_batch().into_bytes();
    bencher.with_inputs(|| bytes.clone()).bench_local_values(|bytes| Batch::parse(bytes).unwrap());
}

#[divan::bench(args = SIZES)]
fn validate(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = batch(size, Compression::None).into_batch().into_bytes();
    let timestamps = Some((Timestamp(0), Timestamp(i64::MAX)));
    let rules = ProduceRules { max_batch_bytes: 2 << 20, zstd: true, timestamps };
    bencher
        .counter(BytesCount::new(bytes.len()))
        .with_inputs(|| bytes.clone())
        .bench_local_values(|bytes| validate_produced(bytes, &rules).unwrap());
}

#[divan::bench(args = SIZES)]
fn patch(bencher: Bencher<'_, '_>, size: usize) {
    let batch = batch(size, Compression::None);
    let mut patcher = Patcher::new();
    bencher
        .with_inputs(|| batch.clone())
        .bench_local_values(|batch| patcher.patch(batch, Offset(7), LeaderEpoch(3)));
}

#[divan::bench(args = SIZES)]
fn patch_append_time(bencher: Bencher<'_, '_>, size: usize) {
    let batch = batch(size, Compression::None);
    let mut patcher = Patcher::new();
    let now = Timestamp(1_700_000_000_001);
    bencher.with_inputs(|| batch.clone()).bench_local_values(|batch| {
        patcher.patch_append_time(batch, Offset(7), LeaderEpoch(3), now)
    });
}

/// The other ways to patch that were weighed.
#[divan::bench_group]
mod patch_otherwise {
    use super::*;

    /// A 16-byte head with an allocation of its own.
    #[divan::bench(args = SIZES)]
    fn own_head(bencher: Bencher<'_, '_>, size: usize) {
        let bytes = batch(size, Compression::None).into_batch().into_bytes();
        bencher.with_inputs(|| bytes.clone()).bench_local_values(|mut bytes| {
            let mut head = [0; 16];
            head.copy_from_slice(&bytes[..16]);
            place(&mut head);
            (Bytes::copy_from_slice(&head), bytes.split_off(16))
        });
    }

    /// In place, where nobody else holds the frame: the clone is a copy, made outside the clock.
    #[divan::bench(args = SIZES)]
    fn in_place(bencher: Bencher<'_, '_>, size: usize) {
        let bytes = batch(size, Compression::None).into_batch().into_bytes();
        let frame = || {
            let mut frame = BytesMut::from(&b"header"[..]);
            frame.extend_from_slice(&bytes);
            frame.freeze().slice(6..)
        };
        bencher.with_inputs(frame).bench_local_values(|bytes| {
            let mut bytes = bytes.try_into_mut().unwrap();
            place(&mut bytes);
            // A batch is shared at once, by the log and the tail cache.
            let bytes = bytes.freeze();
            (bytes.clone(), bytes)
        });
    }

    /// A copy of the whole.
    #[divan::bench(args = SIZES)]
    fn copy(bencher: Bencher<'_, '_>, size: usize) {
        let bytes = batch(size, Compression::None).into_batch().into_bytes();
        bencher.with_inputs(|| bytes.clone()).bench_local_values(|bytes| {
            let mut bytes = BytesMut::from(&bytes[..]);
            place(&mut bytes);
            bytes.freeze()
        });
    }

    fn place(head: &mut [u8]) {
        head[..8].copy_from_slice(&black_box(7_i64).to_be_bytes());
        head[12..16].copy_from_slice(&black_box(3_i32).to_be_bytes());
    }
}

/// What the WAL adds to a frame's sum for a batch.
#[divan::bench(args = SIZES)]
fn sum_into(bencher: Bencher<'_, '_>, size: usize) {
    let batch = batch(size, Compression::None);
    let patched = Patcher::new().patch(batch, Offset(7), LeaderEpoch(3));
    bencher.bench_local(|| {
        let mut sum = Crc32c::new();
        black_box(&patched).sum_into(&mut sum);
        sum.finish()
    });
}

#[divan::bench(args = Compression::ALL)]
fn iterate_1000_records(bencher: Bencher<'_, '_>, compression: Compression) {
    let batch = batch(1 << 20, compression);
    let count = batch.header().record_count as usize;
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        batch.records(2 << 20).unwrap().map(|record| record.unwrap().offset.0).max()
    });
}

#[divan::bench(args = Compression::ALL)]
fn find_the_last_of_1000_records(bencher: Bencher<'_, '_>, compression: Compression) {
    let batch = batch(1 << 20, compression);
    let last = batch.header().last_offset();
    bencher.bench_local(|| batch.find_timestamp(Timestamp(0), last, 2 << 20).unwrap());
}

#[divan::bench(args = Compression::ALL)]
fn build_1000_records(bencher: Bencher<'_, '_>, compression: Compression) {
    bencher.counter(BytesCount::new(1_usize << 20)).bench_local(|| batch(1 << 20, compression));
}
