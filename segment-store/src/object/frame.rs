//! Header and footer of a body.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;
use weir_ids::SessionId;
use weir_protocol::records::crc32c;

use super::{Error, checked};
use crate::wire::{Cursor, Malformed};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 64;
/// Bytes of the footer.
pub const FOOTER_BYTES: usize = HEADER_BYTES + 36;
/// How a body begins.
pub const HEADER_MAGIC: [u8; 8] = *b"WEIROBJ1";
const FOOTER_MAGIC: [u8; 4] = *b"WEIR";
const VERSION: u32 = 1;

/// What a body is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A slot of a write-ahead log.
    Slot,
    /// Small pieces of many partitions.
    Sorted,
    /// Slot 0 of a log in an object store: the session has been opened. Holds nothing.
    OpenMarker,
    /// What stands where a slot of an ended session would be. Holds nothing.
    Fence,
    /// Pages of references ([`crate::pages`]), which have a format of their own behind the header.
    Pages,
}

/// Who wrote a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The cluster.
    pub cluster: Uuid,
    /// The broker session.
    pub session: SessionId,
    /// The slot, or the object's number within the session.
    pub number: u64,
    /// Random, new for each body: tells a writer that what it finds is its own.
    pub put_id: u64,
    /// What it is for.
    pub kind: Kind,
}

impl Header {
    /// The header's bytes.
    pub fn encode(&self) -> Bytes {
        let mut to = BytesMut::with_capacity(HEADER_BYTES);
        to.put_slice(&HEADER_MAGIC);
        to.put_slice(self.cluster.as_bytes());
        to.put_u64_le(self.session.0);
        to.put_u64_le(self.number);
        to.put_u64_le(self.put_id);
        to.put_u8(match self.kind {
            Kind::Slot => 1,
            Kind::Sorted => 2,
            Kind::OpenMarker => 3,
            Kind::Fence => 4,
            Kind::Pages => 5,
        });
        to.put_bytes(0, 11);
        let crc = crc32c(&to);
        to.put_u32_le(crc);
        to.freeze()
    }

    /// Reads a header from the first [`HEADER_BYTES`] of `bytes`.
    ///
    /// # Errors
    /// When the bytes are too few, of another format, or rotten.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.get(..HEADER_BYTES).ok_or(Error::NotAnObject("no whole header"))?;
        if bytes[..8] != HEADER_MAGIC {
            return Err(Error::NotAnObject("it does not begin with WEIROBJ1"));
        }
        let mut from = Cursor::new(&checked(bytes, "header")?[8..]);
        Self::fields(&mut from).map_err(|error| Error::Malformed { part: "header", error })
    }

    fn fields(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            cluster: Uuid::from_bytes(from.array("cluster")?),
            session: SessionId(from.u64("session")?),
            number: from.u64("number")?,
            put_id: from.u64("put id")?,
            kind: match from.u8("kind")? {
                1 => Kind::Slot,
                2 => Kind::Sorted,
                3 => Kind::OpenMarker,
                4 => Kind::Fence,
                5 => Kind::Pages,
                _ => return Err(from.malformed("unknown kind of object")),
            },
        })
    }
}

/// Where a body's directory is, and once more whose body it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Footer {
    pub(super) header: Header,
    pub(super) directory_at: u64,
    pub(super) directory_len: u32,
    /// CRC32C of the header and all chunks.
    pub(super) data_crc: u32,
    pub(super) body_len: u64,
}

impl Footer {
    /// Where byte `at` of the body lies in the last bytes of it, if it does.
    pub(super) fn place_in(&self, end: &[u8], at: u64) -> Option<usize> {
        let start = self.body_len.checked_sub(end.len() as u64)?;
        usize::try_from(at.checked_sub(start)?).ok()
    }

    pub(super) fn put(&self, to: &mut BytesMut) {
        let start = to.len();
        to.put_slice(&self.header.encode());
        to.put_u64_le(self.directory_at);
        to.put_u32_le(self.directory_len);
        to.put_u32_le(self.data_crc);
        to.put_u64_le(self.body_len);
        to.put_u32_le(VERSION);
        to.put_slice(&FOOTER_MAGIC);
        let crc = crc32c(&to[start..]);
        to.put_u32_le(crc);
    }

    /// Reads the footer from the end of `bytes`, which may be just the end of a body.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let start = bytes.len().checked_sub(FOOTER_BYTES);
        let bytes = &bytes[start.ok_or(Error::NotAnObject("no whole footer"))?..];
        let (header, places) = bytes.split_at(HEADER_BYTES);
        if places[28..32] != FOOTER_MAGIC {
            return Err(Error::NotAnObject("it does not end in a footer"));
        }
        let version = u32::from_le_bytes([places[24], places[25], places[26], places[27]]);
        let content = checked(bytes, "footer")?;
        if version != VERSION {
            return Err(Error::NewerVersion(version));
        }
        let header = Header::decode(header)?;
        let mut from = Cursor::new(&content[HEADER_BYTES..]);
        let footer = Self::fields(header, &mut from);
        footer.map_err(|error| Error::Malformed { part: "footer", error })
    }

    fn fields(header: Header, from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let footer = Self {
            header,
            directory_at: from.u64("directory start")?,
            directory_len: from.u32("directory length")?,
            data_crc: from.u32("data checksum")?,
            body_len: from.u64("body length")?,
        };
        let end = footer.directory_at.checked_add(u64::from(footer.directory_len));
        let end = end.and_then(|end| end.checked_add(FOOTER_BYTES as u64));
        if end != Some(footer.body_len) {
            return Err(from.malformed("directory and footer do not meet"));
        }
        Ok(footer)
    }
}
