//! Where a run of offsets of one partition is stored.

use bytes::{Bytes, BytesMut};
use weir_ids::{LeaderEpoch, Offset, SessionId, Slot, Timestamp};

use crate::{
    ObjectName,
    wire::{Cursor, Malformed, put_signed, put_varint},
};

/// A piece of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ByteRange {
    /// Its first byte, counted from the start of the object.
    pub at: u64,
    /// How many bytes.
    pub len: u32,
}

impl ByteRange {
    /// The position behind the last byte.
    pub fn end(&self) -> u64 {
        self.at.saturating_add(u64::from(self.len))
    }
}

/// One chunk of one partition in one object: offsets `base..=last`, its batches at `data` and the
/// index of those batches at `index`. Reading a range thus takes two requests from cold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reference {
    /// The object that holds it.
    pub object: ObjectName,
    /// First offset.
    pub base: Offset,
    /// Last offset.
    pub last: Offset,
    /// The leader epoch that wrote it.
    pub epoch: LeaderEpoch,
    /// The largest timestamp in it.
    pub max_timestamp: Timestamp,
    /// The record batches.
    pub data: ByteRange,
    /// The index entry of each batch.
    pub index: ByteRange,
}

impl Reference {
    /// How many bytes of its object there are for it: batches, their index, and what the directory says of them at most.
    pub fn takes_bytes(&self) -> u64 {
        u64::from(self.data.len) + u64::from(self.index.len) + DIRECTORY_BYTES
    }

    /// References as they are handed to another process: in the format that checkpoints have.
    pub fn encode(references: &[Self]) -> Bytes {
        let mut to = BytesMut::with_capacity(8 + references.len() * 2 * LEAST_BYTES);
        put(&mut to, references);
        to.freeze()
    }

    /// What [`Reference::encode`] made.
    ///
    /// # Errors
    /// When the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        let mut from = Cursor::new(bytes);
        let references = get(&mut from)?;
        from.finish("bytes behind the references")?;
        Ok(references)
    }
}

/// What a directory says of a chunk, at most.
const DIRECTORY_BYTES: u64 = 64;

const WAL_SLOT: u64 = 1;
const WAL_FILE: u64 = 2;
const SORTED: u64 = 3;
const CHECKPOINT: u64 = 4;
const PAGES: u64 = 5;

/// The fewest bytes that [`put`] writes.
pub(crate) const LEAST_BYTES: usize = 11;

/// Appends references, each relative to the one before: most follow it in the same object.
pub(crate) fn put(to: &mut BytesMut, references: &[Reference]) {
    put_varint(to, references.len() as u64);
    let mut end = Offset::ZERO;
    for reference in references {
        put_object(to, reference.object);
        put_signed(to, reference.base.0.wrapping_sub(end.0));
        put_varint(to, reference.last.0.wrapping_sub(reference.base.0) as u64);
        put_signed(to, i64::from(reference.epoch.0));
        put_signed(to, reference.max_timestamp.0);
        put_range(to, reference.data);
        put_range(to, reference.index);
        end = reference.last;
    }
}

pub(crate) fn put_object(to: &mut BytesMut, object: ObjectName) {
    let (kind, number) = match object {
        ObjectName::WalSlot { slot, .. } => (WAL_SLOT, slot.0),
        ObjectName::WalFile { file, .. } => (WAL_FILE, u64::from(file)),
        ObjectName::Sorted { number, .. } => (SORTED, number),
        ObjectName::Checkpoint { number, .. } => (CHECKPOINT, number),
        ObjectName::Pages { number, .. } => (PAGES, number),
    };
    put_varint(to, kind);
    put_varint(to, object.session().0);
    put_varint(to, number);
}

pub(crate) fn put_range(to: &mut BytesMut, range: ByteRange) {
    put_varint(to, range.at);
    put_varint(to, u64::from(range.len));
}

/// Reads what [`put`] wrote.
pub(crate) fn get(from: &mut Cursor<'_>) -> Result<Vec<Reference>, Malformed> {
    let count = from.count(LEAST_BYTES, "count of references")?;
    let mut references = Vec::with_capacity(count);
    let mut end = Offset::ZERO;
    for _ in 0..count {
        let object = get_object(from)?;
        let base = Offset(end.0.wrapping_add(from.signed("base offset")?));
        let span: i64 = from.narrow("span of offsets")?;
        let last = base.0.checked_add(span).filter(|_| base.0 >= 0);
        let last = Offset(last.ok_or_else(|| from.malformed("offsets out of range"))?);
        let epoch = LeaderEpoch(from.narrow_signed("leader epoch")?);
        let max_timestamp = Timestamp(from.signed("timestamp")?);
        let data = get_range(from)?;
        let index = get_range(from)?;
        references.push(Reference { object, base, last, epoch, max_timestamp, data, index });
        end = last;
    }
    Ok(references)
}

pub(crate) fn get_object(from: &mut Cursor<'_>) -> Result<ObjectName, Malformed> {
    let kind = from.varint("kind of object")?;
    let session = SessionId(from.varint("session")?);
    Ok(match kind {
        WAL_SLOT => ObjectName::WalSlot { session, slot: Slot(from.varint("slot")?) },
        WAL_FILE => ObjectName::WalFile { session, file: from.narrow("file number")? },
        SORTED => ObjectName::Sorted { session, number: from.varint("object number")? },
        CHECKPOINT => ObjectName::Checkpoint { session, number: from.varint("number")? },
        PAGES => ObjectName::Pages { session, number: from.varint("object number")? },
        _ => return Err(from.malformed("unknown kind of object")),
    })
}

pub(crate) fn get_range(from: &mut Cursor<'_>) -> Result<ByteRange, Malformed> {
    let range = ByteRange { at: from.varint("range start")?, len: from.narrow("range length")? };
    if range.at.checked_add(u64::from(range.len)).is_none() {
        return Err(from.malformed("range runs over the end of the numbers"));
    }
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_references_read_back() {
        let range = ByteRange { at: 1, len: 1 };
        let object = ObjectName::WalSlot { session: SessionId(1), slot: Slot(1) };
        let (base, epoch, max_timestamp) = (Offset::ZERO, LeaderEpoch(0), Timestamp::NONE);
        let first =
            Reference { object, base, last: base, epoch, max_timestamp, data: range, index: range };
        let after = |place| Reference { base: Offset(place), last: Offset(place), ..first };
        let references: Vec<_> = (0..9).map(after).collect();
        let bytes = Reference::encode(&references);
        assert_eq!(bytes.len(), 1 + references.len() * LEAST_BYTES);
        assert_eq!(Reference::decode(&bytes), Ok(references));
    }
}
