//! Record batches as a field of a message.

use bytes::{Bytes, BytesMut};

/// Record batches in the order of their offsets, as slices that need not lie side by side.
///
/// A produce request has one slice of its frame; a fetch response lends slices from caches and
/// stores, and they reach the socket without being joined.
#[derive(Clone, Default)]
pub struct Records {
    /// Empty only if all is empty. Apart from the others, so that one slice allocates nothing.
    first: Bytes,
    rest: Vec<Bytes>,
    len: usize,
}

impl Records {
    /// No records.
    pub fn new() -> Records {
        Records::default()
    }

    /// Adds a slice behind the others. An empty one is left out.
    pub fn push(&mut self, slice: Bytes) {
        if slice.is_empty() {
            return;
        }
        self.len += slice.len();
        if self.first.is_empty() {
            self.first = slice;
        } else {
            self.rest.push(slice);
        }
    }

    /// Bytes in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices in order; none is empty.
    pub fn slices(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(&self.rest).filter(|slice| !slice.is_empty())
    }

    /// All bytes as one slice; copies only if there are several. Decoded records are one.
    pub fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() {
            return self.first;
        }
        let mut joined = BytesMut::with_capacity(self.len);
        self.slices().for_each(|slice| joined.extend_from_slice(slice));
        joined.freeze()
    }
}

impl From<Bytes> for Records {
    fn from(slice: Bytes) -> Records {
        let mut records = Records::new();
        records.push(slice);
        records
    }
}

impl Extend<Bytes> for Records {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, slices: I) {
        slices.into_iter().for_each(|slice| self.push(slice));
    }
}

impl FromIterator<Bytes> for Records {
    fn from_iter<I: IntoIterator<Item = Bytes>>(slices: I) -> Records {
        let mut records = Records::new();
        records.extend(slices);
        records
    }
}

impl PartialEq for Records {
    /// By their bytes, however they are cut.
    fn eq(&self, other: &Records) -> bool {
        self.len == other.len && self.slices().flatten().eq(other.slices().flatten())
    }
}

impl Eq for Records {}

impl std::fmt::Debug for Records {
    /// The sizes only: records are many and belong to somebody else.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Records({} bytes)", self.len)
    }
}
