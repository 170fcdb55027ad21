//! The corners of the codec, shown on a message that has them all.

use bytes::{Buf, Bytes};
use bytestring::ByteString;
use weir_protocol::Message as _;
use weir_protocol::codec::{
    COPY_BELOW_BYTES, DecodeError, DecodeFault, Decoder, EncodeError, EncodeFault, Encoder, Parts,
    Records, Struct as _, Versions,
};
use weir_protocol_derive::{Message, Struct};

#[derive(Message, Clone, Debug, PartialEq)]
#[kafka(data, versions = "0-5", flexible = "2+")]
struct Odd {
    always: i32,
    #[kafka(versions = "1+", default = -1)]
    since_1: i32,
    #[kafka(versions = "1+", ignorable)]
    forgettable: ByteString,
    #[kafka(nullable = "1+")]
    name: Option<ByteString>,
    #[kafka(versions = "3+", nullable = "3+", default = null)]
    cursor: Option<Cursor>,
    /// Inline in 2 and 3, tagged from 4.
    #[kafka(versions = "2+", tag = 1, tagged = "4+", default = 7)]
    moved: i16,
    #[kafka(versions = "2+", tag = 0)]
    blob: Bytes,
}

#[derive(Struct, Clone, Debug, PartialEq)]
struct Cursor {
    topic: ByteString,
    #[kafka(default = true)]
    forward: bool,
}

fn encode(value: &Odd, version: i16) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::new();
    value.encode(&mut e, version)?;
    Ok(e.finish().into_bytes())
}

fn decode(bytes: impl Into<Bytes>, version: i16) -> Result<Odd, DecodeError> {
    Odd::decode(&mut Decoder::new(bytes.into()), version)
}

fn fault(bytes: &[u8], version: i16) -> DecodeFault {
    decode(Bytes::copy_from_slice(bytes), version).unwrap_err().fault
}

#[test]
fn absent_fields_have_their_defaults() {
    let decoded = decode(vec![0, 0, 0, 9, 0, 1, b'x'], 0).unwrap();
    let expected = Odd { always: 9, name: Some("x".into()), ..Default::default() };
    assert_eq!(decoded, expected);
    assert_eq!((expected.since_1, expected.moved, expected.cursor), (-1, 7, None));
    assert!(Cursor::default().forward);
}

#[test]
fn a_value_without_a_place_is_an_error_unless_it_may_be_forgotten() {
    let lost = Odd { since_1: 5, ..Default::default() };
    assert_eq!(
        encode(&lost, 0).unwrap_err().to_string(),
        "cannot encode Odd (Odd.Since1) in version 0: \
         the version does not have the field, and its value is not the default"
    );
    let forgotten = Odd { forgettable: "x".into(), ..Default::default() };
    assert_eq!(encode(&forgotten, 0).unwrap(), encode(&Odd::default(), 0).unwrap());
    // A tagged field too.
    let lost = Odd { blob: Bytes::from_static(b"x"), ..Default::default() };
    let error = encode(&lost, 1).unwrap_err();
    assert_eq!((error.field(), error.fault), (Some(("Odd", "Blob")), EncodeFault::Absent));
}

#[test]
fn null_is_refused_where_the_version_has_none() {
    let null = Odd { name: None, ..Default::default() };
    assert_eq!(encode(&null, 0).unwrap_err().fault, EncodeFault::Null);
    assert_eq!(decode(encode(&null, 1).unwrap(), 1).unwrap(), null);
    assert_eq!(fault(&[0, 0, 0, 0, 0xff, 0xff], 0), DecodeFault::Null);
}

#[test]
fn a_version_that_is_not_there_is_refused() {
    let supported = Versions::new(0, 5);
    assert_eq!(encode(&Odd::default(), 6).unwrap_err().fault, EncodeFault::Version(supported));
    assert_eq!(fault(&[], 6), DecodeFault::Version { version: 6, supported });
}

#[test]
fn a_nullable_struct_has_a_byte_in_front() {
    let some = Odd { cursor: Some(Cursor::default()), ..Default::default() };
    let none = Odd::default();
    //                         always      since_1     forg. name cursor      moved tags
    assert_eq!(
        encode(&some, 3).unwrap(),
        [&[0, 0, 0, 0, 255, 255, 255, 255, 1, 1][..], &[1, 1, 1, 0], &[0, 7], &[0]].concat()
    );
    assert_eq!(
        encode(&none, 3).unwrap(),
        [&[0, 0, 0, 0, 255, 255, 255, 255, 1, 1][..], &[255], &[0, 7], &[0]].concat()
    );
    for value in [some, none] {
        assert_eq!(decode(encode(&value, 3).unwrap(), 3).unwrap(), value);
    }
}

#[test]
fn tags_rise_and_defaults_are_left_out() {
    let head = [0, 0, 0, 0, 255, 255, 255, 255, 1, 1, 255];
    let tags = |value: &Odd| encode(value, 4).unwrap().slice(head.len()..);
    assert_eq!(tags(&Odd::default()), [0][..]);
    let value = Odd { moved: 8, blob: Bytes::from_static(b"b"), ..Default::default() };
    assert_eq!(tags(&value), [2, 0, 2, 2, b'b', 1, 2, 0, 8][..]);
    assert_eq!(decode(encode(&value, 4).unwrap(), 4).unwrap(), value);
}

#[test]
fn a_large_slice_inside_of_a_tag_stays_whole() {
    let blob = Bytes::from(vec![7; COPY_BELOW_BYTES]);
    let value = Odd { moved: 8, blob: blob.clone(), ..Default::default() };
    let mut e = Encoder::new();
    value.encode(&mut e, 4).unwrap();
    let parts = e.finish();
    assert!(parts.iter().any(|part| part.as_ptr() == blob.as_ptr()), "copied");
    assert_eq!(decode(parts.into_bytes(), 4).unwrap(), value);
}

#[test]
fn a_tagged_field_must_fill_its_size() {
    let with_tag = |tag: &[u8]| [&[0, 0, 0, 0, 255, 255, 255, 255, 1, 1, 255, 1], tag].concat();
    // Two bytes too many, then one too few: what follows the field is never read as part of it.
    assert_eq!(fault(&with_tag(&[1, 4, 0, 8, 0, 0]), 4), DecodeFault::TagSize { left: 2 });
    let short = DecodeFault::Truncated { needs: 2, left: 1 };
    assert_eq!(fault(&with_tag(&[1, 1, 0, 8]), 4), short);
    // A tag of a version to come may be empty.
    assert!(decode(with_tag(&[9, 0]), 4).is_ok());
}

#[test]
fn a_count_of_tags_is_not_believed_beyond_the_frame() {
    let frame = [0, 0, 0, 0, 255, 255, 255, 255, 1, 1, 255, 100, 9, 0, 9, 0];
    assert_eq!(fault(&frame, 4), DecodeFault::Truncated { needs: 200, left: 4 });
}

#[test]
fn lengths_below_null_and_numbers_without_end_are_refused() {
    assert_eq!(fault(&[0, 0, 0, 0, 0xff, 0xfe], 0), DecodeFault::NegativeLength(-2));
    let name = |varint: &[u8]| [&[0, 0, 0, 0, 255, 255, 255, 255, 1], varint].concat();
    assert_eq!(fault(&name(&[0x80; 5]), 2), DecodeFault::LongVarint);
    assert_eq!(fault(&name(&[0xff, 0xff, 0xff, 0xff, 0x1f]), 2), DecodeFault::LongVarint);
    assert_eq!(fault(&name(&[0x81, 0x80, 0x02]), 2), DecodeFault::LongString(0x8000));
    assert_eq!(fault(&name(&[2, 0xff]), 2), DecodeFault::NotUtf8);
}

#[test]
fn strings_end_where_16_bits_do() {
    let longest = |len: usize| Odd { name: Some("x".repeat(len).into()), ..Default::default() };
    for version in 0..=2 {
        let value = longest(i16::MAX as usize);
        assert_eq!(decode(encode(&value, version).unwrap(), version).unwrap(), value);
        let fault = encode(&longest(i16::MAX as usize + 1), version).unwrap_err().fault;
        assert_eq!(fault, EncodeFault::TooLong { len: 32768, max: 32767 });
    }
}

#[test]
fn the_schema_says_what_the_attributes_say() {
    let fields = Odd::SCHEMA.fields;
    let names: Vec<_> = fields.iter().map(|field| field.name).collect();
    assert_eq!(names, ["Always", "Since1", "Forgettable", "Name", "Cursor", "Moved", "Blob"]);
    assert_eq!(fields[5].tag, Some((1, Versions::new(4, i16::MAX))));
    assert!(!fields[5].is_tagged(3) && fields[5].is_tagged(4));
}

#[test]
fn a_version_in_front_is_read_and_written() {
    let value = Odd { since_1: 3, ..Default::default() };
    let bytes = value.encode_versioned(1).unwrap();
    assert_eq!(bytes[..2], [0, 1]);
    assert_eq!(Odd::decode_versioned(bytes).unwrap(), value);

    // Version 9 begins like version 5, the highest that is known.
    let newer = [&[0, 9][..], &encode(&value, 5).unwrap(), &[1, 2, 3]].concat();
    assert!(Odd::decode_versioned(newer.clone().into()).is_err());
    assert_eq!(Odd::decode_versioned_or_newer(newer.into()).unwrap(), value);
}

#[test]
fn parts_are_eaten_across_their_borders() {
    let mut parts = Parts::default();
    for part in ["ab", "", "cde", "f"] {
        parts.push(Bytes::from_static(part.as_bytes()));
    }
    assert_eq!((parts.len(), parts.iter().len()), (6, 3));
    assert_eq!(parts.clone().into_bytes(), "abcdef");

    let mut slices = [std::io::IoSlice::new(&[]); 2];
    assert_eq!(parts.chunks_vectored(&mut slices), 2);
    assert_eq!((&*slices[0], &*slices[1]), (&b"ab"[..], &b"cde"[..]));

    parts.advance(3);
    assert_eq!((parts.remaining(), parts.chunk()), (3, &b"de"[..]));
    parts.advance(2);
    assert_eq!((parts.remaining(), parts.chunk()), (1, &b"f"[..]));
    parts.advance(1);
    assert!(!parts.has_remaining() && parts.is_empty());
}

#[test]
fn records_are_equal_however_they_are_cut() {
    let cut: Records =
        ["", "ab", "c"].map(|part| Bytes::from_static(part.as_bytes())).into_iter().collect();
    let whole = Records::from(Bytes::from_static(b"abc"));
    assert_eq!(cut, whole);
    assert_eq!((cut.len(), cut.slices().count(), whole.slices().count()), (3, 2, 1));
    assert_ne!(whole, Records::from(Bytes::from_static(b"abd")));
    assert_eq!(cut.into_bytes(), "abc");
    assert!(Records::new().is_empty());
}
