//! What a partition's next page is to list.

use weir_ids::Offset;

use super::{Entries, PageRef};
use crate::{Reference, checkpoint::Listing};

impl Listing {
    /// What the next page of so many entries, at least two, is to list: the oldest references, or the oldest pages of a
    /// level, if there are so many that as many stay.
    pub fn due_page(&self, entries: usize) -> Option<Entries> {
        let entries = entries.max(2);
        if self.references.len() >= 2 * entries {
            return Some(Entries::References(self.references[..entries].to_vec()));
        }
        let levels = self.pages.chunk_by(|one, next| one.level == next.level);
        let full = levels.into_iter().find(|pages| pages.len() >= 2 * entries)?;
        Some(Entries::Pages(full[..entries].to_vec()))
    }

    /// A page lists these entries from now on. Returns false, and changes nothing, if they are not all here any more.
    pub fn page_off(&mut self, entries: &Entries, page: PageRef) -> bool {
        match entries {
            Entries::References(paged) => {
                if !self.references.starts_with(paged) {
                    return false;
                }
                self.references.drain(..paged.len());
                self.pages.push(page);
            }
            Entries::Pages(paged) => {
                let begin = self.pages.partition_point(|it| it.last < page.base);
                let range = begin..begin + paged.len();
                if self.pages.get(range.clone()) != Some(&paged[..]) {
                    return false;
                }
                self.pages.splice(range, [page]);
            }
        }
        true
    }

    /// These pages are not needed any more, and what they list is here again. Returns false, and changes nothing, if the
    /// pages are others.
    pub fn unpage(&mut self, pages: &[PageRef], references: Vec<Reference>) -> bool {
        if self.pages != pages {
            return false;
        }
        self.pages.clear();
        let log_start = self.log_start;
        let needed = references.into_iter().filter(|reference| reference.last >= log_start);
        self.references.splice(..0, needed);
        true
    }

    /// The page that lists what is stored at `offset`; `None` if a reference does, or nothing.
    pub fn page_with(&self, offset: Offset) -> Option<&PageRef> {
        let place = self.pages.partition_point(|page| page.last < offset);
        self.pages.get(place)
    }

    /// Bytes of records that are stored.
    pub fn stored_bytes(&self) -> u64 {
        let of = |reference: &Reference| u64::from(reference.data.len);
        self.pages.iter().map(|page| page.bytes).sum::<u64>()
            + self.references.iter().map(of).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::{LeaderEpoch, SessionId, Timestamp};

    use super::*;
    use crate::{ByteRange, ObjectName, pages::PAGE_ENTRIES};

    const OBJECT: ObjectName = ObjectName::Sorted { session: SessionId(1), number: 1 };

    fn reference(offset: i64) -> Reference {
        Reference {
            object: OBJECT,
            base: Offset(offset),
            last: Offset(offset),
            epoch: LeaderEpoch(1),
            max_timestamp: Timestamp(offset),
            data: ByteRange { at: 0, len: 10 },
            index: ByteRange { at: 10, len: 1 },
        }
    }

    fn listing(count: usize) -> Listing {
        Listing {
            next: Offset(count as i64),
            references: (0..count as i64).map(reference).collect(),
            ..Listing::default()
        }
    }

    /// Makes every page that is due, as one that holds just its entries.
    fn page_all(listing: &mut Listing) -> usize {
        let mut made = 0;
        while let Some(entries) = listing.due_page(PAGE_ENTRIES) {
            let sum = entries.sum().unwrap();
            let page = PageRef {
                object: OBJECT,
                place: ByteRange { at: 0, len: 1 },
                level: sum.level,
                base: sum.base,
                last: sum.last,
                max_timestamp: sum.max_timestamp,
                bytes: sum.bytes,
            };
            assert!(listing.page_off(&entries, page));
            assert!(listing.is_dense());
            made += 1;
        }
        made
    }

    #[test]
    fn the_oldest_go_to_pages_and_as_many_stay() {
        let mut few = listing(2 * PAGE_ENTRIES - 1);
        assert_eq!(page_all(&mut few), 0);
        let mut more = listing(3 * PAGE_ENTRIES);
        let (bytes, next) = (more.stored_bytes(), more.next);
        assert_eq!(page_all(&mut more), 2);
        assert_eq!((more.pages.len(), more.references.len()), (2, PAGE_ENTRIES));
        assert_eq!((more.stored_bytes(), more.next), (bytes, next));
        let at = |offset| more.page_with(Offset(offset)).map(|page| page.base.0);
        assert_eq!(at(0), Some(0));
        assert_eq!(at(2 * PAGE_ENTRIES as i64 - 1), Some(PAGE_ENTRIES as i64));
        assert_eq!(at(2 * PAGE_ENTRIES as i64), None, "a reference has it");
    }

    #[test]
    fn of_a_million_references_an_owner_holds_three_thousand_and_a_look_up_reads_one_page() {
        let mut old = Listing::default();
        while old.next < Offset(1_000_000) {
            let more = old.next.0..old.next.0 + PAGE_ENTRIES as i64;
            old.references.extend(more.clone().map(reference));
            old.next = Offset(more.end);
            page_all(&mut old);
        }
        let held = old.pages.len() + old.references.len();
        assert!(held < 3 * PAGE_ENTRIES, "{held}");
        let first = old.page_with(Offset(0)).map(|page| page.level);
        let last = old.page_with(Offset(990_000)).map(|page| page.level);
        assert_eq!((first, last), (Some(0), Some(0)), "no pages of pages");
    }

    #[test]
    fn pages_of_pages_follow() {
        let count = 2 * PAGE_ENTRIES as i64;
        let page = |number: i64| PageRef {
            object: OBJECT,
            place: ByteRange { at: 0, len: 1 },
            level: 0,
            base: Offset(number * 10),
            last: Offset(number * 10 + 9),
            max_timestamp: Timestamp(number),
            bytes: 1,
        };
        let pages = (0..=count).map(page).collect();
        let mut many = Listing { next: Offset((count + 1) * 10), pages, ..Listing::default() };
        page_all(&mut many);
        let levels: Vec<u8> = many.pages.iter().map(|page| page.level).collect();
        assert_eq!(levels.len(), 2 + PAGE_ENTRIES);
        assert_eq!(levels[..3], [1, 0, 0]);
    }

    #[test]
    fn where_the_log_begins_pages_go_whole() {
        let mut more = listing(4 * PAGE_ENTRIES);
        page_all(&mut more);
        more.start_at(Offset(PAGE_ENTRIES as i64 + 5));
        assert_eq!((more.pages.len(), more.references.len()), (2, PAGE_ENTRIES));
        assert!(more.is_dense());
        more.start_at(Offset(3 * PAGE_ENTRIES as i64 + 5));
        assert_eq!((more.pages.len(), more.references.len()), (0, PAGE_ENTRIES - 5));
        assert!(more.is_dense());
    }

    #[test]
    fn what_has_gone_meanwhile_is_not_listed() {
        let mut listing = listing(2 * PAGE_ENTRIES);
        let entries = listing.due_page(PAGE_ENTRIES).unwrap();
        listing.start_at(Offset(1));
        let before = listing.clone();
        let place = ByteRange { at: 0, len: 1 };
        let (base, last, max_timestamp) = (Offset(0), Offset(1_023), Timestamp(1_023));
        let page = PageRef { object: OBJECT, place, level: 0, base, last, max_timestamp, bytes: 1 };
        assert!(!listing.page_off(&entries, page));
        assert_eq!(listing, before);
    }
}
