//! Reading and writing of the small pieces that stored formats are made of.
//!
//! Fixed numbers are little-endian; counts and deltas are LEB128 varints, signed ones zigzag-coded.
//! Stored bytes may have rotted: every read is bounded and answers [`Malformed`], never a panic.

use bytes::{BufMut, BytesMut};

/// Stored bytes that do not follow their format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What is wrong, e.g. "varint runs over the end".
    pub what: &'static str,
    /// Where, counted from the start of the bytes that were read.
    pub at: usize,
}

/// Appends a varint.
pub(crate) fn put_varint(to: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        to.put_u8((value as u8) | 0x80);
        value >>= 7;
    }
    to.put_u8(value as u8);
}

/// Appends a zigzag-coded signed varint.
pub(crate) fn put_signed(to: &mut BytesMut, value: i64) {
    put_varint(to, ((value << 1) ^ (value >> 63)) as u64);
}

/// Reads stored bytes from front to back.
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(crate) fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { what, at: self.at }
    }

    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        if len > self.remaining() {
            return Err(self.malformed(what));
        }
        let taken = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(self.malformed(what));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed(what))
    }

    pub(crate) fn signed(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let value = self.varint(what)?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    /// A varint that fits `T`.
    pub(crate) fn narrow<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, Malformed> {
        let value = self.varint(what)?;
        T::try_from(value).map_err(|_| self.malformed(what))
    }

    /// A zigzag varint that fits `T`.
    pub(crate) fn narrow_signed<T: TryFrom<i64>>(
        &mut self,
        what: &'static str,
    ) -> Result<T, Malformed> {
        let value = self.signed(what)?;
        T::try_from(value).map_err(|_| self.malformed(what))
    }

    /// How many items follow, each of at least `least` bytes: bounded by what is left, so that
    /// a rotten count can't cost memory.
    pub(crate) fn count(&mut self, least: usize, what: &'static str) -> Result<usize, Malformed> {
        let count: usize = self.narrow(what)?;
        if count.checked_mul(least.max(1)).is_none_or(|bytes| bytes > self.remaining()) {
            return Err(self.malformed(what));
        }
        Ok(count)
    }

    pub(crate) fn finish(&self, what: &'static str) -> Result<(), Malformed> {
        if self.remaining() == 0 { Ok(()) } else { Err(self.malformed(what)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_round_trip(unsigned: u64, signed: i64) {
            let mut bytes = BytesMut::new();
            put_varint(&mut bytes, unsigned);
            put_signed(&mut bytes, signed);
            let mut cursor = Cursor::new(&bytes);
            prop_assert_eq!(cursor.varint("a"), Ok(unsigned));
            prop_assert_eq!(cursor.signed("b"), Ok(signed));
            prop_assert_eq!(cursor.finish("end"), Ok(()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            while cursor.remaining() > 0 {
                if cursor.varint("any").is_err() || cursor.count(3, "any").is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn count_is_bounded_by_what_is_left() {
        let mut bytes = BytesMut::new();
        put_varint(&mut bytes, u64::MAX);
        assert!(Cursor::new(&bytes).count(1, "batches").is_err());
    }

    #[test]
    fn eleven_byte_varint_is_refused() {
        assert!(Cursor::new(&[0x80; 11]).varint("x").is_err());
        assert!(
            Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2])
                .varint("x")
                .is_err()
        );
    }
}
