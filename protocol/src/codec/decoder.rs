//! Reads a frame from front to back.

use bytes::Bytes;
use bytestring::ByteString;

use crate::codec::{
    DecodeError, DecodeFault, FieldSchema, MAX_STRING_BYTES, MessageSchema, Nullable, Versions,
};

/// Memory that a frame may decode to for each of its bytes. A list of one-letter topic names, the
/// thinnest thing that a client could mean, takes all of it.
pub const DECODED_BYTES_PER_FRAME_BYTE: usize = 16;

/// Memory that any frame may decode to, so that small thin ones pass.
pub const DECODED_BYTES_FLOOR: usize = 64 << 10;

/// Memory that no frame exceeds. Frames are larger than this only by their records, which are not
/// decoded but cut out.
pub const DECODED_BYTES_MAX: usize = 64 << 20;

/// Reads values out of one frame without copying them.
///
/// Strings, bytes and records are slices that keep the whole frame in memory: what outlives its
/// request is to be copied.
///
/// What lists take in memory counts against a budget that follows from the frame's size, because an
/// element of one byte on the wire can be a struct of a hundred. A list that exceeds it is refused
/// before it is allocated.
///
/// Bytes behind the end of a message are left alone, as Kafka does: a frame may be longer than its
/// message. Strings that are not UTF-8 are refused; Kafka's Java code would mangle them.
#[derive(Debug)]
pub struct Decoder {
    frame: Bytes,
    position: usize,
    /// Where reading ends: of the frame, or of the tagged field that is being read.
    end: usize,
    budget_bytes: usize,
    version: i16,
    flexible: bool,
    message: &'static str,
    field: Option<&'static FieldSchema>,
}

/// A tagged field that is being read.
#[derive(Debug)]
#[must_use]
pub struct Tag {
    number: u32,
    outer_end: usize,
}

impl Tag {
    /// Which field it is.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Decoder {
    /// Reads `frame`, with a budget that follows from its size.
    pub fn new(frame: Bytes) -> Decoder {
        let budget_bytes = frame
            .len()
            .saturating_mul(DECODED_BYTES_PER_FRAME_BYTE)
            .saturating_add(DECODED_BYTES_FLOOR)
            .min(DECODED_BYTES_MAX);
        Decoder::with_budget(frame, budget_bytes)
    }

    /// Reads `frame`, whose lists may take `budget_bytes` in memory: for a peer that is trusted
    /// with more than [`DECODED_BYTES_MAX`].
    pub fn with_budget(frame: Bytes, budget_bytes: usize) -> Decoder {
        let end = frame.len();
        Decoder {
            frame,
            position: 0,
            end,
            budget_bytes,
            version: 0,
            flexible: false,
            message: "frame",
            field: None,
        }
    }

    /// How far the frame has been read.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes that are left to read.
    pub fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// Memory that further lists may take.
    pub fn budget_bytes(&self) -> usize {
        self.budget_bytes
    }

    /// Sets the message and version that what follows is read as.
    pub fn begin(&mut self, message: &MessageSchema, version: i16) -> Result<(), DecodeError> {
        self.message = message.name;
        self.field = None;
        self.version = version;
        self.flexible = message.flexible.contains(version);
        let supported: Versions = message.versions;
        if supported.contains(version) {
            Ok(())
        } else {
            Err(self.error(DecodeFault::Version { version, supported }))
        }
    }

    /// The version that is being read.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the compact form with tagged fields is being read.
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Sets the form, and returns the one before.
    pub fn set_flexible(&mut self, flexible: bool) -> bool {
        std::mem::replace(&mut self.flexible, flexible)
    }

    /// Names the field that is read next, for errors.
    pub fn enter(&mut self, field: &'static FieldSchema) {
        self.field = Some(field);
    }

    /// An error at this place.
    #[cold]
    pub fn error(&self, fault: DecodeFault) -> DecodeError {
        DecodeError { message: self.message, field: self.field, position: self.position, fault }
    }

    fn require(&self, needs: usize) -> Result<(), DecodeError> {
        let left = self.remaining();
        if needs <= left { Ok(()) } else { Err(self.error(DecodeFault::Truncated { needs, left })) }
    }

    /// The next `N` bytes, of a number.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        self.require(N)?;
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.frame[self.position..self.position + N]);
        self.position += N;
        Ok(bytes)
    }

    /// The next `len` bytes, as a slice of the frame.
    pub fn share(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        self.require(len)?;
        let bytes = self.frame.slice(self.position..self.position + len);
        self.position += len;
        Ok(bytes)
    }

    /// An unsigned number in groups of seven bits, lowest first.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| self.error(DecodeFault::LongVarint));
            }
        }
        Err(self.error(DecodeFault::LongVarint))
    }

    /// A length or count, `None` for null: 32 bits, or the compact form in flexible versions.
    pub fn length(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible {
            return self.compact_length();
        }
        let length = i64::from(i32::from_be_bytes(self.array()?));
        self.nonnegative(length)
    }

    /// A string, `None` for null.
    pub fn nullable_string(&mut self) -> Result<Option<ByteString>, DecodeError> {
        let length = if self.flexible {
            self.compact_length()?
        } else {
            let length = i64::from(i16::from_be_bytes(self.array()?));
            self.nonnegative(length)?
        };
        let Some(length) = length else { return Ok(None) };
        if length > MAX_STRING_BYTES {
            return Err(self.error(DecodeFault::LongString(length)));
        }
        let bytes = self.share(length)?;
        ByteString::try_from(bytes).map(Some).map_err(|_| self.error(DecodeFault::NotUtf8))
    }

    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        // One more than the length, so that 0 is null.
        Ok(self.unsigned_varint()?.checked_sub(1).map(|length| length as usize))
    }

    fn nonnegative(&self, length: i64) -> Result<Option<usize>, DecodeError> {
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.error(DecodeFault::NegativeLength(length))),
        }
    }

    /// The count of a list, `None` for null, once the frame has been seen to be long enough for
    /// elements of at least `min_bytes` and the budget to hold elements of `memory_bytes` each.
    pub fn count(
        &mut self,
        min_bytes: usize,
        memory_bytes: usize,
    ) -> Result<Option<usize>, DecodeError> {
        let Some(count) = self.length()? else { return Ok(None) };
        self.require(count.saturating_mul(min_bytes))?;
        let needs = count.saturating_mul(memory_bytes);
        match self.budget_bytes.checked_sub(needs) {
            Some(left) => self.budget_bytes = left,
            None => {
                return Err(self.error(DecodeFault::Budget { needs, left: self.budget_bytes }));
            }
        }
        Ok(Some(count))
    }

    /// A value that is null only if `nullable`.
    pub fn optional<T: Nullable>(&mut self, nullable: bool) -> Result<Option<T>, DecodeError> {
        if nullable { T::read_nullable(self) } else { T::read(self).map(Some) }
    }

    /// The byte in front of a nullable struct.
    pub fn is_present(&mut self) -> Result<bool, DecodeError> {
        Ok(i8::from_be_bytes(self.array()?) >= 0)
    }

    /// How many tagged fields follow.
    pub fn tag_count(&mut self) -> Result<u32, DecodeError> {
        self.field = None;
        let count = self.unsigned_varint()?;
        // A tagged field takes a byte for its number and one for its size.
        self.require((count as usize).saturating_mul(2))?;
        Ok(count)
    }

    /// Begins a tagged field: until it is closed, nothing behind it can be read.
    pub fn open_tag(&mut self) -> Result<Tag, DecodeError> {
        self.field = None;
        let number = self.unsigned_varint()?;
        let size = self.unsigned_varint()? as usize;
        self.require(size)?;
        let outer_end = std::mem::replace(&mut self.end, self.position + size);
        Ok(Tag { number, outer_end })
    }

    /// Passes over a tagged field that is not known.
    pub fn skip_tag(&mut self, _tag: &Tag) {
        self.position = self.end;
    }

    /// Ends a tagged field, which must have been read whole.
    pub fn close_tag(&mut self, tag: Tag) -> Result<(), DecodeError> {
        let left = self.remaining();
        if left > 0 {
            return Err(self.error(DecodeFault::TagSize { left }));
        }
        self.end = tag.outer_end;
        Ok(())
    }

    /// Passes over all tagged fields of a struct that knows none.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        if self.flexible {
            for _ in 0..self.tag_count()? {
                let tag = self.open_tag()?;
                self.skip_tag(&tag);
                self.close_tag(tag)?;
            }
        }
        Ok(())
    }
}
