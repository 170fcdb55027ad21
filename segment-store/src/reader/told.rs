//! What is wrong with stored bytes is said once, however often they are wanted.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Key, ReadError};
use crate::StoreError;

/// How many ranges are remembered; then it begins anew.
const REMEMBERED: usize = 1_024;

/// The ranges that were told. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Told(Arc<Mutex<BTreeSet<Key>>>);

impl Told {
    /// Tells what keeps a range from being read, unless that may heal or was told. Returns whether it did.
    pub(super) fn once(&self, range: Key, error: &ReadError) -> bool {
        let lasts = match error {
            ReadError::Corrupt { .. } | ReadError::Store(StoreError::NotFound(_)) => true,
            ReadError::Store(error) => !error.may_heal(),
        };
        let is_news = lasts && self.remember(range);
        if is_news {
            tracing::error!(%error, "stored records can't be read; `weir fsck` tells which");
        }
        is_news
    }

    fn remember(&self, range: Key) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(range)
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::SessionId;

    use super::*;
    use crate::ObjectName;

    #[test]
    fn what_lasts_is_told_once_a_range() {
        let object = ObjectName::Sorted { session: SessionId(1), number: 1 };
        let (told, gone) = (Told::default(), ReadError::Store(StoreError::NotFound("x".into())));
        let heals = StoreError::Failed { name: "x".into(), what: "busy".into() };
        assert!(!told.once((object, 64), &ReadError::Store(heals)));
        assert!(told.once((object, 64), &gone));
        assert!(!told.once((object, 64), &gone));
        assert!(told.once((object, 65), &gone), "another range");
    }
}
