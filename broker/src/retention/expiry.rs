//! How much of a log is to go. No I/O.

use weir_ids::{Offset, Timestamp};
use weir_segment_store::{
    Reference,
    pages::{Entries, PageRef},
};

use crate::TopicRules;

/// A look at a log from its start on, until something stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Expiry {
    /// Where the log begins.
    log_start: Offset,
    /// What is older goes.
    oldest: Option<i64>,
    /// What goes leaves at least as much.
    most_bytes: Option<u64>,
    /// `segment.bytes` and `segment.ms`: that much may stay for what lies beside it.
    segment_bytes: u64,
    segment_ms: i64,
    /// Bytes from what is looked at next to the log's end.
    left: u64,
    /// The last of what goes.
    last: Option<Offset>,
    /// The largest timestamp so far.
    newest: Option<i64>,
}

/// What follows one another in a log, in sum.
#[derive(Clone, Copy)]
struct Span {
    last: Offset,
    max_timestamp: Timestamp,
    bytes: u64,
}

impl Expiry {
    /// Of a log with that many bytes. `None` if everything stays, always.
    pub(crate) fn new(
        rules: &TopicRules,
        now: Timestamp,
        log_start: Offset,
        bytes: u64,
    ) -> Option<Self> {
        let TopicRules { retention_ms, retention_bytes, segment_bytes, segment_ms, .. } = *rules;
        (retention_ms.is_some() || retention_bytes.is_some()).then_some(Self {
            log_start,
            oldest: retention_ms.map(|ms| now.0.saturating_sub(ms)),
            most_bytes: retention_bytes,
            segment_bytes,
            segment_ms,
            left: bytes,
            last: None,
            newest: None,
        })
    }

    /// Where the log is to begin, if that is further on than it does.
    pub(crate) fn start(&self) -> Option<Offset> {
        self.last.map(|last| last.plus(1))
    }

    /// Looks at these, which follow. Returns whether all of them go.
    pub(crate) fn references(&mut self, references: &[Reference]) -> bool {
        references.iter().all(|it| {
            self.goes(Span {
                last: it.last,
                max_timestamp: it.max_timestamp,
                bytes: u64::from(it.data.len),
            })
        })
    }

    /// Looks at these. Returns the first that stays.
    pub(crate) fn pages<'a>(&mut self, pages: &'a [PageRef]) -> Option<&'a PageRef> {
        pages.iter().find(|it| {
            let PageRef { last, max_timestamp, bytes, .. } = **it;
            !self.goes(Span { last, max_timestamp, bytes })
        })
    }

    /// Looks at what a page lists, which stays itself. Returns a page of these to look into.
    pub(crate) fn within(&mut self, entries: &Entries) -> Option<PageRef> {
        match entries {
            Entries::References(references) => {
                self.references(references);
                None
            }
            Entries::Pages(pages) => {
                let stays = self.pages(pages)?;
                self.is_worth_a_look(stays).then_some(*stays)
            }
        }
    }

    /// Whether more of a page that stays may have to go than of one of Kafka's segments.
    pub(crate) fn is_worth_a_look(&self, page: &PageRef) -> bool {
        let spare = self.most_bytes.and_then(|most| self.left.checked_sub(most));
        let older = self.newest.unwrap_or(i64::MIN).saturating_add(self.segment_ms);
        page.bytes > self.segment_bytes
            && (spare.is_some_and(|spare| spare > self.segment_bytes)
                || self.oldest.is_some_and(|oldest| oldest > older))
    }

    fn goes(&mut self, Span { last, max_timestamp: Timestamp(newest), bytes }: Span) -> bool {
        let left = self.left.saturating_sub(bytes);
        if last < self.log_start {
            self.left = left;
            return true;
        }
        let is_too_much = self.most_bytes.is_some_and(|most| left >= most);
        let is_old = newest >= 0 && self.oldest.is_some_and(|oldest| newest < oldest);
        if is_too_much || is_old {
            (self.left, self.last) = (left, Some(last));
            self.newest = self.newest.max(Some(newest));
            return true;
        }
        // Nothing there has a time, perhaps since compaction has left nothing: it goes with what follows.
        newest < 0 && self.oldest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::{LeaderEpoch, SessionId};
    use weir_segment_store::{ByteRange, ObjectName};

    use super::*;

    const OBJECT: ObjectName = ObjectName::Sorted { session: SessionId(1), number: 1 };

    fn reference(place: i64, bytes: u32) -> Reference {
        Reference {
            object: OBJECT,
            base: Offset(place * 10),
            last: Offset(place * 10 + 9),
            epoch: LeaderEpoch(1),
            max_timestamp: Timestamp(place * 1_000),
            data: ByteRange { at: 0, len: bytes },
            index: ByteRange { at: 0, len: 1 },
        }
    }

    /// A page of `count` references of a hundred bytes and a second each.
    fn page(from: i64, count: i64) -> (PageRef, Entries) {
        let of = PageRef {
            object: OBJECT,
            place: ByteRange { at: 0, len: 1 },
            level: 0,
            base: Offset(from * 10),
            last: Offset((from + count) * 10 - 1),
            max_timestamp: Timestamp((from + count - 1) * 1_000),
            bytes: 100 * count as u64,
        };
        (of, Entries::References((from..from + count).map(|it| reference(it, 100)).collect()))
    }

    fn rules(retention_ms: Option<i64>, retention_bytes: Option<u64>) -> TopicRules {
        TopicRules {
            retention_ms,
            retention_bytes,
            segment_bytes: 500,
            segment_ms: 5_000,
            ..TopicRules::default()
        }
    }

    #[test]
    fn of_a_large_page_goes_what_its_bytes_are_too_many_for() {
        let (of, entries) = page(0, 100);
        let at = |most, log_start| {
            let rules = rules(None, Some(most));
            let mut expiry = Expiry::new(&rules, Timestamp(0), Offset(log_start), 10_000).unwrap();
            assert_eq!(expiry.pages(&[of]), Some(&of));
            let looks = expiry.is_worth_a_look(&of);
            assert_eq!(expiry.within(&entries), None);
            (looks, expiry.start())
        };
        assert_eq!(at(4_000, 0), (true, Some(Offset(600))));
        assert_eq!(at(9_500, 0), (false, Some(Offset(50))), "not worth a look");
        // 30 of its references are gone already: 7,000 bytes are left.
        assert_eq!(at(4_000, 300), (true, Some(Offset(600))));
        assert_eq!(at(7_000, 300), (true, None));
    }

    #[test]
    fn of_a_long_page_goes_what_is_too_old() {
        let (of, entries) = page(0, 100);
        let rules = rules(Some(20_000), None);
        let mut expiry = Expiry::new(&rules, Timestamp(100_000), Offset(0), 10_000).unwrap();
        assert_eq!(expiry.pages(&[of]), Some(&of));
        assert!(expiry.is_worth_a_look(&of));
        expiry.within(&entries);
        assert_eq!(
            expiry.start(),
            Some(Offset(800)),
            "the one of 80 s is just as old as it may be"
        );
        let (young, _) = page(79, 100);
        let before = page(0, 79).0;
        let mut expiry = Expiry::new(&rules, Timestamp(100_000), Offset(0), 20_000).unwrap();
        assert_eq!(expiry.pages(&[before, young]), Some(&young));
        assert!(!expiry.is_worth_a_look(&young), "at most five seconds of it");
    }

    #[test]
    fn a_page_of_pages_is_looked_into() {
        let (first, _) = page(0, 100);
        let (second, entries) = page(100, 100);
        let rules = rules(None, Some(5_000));
        let mut expiry = Expiry::new(&rules, Timestamp(0), Offset(0), 20_000).unwrap();
        let look = expiry.within(&Entries::Pages(vec![first, second]));
        assert_eq!(look, Some(second));
        assert_eq!(expiry.within(&entries), None);
        assert_eq!(expiry.start(), Some(Offset(1_500)));
    }
}
