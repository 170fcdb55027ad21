//! One record, as it lies in a decompressed block.
//!
//! ```text
//! length · attributes i8 · timestamp delta · offset delta
//!   · key length (-1: null) · key · value length (-1: null) · value
//!   · header count · (key length · key · value length (-1: null) · value)*
//! ```
//! All numbers but the attributes are varints. Deltas are to the batch's base timestamp and base
//! offset.

use bytes::{BufMut, Bytes};
use weir_ids::{Offset, Timestamp};

use super::varint;

/// A record of a batch: slices of the block that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: Offset,
    /// Its time: the producer's or, with LogAppendTime, the append's.
    pub timestamp: Timestamp,
    /// What routing and compaction go by.
    pub key: Option<Bytes>,
    /// The content; none is a tombstone where the topic is compacted.
    pub value: Option<Bytes>,
    /// Headers in the order in which they were set, equal keys included.
    pub headers: Headers,
}

/// The headers of a record: counted and checked when the record was read, walked on demand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    count: usize,
    bytes: Bytes,
}

impl Headers {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Key and value of each. Keys are text by convention only.
    pub fn iter(&self) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        let mut rest = &self.bytes[..];
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (key, value) = read_header(&mut rest).ok()?;
            Some((self.bytes.slice_ref(key), value.map(|value| self.bytes.slice_ref(value))))
        })
    }

    /// The headers as they lie in the record, without their count.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.bytes
    }
}

/// What is wrong within a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end too soon, or a number is longer than any number.
    #[error("{0} is cut or not a number")]
    Number(&'static str),
    /// A length is negative or beyond the end.
    #[error("{field} has length {length} but {available} bytes are left")]
    Length {
        /// Which length.
        field: &'static str,
        /// What it says.
        length: i64,
        /// The bytes behind it.
        available: usize,
    },
    /// Something follows the last header.
    #[error("{0} bytes follow the last header")]
    Trailing(usize),
    /// The offset is not behind the one before, or beyond the batch's last.
    #[error("offset delta {0} is out of order or beyond the batch's last")]
    OffsetDelta(i64),
}

/// A record's parts before they are given their place.
pub(super) struct Parts<'a> {
    pub timestamp_delta: i64,
    pub offset_delta: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub header_count: usize,
    pub headers: &'a [u8],
}

/// Cuts the next record off `block` and gives its body: what its length counts.
pub(super) fn read_frame<'a>(block: &mut &'a [u8]) -> Result<&'a [u8], Fault> {
    read_bytes(block, "record")
}

/// Reads only where and when a record is, off the front of its body.
pub(super) fn read_deltas(body: &mut &[u8]) -> Result<(i64, i64), Fault> {
    let (_attributes, rest) = body.split_first().ok_or(Fault::Number("attributes"))?;
    *body = rest;
    let timestamp_delta = varint::read_i64(body).ok_or(Fault::Number("timestamp delta"))?;
    let offset_delta = varint::read_i32(body).ok_or(Fault::Number("offset delta"))?;
    Ok((timestamp_delta, i64::from(offset_delta)))
}

/// Reads a whole record from its body.
pub(super) fn read(mut body: &[u8]) -> Result<Parts<'_>, Fault> {
    let body = &mut body;
    let (timestamp_delta, offset_delta) = read_deltas(body)?;
    let key = read_nullable(body, "key")?;
    let value = read_nullable(body, "value")?;
    let claimed = varint::read_i32(body).ok_or(Fault::Number("header count"))?;
    let available = body.len();
    // Each header takes two bytes or more, so a count that fits is also a bound on the work.
    let header_count = usize::try_from(claimed)
        .ok()
        .filter(|count| *count <= available / 2)
        .ok_or(Fault::Length { field: "header count", length: claimed.into(), available })?;
    let headers = *body;
    for _ in 0..header_count {
        read_header(body)?;
    }
    if !body.is_empty() {
        return Err(Fault::Trailing(body.len()));
    }
    Ok(Parts { timestamp_delta, offset_delta, key, value, header_count, headers })
}

impl Parts<'_> {
    /// The record with its place and time, as slices of `block`, which holds the parts.
    pub(super) fn place(self, block: &Bytes, offset: Offset, timestamp: Timestamp) -> Record {
        Record {
            offset,
            timestamp,
            key: self.key.map(|key| block.slice_ref(key)),
            value: self.value.map(|value| block.slice_ref(value)),
            // Most records have none: no reference to count then.
            headers: if self.header_count == 0 {
                Headers::default()
            } else {
                Headers { count: self.header_count, bytes: block.slice_ref(self.headers) }
            },
        }
    }
}

fn read_header<'a>(bytes: &mut &'a [u8]) -> Result<(&'a [u8], Option<&'a [u8]>), Fault> {
    Ok((read_bytes(bytes, "header key")?, read_nullable(bytes, "header value")?))
}

fn read_bytes<'a>(bytes: &mut &'a [u8], field: &'static str) -> Result<&'a [u8], Fault> {
    let length = varint::read_i32(bytes).ok_or(Fault::Number(field))?;
    let (taken, rest) = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.split_at_checked(length))
        .ok_or(Fault::Length { field, length: length.into(), available: bytes.len() })?;
    *bytes = rest;
    Ok(taken)
}

fn read_nullable<'a>(bytes: &mut &'a [u8], field: &'static str) -> Result<Option<&'a [u8]>, Fault> {
    let mut ahead = *bytes;
    if varint::read_i32(&mut ahead) == Some(-1) {
        *bytes = ahead;
        return Ok(None);
    }
    read_bytes(bytes, field).map(Some)
}

/// Writes a record, its length first. The caller has made sure that no length exceeds an `i32`.
pub(super) fn write(parts: &Parts<'_>, out: &mut impl BufMut) {
    varint::write(body_size(parts) as i64, out);
    out.put_i8(0);
    varint::write(parts.timestamp_delta, out);
    varint::write(parts.offset_delta, out);
    write_nullable(parts.key, out);
    write_nullable(parts.value, out);
    varint::write(parts.header_count as i64, out);
    out.put_slice(parts.headers);
}

/// Writes a header, for [`Parts::headers`].
pub(super) fn write_header(key: &[u8], value: Option<&[u8]>, out: &mut impl BufMut) {
    write_nullable(Some(key), out);
    write_nullable(value, out);
}

fn write_nullable(field: Option<&[u8]>, out: &mut impl BufMut) {
    match field {
        None => varint::write(-1, out),
        Some(field) => {
            varint::write(field.len() as i64, out);
            out.put_slice(field);
        }
    }
}

/// The bytes that a record takes behind its length.
pub(super) fn body_size(parts: &Parts<'_>) -> usize {
    let nullable = |field: Option<&[u8]>| {
        field.map_or(1, |field| varint::size(field.len() as i64) + field.len())
    };
    1 + varint::size(parts.timestamp_delta)
        + varint::size(parts.offset_delta)
        + nullable(parts.key)
        + nullable(parts.value)
        + varint::size(parts.header_count as i64)
        + parts.headers.len()
}
