//! Record batches that were read from the store and checked. No I/O.

use bytes::Bytes;
use weir_ids::{Offset, Timestamp};
use weir_protocol::records;

use crate::{Reference, object::BatchEntry};

/// Batches of a stored range that follow one another there.
#[derive(Clone, Debug)]
pub struct Stored {
    /// What they are; never empty.
    pub batches: Vec<BatchEntry>,
    /// They themselves.
    pub bytes: Bytes,
}

/// A piece of less than this part of the bytes that it lies in is copied: it would keep all of them in memory for as long
/// as a client takes to read it.
const SMALL_PART: usize = 4;

impl Stored {
    /// The batches from the one that holds `from` on, whole, up to `max_bytes`, or one if `one` is set and it is longer.
    /// Gives the last offset of what it gives; `None` if that is nothing.
    pub(super) fn from(&self, from: Offset, max_bytes: u64, one: bool) -> Option<(Bytes, Offset)> {
        let first = self.batches.partition_point(|batch| batch.last < from);
        let begin = bytes_of(&self.batches[..first]);
        let (mut len, mut last) = (0, None);
        for batch in &self.batches[first..] {
            let with = len + batch.bytes as usize;
            if with as u64 > max_bytes && !(one && last.is_none()) {
                break;
            }
            (len, last) = (with, Some(batch.last));
        }
        last.map(|last| (self.piece(begin, len), last))
    }

    /// The batch at a place.
    pub(super) fn batch(&self, place: usize) -> Bytes {
        self.piece(bytes_of(&self.batches[..place]), self.batches[place].bytes as usize)
    }

    /// The place of the first batch that holds something at or behind `from` at or after `timestamp`.
    pub(super) fn at(batches: &[BatchEntry], timestamp: Timestamp, from: Offset) -> Option<usize> {
        batches.iter().position(|batch| batch.last >= from && batch.max_timestamp >= timestamp)
    }

    fn piece(&self, begin: usize, len: usize) -> Bytes {
        let piece = self.bytes.slice(begin..begin + len);
        let is_small = len < self.bytes.len() / SMALL_PART;
        if is_small { Bytes::copy_from_slice(&piece) } else { piece }
    }
}

fn bytes_of(batches: &[BatchEntry]) -> usize {
    batches.iter().map(|batch| batch.bytes as usize).sum()
}

/// Takes all that `reference` leads to apart and checks it; says also whether each batch begins where the one before
/// it ended.
pub(super) fn take_apart(bytes: Bytes, reference: &Reference) -> Result<(Stored, bool), String> {
    let (mut rest, mut batches) = (bytes.clone(), Vec::new());
    let (mut next, mut gapless) = (reference.base, true);
    while !rest.is_empty() {
        let header = records::BatchHeader::parse(&rest, 0).map_err(|error| error.to_string())?;
        let piece = rest.split_to(header.size().min(rest.len()));
        let batch = records::Batch::parse(piece).map_err(|error| error.to_string())?;
        let (entry, epoch) = (BatchEntry::from(batch.header()), batch.header().leader_epoch);
        if entry.base < next || entry.last < entry.base || epoch != reference.epoch {
            return Err(format!("a batch at offset {} does not belong here", entry.base));
        }
        batch.verify().map_err(|error| error.to_string())?;
        gapless &= entry.base == next;
        next = entry.last.plus(1);
        batches.push(entry);
    }
    let ends = (batches.first().map(|it| it.base), batches.last().map(|it| it.last));
    if ends != (Some(reference.base), Some(reference.last)) {
        return Err("it does not hold the offsets that it should".to_owned());
    }
    Ok((Stored { batches, bytes }, gapless))
}

/// Holds `bytes` against the batches that the index of `reference` says they are.
pub(super) fn hold_against(
    bytes: Bytes,
    batches: &[BatchEntry],
    reference: &Reference,
) -> Result<Stored, String> {
    let mut rest = bytes.clone();
    for entry in batches {
        let piece = rest.split_to((entry.bytes as usize).min(rest.len()));
        let batch = records::Batch::parse(piece).map_err(|error| error.to_string())?;
        let header = batch.header();
        if (header.base_offset, header.last_offset(), header.leader_epoch)
            != (entry.base, entry.last, reference.epoch)
        {
            return Err(format!("the batch at offset {} is another one", entry.base));
        }
        batch.verify().map_err(|error| error.to_string())?;
    }
    Ok(Stored { batches: batches.to_vec(), bytes })
}
