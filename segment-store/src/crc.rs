//! CRC32C over parts, some of which were already summed.
//!
//! A batch arrives with a CRC that the broker has verified. Summing a slot combines those, so that
//! a record's bytes are read once on their way to the disk.

use bytes::Bytes;
use weir_protocol::records::crc;

/// Bytes of a slot body or object, with their CRC32C where somebody has verified one already.
#[derive(Clone, Debug)]
pub struct Part {
    /// The bytes.
    pub bytes: Bytes,
    /// CRC32C of exactly these bytes, if known.
    pub crc: Option<u32>,
}

impl Part {
    /// A part whose sum is not known yet.
    pub fn unsummed(bytes: Bytes) -> Self {
        Self { bytes, crc: None }
    }
}

/// A running CRC32C.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sum {
    crc: u32,
}

impl Sum {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.crc = crc::append(self.crc, bytes);
    }

    pub(crate) fn add_part(&mut self, part: &Part) {
        match part.crc {
            // Below this, reading the bytes again is cheaper than combining two sums.
            Some(known) if part.bytes.len() >= crc::COMBINE_FROM_BYTES => {
                self.crc = crc::combine(self.crc, known, part.bytes.len() as u64);
            }
            _ => self.add(&part.bytes),
        }
    }

    pub(crate) fn value(self) -> u32 {
        self.crc
    }
}

pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc::crc32c(bytes)
}
