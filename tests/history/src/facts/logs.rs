//! The logs of all partitions in the end, for looking up by place.

use crate::{Partition, Place, Seen, Value};

/// What the end has at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This value.
    Value(Value),
    /// Nothing, though the log reaches here or should.
    Nothing,
    /// The end does not say: the place lies below the log's start, or there is no end.
    Unknown,
}

/// The log of a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) edges: Partition,
    /// Strictly ascending by offset.
    records: Vec<(i64, Value)>,
}

impl Log {
    /// The records from an offset on.
    pub(crate) fn from(&self, offset: i64) -> &[(i64, Value)] {
        &self.records[self.index(offset)..]
    }

    fn at(&self, offset: i64) -> Option<Value> {
        self.from(offset).first().filter(|(at, _)| *at == offset).map(|(_, value)| *value)
    }

    /// How many records lie before an offset. Where no offset is missing that is known at once; else it
    /// can only be less.
    fn index(&self, offset: i64) -> usize {
        let Some((first, _)) = self.records.first() else { return 0 };
        let dense = usize::try_from(offset.saturating_sub(*first)).unwrap_or(0);
        if self.records.get(dense).is_some_and(|(at, _)| *at == offset) {
            return dense;
        }
        let most = dense.min(self.records.len());
        self.records[..most].partition_point(|(at, _)| *at < offset)
    }
}

/// The logs of all partitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs(Vec<Log>);

impl Logs {
    pub(crate) fn new(edges: &[Partition], read: &[Seen]) -> Self {
        let mut logs: Vec<Log> =
            edges.iter().map(|edges| Log { edges: *edges, records: Vec::new() }).collect();
        for seen in read {
            // A record of a partition that the end does not list is reported with what was read.
            if let Some(log) = index(seen.place.partition).and_then(|at| logs.get_mut(at)) {
                log.records.push((seen.place.offset, seen.value));
            }
        }
        for log in &mut logs {
            // In order already, unless reading went wrong.
            log.records.sort_by_key(|(offset, _)| *offset);
            log.records.dedup_by_key(|(offset, _)| *offset);
        }
        Self(logs)
    }

    /// A log, if the end lists it.
    pub(crate) fn get(&self, partition: i32) -> Option<&Log> {
        index(partition).and_then(|at| self.0.get(at))
    }

    pub(crate) fn edges(&self, partition: i32) -> Partition {
        self.get(partition).map(|log| log.edges).unwrap_or_default()
    }

    pub(crate) fn find(&self, place: Place) -> Found {
        match self.get(place.partition) {
            Some(log) if place.offset < log.edges.log_start => Found::Unknown,
            log => log.and_then(|log| log.at(place.offset)).map_or(Found::Nothing, Found::Value),
        }
    }

    /// All logs with their partitions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i32, &Log)> {
        (0..).zip(&self.0)
    }
}

fn index(partition: i32) -> Option<usize> {
    usize::try_from(partition).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(offset: i64) -> Seen {
        let number = u32::try_from(offset).unwrap();
        Seen { place: Place { partition: 0, offset }, value: Value { writer: 0, number } }
    }

    #[test]
    fn records_are_found_in_dense_logs_and_beside_gaps() {
        for offsets in [vec![], vec![5], vec![5, 6, 7, 8], vec![5, 7, 8, 11, 12, 20]] {
            let read: Vec<Seen> = offsets.iter().map(|offset| seen(*offset)).collect();
            let logs = Logs::new(&[Partition::new(4, 21)], &read);
            for offset in 4..25 {
                let place = Place { partition: 0, offset };
                let value = offsets.contains(&offset).then(|| Found::Value(seen(offset).value));
                assert_eq!(logs.find(place), value.unwrap_or(Found::Nothing), "{offset}");
                let behind = offsets.iter().filter(|it| **it >= offset).count();
                assert_eq!(logs.get(0).unwrap().from(offset).len(), behind);
            }
        }
    }

    #[test]
    fn the_end_says_nothing_below_the_start_and_nothing_good_of_other_partitions() {
        let logs = Logs::new(&[Partition::new(4, 6)], &[seen(4), seen(5)]);
        assert_eq!(logs.find(Place { partition: 0, offset: 3 }), Found::Unknown);
        assert_eq!(logs.find(Place { partition: 1, offset: 3 }), Found::Nothing);
        assert_eq!(logs.find(Place { partition: -1, offset: 3 }), Found::Nothing);
        assert_eq!(logs.find(Place { partition: 0, offset: i64::MIN }), Found::Unknown);
        assert_eq!(logs.find(Place { partition: 0, offset: i64::MAX }), Found::Nothing);
    }
}
