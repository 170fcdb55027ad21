use proptest::prelude::*;
use weir_ids::{LeaderEpoch, SessionId};

use super::*;
use crate::{
    object::Kind,
    testing::{CLUSTER, golden, partition},
};

const NAME: ObjectName = ObjectName::Pages { session: SessionId(3), number: 7 };

fn reference(base: i64, last: i64) -> Reference {
    Reference {
        object: ObjectName::Sorted { session: SessionId(3), number: base as u64 },
        base: Offset(base),
        last: Offset(last),
        epoch: LeaderEpoch(1),
        max_timestamp: Timestamp(last.saturating_mul(10)),
        data: ByteRange { at: 64, len: 1_000 },
        index: ByteRange { at: 1_064, len: 40 },
    }
}

/// A page of `count` references of ten offsets each, from `base` on.
fn leaf(base: i64, count: i64) -> Page {
    let references = (0..count).map(|n| reference(base + n * 10, base + n * 10 + 9)).collect();
    Page { partition: partition(4), entries: Entries::References(references) }
}

fn builder() -> Builder {
    let (session, number) = (SessionId(3), 7);
    let header = Header { cluster: CLUSTER, session, number, put_id: 9, kind: Kind::Pages };
    Builder::new(NAME, &header)
}

fn bytes(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    parts.iter().for_each(|part| part.pieces(|piece| bytes.extend_from_slice(piece)));
    bytes
}

fn at<'a>(object: &'a [u8], page: &PageRef) -> &'a [u8] {
    &object[page.place.at as usize..][..page.place.len as usize]
}

/// Two pages of references and one above them.
fn sample() -> (Vec<u8>, [(PageRef, Page); 3]) {
    let mut builder = builder();
    let (first, second) = (leaf(5, 3), leaf(35, 2));
    let below = [builder.add(&first), builder.add(&second)];
    let above = Page { partition: partition(4), entries: Entries::Pages(below.to_vec()) };
    let top = builder.add(&above);
    (bytes(&builder.finish()), [(below[0], first), (below[1], second), (top, above)])
}

#[test]
fn a_page_reads_back_and_its_reference_says_what_it_lists() {
    let (object, pages) = sample();
    for (reference, page) in &pages {
        assert_eq!(decode(at(&object, reference)).as_ref(), Ok(page));
        assert!(reference.fits(page));
    }
    let [(first, page), _, (top, _)] = &pages;
    assert_eq!((top.level, top.base, top.last), (1, Offset(5), Offset(54)));
    assert_eq!((top.bytes, top.max_timestamp), (5_000, Timestamp(540)));
    assert!(!PageRef { last: Offset(33), ..*first }.fits(page), "another page");
    assert!(!top.fits(page));
}

#[test]
fn the_format_stays_readable() {
    golden("pages-v1.bin", &sample().0);
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let (object, pages) = sample();
    for (reference, _) in &pages {
        let page = at(&object, reference);
        for at in 0..page.len() {
            let mut rotten = page.to_vec();
            rotten[at] ^= 2;
            assert!(decode(&rotten).is_err(), "byte {at}");
            assert!(decode(&page[..at]).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn entries_with_a_hole_are_no_page() {
    let Entries::References(mut holed) = leaf(0, 3).entries else { unreachable!() };
    holed.remove(1);
    assert!(Entries::References(holed).sum().is_none());
    assert!(Entries::References(Vec::new()).sum().is_none());
    let last = reference(i64::MAX, i64::MAX);
    let last = Reference { max_timestamp: Timestamp::NONE, ..last };
    assert!(Entries::References(vec![last, last]).sum().is_none(), "the same twice");
    let (_, [(first, _), (second, _), (top, _)]) = sample();
    assert!(Entries::Pages(vec![second, first]).sum().is_none());
    assert!(Entries::Pages(vec![first, PageRef { base: Offset(35), ..top }]).sum().is_none());
}

#[test]
fn a_page_of_many_references_is_small() {
    let mut builder = builder();
    let page = builder.add(&leaf(0, PAGE_ENTRIES as i64));
    assert!(page.place.len < 32 << 10, "{} bytes", page.place.len);
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(level in 0u8..3, tail in prop::collection::vec(any::<u8>(), 0..300)) {
        let (object, pages) = sample();
        let mut content = at(&object, &pages[0].0)[4..28].to_vec();
        content.push(level);
        content.extend(tail);
        let crc = weir_protocol::records::crc32c(&content);
        content.extend(crc.to_le_bytes());
        let bytes = [&(content.len() as u32).to_le_bytes()[..], &content].concat();
        if let Ok(page) = decode(&bytes) {
            let level = page.entries.sum().map_or(0, |sum| sum.level);
            prop_assert_eq!(decode(&codec::encode(&page, level)), Ok(page));
        }
    }
}
