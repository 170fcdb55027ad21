//! What must hold for any records and any bytes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use bytes::Bytes;
use proptest::prelude::*;
use weir_ids::{LeaderEpoch, Offset, Timestamp};
use weir_protocol::records::batch::HEADER_BYTES;
use weir_protocol::records::crc::combine;
use weir_protocol::records::{
    Batch, BatchBuilder, BatchHeader, Compression, Crc32c, Patcher, Record, RecordRules,
    TimestampType, VerifiedBatch, compression, crc32c, iter, split,
};

const MAX_BYTES: usize = 1 << 20;

/// What a record is made of; headers with text keys, as the builder takes them.
#[derive(Clone, Debug)]
struct Content {
    timestamp: Timestamp,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn content() -> impl Strategy<Value = Content> {
    let field = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300));
    let headers = proptest::collection::vec((".{0,5}", field()), 0..4);
    (any::<i32>(), field(), field(), headers).prop_map(|(ms, key, value, headers)| Content {
        timestamp: Timestamp(1_700_000_000_000 + i64::from(ms)),
        key,
        value,
        headers,
    })
}

fn codec() -> impl Strategy<Value = Compression> {
    proptest::sample::select(&Compression::ALL[..])
}

fn build(contents: &[Content], codec: Compression) -> VerifiedBatch {
    let mut builder = BatchBuilder::new().compression(codec).base_offset(Offset(1 << 40));
    for content in contents {
        let headers: Vec<_> =
            content.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        let (key, value) = (content.key.as_deref(), content.value.as_deref());
        builder.push(content.timestamp, key, value, &headers).unwrap();
    }
    builder.build().unwrap()
}

fn records(batch: &Batch) -> Vec<Record> {
    batch.records(MAX_BYTES).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Whatever can be asked of bytes, asked.
fn ask_everything(bytes: Bytes) {
    for batch in split(bytes).filter_map(Result::ok) {
        let _ = batch.find_timestamp(Timestamp(5), Offset(3), MAX_BYTES);
        let _ = batch.find_max_timestamp(MAX_BYTES);
        let rules = RecordRules { keys: true, timestamps: Some((Timestamp(0), Timestamp(9))) };
        let _ = batch.inspect(&rules, MAX_BYTES);
        if let Ok(records) = batch.records(MAX_BYTES) {
            for record in records.filter_map(Result::ok) {
                assert_eq!(record.headers.iter().count(), record.headers.len());
            }
        }
    }
}

/// `bytes` with the CRC in the header of the one batch that they are set right.
fn with_crc(mut bytes: Vec<u8>) -> Bytes {
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

proptest! {
    #[test]
    fn what_is_built_is_read_back(
        contents in proptest::collection::vec(content(), 1..20), codec in codec(),
    ) {
        let built = build(&contents, codec);
        let batch = Batch::parse(built.bytes().clone()).unwrap().verify().unwrap();
        prop_assert_eq!(&batch, &built);
        prop_assert_eq!(batch.header().record_count as usize, contents.len());
        prop_assert_eq!(batch.header().last_offset_delta as usize, contents.len() - 1);
        let latest = contents.iter().map(|content| content.timestamp).max();
        prop_assert_eq!(Some(batch.header().max_timestamp), latest);
        let found = batch.find_max_timestamp(MAX_BYTES).unwrap().unwrap();
        prop_assert_eq!(Some(found.timestamp), latest);
        for (i, (record, content)) in records(&batch).iter().zip(&contents).enumerate() {
            prop_assert_eq!(record.offset, Offset((1 << 40) + i as i64));
            prop_assert_eq!(record.timestamp, content.timestamp);
            prop_assert_eq!(record.key.as_deref(), content.key.as_deref());
            prop_assert_eq!(record.value.as_deref(), content.value.as_deref());
            let headers: Vec<_> = record.headers.iter().collect();
            prop_assert_eq!(headers.len(), content.headers.len());
            for ((key, value), (wanted_key, wanted)) in headers.iter().zip(&content.headers) {
                prop_assert_eq!(key, wanted_key);
                prop_assert_eq!(value.as_deref(), wanted.as_deref());
            }
        }
    }

    #[test]
    fn a_time_is_found_where_a_plain_scan_finds_it(
        contents in proptest::collection::vec(content(), 1..20), codec in codec(),
        pick: proptest::sample::Index, nudge in -1..2_i64, skip in 0..20_i64,
    ) {
        let batch = build(&contents, codec);
        let target = Timestamp(contents[pick.index(contents.len())].timestamp.0 + nudge);
        let from = batch.header().base_offset.plus(skip);
        let found = batch.find_timestamp(target, from, MAX_BYTES).unwrap();
        let scanned =
            records(&batch).into_iter().find(|r| r.timestamp >= target && r.offset >= from);
        prop_assert_eq!(found.map(|f| f.offset), scanned.map(|r| r.offset));
    }

    #[test]
    fn patching_changes_what_it_says_and_nothing_else(
        contents in proptest::collection::vec(content(), 1..20), codec in codec(),
        offset in 0..i64::MAX / 2, epoch in 0..i32::MAX, now in 0..i64::MAX,
    ) {
        let original = build(&contents, codec);
        let mut patcher = Patcher::new();
        let (offset, epoch, now) = (Offset(offset), LeaderEpoch(epoch), Timestamp(now));
        let patched = patcher.patch(original.clone(), offset, epoch).to_bytes();
        let expected = BatchHeader { base_offset: offset, leader_epoch: epoch, ..*original.header() };
        prop_assert_eq!(*Batch::parse(patched.clone()).unwrap().header(), expected);
        prop_assert_eq!(&patched[HEADER_BYTES..], &original.bytes()[HEADER_BYTES..]);

        let timed = patcher.patch_append_time(original.clone(), offset, epoch, now);
        let mut sum = Crc32c::new();
        timed.sum_into(&mut sum);
        prop_assert_eq!(sum.finish(), crc32c(&timed.to_bytes()));
        let timed = Batch::parse(timed.to_bytes()).unwrap().verify().unwrap();
        prop_assert_eq!(timed.header().attributes.timestamp_type(), TimestampType::LogAppendTime);
        for (record, before) in records(&timed).iter().zip(records(&original)) {
            prop_assert_eq!(record.timestamp, now);
            prop_assert_eq!(&record.value, &before.value);
        }
    }

    #[test]
    fn crcs_combine(
        a in proptest::collection::vec(any::<u8>(), 0..3000),
        b in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        let whole = crc32c(&[&a[..], &b[..]].concat());
        prop_assert_eq!(combine(crc32c(&a), crc32c(&b), b.len() as u64), whole);
    }

    #[test]
    fn any_block_survives_its_codec(
        block in proptest::collection::vec(any::<u8>(), 0..5000), repeat in 1..40_usize,
        codec in codec(),
    ) {
        let block = block.repeat(repeat);
        let compressed = Bytes::from(compression::compress(codec, block.clone()).unwrap());
        let exact = compression::decompress(codec, &compressed, block.len()).unwrap();
        prop_assert_eq!(&exact[..], &block[..]);
        if codec != Compression::None && !block.is_empty() {
            let short = compression::decompress(codec, &compressed, block.len() - 1);
            let refused = matches!(short, Err(compression::Error::TooLarge { .. }));
            prop_assert!(refused);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        ask_everything(bytes.into());
    }

    #[test]
    fn random_payloads_never_panic(
        payload in proptest::collection::vec(any::<u8>(), 0..300),
        attributes in 0..64_i16, count: i32, last_offset_delta: i32,
    ) {
        let mut bytes = build(&[], Compression::None).bytes().to_vec();
        bytes.extend_from_slice(&payload);
        bytes[8..12].copy_from_slice(&(49 + payload.len() as i32).to_be_bytes());
        bytes[21..23].copy_from_slice(&attributes.to_be_bytes());
        bytes[23..27].copy_from_slice(&last_offset_delta.to_be_bytes());
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        ask_everything(with_crc(bytes));
    }

    #[test]
    fn damaged_batches_never_panic(
        contents in proptest::collection::vec(content(), 1..10), codec in codec(),
        hits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let mut bytes = build(&contents, codec).bytes().to_vec();
        for (place, byte) in hits {
            let at = 21 + place.index(bytes.len() - 21);
            bytes[at] = byte;
        }
        ask_everything(with_crc(bytes));
    }

    #[test]
    fn a_cut_block_is_an_error_and_no_record_is_made_up(
        contents in proptest::collection::vec(content(), 1..10), codec in codec(),
        cut: proptest::sample::Index,
    ) {
        let whole = build(&contents, codec);
        let payload = whole.payload();
        let kept = cut.index(payload.len());
        let mut bytes = whole.bytes()[..HEADER_BYTES + kept].to_vec();
        bytes[8..12].copy_from_slice(&(49 + kept as i32).to_be_bytes());
        let batch = Batch::parse(with_crc(bytes)).unwrap();
        let read: Result<Vec<Record>, iter::Error> =
            batch.records(MAX_BYTES).and_then(Iterator::collect);
        // A codec may have ended with all records out and only its trailer missing.
        match read {
            Ok(read) => prop_assert_eq!(read, records(&whole)),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
