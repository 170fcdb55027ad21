//! Which ranges of a partition are better written once more, as one. No I/O.
//!
//! Ranges have *tiers* by their length, each [`Rule::enough`] times as long as the one below. When so many neighbours have
//! gathered in a tier, they become one range, with what lies between them in lower tiers; that one is in a higher tier. So
//! a byte is written once more per tier that it climbs, and a partition has at most so many references a tier. What is
//! long enough to be read by itself stays where it is for ever.
//!
//! Ranges leave a log whole. So one is no longer than a segment of its topic is to be, in bytes and in time: time is parted
//! into spans of that length, and neighbours of one span become one.

use std::{collections::BTreeSet, ops::Range};

use crate::{ObjectName, Reference};

/// What is worth being written once more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// How many neighbours; at least two.
    pub enough: usize,
    /// Ranges of at least so many bytes are read by themselves well enough.
    pub long_bytes: u32,
}

/// What becomes one range at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// `segment.bytes`.
    pub bytes: u64,
    /// `segment.ms`, in timestamps.
    pub ms: i64,
}

impl Rule {
    /// The neighbours that are to become one range next, by their places in `references`; `None` if there are too few.
    /// Young ones first, in the lowest tier that has enough: those are the shortest. Each epoch makes a range of its
    /// own, so neighbours of as many epochs are not worth it.
    pub fn due(&self, references: &[Reference], segment: Segment) -> Option<Range<usize>> {
        if references.len() < self.enough {
            return None;
        }
        let (spans, mut end) = (spans(references, segment.ms), references.len());
        while end >= self.enough {
            let begin = self.run_before(references, &spans, end);
            let found = (0..=self.tier(self.long_bytes)).find_map(|highest| {
                let tiers = references[begin..end].iter().rev().map(|it| self.tier(it.data.len));
                let low: Vec<u32> = tiers.take_while(|tier| *tier <= highest).collect();
                let reached = low.iter().filter(|tier| **tier == highest).count();
                let found = end - low.len()..end;
                let worth =
                    reached >= self.enough && epochs(&references[found.clone()]) * 2 <= reached;
                worth.then_some(found)
            });
            if let Some(found) = found {
                return Some(within(found, references, segment.bytes));
            }
            let is_long = |place: usize| references[place].data.len >= self.long_bytes;
            // A long range may end this run.
            end = begin - usize::from(begin > 0 && is_long(begin - 1));
        }
        None
    }

    /// The first neighbours that lie in `objects`, by their places: as many as make one range.
    pub fn lying_in(
        &self,
        references: &[Reference],
        objects: &BTreeSet<ObjectName>,
        segment: Segment,
    ) -> Option<Range<usize>> {
        let begin = references.iter().position(|it| objects.contains(&it.object))?;
        let (run, spans) = (&references[begin..], spans(references, segment.ms));
        let longest = segment.bytes.min(self.enough as u64 * u64::from(self.long_bytes));
        let mut sum = 0;
        let fits = run.iter().zip(&spans[begin..]).take_while(|(reference, span)| {
            sum += u64::from(reference.data.len);
            objects.contains(&reference.object) && **span == spans[begin] && sum <= longest
        });
        Some(begin..begin + fits.count().max(1))
    }

    /// Where the run of short ranges begins that ends before place `end`.
    fn run_before(&self, references: &[Reference], spans: &[i64], end: usize) -> usize {
        let run = references[..end].iter().zip(&spans[..end]).rev();
        let is_part = |(reference, span): &(&Reference, &i64)| {
            reference.data.len < self.long_bytes && **span == spans[end - 1]
        };
        end - run.take_while(is_part).count()
    }

    /// With 64: lengths below 64 bytes are in the lowest tier, those below 64² in the next.
    fn tier(&self, bytes: u32) -> u32 {
        bytes.checked_ilog(self.enough.max(2) as u32).unwrap_or(0)
    }
}

/// The span of time in which each has its newest record, or that of one before it: some timestamps are of long ago, and
/// what is written again must not be in parts for that.
fn spans(references: &[Reference], ms: i64) -> Vec<i64> {
    let newest = references.iter().scan(i64::MIN, |newest, reference| {
        *newest = reference.max_timestamp.0.max(*newest);
        Some(newest.div_euclid(ms.max(1)))
    });
    newest.collect()
}

/// The first of these, as long as they are that many bytes; two at least.
fn within(found: Range<usize>, references: &[Reference], bytes: u64) -> Range<usize> {
    let mut sum = 0;
    let fits = references[found.clone()].iter().take_while(|reference| {
        sum += u64::from(reference.data.len);
        sum <= bytes
    });
    found.start..found.start + fits.count().max(2)
}

/// How many runs of one epoch each there are.
fn epochs(references: &[Reference]) -> usize {
    references.chunk_by(|one, next| one.epoch == next.epoch).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use weir_ids::{LeaderEpoch, Offset, SessionId, Timestamp};

    use super::*;
    use crate::{ByteRange, ObjectName};

    const ENOUGH: usize = 64;
    const LONG_BYTES: u32 = 512 << 10;
    const RULE: Rule = Rule { enough: ENOUGH, long_bytes: LONG_BYTES };

    const SEGMENT: Segment = Segment { bytes: 1 << 30, ms: 604_800_000 };

    fn due(references: &[Reference]) -> Option<Range<usize>> {
        RULE.due(references, SEGMENT)
    }

    /// A reference a length, ten offsets each.
    fn references(lens: impl IntoIterator<Item = u32>) -> Vec<Reference> {
        let of = |(place, len): (i64, u32)| Reference {
            object: ObjectName::Sorted { session: SessionId(1), number: place as u64 },
            base: Offset(place * 10),
            last: Offset(place * 10 + 9),
            epoch: LeaderEpoch(1),
            max_timestamp: Timestamp(place),
            data: ByteRange { at: 64, len },
            index: ByteRange { at: 64 + u64::from(len), len: 20 },
        };
        (0..).zip(lens).map(of).collect()
    }

    #[test]
    fn so_many_short_neighbours_become_one() {
        let short = |count| references(std::iter::repeat_n(1_000, count));
        assert_eq!(due(&short(ENOUGH - 1)), None);
        assert_eq!(due(&short(ENOUGH)), Some(0..ENOUGH));
        assert_eq!(due(&short(ENOUGH + 5)), Some(0..ENOUGH + 5));
    }

    #[test]
    fn long_ranges_stay_and_part_their_neighbours() {
        let long = || references(std::iter::repeat_n(LONG_BYTES, 1_000));
        assert_eq!(due(&long()), None);
        let (short, alone) = (vec![100; ENOUGH], vec![100; 3]);
        let lens = [vec![LONG_BYTES], short, vec![LONG_BYTES], alone].concat();
        assert_eq!(due(&references(lens)), Some(1..1 + ENOUGH));
        let parted = [100, LONG_BYTES].repeat(ENOUGH * 2);
        assert_eq!(due(&references(parted)), None);
    }

    #[test]
    fn what_has_climbed_is_not_written_again_with_the_next() {
        let lens = [vec![64_000; 63], vec![1_000; ENOUGH]].concat();
        assert_eq!(due(&references(lens)), Some(63..63 + ENOUGH), "the young alone");
        let lens = [vec![64_000; 40], vec![1_000; 9], vec![64_000; 24], vec![1_000]].concat();
        assert_eq!(due(&references(lens)), Some(0..74), "with what lies below and between");
    }

    #[test]
    fn a_range_is_no_longer_than_a_segment() {
        let bytes = |bytes| RULE.due(&references([500_000; ENOUGH]), Segment { bytes, ..SEGMENT });
        assert_eq!(bytes(1_200_000), Some(0..2));
        assert_eq!(bytes(499_999), Some(0..2), "two, if they are longer together");
        assert_eq!(bytes(ENOUGH as u64 * 500_000), Some(0..ENOUGH));
    }

    #[test]
    fn a_range_spans_no_more_time_than_a_segment() {
        let hour = 3_600_000;
        let within_hours =
            |references: &[Reference]| RULE.due(references, Segment { ms: hour, ..SEGMENT });
        let mut short = references([1_000; ENOUGH * 2]);
        let places = (0..).zip(&mut short);
        places.for_each(|(place, it)| {
            it.max_timestamp = Timestamp(hour - 40 * 60_000 + place * 60_000)
        });
        // 40 in the first hour, 60 in the second, 28 in the third.
        assert_eq!(within_hours(&short), None);
        short.truncate(ENOUGH + 41);
        short[40..].iter_mut().for_each(|it| it.max_timestamp = Timestamp(hour));
        assert_eq!(within_hours(&short), Some(40..ENOUGH + 41));
        // What is written again has old timestamps now and then.
        short[50].max_timestamp = Timestamp(7);
        assert_eq!(within_hours(&short), Some(40..ENOUGH + 41));
    }

    #[test]
    fn neighbours_in_the_same_objects_are_written_once_more_as_long_as_they_make_one_range() {
        let some = references([100, 200, 300, LONG_BYTES, 100, 100]);
        let lying_in = |places: &[usize], segment| {
            let objects = places.iter().map(|place| some[*place].object).collect();
            RULE.lying_in(&some, &objects, segment)
        };
        assert_eq!(lying_in(&[], SEGMENT), None);
        assert_eq!(lying_in(&[1, 2, 5], SEGMENT), Some(1..3), "the others are next");
        assert_eq!(lying_in(&[2, 3, 4], SEGMENT), Some(2..5));
        assert_eq!(lying_in(&[0, 1, 2], Segment { bytes: 350, ..SEGMENT }), Some(0..2));
        assert_eq!(lying_in(&[3], Segment { bytes: 350, ..SEGMENT }), Some(3..4), "one at least");
        // A millisecond lies between two of them.
        assert_eq!(lying_in(&[1, 2, 3], Segment { ms: 2, ..SEGMENT }), Some(1..2));
    }

    #[test]
    fn what_changes_its_epoch_all_the_time_is_left_alone() {
        let mut changing = references(std::iter::repeat_n(1_000, ENOUGH * 2));
        for (place, reference) in changing.iter_mut().enumerate() {
            reference.epoch = LeaderEpoch(place as i32);
        }
        assert_eq!(due(&changing), None);
        for (place, reference) in changing.iter_mut().enumerate() {
            reference.epoch = LeaderEpoch(place as i32 / 5);
        }
        assert_eq!(due(&changing), Some(0..ENOUGH * 2));
    }

    /// Adds references of `lens` one by one, and makes one of those that are due. Returns the lengths that are left, and
    /// how many bytes were written once more.
    fn gather(lens: &[u32]) -> (Vec<u32>, u64) {
        let (mut held, mut written) = (Vec::new(), 0);
        for len in lens {
            held.push(*len);
            while let Some(range) = due(&references(held.clone())) {
                let sum: u32 = held[range.clone()].iter().sum();
                written += u64::from(sum);
                held.splice(range, [sum]);
            }
        }
        (held, written)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn references_stay_few_and_bytes_are_written_a_few_times(
            lens in prop::collection::vec(100u32..20_000, 1..2_000)
        ) {
            let (held, written) = gather(&lens);
            let total: u64 = lens.iter().map(|len| u64::from(*len)).sum();
            prop_assert_eq!(held.iter().map(|len| u64::from(*len)).sum::<u64>(), total);
            prop_assert!(held.len() < 4 * ENOUGH, "{} are left", held.len());
            prop_assert!(written <= 3 * total, "{written} of {total}");
        }
    }
}
