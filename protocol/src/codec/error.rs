//! What can be wrong with bytes that arrive, and with values that are to leave.

use crate::codec::{FieldSchema, Versions};

/// Bytes that are no such message. Never worth a retry: the peer speaks another protocol, another
/// version of it, or means harm. A server answers with an error or closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("cannot decode {message}{} at byte {position}: {fault}", InField(*field))]
pub struct DecodeError {
    /// What was being decoded.
    pub message: &'static str,
    /// The field, if one had been begun.
    pub(crate) field: Option<&'static FieldSchema>,
    /// Where in the frame, counted behind its size prefix.
    pub position: usize,
    /// What is wrong.
    pub fault: DecodeFault,
}

impl DecodeError {
    /// The struct and field that was being decoded, by their names in Kafka's schema.
    pub fn field(&self) -> Option<(&'static str, &'static str)> {
        self.field.map(|field| (field.owner, field.name))
    }
}

/// What is wrong with the bytes at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// A value or what a count promises is longer than the rest of the frame.
    #[error("{needs} bytes are needed and {left} are left")]
    Truncated {
        /// Bytes that the value takes at least.
        needs: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A length or count below -1.
    #[error("{0} is no length")]
    NegativeLength(i64),
    /// A null where the version knows none.
    #[error("null is not allowed here")]
    Null,
    /// A string beyond [`MAX_STRING_BYTES`](crate::codec::MAX_STRING_BYTES).
    #[error("a string of {0} bytes is too long")]
    LongString(usize),
    /// A string that is not UTF-8.
    #[error("the string is not UTF-8")]
    NotUtf8,
    /// A variable-length number that does not end where the largest one would.
    #[error("the variable-length number does not end")]
    LongVarint,
    /// A tagged field whose value is shorter than its size says.
    #[error("the tagged field leaves {left} of its bytes unread")]
    TagSize {
        /// Bytes of the tagged field behind its value.
        left: usize,
    },
    /// More structures than a frame of this size may turn into.
    #[error("a list of {needs} bytes in memory exceeds the {left} that the frame may still take")]
    Budget {
        /// Memory that the list takes.
        needs: usize,
        /// Memory that is left to the frame.
        left: usize,
    },
    /// A version that the message does not have.
    #[error("version {version} is not in {supported}")]
    Version {
        /// The version asked for.
        version: i16,
        /// The versions there are.
        supported: Versions,
    },
}

/// A value that does not fit the version that it is to be written in: a mistake of the caller, or a
/// response whose peer asked in a version that can't say it.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("cannot encode {message}{} in version {version}: {fault}", InField(*field))]
pub struct EncodeError {
    /// What was being encoded.
    pub message: &'static str,
    /// The field, if one had been begun.
    pub(crate) field: Option<&'static FieldSchema>,
    /// The version.
    pub version: i16,
    /// What does not fit.
    pub fault: EncodeFault,
}

impl EncodeError {
    /// The struct and field that was being encoded, by their names in Kafka's schema.
    pub fn field(&self) -> Option<(&'static str, &'static str)> {
        self.field.map(|field| (field.owner, field.name))
    }
}

/// What does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeFault {
    /// The field has a value that would be lost.
    #[error("the version does not have the field, and its value is not the default")]
    Absent,
    /// Null where the version knows none.
    #[error("null is not allowed here")]
    Null,
    /// A string, list or frame beyond what its length can say.
    #[error("{len} is too long: at most {max}")]
    TooLong {
        /// The length.
        len: usize,
        /// The longest possible.
        max: usize,
    },
    /// A version that the message does not have.
    #[error("the message has versions {0}")]
    Version(Versions),
}

/// Prints ` (Struct.Field)`, or nothing.
struct InField(Option<&'static FieldSchema>);

impl std::fmt::Display for InField {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(field) => write!(f, " ({}.{})", field.owner, field.name),
        }
    }
}

impl PartialEq for FieldSchema {
    /// Fields are statics: one is equal to itself only.
    fn eq(&self, other: &FieldSchema) -> bool {
        std::ptr::eq(self, other) || (self.owner == other.owner && self.name == other.name)
    }
}
