//! Which batches were written where, and which were read: by their places and their own sums.
//!
//! A batch is known by the CRC that its producer gave it, which covers all but what a server fills in. Who compares those
//! of a writer with those of a reader, who has summed them up himself, has compared every byte of every record.

use std::collections::BTreeMap;
use std::time::Duration;

/// Violations of one partition that are told.
const TOLD: usize = 3;

/// A record batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Its first offset.
    pub base: i64,
    /// Its last offset.
    pub last: i64,
    /// Its CRC32C.
    pub crc: u32,
    /// How long it is.
    pub bytes: usize,
    /// When it was handed over, or received.
    pub at: Duration,
}

impl Batch {
    fn is(&self, other: &Self) -> bool {
        let key = |it: &Self| (it.base, it.last, it.crc, it.bytes);
        key(self) == key(other)
    }
}

/// The batches of partitions, each in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<i32, Vec<Batch>>);

impl Ledger {
    /// Notes a batch.
    pub fn note(&mut self, partition: i32, batch: Batch) {
        self.0.entry(partition).or_default().push(batch);
    }

    /// Adds what another has noted, of other partitions or of later.
    pub fn extend(&mut self, other: Self) {
        for (partition, batches) in other.0 {
            self.0.entry(partition).or_default().extend(batches);
        }
    }

    /// The batches of a partition.
    pub fn of(&self, partition: i32) -> &[Batch] {
        self.0.get(&partition).map_or(&[], Vec::as_slice)
    }

    /// Bytes of all batches.
    pub fn bytes(&self) -> u64 {
        self.0.values().flatten().map(|batch| batch.bytes as u64).sum()
    }

    /// Bytes of the batches that hold something at or behind these offsets of the partitions from 0 on.
    pub fn bytes_from(&self, starts: &[i64]) -> u64 {
        let bytes = |(partition, start): (i32, &i64)| -> u64 {
            let behind = self.of(partition).iter().filter(|batch| batch.last >= *start);
            behind.map(|batch| batch.bytes as u64).sum()
        };
        (0..).zip(starts).map(bytes).sum()
    }

    /// The ends of the first `part` of `parts` of each of the partitions.
    pub fn ends_of_part(&self, part: usize, parts: usize) -> BTreeMap<i32, i64> {
        let end = |(partition, batches): (&i32, &Vec<Batch>)| {
            let count = batches.len() * part / parts;
            (*partition, batches[..count].last().map_or(0, |batch| batch.last + 1))
        };
        self.0.iter().map(end).collect()
    }

    /// Says where `read`, which begins somewhere in each partition and ends somewhere, differs from this.
    pub fn compare(&self, who: &str, read: &Self) -> Vec<String> {
        let mut violations = Vec::new();
        for (partition, read) in &read.0 {
            let Some(first) = read.first() else { continue };
            let written = self.of(*partition);
            let begin = written.partition_point(|batch| batch.base < first.base);
            let expected = written[begin..].iter();
            let differ = expected.map(Some).chain(std::iter::repeat(None)).zip(read);
            let differ = differ.filter(|(written, read)| !written.is_some_and(|it| it.is(read)));
            violations.extend(differ.take(TOLD).map(|(written, read)| {
                format!("{who}: partition {partition} gave {read:?} where {written:?} was written")
            }));
        }
        violations
    }

    /// Says where `read` does not reach from `starts` to the end of what was written.
    pub fn compare_from(&self, who: &str, read: &Self, starts: &BTreeMap<i32, i64>) -> Vec<String> {
        let mut violations = self.compare(who, read);
        for (partition, written) in &self.0 {
            let start = starts.get(partition).copied().unwrap_or(0);
            let wanted = written.iter().filter(|batch| batch.last >= start).count();
            let found = read.of(*partition).len();
            if wanted != found {
                violations.push(format!(
                    "{who}: partition {partition} gave {found} batches from {start} on, not {wanted}"
                ));
            }
        }
        violations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(base: i64, crc: u32) -> Batch {
        Batch { base, last: base + 9, crc, bytes: 100, at: Duration::ZERO }
    }

    fn ledger(batches: &[(i32, Batch)]) -> Ledger {
        let mut ledger = Ledger::default();
        batches.iter().for_each(|(partition, batch)| ledger.note(*partition, *batch));
        ledger
    }

    #[test]
    fn what_is_the_same_from_somewhere_on_is_right() {
        let written = ledger(&[(0, batch(0, 1)), (0, batch(10, 2)), (1, batch(0, 3))]);
        assert!(written.compare("a", &ledger(&[(0, batch(10, 2))])).is_empty());
        assert_eq!(written.compare("a", &ledger(&[(0, batch(10, 9))])).len(), 1);
        assert_eq!(written.compare("a", &ledger(&[(0, batch(0, 1)), (0, batch(20, 2))])).len(), 1);
        assert_eq!(written.compare("a", &ledger(&[(2, batch(0, 1))])).len(), 1, "never written");
    }

    #[test]
    fn what_is_missing_is_told() {
        let written = ledger(&[(0, batch(0, 1)), (0, batch(10, 2)), (1, batch(0, 3))]);
        let from = BTreeMap::from([(0, 10), (1, 10)]);
        assert!(written.compare_from("a", &ledger(&[(0, batch(10, 2))]), &from).is_empty());
        assert_eq!(written.compare_from("a", &Ledger::default(), &from).len(), 1);
        assert_eq!((written.bytes(), written.bytes_from(&[10, 10])), (300, 100));
        assert_eq!(written.ends_of_part(1, 2), BTreeMap::from([(0, 10), (1, 0)]));
    }
}
