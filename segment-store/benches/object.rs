//! What the object format costs: building a slot's body, and reading its indexes in recovery.
//!
//! A full slot of 8 MiB once as one partition's large batches, once as small batches of many
//! partitions, which is what indexes cost most for.

#![allow(clippy::unwrap_used, reason = "a benchmark that can't go on fails")]

use std::fmt;

use divan::{
    Bencher, black_box,
    counter::{BytesCount, ItemsCount},
};
use weir_ids::{LeaderEpoch, SessionId};
use weir_protocol::records::PatchedBatch;
use weir_segment_store::{
    Part,
    object::{BatchEntry, Body, Builder, ChunkSource, Directory, Header, Kind},
    testing::{CLUSTER, batch, bytes, partition},
};

fn main() {
    divan::main();
}

/// What a slot holds.
#[derive(Clone, Copy)]
struct Shape {
    partitions: u32,
    batches: i64,
    batch_bytes: i64,
}

const SHAPES: &[Shape] = &[
    Shape { partitions: 1, batches: 1, batch_bytes: 1 << 10 },
    Shape { partitions: 1, batches: 128, batch_bytes: 64 << 10 },
    Shape { partitions: 1, batches: 8192, batch_bytes: 1 << 10 },
    Shape { partitions: 1000, batches: 8, batch_bytes: 1 << 10 },
];

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partitions, batches, batch_bytes } = self;
        write!(f, "{partitions} x {batches} x {batch_bytes} bytes")
    }
}

/// The chunks of a slot, as the broker's gathering leaves them.
struct Gathered {
    shape: Shape,
    entries: Vec<BatchEntry>,
    batches: Vec<PatchedBatch>,
}

impl Gathered {
    fn new(shape: Shape) -> Self {
        const RECORD_BYTES: i64 = 108;
        let records = (shape.batch_bytes / RECORD_BYTES).max(1);
        let batches: Vec<_> =
            (0..shape.batches).map(|number| batch(1, number * records, records)).collect();
        let entries = batches.iter().map(|batch| BatchEntry::from(&batch.header())).collect();
        Self { shape, entries, batches }
    }

    fn build(&self) -> Body {
        let (session, kind) = (SessionId(1), Kind::Slot);
        let header = Header { cluster: CLUSTER, session, number: 1, put_id: 7, kind };
        let mut builder = Builder::new(&header);
        for index in 0..self.shape.partitions {
            builder.add(ChunkSource {
                partition: partition(index),
                epoch: LeaderEpoch(1),
                batches: &self.entries,
                parts: self.batches.iter().cloned().map(Part::Batch).collect(),
            });
        }
        builder.finish()
    }

    fn count(&self) -> usize {
        self.shape.partitions as usize * self.entries.len()
    }
}

#[divan::bench(args = SHAPES)]
fn build(bencher: Bencher<'_, '_>, shape: Shape) {
    let gathered = Gathered::new(shape);
    bencher
        .counter(BytesCount::new(gathered.build().len))
        .counter(ItemsCount::new(gathered.count()))
        .bench_local(|| black_box(&gathered).build());
}

#[divan::bench(args = SHAPES)]
fn read_directory(bencher: Bencher<'_, '_>, shape: Shape) {
    let body = bytes(&Gathered::new(shape).build());
    bencher
        .counter(ItemsCount::new(shape.partitions))
        .bench_local(|| Directory::of_body(black_box(&body)).unwrap());
}

#[divan::bench(args = SHAPES)]
fn read_batch_indexes(bencher: Bencher<'_, '_>, shape: Shape) {
    let gathered = Gathered::new(shape);
    let body = bytes(&gathered.build());
    let directory = Directory::of_body(&body).unwrap();
    bencher.counter(ItemsCount::new(gathered.count())).bench_local(|| {
        let batches = |chunk| directory.batches(black_box(&body), chunk).unwrap().len();
        directory.chunks.iter().map(batches).sum::<usize>()
    });
}
