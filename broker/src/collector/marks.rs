//! What a round has found out of the objects that may go. No I/O.

use std::collections::BTreeMap;

use weir_segment_store::ObjectName;

use super::candidates::Unnamed;

/// What an object takes beside what is referred to, at most: the smallest would be thin however they are written.
const OBJECT_BYTES: u64 = 256;

/// Candidates.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<ObjectName, Mark>);

#[derive(Debug)]
struct Mark {
    /// How long it is.
    bytes: u64,
    /// How many of its bytes partitions refer to.
    held: u64,
    /// Whether anybody names it.
    is_named: bool,
}

impl Mark {
    fn is_thin(&self) -> bool {
        self.held > 0 && self.held.saturating_add(OBJECT_BYTES) < self.bytes / 2
    }
}

impl Marks {
    /// Of these, nobody names any yet.
    pub(super) fn new(candidates: Unnamed) -> Self {
        let mark = |bytes| Mark { bytes, held: 0, is_named: false };
        Self(candidates.into_iter().map(|(name, bytes)| (name, mark(bytes))).collect())
    }

    /// Somebody names it.
    pub(super) fn name(&mut self, name: &ObjectName) {
        if let Some(mark) = self.0.get_mut(name) {
            mark.is_named = true;
        }
    }

    /// Some partition refers to so many of its bytes.
    pub(super) fn hold(&mut self, name: &ObjectName, bytes: u64) {
        if let Some(mark) = self.0.get_mut(name) {
            mark.held = mark.held.saturating_add(bytes);
        }
    }

    /// All is known.
    pub(super) fn found(self) -> Found {
        let mut found = Found::default();
        for (name, mark) in self.0 {
            if !mark.is_named {
                found.unnamed.insert(name, mark.bytes);
            } else if mark.is_thin() && holds_records(name) {
                found.thin.insert(name, mark.bytes);
            }
        }
        found
    }
}

/// What a round has found, with lengths.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What nobody names.
    pub(super) unnamed: Unnamed,
    /// Objects of whose bytes partitions refer to less than half.
    pub(super) thin: Unnamed,
}

fn holds_records(name: ObjectName) -> bool {
    matches!(
        name,
        ObjectName::WalSlot { .. } | ObjectName::WalFile { .. } | ObjectName::Sorted { .. }
    )
}
