use proptest::prelude::*;
use weir_ids::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, SessionId, Slot, Timestamp,
};
use weir_protocol::records::crc32c;

use super::{batch_index, *};
use crate::testing::{self, batch, chunk, partition};

fn sample() -> (Body, Vec<u8>) {
    let chunks = vec![
        chunk(partition(0), 3, &[batch(3, 10, 2), batch(3, 12, 1)]),
        chunk(partition(9), 4, &[batch(4, 0, 40)]),
    ];
    let body = testing::body(SessionId(5), Slot(8), chunks);
    let bytes = testing::bytes(&body);
    (body, bytes)
}

#[test]
fn a_body_reads_back_as_it_was_built() {
    let (body, bytes) = sample();
    assert_eq!(body.len, bytes.len() as u64);
    let header = Header::decode(&bytes).unwrap();
    assert_eq!((header.session, header.number, header.kind), (SessionId(5), 8, Kind::Slot));
    let directory = Directory::of_body(&bytes).unwrap();
    assert_eq!(directory.chunks, body.chunks);
    assert_eq!(directory.data_crc(), crc32c(&bytes[..directory.data_len() as usize]));
    let batches = directory.batches(&bytes, &directory.chunks[0]).unwrap();
    let offsets: Vec<_> = batches.iter().map(|batch| (batch.base.0, batch.last.0)).collect();
    assert_eq!(offsets, [(10, 11), (12, 12)]);
    assert_eq!(batches[1].producer.unwrap().first_sequence, Sequence(12));
}

#[test]
fn every_flipped_byte_behind_the_chunks_is_noticed() {
    let (_, bytes) = sample();
    let directory = Directory::of_body(&bytes).unwrap();
    for at in directory.data_len() as usize..bytes.len() {
        let mut rotten = bytes.clone();
        rotten[at] ^= 0x10;
        let read = Directory::of_body(&rotten).and_then(|directory| {
            directory
                .chunks
                .iter()
                .try_for_each(|chunk| directory.batches(&rotten, chunk).map(drop))
        });
        assert!(read.is_err(), "a flipped byte at {at} went unnoticed");
    }
}

#[test]
fn every_cut_is_noticed() {
    let (_, bytes) = sample();
    for len in 0..bytes.len() {
        assert!(Directory::of_body(&bytes[..len]).is_err(), "a cut at {len} went unnoticed");
    }
}

#[test]
fn the_format_of_version_1_stays_readable() {
    testing::golden("object-v1.bin", &sample().1);
}

#[test]
fn a_newer_version_is_named() {
    let (_, mut bytes) = sample();
    let end = bytes.len();
    bytes[end - 12] = 9;
    let crc = crc32c(&bytes[end - FOOTER_BYTES..end - 4]);
    bytes[end - 4..].copy_from_slice(&crc.to_le_bytes());
    assert_eq!(Directory::of_body(&bytes), Err(Error::NewerVersion(9)));
}

prop_compose! {
    fn entries()(
        base in 0i64..1 << 40,
        batches in prop::collection::vec(
            (0i64..3, 0i64..1000, 61u32..1 << 20, any::<i64>(), prop::option::of((0i64..4, 0i16..3, 0..i32::MAX)), 0u8..8),
            1..50,
        ),
    ) -> Vec<BatchEntry> {
        let mut next = base;
        batches.into_iter().map(|(gap, span, bytes, timestamp, producer, flags)| {
            let first = next + gap;
            next = first + span + 1;
            BatchEntry {
                base: Offset(first),
                last: Offset(first + span),
                bytes,
                max_timestamp: Timestamp(timestamp),
                producer: producer.map(|(id, epoch, sequence)| ProducerMark {
                    id: ProducerId(id),
                    epoch: ProducerEpoch(epoch),
                    first_sequence: Sequence(sequence),
                }),
                flags: BatchFlags(flags),
            }
        }).collect()
    }
}

proptest! {
    #[test]
    fn batch_indexes_round_trip(mut entries in entries()) {
        // The gap before the first batch is not stored: the index begins at its offset.
        prop_assert_eq!(batch_index::decode(&batch_index::encode(&entries)), Ok(entries.clone()));
        entries.truncate(1);
        prop_assert_eq!(batch_index::decode(&batch_index::encode(&entries)), Ok(entries));
    }

    #[test]
    fn no_bytes_make_a_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Directory::of_body(&bytes);
        let _ = Header::decode(&bytes);
        let crc = crc32c(&bytes);
        bytes.extend(crc.to_le_bytes());
        let _ = batch_index::decode(&bytes);
    }
}

#[test]
fn an_index_that_contradicts_its_chunk_is_refused() {
    let (_, bytes) = sample();
    let directory = Directory::of_body(&bytes).unwrap();
    let mut chunk = directory.chunks[0];
    chunk.last = Offset(99);
    assert!(matches!(directory.batches(&bytes, &chunk), Err(Error::NotAnObject(_))));
    chunk = directory.chunks[0];
    chunk.epoch = LeaderEpoch(0);
    assert!(directory.batches(&bytes, &chunk).is_ok(), "the index does not repeat the epoch");
}
