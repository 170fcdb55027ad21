//! What compaction leaves of record batches. No I/O.
//!
//! Offsets, sequences and timestamps stay what they were. What is left of a range still begins with its first offset and
//! ends with its last: where those records are gone, an empty batch stands for them, as in Kafka, so that whoever reads
//! goes on behind them.

use bytes::BytesMut;
use weir_ids::{LeaderEpoch, Offset, Timestamp};
use weir_protocol::records::{self, Batch, BatchBuilder, BatchHeader, Record};
use weir_runtime::planted::{Bug, is_planted};
use weir_segment_store::{Reference, Stored, object::BatchEntry};

use super::latest::{Full, Latest};

/// A batch whose records take more than this when they are decompressed is left as it is.
const RECORDS_MAX_BYTES: usize = 64 << 20;

/// What stays of a batch.
#[derive(Debug)]
enum Left {
    /// It is as it was.
    Whole,
    /// This.
    Part(Batch),
    Nothing,
}

/// Which records stay.
pub(super) struct Filter {
    /// The latest offset of each key below `until`, from where the pass before this one ended.
    pub(super) latest: Latest,
    /// What is here or behind stays.
    pub(super) until: Offset,
    pub(super) now: Timestamp,
    /// How long tombstones stay from now on that no pass has seen before (`delete.retention.ms`).
    pub(super) delete_retention_ms: i64,
}

/// Why the records of a batch are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Read(#[from] records::iter::Error),
    #[error("rewrite a batch: {0}")]
    Build(#[from] records::builder::Error),
}

impl Filter {
    /// Whether a record stays. `horizon` is until when its batch's tombstones do, if that is known.
    fn keeps(&self, record: &Record, horizon: Option<Timestamp>) -> bool {
        if record.offset >= self.until {
            return true;
        }
        // Kafka takes none without a key for such a topic; what came before it was one goes.
        let Some(key) = &record.key else { return false };
        if let Some(latest) = self.latest.of(key)
            && (latest > record.offset || is_planted(Bug::CompactionDropsLatest))
        {
            return false;
        }
        record.value.is_some() || horizon.is_none_or(|until| self.now < until)
    }

    fn left(&self, batch: &Batch) -> Result<Left, Error> {
        let header = batch.header();
        if header.base_offset >= self.until || header.attributes.is_control() {
            return Ok(Left::Whole);
        }
        let has_horizon = header.attributes.has_delete_horizon();
        let horizon = has_horizon.then_some(header.base_timestamp);
        let (mut kept, mut tombstones) = (Vec::new(), false);
        for record in batch.records(RECORDS_MAX_BYTES)? {
            let record = record?;
            if self.keeps(&record, horizon) {
                tombstones |= record.value.is_none() && record.offset < self.until;
                kept.push(record);
            }
        }
        if kept.is_empty() {
            return Ok(Left::Nothing);
        }
        let mark = tombstones && !has_horizon;
        if kept.len() == usize::try_from(header.record_count).unwrap_or(0) && !mark {
            return Ok(Left::Whole);
        }
        let mut builder = BatchBuilder::rewriting(header);
        if mark {
            builder = builder
                .delete_horizon(Timestamp(self.now.0.saturating_add(self.delete_retention_ms)));
        }
        for record in &kept {
            builder.push_record(record)?;
        }
        Ok(Left::Part(builder.build()?.into_batch()))
    }

    /// What stays of what `references`, neighbours in one partition, lead to; for each of them. Each run of one epoch
    /// begins and ends with the offsets that it had.
    pub(super) fn all(&self, references: &[Reference], stored: Vec<Stored>) -> Vec<Stored> {
        let ends = |place: usize| {
            let epoch = |place: usize| references.get(place).map(|it| it.epoch);
            let here = epoch(place);
            (place == 0 || epoch(place - 1) != here, epoch(place + 1) != here)
        };
        let mut left = Vec::with_capacity(stored.len());
        for (place, (reference, stored)) in references.iter().zip(stored).enumerate() {
            let mut batches = Batches::default();
            let (begins, ends) = ends(place);
            for batch in records::split(stored.bytes).filter_map(Result::ok) {
                match self.left(&batch) {
                    Ok(Left::Nothing) => {}
                    Ok(Left::Part(part)) => batches.push(&part),
                    Ok(Left::Whole) => batches.push(&batch),
                    Err(error) => {
                        tracing::warn!(object = %reference.object, %error, "a batch is left as it is");
                        batches.push(&batch);
                    }
                }
            }
            left.push(batches.finish(reference, begins, ends));
        }
        left
    }
}

/// Batches one behind the other.
#[derive(Default)]
struct Batches {
    entries: Vec<BatchEntry>,
    bytes: BytesMut,
}

impl Batches {
    fn push(&mut self, batch: &Batch) {
        self.entries.push(BatchEntry::from(batch.header()));
        self.bytes.extend_from_slice(batch.bytes());
    }

    /// With an empty batch for what is gone at the beginning and at the end.
    fn finish(self, reference: &Reference, begins: bool, ends: bool) -> Stored {
        let mut all = Self::default();
        let first = self.entries.first().map_or(reference.last.plus(1), |batch| batch.base);
        if begins {
            all.fill(reference.base, first, reference.epoch);
        }
        let last = self.entries.last().map(|batch| batch.last);
        all.entries.extend(self.entries);
        all.bytes.extend_from_slice(&self.bytes);
        if ends {
            let next = match last {
                Some(last) => last.plus(1),
                None if begins => reference.last.plus(1),
                None => reference.base,
            };
            all.fill(next, reference.last.plus(1), reference.epoch);
        }
        Stored { batches: all.entries, bytes: all.bytes.freeze() }
    }

    /// Empty batches from `begin` up to `end`, if that is something.
    fn fill(&mut self, mut begin: Offset, end: Offset, epoch: LeaderEpoch) {
        while begin < end {
            let last = Offset((end.0 - 1).min(begin.0.saturating_add(i64::from(i32::MAX))));
            let Ok(batch) = BatchBuilder::empty(begin, last, epoch).build() else { return };
            self.push(&batch.into_batch());
            begin = last.plus(1);
        }
    }
}

/// Notes the keys of all records of `stored` from `from` on. Returns the offset up to where all are noted: behind the
/// last, or where there was no room any more.
pub(super) fn note(latest: &mut Latest, stored: &Stored, from: Offset) -> Option<Offset> {
    for batch in records::split(stored.bytes.clone()).filter_map(Result::ok) {
        let header: &BatchHeader = batch.header();
        if header.last_offset() < from || header.attributes.is_control() {
            continue;
        }
        // What can't be read is left as it is, and nothing older goes for its sake.
        let Ok(records) = batch.records(RECORDS_MAX_BYTES) else { continue };
        for record in records.map_while(Result::ok).filter(|record| record.offset >= from) {
            let Some(key) = &record.key else { continue };
            if latest.note(key, record.offset) == Err(Full) {
                return Some(record.offset);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use weir_ids::{ProducerEpoch, ProducerId, Sequence, SessionId};
    use weir_protocol::records::Compression;
    use weir_segment_store::{ByteRange, ObjectName};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const RETENTION_MS: i64 = 500;

    /// A record: its key, and its value unless it is a tombstone.
    type Of = (&'static str, Option<&'static str>);

    /// A batch from `base` on.
    fn batch(base: i64, compression: Compression, of: &[Of]) -> Batch {
        let (id, epoch) = (ProducerId(5), ProducerEpoch(1));
        let mut builder = BatchBuilder::new()
            .base_offset(Offset(base))
            .leader_epoch(LeaderEpoch(3))
            .compression(compression)
            .producer(id, epoch, Sequence(base as i32));
        for (place, (key, value)) in (0..).zip(of) {
            let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
            builder.push(Timestamp(base * 10 + place), key, value, &[("h", Some(b"v"))]).unwrap();
        }
        builder.build().unwrap().into_batch()
    }

    fn stored(batches: &[Batch]) -> Stored {
        let mut all = Batches::default();
        batches.iter().for_each(|batch| all.push(batch));
        Stored { batches: all.entries, bytes: all.bytes.freeze() }
    }

    fn reference(epoch: i32, stored: &Stored) -> Reference {
        Reference {
            object: ObjectName::Sorted { session: SessionId(1), number: 1 },
            base: stored.batches[0].base,
            last: stored.batches[stored.batches.len() - 1].last,
            epoch: LeaderEpoch(epoch),
            max_timestamp: Timestamp(0),
            data: ByteRange { at: 0, len: stored.bytes.len() as u32 },
            index: ByteRange { at: 0, len: 1 },
        }
    }

    /// What a pass at `now` leaves of ranges, all of which it takes notes of.
    fn pass(ranges: &[Stored], now: Timestamp) -> Vec<Stored> {
        let mut latest = Latest::new(100, 1 << 20, (3, 4));
        for range in ranges {
            assert_eq!(note(&mut latest, range, Offset::ZERO), None);
        }
        let until = Offset(1_000);
        let filter = Filter { latest, until, now, delete_retention_ms: RETENTION_MS };
        let references: Vec<_> = ranges.iter().map(|range| reference(3, range)).collect();
        filter.all(&references, ranges.to_vec())
    }

    fn batches(stored: &Stored) -> Vec<Batch> {
        records::split(stored.bytes.clone()).map(Result::unwrap).collect()
    }

    /// Offset, key and value of each record.
    fn records_of(stored: &[Stored]) -> Vec<(i64, String, Option<String>)> {
        let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
        let of =
            |record: Record| (record.offset.0, text(record.key.unwrap()), record.value.map(text));
        let all = stored.iter().flat_map(batches);
        all.flat_map(|it| {
            it.records(1 << 20).unwrap().map(|it| of(it.unwrap())).collect::<Vec<_>>()
        })
        .collect()
    }

    fn kept(offset: i64, key: &str, value: Option<&str>) -> (i64, String, Option<String>) {
        (offset, key.to_owned(), value.map(str::to_owned))
    }

    #[test]
    fn the_latest_of_each_key_stays_where_it_was() {
        for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
            let of = |base, of: &[Of]| batch(base, compression, of);
            let ranges = [
                stored(&[of(10, &[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))])]),
                stored(&[
                    of(13, &[("a", Some("2"))]),
                    of(14, &[("b", Some("2")), ("d", Some("2"))]),
                ]),
                stored(&[of(16, &[("a", Some("3"))])]),
            ];
            let left = pass(&ranges, NOW);
            let expected = [
                kept(12, "c", Some("1")),
                kept(14, "b", Some("2")),
                kept(15, "d", Some("2")),
                kept(16, "a", Some("3")),
            ];
            assert_eq!(records_of(&left), expected);
            let first = batches(&left[0])[0].header().to_owned();
            let original = batches(&ranges[0])[0].header().to_owned();
            let same = |header: &BatchHeader| {
                let BatchHeader { base_offset, last_offset_delta, base_sequence, .. } = *header;
                (base_offset, last_offset_delta, base_sequence, header.producer_id)
            };
            assert_eq!(same(&first), same(&original));
            assert_eq!(first.record_count, 1);
            assert_eq!(first.attributes.compression(), Some(compression));
            assert_eq!(left[2].bytes, ranges[2].bytes, "what is whole is not touched");
        }
    }

    #[test]
    fn what_is_left_begins_and_ends_with_the_offsets_that_it_had() {
        let of = |base, of: &[Of]| batch(base, Compression::None, of);
        let ranges = [
            stored(&[of(0, &[("a", Some("1"))]), of(1, &[("b", Some("1"))])]),
            stored(&[of(2, &[("a", Some("2"))]), of(3, &[("c", Some("1")), ("d", Some("1"))])]),
            stored(&[of(5, &[("a", Some("3"))]), of(6, &[("c", Some("2"))])]),
            stored(&[of(7, &[("d", Some("2"))])]),
        ];
        let mut latest = Latest::new(100, 1 << 20, (3, 4));
        ranges.iter().for_each(|range| assert_eq!(note(&mut latest, range, Offset::ZERO), None));
        for key in ["a", "b", "c", "d"] {
            latest.note(key.as_bytes(), Offset(900)).unwrap();
        }
        let (until, delete_retention_ms) = (Offset(1_000), 0);
        let filter = Filter { latest, until, now: NOW, delete_retention_ms };
        // The last two are of another epoch.
        let epochs = [3, 3, 4, 4];
        let references: Vec<_> =
            epochs.iter().zip(&ranges).map(|(epoch, range)| reference(*epoch, range)).collect();
        let left = filter.all(&references, ranges.to_vec());
        assert_eq!(records_of(&left), []);
        let spans = |place: usize| {
            let spans = left[place].batches.iter().map(|it| (it.base.0, it.last.0));
            spans.collect::<Vec<_>>()
        };
        assert_eq!(spans(0), [(0, 1)]);
        assert_eq!(spans(1), [(2, 4)]);
        assert_eq!(spans(2), [(5, 6)]);
        assert_eq!(spans(3), [(7, 7)]);
        for (stored, epoch) in left.iter().zip(epochs) {
            for batch in batches(stored) {
                let header = *batch.header();
                assert_eq!((header.record_count, header.leader_epoch.0), (0, epoch));
                assert!(batch.verify().is_ok());
            }
        }
        // And such batches go themselves where others stand for the ends.
        let again = pass(&left, NOW);
        assert_eq!(again.iter().map(|it| it.batches.len()).collect::<Vec<_>>(), [1, 0, 0, 1]);
    }

    #[test]
    fn a_tombstone_stays_for_as_long_as_it_should_from_when_it_was_first_seen() {
        let of = [("a", Some("1")), ("b", Some("1")), ("a", None)];
        let ranges = [stored(&[batch(0, Compression::None, &of)])];
        let once = pass(&ranges, NOW);
        assert_eq!(records_of(&once), [kept(1, "b", Some("1")), kept(2, "a", None)]);
        let header = *batches(&once[0])[0].header();
        assert!(header.attributes.has_delete_horizon());
        assert_eq!(header.base_timestamp, Timestamp(NOW.0 + RETENTION_MS));
        let records = batches(&once[0])[0].records(1 << 20).unwrap();
        let times: Vec<i64> = records.map(|record| record.unwrap().timestamp.0).collect();
        assert_eq!(times, [1, 2], "timestamps are what they were");
        let soon = pass(&once, Timestamp(NOW.0 + RETENTION_MS - 1));
        assert_eq!(soon[0].bytes, once[0].bytes);
        let late = pass(&once, Timestamp(NOW.0 + RETENTION_MS));
        assert_eq!(records_of(&late), [kept(1, "b", Some("1"))]);
        assert_eq!(late[0].batches[0].last, Offset(2));
    }

    #[test]
    fn what_there_was_no_memory_for_stays() {
        let of = [("a", Some("1")), ("b", Some("1")), ("a", Some("2")), ("b", Some("2"))];
        let range = stored(&[batch(0, Compression::None, &of)]);
        let mut latest = Latest::new(0, 0, (1, 2));
        let until = note(&mut latest, &range, Offset::ZERO).unwrap();
        assert_eq!(until, Offset(1));
        let filter = Filter { latest, until, now: NOW, delete_retention_ms: 0 };
        let left = filter.all(&[reference(3, &range)], vec![range.clone()]);
        assert_eq!(left[0].bytes, range.bytes);
    }
}
