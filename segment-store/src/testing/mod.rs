//! Bodies for tests: whole, verified batches of one partition, with offsets in a row.

#![expect(clippy::unwrap_used, reason = "only tests use it")]

mod faulty;
mod tree;

pub use faulty::{Fate, Faults, FaultyObjects, Request};
pub use tree::Tree;

use uuid::Uuid;
use weir_ids::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, SessionId, Slot,
    Timestamp, TopicId, TopicPartition,
};
use weir_protocol::records::{BatchBuilder, PatchedBatch, Patcher};

use crate::{
    Part,
    object::{BatchEntry, Body, Builder, ChunkSource, Header, Kind},
};

/// The cluster of all tests.
pub const CLUSTER: Uuid = Uuid::from_u128(0x00c1);

/// Partition `index` of the one topic of all tests.
pub fn partition(index: u32) -> TopicPartition {
    TopicPartition::new(TopicId(Uuid::from_u128(0x0701)), PartitionIndex(index))
}

/// A batch of `count` records of 100 bytes that begins at `base`; its timestamps are its offsets.
pub fn batch(epoch: i32, base: i64, count: i64) -> PatchedBatch {
    let mut builder = BatchBuilder::new().producer(
        ProducerId(7),
        ProducerEpoch(0),
        Sequence((base % i64::from(i32::MAX)) as i32),
    );
    for record in 0..count {
        let value = [(base + record) as u8; 100];
        builder.push(Timestamp(base + record), None, Some(&value), &[]).unwrap();
    }
    Patcher::new().patch(builder.build().unwrap(), Offset(base), LeaderEpoch(epoch))
}

/// A run of such batches.
pub struct TestChunk(TopicPartition, LeaderEpoch, Vec<PatchedBatch>);

/// A chunk of such batches.
pub fn chunk(partition: TopicPartition, epoch: i32, batches: &[PatchedBatch]) -> TestChunk {
    TestChunk(partition, LeaderEpoch(epoch), batches.to_vec())
}

/// The body of a slot with one chunk for each partition in `chunks`.
pub fn body(session: SessionId, slot: Slot, chunks: Vec<TestChunk>) -> Body {
    let kind = Kind::Slot;
    let header = Header { cluster: CLUSTER, session, number: slot.0, put_id: 0xdead, kind };
    let mut builder = Builder::new(&header);
    for TestChunk(partition, epoch, batches) in chunks {
        let entries: Vec<_> = batches.iter().map(|b| BatchEntry::from(&b.header())).collect();
        let parts = batches.into_iter().map(Part::Batch).collect();
        builder.add(ChunkSource { partition, epoch, batches: &entries, parts });
    }
    builder.finish()
}

/// All bytes of a body.
pub fn bytes(body: &Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.parts.iter().for_each(|part| part.pieces(|piece| bytes.extend_from_slice(piece)));
    bytes
}

/// Holds `bytes` against the golden file `name`. With `WEIR_BLESS=1` in the environment the file is
/// written instead: only for a format of a new version.
pub fn golden(name: &str, bytes: &[u8]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("WEIR_BLESS").is_some() {
        std::fs::write(&path, bytes).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    assert!(
        golden == bytes,
        "what is written is no longer {name}: give the format a new version and keep this readable"
    );
}
