//! Writes a message as a list of parts.

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{
    EncodeError, EncodeFault, FieldSchema, MAX_STRING_BYTES, MessageSchema, Nullable, Parts,
};
use crate::frame::FRAME_PREFIX_BYTES;

/// Slices below this size are copied: that costs less than two more entries in a vectored write,
/// and a response of many small batches stays within the entries that one system call takes.
pub const COPY_BELOW_BYTES: usize = 512;

/// Room for the small parts of a usual message.
const INITIAL_BYTES: usize = 256;

/// Gathers the small parts of a message in one buffer and notes where large slices belong between
/// them, so that those go out untouched.
#[derive(Debug)]
pub struct Encoder {
    small: BytesMut,
    /// Slices, each with the place in `small` that it stands in front of; places never go back.
    slices: Vec<(usize, Bytes)>,
    sliced_bytes: usize,
    version: i16,
    flexible: bool,
    message: &'static str,
    field: Option<&'static FieldSchema>,
    leaves_out_absent: bool,
}

/// The tagged fields of a struct that is being written: where their count stands.
#[derive(Clone, Copy, Debug)]
pub struct Tags(usize);

/// A tagged field that is being written: where its size goes.
#[derive(Debug)]
#[must_use]
pub struct OpenTag {
    small: usize,
    slices: usize,
    len: usize,
}

impl Default for Encoder {
    fn default() -> Encoder {
        Encoder::new()
    }
}

impl Encoder {
    /// An encoder that has written nothing.
    pub fn new() -> Encoder {
        Encoder {
            small: BytesMut::with_capacity(INITIAL_BYTES),
            slices: Vec::new(),
            sliced_bytes: 0,
            version: 0,
            flexible: false,
            message: "frame",
            field: None,
            leaves_out_absent: false,
        }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.small.len() + self.sliced_bytes
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What has been written.
    pub fn finish(self) -> Parts {
        let mut parts = Parts::default();
        let mut rest = self.small.freeze();
        let mut cut = 0;
        for (place, slice) in self.slices {
            parts.push(rest.split_to(place - cut));
            parts.push(slice);
            cut = place;
        }
        parts.push(rest);
        parts
    }

    /// What `write` writes, with its size in front.
    pub fn frame(
        write: impl FnOnce(&mut Encoder) -> Result<(), EncodeError>,
    ) -> Result<Parts, EncodeError> {
        let prefix = FRAME_PREFIX_BYTES;
        let mut encoder = Encoder::new();
        encoder.small.put_bytes(0, prefix);
        write(&mut encoder)?;
        let len = encoder.len() - prefix;
        let max = i32::MAX as usize;
        let size =
            i32::try_from(len).map_err(|_| encoder.error(EncodeFault::TooLong { len, max }))?;
        encoder.small[..prefix].copy_from_slice(&size.to_be_bytes());
        Ok(encoder.finish())
    }

    /// Sets the message and version that what follows is written as.
    pub fn begin(&mut self, message: &MessageSchema, version: i16) -> Result<(), EncodeError> {
        self.message = message.name;
        self.field = None;
        self.version = version;
        self.flexible = message.flexible.contains(version);
        if message.versions.contains(version) {
            Ok(())
        } else {
            Err(self.error(EncodeFault::Version(message.versions)))
        }
    }

    /// The version that is being written.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the compact form with tagged fields is being written.
    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// Sets the form, and returns the one before.
    pub fn set_flexible(&mut self, flexible: bool) -> bool {
        std::mem::replace(&mut self.flexible, flexible)
    }

    /// Names the field that is written next, for errors.
    pub fn enter(&mut self, field: &'static FieldSchema) {
        self.field = Some(field);
    }

    /// An error at this place.
    #[cold]
    pub fn error(&self, fault: EncodeFault) -> EncodeError {
        EncodeError { message: self.message, field: self.field, version: self.version, fault }
    }

    /// From here on, a value that the version has no place for is left out. A server answers all
    /// versions with what it knows: an old client that asked for less gets less.
    pub fn leave_out_absent(&mut self) {
        self.leaves_out_absent = true;
    }

    /// `field` has a value and its version no place for it.
    ///
    /// # Errors
    /// That, unless such values are to be left out.
    #[cold]
    pub fn absent(&self, field: &'static FieldSchema) -> Result<(), EncodeError> {
        if self.leaves_out_absent {
            return Ok(());
        }
        Err(EncodeError { field: Some(field), ..self.error(EncodeFault::Absent) })
    }

    /// Copies `bytes`.
    pub fn put(&mut self, bytes: &[u8]) {
        self.small.put_slice(bytes);
    }

    /// Writes `bytes`: as they are, or as a copy if they are few.
    pub fn put_shared(&mut self, bytes: &Bytes) {
        if bytes.len() < COPY_BELOW_BYTES {
            self.put(bytes);
        } else {
            self.sliced_bytes += bytes.len();
            self.slices.push((self.small.len(), bytes.clone()));
        }
    }

    /// Writes a number in groups of seven bits, lowest first.
    pub fn put_unsigned_varint(&mut self, value: u32) {
        let (bytes, len) = unsigned_varint(value);
        self.put(&bytes[..len]);
    }

    /// Writes a length or count: 32 bits, or the compact form in flexible versions.
    pub fn put_length(&mut self, len: usize) -> Result<(), EncodeError> {
        let max = i32::MAX as usize;
        let fits = i32::try_from(len).map_err(|_| self.error(EncodeFault::TooLong { len, max }))?;
        if self.flexible {
            self.put_unsigned_varint(fits.unsigned_abs() + 1);
        } else {
            self.small.put_i32(fits);
        }
        Ok(())
    }

    /// Writes the length of null.
    pub fn put_null_length(&mut self) {
        if self.flexible {
            self.put_unsigned_varint(0);
        } else {
            self.small.put_i32(-1);
        }
    }

    /// Writes a string.
    pub fn put_string(&mut self, string: &str) -> Result<(), EncodeError> {
        let too_long = EncodeFault::TooLong { len: string.len(), max: MAX_STRING_BYTES };
        let len = i16::try_from(string.len()).map_err(|_| self.error(too_long))?;
        if self.flexible {
            self.put_unsigned_varint(u32::from(len.unsigned_abs()) + 1);
        } else {
            self.small.put_i16(len);
        }
        self.put(string.as_bytes());
        Ok(())
    }

    /// Writes the string that is null.
    pub fn put_null_string(&mut self) {
        if self.flexible {
            self.put_unsigned_varint(0);
        } else {
            self.small.put_i16(-1);
        }
    }

    /// Writes a value that may be absent only if `nullable`.
    pub fn optional<T: Nullable>(
        &mut self,
        value: &Option<T>,
        nullable: bool,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) if nullable => value.write_present(self),
            Some(value) => value.write(self),
            None if nullable => {
                T::write_null(self);
                Ok(())
            }
            None => Err(self.error(EncodeFault::Null)),
        }
    }

    /// Writes the byte in front of a nullable struct.
    pub fn put_presence(&mut self, present: bool) {
        self.small.put_i8(if present { 1 } else { -1 });
    }

    /// Writes that a struct has no tagged fields.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.small.put_u8(0);
        }
    }

    /// Begins the tagged fields of a struct.
    pub fn open_tags(&mut self) -> Tags {
        let tags = Tags(self.small.len());
        self.small.put_u8(0);
        tags
    }

    /// Begins a tagged field. Numbers must rise; the derive sees to it, and to there being at most
    /// 127 of them.
    pub fn open_tag(&mut self, tags: Tags, number: u32) -> OpenTag {
        self.small[tags.0] += 1;
        self.put_unsigned_varint(number);
        OpenTag { small: self.small.len(), slices: self.slices.len(), len: self.len() }
    }

    /// Ends a tagged field: puts its size in front of it.
    pub fn close_tag(&mut self, tag: OpenTag) -> Result<(), EncodeError> {
        let len = self.len() - tag.len;
        let max = i32::MAX as usize;
        let size = u32::try_from(len).map_err(|_| self.error(EncodeFault::TooLong { len, max }))?;
        let (bytes, prefix) = unsigned_varint(size);
        self.put(&bytes[..prefix]);
        // The size was written behind the value: the value moves back, the size to its front.
        self.small[tag.small..].rotate_right(prefix);
        for (place, _) in &mut self.slices[tag.slices..] {
            *place += prefix;
        }
        Ok(())
    }
}

fn unsigned_varint(mut value: u32) -> ([u8; 5], usize) {
    let mut bytes = [0; 5];
    let mut len = 0;
    loop {
        let more = value >= 0x80;
        bytes[len] = (value & 0x7f) as u8 | if more { 0x80 } else { 0 };
        len += 1;
        if !more {
            return (bytes, len);
        }
        value >>= 7;
    }
}
