//! What something refers to.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{Offset, Timestamp, TopicPartition};
use weir_segment_store::{
    ObjectName, ReadError, Reader,
    checkpoint::Listing,
    pages::{Entries, PageRef},
};

/// Objects that something refers to, and pages that lead to more.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Named {
    /// The objects, and those that hold the pages.
    pub objects: BTreeSet<ObjectName>,
    /// Pages, and from which offset on what they list is needed.
    pub pages: BTreeMap<PageRef, Offset>,
}

impl Named {
    /// What a listing refers to.
    pub(crate) fn add(&mut self, listing: &Listing) {
        self.objects.extend(listing.references.iter().map(|reference| reference.object));
        for page in &listing.pages {
            self.add_page(*page, listing.log_start);
        }
    }

    /// A page, of which what lies below `from` is not needed for this one's sake.
    pub(crate) fn add_page(&mut self, page: PageRef, from: Offset) {
        self.objects.insert(page.object);
        let known = self.pages.entry(page).or_insert(from);
        *known = from.min(*known);
    }

    /// And all that is named there.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.objects.extend(&other.objects);
        for (page, from) in &other.pages {
            self.add_page(*page, *from);
        }
    }

    /// All objects that are needed, those that pages list among them.
    ///
    /// # Errors
    /// When a page can't be read: then nobody knows.
    pub async fn all(self, reader: &Reader) -> Result<BTreeSet<ObjectName>, ReadError> {
        let Self { mut objects, mut pages } = self;
        while let Some((page, from)) = pages.pop_first() {
            let below = listed_by(reader, &page, from).await?.named;
            objects.extend(below.objects);
            pages.extend(below.pages);
        }
        Ok(objects)
    }
}

/// What a page lists from an offset on.
pub(crate) struct Listed {
    /// What that refers to.
    pub(crate) named: Named,
    /// How many bytes that takes, by object.
    pub(crate) held: BTreeMap<ObjectName, u64>,
    /// Whose it is, and where it begins.
    pub(crate) at: (TopicPartition, Offset),
}

/// Reads what a page lists from an offset on.
pub(crate) async fn listed_by(
    reader: &Reader,
    page: &PageRef,
    from: Offset,
) -> Result<Listed, ReadError> {
    let base = page.base;
    let page = reader.page(page).await?;
    let (named, held) = Default::default();
    let mut listed = Listed { named, held, at: (page.partition, base) };
    let Some(first) = page.entries.first(from, Timestamp(i64::MIN)) else { return Ok(listed) };
    match &page.entries {
        Entries::References(all) => {
            for reference in &all[first..] {
                listed.named.objects.insert(reference.object);
                *listed.held.entry(reference.object).or_default() += reference.takes_bytes();
            }
        }
        Entries::Pages(all) => all[first..].iter().for_each(|it| listed.named.add_page(*it, from)),
    }
    Ok(listed)
}
