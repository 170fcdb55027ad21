//! The bytes of a body, in as many pieces as they happen to be in.
//!
//! A batch arrives with a CRC that the broker has verified; summing a slot combines those sums, so
//! that a record's bytes are read once on their way to the disk.

use bytes::Bytes;
use weir_protocol::records::{Crc32c, PatchedBatch};

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Part {
    /// Bytes that nobody has summed.
    Bytes(Bytes),
    /// A verified batch.
    Batch(PatchedBatch),
}

impl Part {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Batch(batch) => batch.size(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands its contiguous pieces to `take`, in order.
    pub fn pieces<'a>(&'a self, mut take: impl FnMut(&'a Bytes)) {
        match self {
            Self::Bytes(bytes) => take(bytes),
            Self::Batch(batch) => batch.pieces().into_iter().for_each(take),
        }
    }

    pub(crate) fn sum_into(&self, sum: &mut Crc32c) {
        match self {
            Self::Bytes(bytes) => sum.update(bytes),
            Self::Batch(batch) => batch.sum_into(sum),
        }
    }
}
