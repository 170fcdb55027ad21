//! CRC-32C (Castagnoli), the checksum of record batches and of everything that Weir stores.
//!
//! A byte is meant to be summed once in its life. A produced batch is summed when it is verified;
//! whoever writes it on (a WAL frame, an object) has to cover the same bytes with a sum of its own,
//! and gets it from the known one: [`combine`] joins the sums of two neighbours in constant time,
//! and [`Crc32c::append`] does so in a running sum.
//!
//! Why not `crc-fast`'s own combine: it squares bit matrices on every call, 3 to 8 µs, in which
//! hundreds of KiB are summed. Here appending `n` zero bytes is one multiplication modulo the
//! polynomial for each non-zero byte of `n`, by constants computed at compile time: 6 ns each, so
//! 9 to 25 ns for any batch (`benches/crc.rs`).

/// The polynomial of CRC-32C with its bits reflected, as all arithmetic here has them: bit 31 is
/// the coefficient of x^0.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Below this many bytes, warm in the cache, summing them again is as fast as [`combine`]
/// (`sum_into` in `benches/batch.rs`: 32 ns for 1 KiB, 41 ns for any larger batch).
pub const COMBINE_MIN_BYTES: usize = 1536;

/// The CRC-32C of `bytes`.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    crc_fast::crc32_iscsi(bytes)
}

/// The CRC-32C of `a` followed by `b`, from `crc_a`, `crc_b` and the length of `b` alone.
#[must_use]
pub fn combine(crc_a: u32, crc_b: u32, len_b: u64) -> u32 {
    shift(crc_a, len_b) ^ crc_b
}

/// The CRC-32C of a sequence in which the first part was replaced by another of the same length:
/// `crc` is of the whole as it was, `len_rest` the length of what follows the part.
#[must_use]
pub fn replace_prefix(crc: u32, old_prefix: &[u8], new_prefix: &[u8], len_rest: u64) -> u32 {
    debug_assert_eq!(old_prefix.len(), new_prefix.len());
    // The sum is affine in the bytes: what the two prefixes differ by, moved to its place.
    combine(crc32c(old_prefix) ^ crc32c(new_prefix), crc, len_rest)
}

/// A CRC-32C that is fed piece by piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc32c {
    crc: u32,
}

impl Crc32c {
    /// The sum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { crc: 0 }
    }

    /// Goes on from the finished sum of what came before.
    #[must_use]
    pub const fn resume(crc: u32) -> Self {
        Self { crc }
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        use crc_fast::{CrcAlgorithm, Digest};
        let state = u64::from(!self.crc);
        let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, state);
        digest.update(bytes);
        self.crc = digest.finalize() as u32;
    }

    /// Adds `len` bytes of which only the sum is known.
    pub fn append(&mut self, crc: u32, len: u64) {
        self.crc = combine(self.crc, crc, len);
    }

    /// The sum of all bytes so far.
    #[must_use]
    pub const fn finish(self) -> u32 {
        self.crc
    }
}

impl Default for Crc32c {
    fn default() -> Self {
        Self::new()
    }
}

/// Moves `crc` over `zeros` zero bytes: multiplies by x^(8 · zeros).
fn shift(mut crc: u32, zeros: u64) -> u32 {
    for (powers, digit) in ZERO_BYTES.iter().zip(zeros.to_le_bytes()) {
        if digit != 0 {
            crc = multiply(powers[usize::from(digit)], crc);
        }
    }
    crc
}

/// `ZERO_BYTES[k][v]` is x^(8 · v · 256^k): the operator for `v` in the `k`-th byte of a length.
static ZERO_BYTES: [[u32; 256]; 8] = zero_bytes();

const fn zero_bytes() -> [[u32; 256]; 8] {
    const ONE: u32 = 1 << 31;
    let mut table = [[ONE; 256]; 8];
    let mut step = ONE >> 8; // x^8: one zero byte
    let mut k = 0;
    while k < 8 {
        let mut v = 1;
        while v < 256 {
            table[k][v] = multiply(table[k][v - 1], step);
            v += 1;
        }
        step = multiply(table[k][255], step);
        k += 1;
    }
    table
}

/// The product of two polynomials modulo [`POLYNOMIAL`].
const fn multiply(a: u32, b: u32) -> u32 {
    // 63 bits, reflected: after the shift bit 63 is x^0, and the lower half is what has to be
    // reduced, x^32 and above. A byte of that is what a CRC's table of bytes is for.
    let product = product(a, b) << 1;
    let high = (product as u32).to_le_bytes();
    (product >> 32) as u32
        ^ REDUCED[3][high[0] as usize]
        ^ REDUCED[2][high[1] as usize]
        ^ REDUCED[1][high[2] as usize]
        ^ REDUCED[0][high[3] as usize]
}

/// The product of two polynomials with coefficients modulo 2.
///
/// Integer multiplication does it when the carries have somewhere to go: each factor is taken
/// apart into four numbers that use every fourth bit, so that a sum of at most eight ones never
/// reaches the next bit in use.
const fn product(a: u32, b: u32) -> u64 {
    const fn every_fourth(x: u32, first: u32) -> u64 {
        x as u64 & (EVERY_FOURTH << first)
    }
    const EVERY_FOURTH: u64 = 0x1111_1111_1111_1111;
    let mut product = 0;
    let mut first = 0;
    while first < 4 {
        let mut sums = 0;
        let mut of_a = 0;
        while of_a < 4 {
            let of_b = (first + 4 - of_a) % 4;
            sums ^= every_fourth(a, of_a) * every_fourth(b, of_b);
            of_a += 1;
        }
        product |= sums & (EVERY_FOURTH << first);
        first += 1;
    }
    product
}

/// `REDUCED[j][v]` is the byte `v` followed by `j` zero bytes, modulo [`POLYNOMIAL`].
static REDUCED: [[u32; 256]; 4] = reduced();

const fn reduced() -> [[u32; 256]; 4] {
    let mut table = [[0; 256]; 4];
    let mut v = 0;
    while v < 256 {
        let mut rest = v as u32;
        let mut bit = 0;
        while bit < 32 {
            rest = (rest >> 1) ^ (POLYNOMIAL & (rest & 1).wrapping_neg());
            if bit % 8 == 7 {
                table[bit / 8][v] = rest;
            }
            bit += 1;
        }
        v += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_value() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn combine_agrees_with_one_pass_and_with_crc_fast() {
        let bytes: Vec<u8> = (0..70_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        for split in [0, 1, 2, 255, 256, 257, 4095, 65_535, 65_536, 69_999, 70_000] {
            let (a, b) = bytes.split_at(split);
            let (crc_a, crc_b, len_b) = (crc32c(a), crc32c(b), b.len() as u64);
            assert_eq!(combine(crc_a, crc_b, len_b), crc32c(&bytes), "split at {split}");
        }
        for len in [1 << 20, (1 << 32) + 7, u64::MAX] {
            let theirs = crc_fast::checksum_combine(
                crc_fast::CrcAlgorithm::Crc32Iscsi,
                0xdead_beef,
                0x0123_4567,
                len,
            );
            assert_eq!(u64::from(combine(0xdead_beef, 0x0123_4567, len)), theirs, "length {len}");
        }
    }

    #[test]
    fn pieces_and_known_pieces_sum_like_the_whole() {
        let bytes: Vec<u8> = (0..9000_u32).map(|i| ((i * 31) >> 3) as u8).collect();
        let mut sum = Crc32c::new();
        sum.update(&bytes[..10]);
        sum.append(crc32c(&bytes[10..8000]), 7990);
        sum.update(&[]);
        let mut sum = Crc32c::resume(sum.finish());
        sum.update(&bytes[8000..]);
        assert_eq!(sum.finish(), crc32c(&bytes));
    }

    #[test]
    fn a_replaced_prefix_needs_no_second_pass() {
        let mut bytes: Vec<u8> = (0..3000_u32).map(|i| i as u8).collect();
        let before = crc32c(&bytes);
        let old = bytes[..40].to_vec();
        bytes[..40].reverse();
        assert_eq!(replace_prefix(before, &old, &bytes[..40], 2960), crc32c(&bytes));
    }
}
