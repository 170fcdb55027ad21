//! The primitive types and lists.

use bytes::Bytes;
use bytestring::ByteString;
use uuid::Uuid;
use weir_ids::TopicId;

use crate::ErrorCode;
use crate::codec::{
    DecodeError, DecodeFault, Decoder, EncodeError, Encoder, Kind, Nullable, Records, Wire,
};

/// A number: big-endian, all its bytes.
macro_rules! number {
    ($($type:ty: $kind:ident),*) => {$(
        impl Wire for $type {
            const KIND: Kind = Kind::$kind;
            const MIN_BYTES: usize = size_of::<$type>();

            fn read(d: &mut Decoder) -> Result<Self, DecodeError> {
                d.array().map(<$type>::from_be_bytes)
            }

            fn write(&self, e: &mut Encoder) -> Result<(), EncodeError> {
                e.put(&self.to_be_bytes());
                Ok(())
            }

            fn empty() -> Self {
                Self::default()
            }

    fn is_empty_value(&self) -> bool {
                *self == Self::default()
            }
        }
    )*};
}
number!(i8: Int8, i16: Int16, u16: Uint16, i32: Int32, u32: Uint32, i64: Int64, f64: Float64);

/// A type with a meaning, which every value of the inner one has.
macro_rules! meaning {
    ($type:ty, $inner:ty) => {
        impl Wire for $type {
            const KIND: Kind = <$inner as Wire>::KIND;
            const MIN_BYTES: usize = <$inner as Wire>::MIN_BYTES;

            fn read(d: &mut Decoder) -> Result<Self, DecodeError> {
                <$inner as Wire>::read(d).map(Self)
            }

            fn write(&self, e: &mut Encoder) -> Result<(), EncodeError> {
                self.0.write(e)
            }

            fn empty() -> Self {
                Self(<$inner as Wire>::empty())
            }

            fn is_empty_value(&self) -> bool {
                self.0.is_empty_value()
            }
        }
    };
}
meaning!(ErrorCode, i16);
meaning!(TopicId, Uuid);

impl Wire for bool {
    const KIND: Kind = Kind::Bool;
    const MIN_BYTES: usize = 1;

    fn read(d: &mut Decoder) -> Result<Self, DecodeError> {
        d.array().map(|[byte]| byte != 0)
    }

    fn write(&self, e: &mut Encoder) -> Result<(), EncodeError> {
        e.put(&[u8::from(*self)]);
        Ok(())
    }

    fn empty() -> Self {
        Self::default()
    }

    fn is_empty_value(&self) -> bool {
        !self
    }
}

impl Wire for Uuid {
    const KIND: Kind = Kind::Uuid;
    const MIN_BYTES: usize = 16;

    fn read(d: &mut Decoder) -> Result<Self, DecodeError> {
        d.array().map(Uuid::from_bytes)
    }

    fn write(&self, e: &mut Encoder) -> Result<(), EncodeError> {
        e.put(self.as_bytes());
        Ok(())
    }

    fn empty() -> Self {
        Self::default()
    }

    fn is_empty_value(&self) -> bool {
        self.is_nil()
    }
}

/// A type whose null has a form of its own, so that the value is read as "null or it".
macro_rules! read_unless_null {
    () => {
        fn read(d: &mut Decoder) -> Result<Self, DecodeError> {
            match Self::read_nullable(d)? {
                Some(value) => Ok(value),
                None => Err(d.error(DecodeFault::Null)),
            }
        }
    };
}

impl Wire for ByteString {
    const KIND: Kind = Kind::String;
    const MIN_BYTES: usize = 1;

    read_unless_null!();

    fn write(&self, e: &mut Encoder) -> Result<(), EncodeError> {
        e.put_string(self)
    }

    fn empty() -> Self {
        Self::default()
    }

    fn is_empty_value(&self) -> bool {
        self.is_empty()
    }
}

impl Nullable for ByteString {
    fn read_nullable(d: &mut Decoder) -> Result<Option<Self>, DecodeError> {
        d.nullable_string()
    }

    fn write_null(e: &mut Encoder) {
        e.put_null_string();
    }
}

impl Wire for Bytes {
    const KIND: Kind = Kind::Bytes;
    const MIN_BYTES: usize = 1;

    read_unless_null!();

    fn write(&self, e: &mut Encoder) -> Result<(), EncodeError> {
        e.put_length(self.len())?;
        e.put_shared(self);
        Ok(())
    }

    fn empty() -> Self {
        Self::default()
    }

    fn is_empty_value(&self) -> bool {
        self.is_empty()
    }
}

impl Nullable for Bytes {
    fn read_nullable(d: &mut Decoder) -> Result<Option<Self>, DecodeError> {
        d.length()?.map(|len| d.share(len)).transpose()
    }

    fn write_null(e: &mut Encoder) {
        e.put_null_length();
    }
}

impl Wire for Records {
    const KIND: Kind = Kind::Records;
    const MIN_BYTES: usize = 1;

    read_unless_null!();

    fn write(&self, e: &mut Encoder) -> Result<(), EncodeError> {
        e.put_length(self.len())?;
        self.slices().for_each(|slice| e.put_shared(slice));
        Ok(())
    }

    fn empty() -> Self {
        Self::default()
    }

    fn is_empty_value(&self) -> bool {
        self.is_empty()
    }
}

impl Nullable for Records {
    fn read_nullable(d: &mut Decoder) -> Result<Option<Self>, DecodeError> {
        Ok(Bytes::read_nullable(d)?.map(Records::from))
    }

    fn write_null(e: &mut Encoder) {
        e.put_null_length();
    }
}

impl<T: Wire> Wire for Vec<T> {
    const KIND: Kind = Kind::Array(&T::KIND);
    const MIN_BYTES: usize = 1;

    read_unless_null!();

    fn write(&self, e: &mut Encoder) -> Result<(), EncodeError> {
        e.put_length(self.len())?;
        self.iter().try_for_each(|element| element.write(e))
    }

    fn empty() -> Self {
        Self::default()
    }

    fn is_empty_value(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Wire> Nullable for Vec<T> {
    fn read_nullable(d: &mut Decoder) -> Result<Option<Self>, DecodeError> {
        let Some(count) = d.count(T::MIN_BYTES, size_of::<T>())? else { return Ok(None) };
        // The count has been paid for: this allocates within the budget.
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(T::read(d)?);
        }
        Ok(Some(list))
    }

    fn write_null(e: &mut Encoder) {
        e.put_null_length();
    }
}
