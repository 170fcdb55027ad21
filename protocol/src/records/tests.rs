//! Header, splitting, validation and patching, over batches whose headers are made by hand.

use bytes::Bytes;
use weir_ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::batch::{self, HEADER_BYTES};
use super::crc::{COMBINE_MIN_BYTES, Crc32c, crc32c};
use super::*;
use crate::ErrorCode;

const RULES: ProduceRules = ProduceRules { max_batch_bytes: 1 << 20, zstd: true, timestamps: None };

/// A header as a plain producer fills it in, for `payload_bytes` of records.
fn header(payload_bytes: usize) -> BatchHeader {
    BatchHeader {
        base_offset: Offset(0),
        length: 49 + payload_bytes as i32,
        leader_epoch: LeaderEpoch(-1),
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: 2,
        base_timestamp: Timestamp(1000),
        max_timestamp: Timestamp(1007),
        producer_id: ProducerId::NONE,
        producer_epoch: ProducerEpoch(-1),
        base_sequence: Sequence(-1),
        record_count: 3,
    }
}

/// The bytes of a batch with this header, its CRC set right.
fn batch_of(header: &BatchHeader, payload: &[u8]) -> Bytes {
    let mut bytes = [&header.write()[..], payload].concat();
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

fn produced(change: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = header(100);
    change(&mut header);
    batch_of(&header, &[7; 100])
}

fn rejection(change: impl FnOnce(&mut BatchHeader)) -> Rejection {
    validate_produced(produced(change), &RULES).unwrap_err()
}

#[test]
fn a_header_reads_back_as_it_was_written() {
    let mut written = header(3);
    written.producer_id = ProducerId(i64::MAX - 3);
    written.producer_epoch = ProducerEpoch(513);
    written.base_sequence = Sequence(i32::MAX);
    let bytes = batch_of(&written, b"abc");
    let batch = Batch::parse(bytes.clone()).unwrap();
    written.crc = batch.header().crc;
    assert_eq!(*batch.header(), written);
    assert_eq!(batch.payload(), "abc");
    assert_eq!(batch.bytes(), &bytes);
    assert_eq!(batch.header().size(), HEADER_BYTES + 3);
    assert_eq!(batch.header().last_sequence(), Sequence(1));
    assert_eq!(batch.header().next_offset(), Offset(3));
}

#[test]
fn batches_are_split_as_slices_of_what_was_given() {
    let three = [produced(|_| ()), produced(|_| ()), produced(|_| ())].concat();
    let bytes = Bytes::from(three);
    let batches: Vec<Batch> = split(bytes.clone()).collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.len(), 3);
    for (i, batch) in batches.iter().enumerate() {
        assert_eq!(batch.bytes().as_ptr(), bytes[i * 161..].as_ptr());
    }
    assert_eq!(split(Bytes::new()).count(), 0);
}

#[test]
fn a_cut_batch_ends_the_split_with_its_place() {
    let bytes = Bytes::from([produced(|_| ()), produced(|_| ())].concat());
    for cut in 1..161 {
        let mut batches = split(bytes.slice(..161 + cut));
        assert!(batches.next().unwrap().is_ok());
        let error = batches.next().unwrap().unwrap_err();
        let needed = if cut < HEADER_BYTES { HEADER_BYTES } else { 161 };
        assert_eq!(error, batch::Error::Truncated { position: 161, needed, available: cut });
        assert!(batches.next().is_none());
    }
}

#[test]
fn lying_lengths_are_refused() {
    for length in [i32::MIN, -1, 0, 48] {
        let error = Batch::parse(produced(|header| header.length = length)).unwrap_err();
        assert_eq!(error, batch::Error::LyingLength { position: 0, length });
    }
    for length in [150, i32::MAX] {
        let error = Batch::parse(produced(|header| header.length = length)).unwrap_err();
        assert!(matches!(error, batch::Error::Truncated { .. }), "{error}");
    }
}

#[test]
fn a_good_batch_is_accepted() {
    let bytes = produced(|_| ());
    let batch = validate_produced(bytes.clone(), &RULES).unwrap();
    assert_eq!(batch.bytes().as_ptr(), bytes.as_ptr());
}

#[test]
fn exactly_one_batch_of_magic_2_is_accepted() {
    assert_eq!(validate_produced(Bytes::new(), &RULES), Err(Rejection::NoBatch));
    let two = Bytes::from([produced(|_| ()), produced(|_| ())].concat());
    assert_eq!(validate_produced(two, &RULES), Err(Rejection::SeveralBatches { trailing: 161 }));
    let mut old = [0; 34]; // an empty message of magic 1
    old[16] = 1;
    assert_eq!(
        validate_produced(Bytes::copy_from_slice(&old), &RULES),
        Err(Rejection::UnsupportedMagic { magic: 1 })
    );
    let cut = produced(|_| ()).slice(..100);
    assert!(matches!(validate_produced(cut, &RULES), Err(Rejection::Malformed(_))));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let good = produced(|_| ());
    for bit in 0..good.len() * 8 {
        let mut bytes = good.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // The leader epoch is the broker's to set: whatever is there is overwritten.
        let free = (12..16).contains(&(bit / 8));
        assert_eq!(validate_produced(bytes.into(), &RULES).is_ok(), free, "bit {bit}");
    }
}

#[test]
fn what_a_client_may_not_claim_is_refused() {
    assert!(matches!(rejection(|h| h.record_count = 4), Rejection::Count { .. }));
    assert!(matches!(rejection(|h| h.last_offset_delta = -1), Rejection::Count { .. }));
    assert!(matches!(
        rejection(|h| (h.record_count, h.last_offset_delta) = (0, -1)),
        Rejection::Count { .. }
    ));
    assert!(matches!(
        rejection(|h| (h.record_count, h.last_offset_delta) = (15, 14)),
        Rejection::CountBeyondPayload { count: 15, payload_bytes: 100 }
    ));
    assert_eq!(rejection(|h| h.base_offset = Offset(1)), Rejection::BaseOffset(1));
    assert_eq!(rejection(|h| h.attributes = h.attributes.with_control()), Rejection::Control);
    assert_eq!(
        rejection(|h| h.attributes = h.attributes.with_delete_horizon()),
        Rejection::DeleteHorizon
    );
    assert_eq!(
        rejection(|h| h.attributes = h.attributes.with_transactional()),
        Rejection::TransactionalWithoutProducer
    );
    assert_eq!(
        rejection(|h| h.attributes = h.attributes.with_log_append_time()),
        Rejection::LogAppendTime
    );
    assert_eq!(
        rejection(|h| h.producer_id = ProducerId(5)),
        Rejection::Producer { producer_id: 5, epoch: -1, sequence: -1 }
    );
}

#[test]
fn refusals_map_to_the_codes_that_kafka_answers() {
    let code = |bytes| validate_produced(bytes, &RULES).unwrap_err().error_code();
    let mut damaged = produced(|_| ()).to_vec();
    damaged[100] ^= 1;
    assert_eq!(code(damaged.into()), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(code(produced(|_| ()).slice(..99)), ErrorCode::CORRUPT_MESSAGE);
    assert_eq!(code(Bytes::new()), ErrorCode::INVALID_RECORD);
    assert_eq!(code(produced(|h| h.record_count = 9)), ErrorCode::INVALID_RECORD);
    let codec = produced(|h| h.attributes = Attributes(7));
    assert_eq!(code(codec), ErrorCode::UNSUPPORTED_COMPRESSION_TYPE);
    let timed = produced(|h| h.attributes = h.attributes.with_log_append_time());
    assert_eq!(code(timed), ErrorCode::INVALID_TIMESTAMP);
    let tight = ProduceRules { max_batch_bytes: 100, ..RULES };
    let large = validate_produced(produced(|_| ()), &tight).unwrap_err();
    assert_eq!(large.error_code(), ErrorCode::MESSAGE_TOO_LARGE);
}

#[test]
fn records_are_held_against_their_topic() {
    let mut builder = BatchBuilder::new().compression(Compression::Lz4);
    for i in 0..300 {
        let key = (i % 2 == 0).then_some(&b"key"[..]);
        builder.push(Timestamp(i), key, None, &[]).unwrap();
    }
    let batch = builder.build().unwrap();
    let inspect = |keys, timestamps| {
        batch.inspect(&RecordRules { keys, timestamps }, 1 << 20).map_err(|error| {
            let code = error.error_code();
            match error {
                inspect::Error::Unfit { first, others } => (first.index, others.len(), code),
                inspect::Error::Unreadable(error) => panic!("{error}"),
            }
        })
    };
    assert_eq!(inspect(false, None), Ok(()));
    assert_eq!(inspect(false, Some((Timestamp(0), Timestamp(299)))), Ok(()));
    assert_eq!(inspect(true, None), Err((1, 99, ErrorCode::INVALID_RECORD)));
    let late = Some((Timestamp(3), Timestamp(299)));
    assert_eq!(inspect(false, late), Err((0, 2, ErrorCode::INVALID_TIMESTAMP)));

    let capped = batch.inspect(&RecordRules { keys: true, timestamps: None }, 100).unwrap_err();
    assert!(matches!(capped, inspect::Error::Unreadable(_)), "{capped}");
    assert_eq!(capped.error_code(), ErrorCode::INVALID_RECORD);
}

#[test]
fn codecs_depend_on_the_request() {
    for id in 5..8 {
        let codec = rejection(|h| h.attributes = Attributes(id));
        assert_eq!(codec, Rejection::UnknownCodec { id: id as u8 });
    }
    let zstd = produced(|h| h.attributes = Attributes(0).with_compression(Compression::Zstd));
    assert!(validate_produced(zstd.clone(), &RULES).is_ok());
    let old = ProduceRules { zstd: false, ..RULES };
    assert_eq!(validate_produced(zstd, &old), Err(Rejection::ZstdTooOld));
}

#[test]
fn size_and_timestamps_are_bounded_with_ends_included() {
    let within = |max_batch_bytes, from, to| {
        let timestamps = Some((Timestamp(from), Timestamp(to)));
        let rules = ProduceRules { max_batch_bytes, timestamps, ..RULES };
        validate_produced(produced(|_| ()), &rules).map(|_| ())
    };
    assert_eq!(within(161, 1007, 1007), Ok(()));
    assert_eq!(within(160, 1007, 1007), Err(Rejection::TooLarge { bytes: 161, max_bytes: 160 }));
    assert!(matches!(within(161, 1008, 2000), Err(Rejection::Timestamp { .. })));
    assert!(matches!(within(161, 0, 1006), Err(Rejection::Timestamp { .. })));
    let none = produced(|h| h.max_timestamp = Timestamp::NONE);
    let timestamps = Some((Timestamp(500), Timestamp(600)));
    assert!(validate_produced(none, &ProduceRules { timestamps, ..RULES }).is_ok());
}

#[test]
fn patching_shares_the_payload_and_keeps_the_crc() {
    let mut patcher = Patcher::new();
    let bytes = produced(|_| ());
    for i in 0..1000 {
        let batch = validate_produced(bytes.clone(), &RULES).unwrap();
        let patched = patcher.patch(batch, Offset(i << 32), LeaderEpoch(9));
        let [_, body] = patched.pieces();
        assert_eq!(body.as_ptr(), bytes[16..].as_ptr());
        let stored = Batch::parse(patched.to_bytes()).unwrap().verify().unwrap();
        assert_eq!(stored.header().base_offset, Offset(i << 32));
        assert_eq!(stored.header().leader_epoch, LeaderEpoch(9));
        assert_eq!(*stored.header(), patched.header());
        assert_eq!(patched.size(), bytes.len());
    }
}

#[test]
fn heads_of_one_chunk_do_not_overwrite_each_other() {
    let mut patcher = Patcher::new();
    let mut patch = |i| {
        let batch = validate_produced(produced(|_| ()), &RULES).unwrap();
        patcher.patch(batch, Offset(i), LeaderEpoch(i as i32))
    };
    let patched: Vec<PatchedBatch> = (0..600).map(&mut patch).collect();
    for (i, batch) in patched.iter().enumerate() {
        assert_eq!(batch.header().base_offset, Offset(i as i64));
    }
}

#[test]
fn append_time_is_set_with_the_right_crc() {
    for payload in [0, 1, 100, 5000] {
        let mut header = header(payload);
        header.attributes = Attributes(0).with_compression(Compression::Gzip);
        let batch = Batch::parse(batch_of(&header, &vec![3; payload])).unwrap().verify().unwrap();
        let mut patcher = Patcher::new();
        let (offset, epoch, now) = (Offset(77), LeaderEpoch(2), Timestamp(1_700_000_000_000));
        let patched = patcher.patch_append_time(batch, offset, epoch, now);
        let stored = Batch::parse(patched.to_bytes()).unwrap().verify().unwrap();
        assert_eq!(stored.header().max_timestamp, now);
        assert_eq!(stored.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
        assert_eq!(stored.header().attributes.compression(), Some(Compression::Gzip));
        assert_eq!(stored.header().base_offset, offset);
        assert_eq!(patched.header(), *stored.header());
    }
}

#[test]
fn a_patched_batch_sums_like_its_bytes() {
    for payload in [0, 10, COMBINE_MIN_BYTES, 3 * COMBINE_MIN_BYTES] {
        let bytes = batch_of(&header(payload), &vec![5; payload]);
        let batch = Batch::parse(bytes).unwrap().verify().unwrap();
        let mut patcher = Patcher::new();
        let plain = patcher.patch(batch.clone(), Offset(1), LeaderEpoch(1));
        let timed = patcher.patch_append_time(batch, Offset(1), LeaderEpoch(1), Timestamp(5));
        for patched in [plain, timed] {
            let mut sum = Crc32c::new();
            sum.update(b"frame header");
            patched.sum_into(&mut sum);
            let whole = [b"frame header", &patched.to_bytes()[..]].concat();
            assert_eq!(sum.finish(), crc32c(&whole));
        }
    }
}
