//! Reading many entries, page by page, all as of one revision.

use super::{Entry, Key, MetaStore, Revision, StoreError};

/// How many entries a page holds at most, whatever was asked for.
pub const PAGE_ENTRIES_MAX: usize = 1_000;

/// Which entries to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// Those whose key begins so.
    pub prefix: String,
    /// And comes behind this one.
    pub after: Option<Key>,
    /// At most so many.
    pub limit: usize,
    /// As they were at this revision; without it, now.
    pub at: Option<Revision>,
}

impl Range {
    /// The first page of what begins with `prefix`, as it is now.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), after: None, limit: PAGE_ENTRIES_MAX, at: None }
    }

    /// At most `limit` entries.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.min(PAGE_ENTRIES_MAX);
        self
    }

    /// Only what comes behind `key`.
    #[must_use]
    pub fn after(mut self, key: Key) -> Self {
        self.after = Some(key);
        self
    }

    /// As it was at `revision`.
    #[must_use]
    pub fn at(mut self, revision: Revision) -> Self {
        self.at = Some(revision);
        self
    }
}

/// A page of entries, in key order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether there are more behind the last.
    pub more: bool,
    /// The revision that the page shows: the next page asks for the same.
    pub revision: Revision,
}

/// How often a listing begins again because so much was written meanwhile that its revision is
/// gone.
const LIST_ATTEMPTS_MAX: u32 = 5;

/// Every entry under `prefix` as of one revision, which is returned too: a watch from the next one
/// misses nothing.
///
/// # Errors
/// Those of [`MetaStore::range`].
pub async fn list(
    store: &dyn MetaStore,
    prefix: &str,
) -> Result<(Vec<Entry>, Revision), StoreError> {
    for _ in 1..LIST_ATTEMPTS_MAX {
        match list_once(store, prefix, None).await {
            Err(StoreError::Compacted { .. }) => {}
            listed => return listed,
        }
    }
    list_once(store, prefix, None).await
}

/// Every entry under each of `prefixes`, all as of one revision, which is returned too.
///
/// # Errors
/// Those of [`MetaStore::range`].
pub async fn list_together<const N: usize>(
    store: &dyn MetaStore,
    prefixes: [&str; N],
) -> Result<([Vec<Entry>; N], Revision), StoreError> {
    for _ in 1..LIST_ATTEMPTS_MAX {
        match list_together_once(store, prefixes).await {
            Err(StoreError::Compacted { .. }) => {}
            listed => return listed,
        }
    }
    list_together_once(store, prefixes).await
}

async fn list_together_once<const N: usize>(
    store: &dyn MetaStore,
    prefixes: [&str; N],
) -> Result<([Vec<Entry>; N], Revision), StoreError> {
    let mut listed = std::array::from_fn(|_| Vec::new());
    let mut at = None;
    for (entries, prefix) in listed.iter_mut().zip(prefixes) {
        let (found, revision) = list_once(store, prefix, at).await?;
        *entries = found;
        at = Some(revision);
    }
    Ok((listed, at.unwrap_or(Revision::NONE)))
}

async fn list_once(
    store: &dyn MetaStore,
    prefix: &str,
    at: Option<Revision>,
) -> Result<(Vec<Entry>, Revision), StoreError> {
    let mut page = store.range(Range { at, ..Range::prefix(prefix) }).await?;
    let (mut entries, revision) = (std::mem::take(&mut page.entries), page.revision);
    while let (true, Some(last)) = (page.more, entries.last()) {
        page = store.range(Range::prefix(prefix).after(last.key.clone()).at(revision)).await?;
        entries.append(&mut page.entries);
    }
    Ok((entries, revision))
}
