//! How long objects are.

use std::collections::BTreeMap;

use weir_segment_store::{ObjectName, Store, StoreError};

/// What was listed, and what had to be asked for: a listing may be behind, and files on a disk are in none.
pub(super) struct Sizes {
    store: Store,
    known: BTreeMap<ObjectName, Option<u64>>,
}

impl Sizes {
    pub(super) fn new(store: &Store, listed: &[(ObjectName, u64)]) -> Self {
        let known = listed.iter().map(|(name, len)| (*name, Some(*len))).collect();
        Self { store: store.clone(), known }
    }

    /// How long it is; `None`: it is not there.
    pub(super) async fn of(&mut self, name: ObjectName) -> Result<Option<u64>, StoreError> {
        if let Some(len) = self.known.get(&name) {
            return Ok(*len);
        }
        let len = match self.store.len(name).await {
            Ok(len) => Some(len),
            Err(StoreError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        self.known.insert(name, len);
        Ok(len)
    }
}
