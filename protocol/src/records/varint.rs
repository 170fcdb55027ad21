//! The zigzag varints of records (protobuf's `sint32` and `sint64`).

use bytes::BufMut;

/// Reads a varint off the front of `bytes`. `None` if it is cut or does not fit 64 bits.
pub(super) fn read_i64(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for (i, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            if i == 9 && *byte > 1 {
                return None;
            }
            *bytes = &bytes[i + 1..];
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Reads a varint that must fit 32 bits.
pub(super) fn read_i32(bytes: &mut &[u8]) -> Option<i32> {
    i32::try_from(read_i64(bytes)?).ok()
}

/// Writes a varint.
pub(super) fn write(value: i64, out: &mut impl BufMut) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// The bytes that [`write`] takes.
pub(super) fn size(value: i64) -> usize {
    (70 - zigzag(value).leading_zeros() as usize).max(7) / 7
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_what_was_written(value: i64, shift in 0..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            write(value, &mut bytes);
            prop_assert_eq!(bytes.len(), size(value));
            prop_assert_eq!(read_i64(&mut &bytes[..bytes.len() - 1]), None);
            bytes.push(0xaa);
            let mut rest = &bytes[..];
            prop_assert_eq!(read_i64(&mut rest), Some(value));
            prop_assert_eq!(rest, &[0xaa]);
        }
    }

    #[test]
    fn too_long_or_too_large_is_refused() {
        assert_eq!(read_i64(&mut &[0xff; 11][..]), None);
        let mut largest = [0xff; 10];
        largest[9] = 1;
        assert_eq!(read_i64(&mut &largest[..]), Some(i64::MIN));
        largest[9] = 2;
        assert_eq!(read_i64(&mut &largest[..]), None);
        let mut bytes = Vec::new();
        write(i64::from(i32::MAX) + 1, &mut bytes);
        assert_eq!(read_i32(&mut &bytes[..]), None);
        assert_eq!(size(0), 1);
        assert_eq!(size(i64::MIN), 10);
    }
}
