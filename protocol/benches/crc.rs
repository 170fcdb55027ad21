//! CRC-32C: one pass, and joining two sums instead of a second pass.
//!
//! What it decides: that `combine` is our own and not `crc-fast`'s, and from how many bytes on it
//! beats summing again (`COMBINE_MIN_BYTES`).

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use weir_protocol::records::crc::{combine, crc32c};

fn main() {
    divan::main();
}

const SIZES: &[usize] = &[100, 512, 1 << 10, 2 << 10, 4 << 10, 16 << 10, 100 << 10, 1 << 20];

#[divan::bench(args = SIZES)]
fn one_pass(bencher: Bencher<'_, '_>, size: usize) {
    let bytes = vec![7; size];
    bencher.counter(BytesCount::new(size)).bench_local(|| crc32c(black_box(&bytes)));
}

#[divan::bench(args = SIZES)]
fn join(bencher: Bencher<'_, '_>, size: usize) {
    bencher.bench_local(|| combine(black_box(0xdead_beef), black_box(77), black_box(size as u64)));
}

#[divan::bench(args = SIZES)]
fn join_by_crc_fast(bencher: Bencher<'_, '_>, size: usize) {
    let algorithm = crc_fast::CrcAlgorithm::Crc32Iscsi;
    bencher.bench_local(|| {
        let (a, b) = (black_box(0xdead_beef), black_box(77));
        crc_fast::checksum_combine(algorithm, a, b, black_box(size as u64))
    });
}
