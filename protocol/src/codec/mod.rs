//! How values stand on the wire.
//!
//! [`Wire`] is implemented for the primitive types of Kafka's protocol guide, for lists, and by the
//! derives for structs and messages. [`Decoder`] cuts values out of a received frame without
//! copying; [`Encoder`] gathers small parts and passes large ones through untouched.
//!
//! Invariants, whatever bytes arrive:
//! - no panic, and no recursion deeper than a message's definition;
//! - a count or length is compared with what is left in the frame before it is believed;
//! - what a frame decodes to takes at most a fixed multiple of its size in memory (see
//!   [`Decoder`]), so four bytes can't cost gigabytes.

mod decoder;
mod encoder;
mod error;
mod parts;
mod primitive;
mod records;
mod schema;

pub use decoder::{
    DECODED_BYTES_FLOOR, DECODED_BYTES_MAX, DECODED_BYTES_PER_FRAME_BYTE, Decoder, Tag,
};
pub use encoder::{COPY_BELOW_BYTES, Encoder, OpenTag, Tags};
pub use error::{DecodeError, DecodeFault, EncodeError, EncodeFault};
pub use parts::Parts;
pub use records::Records;
pub use schema::{FieldSchema, Kind, MessageSchema, Role, SchemaDefault, StructSchema, Versions};

/// The longest string in bytes; Kafka refuses a longer one in either form.
pub const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// A value that stands on the wire in the version and form that its coder is set to.
pub trait Wire: Sized {
    /// The type in the schema.
    const KIND: Kind;
    /// What the value takes on the wire at least, so that a list's count can be checked early.
    const MIN_BYTES: usize;

    /// Reads a value; null is an error.
    fn read(d: &mut Decoder) -> Result<Self, DecodeError>;

    /// Writes the value.
    fn write(&self, e: &mut Encoder) -> Result<(), EncodeError>;

    /// Zero, empty or, for a struct, all default: a field's value where a version lacks it.
    fn empty() -> Self;

    /// Whether it is that: then it is not written as a tag.
    fn is_empty_value(&self) -> bool;
}

/// A value that has a form for "null".
pub trait Nullable: Wire {
    /// Reads a value or null.
    fn read_nullable(d: &mut Decoder) -> Result<Option<Self>, DecodeError>;

    /// Writes null.
    fn write_null(e: &mut Encoder);

    /// Writes the value in a place where null would be legal.
    fn write_present(&self, e: &mut Encoder) -> Result<(), EncodeError> {
        self.write(e)
    }
}

/// A struct of a message: its fields, as in Kafka's JSON schema.
pub trait Struct: Wire + Default + PartialEq {
    /// Name and fields.
    const SCHEMA: &'static StructSchema;
}

/// Implements [`Nullable`] for a derived struct: a byte tells it from null (KIP-893).
#[doc(hidden)]
#[macro_export]
macro_rules! nullable_struct {
    ($name:ident) => {
        #[automatically_derived]
        impl $crate::codec::Nullable for $name {
            fn read_nullable(
                d: &mut $crate::codec::Decoder,
            ) -> Result<Option<Self>, $crate::codec::DecodeError> {
                if d.is_present()? { $crate::codec::Wire::read(d).map(Some) } else { Ok(None) }
            }

            fn write_null(e: &mut $crate::codec::Encoder) {
                e.put_presence(false);
            }

            fn write_present(
                &self,
                e: &mut $crate::codec::Encoder,
            ) -> Result<(), $crate::codec::EncodeError> {
                e.put_presence(true);
                $crate::codec::Wire::write(self, e)
            }
        }
    };
}
#[doc(hidden)]
pub use nullable_struct;
