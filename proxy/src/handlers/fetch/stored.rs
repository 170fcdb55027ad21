//! Reading behind the tail: the owner has said where, this reads what.

use std::ops::Range;

use futures::future::{join, join_all};
use weir_broker::client::Places;
use weir_ids::Offset;
use weir_protocol::{ErrorCode, codec::Records};
use weir_segment_store::{ReadError, Reader, Reference};

use super::{batches, plan::Target};
use crate::handlers::Handlers;

/// What was read of one partition.
pub(super) struct Found {
    pub(super) records: Records,
    /// From which offset on up to which.
    pub(super) range: Range<Offset>,
    /// Where it is, and what follows.
    pub(super) references: Vec<Reference>,
}

/// Reads the batches that are in these `places` from the target's offset up to `end`. Waits for a turn: who
/// lags behind must not slow those who do not.
pub(super) async fn read(
    handlers: &Handlers,
    target: &Target,
    places: Places,
    end: Offset,
) -> Result<Found, ErrorCode> {
    // The semaphore is never closed.
    let _turn = handlers.lagging_reads.acquire().await;
    let unreadable = |error: ReadError| {
        // The reader tells what lasts, once.
        if matches!(&error, ReadError::Store(error) if error.may_heal()) {
            tracing::warn!(partition = %target.partition, %error, "stored records can't be read for now");
        }
        ErrorCode::KAFKA_STORAGE_ERROR
    };
    let references = places.references(&handlers.reader, target.offset).await;
    let references = references.map_err(unreadable)?;
    let brought = bring(&handlers.reader, &references, target.offset, target.max_bytes);
    let taken = take(&handlers.reader, target, &references, end);
    let (taken, ()) = join(taken, brought).await;
    let (records, next) = taken.map_err(unreadable)?;
    Ok(Found { records, range: target.offset..next, references })
}

/// Asks the store for all that surely finds room among `max_bytes`, side by side.
async fn bring(reader: &Reader, references: &[Reference], from: Offset, max_bytes: u32) {
    let mut left = max_bytes;
    let fits = |(place, reference): &(usize, &Reference)| {
        let fits = *place == 0 || reference.data.len <= left;
        left = left.saturating_sub(reference.data.len);
        fits
    };
    let wanted = references.iter().enumerate().take_while(fits);
    let reads = wanted.map(|(_, it)| reader.read_ahead(it, from.max(it.base), max_bytes));
    join_all(reads).await;
}

/// The batches, and from which offset on others follow.
async fn take(
    reader: &Reader,
    target: &Target,
    references: &[Reference],
    end: Offset,
) -> Result<(Records, Offset), ReadError> {
    let (mut records, mut next) = (Records::new(), target.offset);
    'ranges: for reference in references {
        let left = (target.max_bytes as usize).saturating_sub(records.len());
        if !records.is_empty() && left == 0 {
            break;
        }
        let from = next.max(reference.base);
        let (pieces, behind) = reader.read(reference, from, left as u32).await?;
        for piece in pieces {
            let piece = if reference.last < end { piece } else { batches::below(piece, end) };
            if !records.is_empty() && records.len() + piece.len() > target.max_bytes as usize {
                break 'ranges;
            }
            records.push(piece);
        }
        next = behind;
        if next <= reference.last {
            break;
        }
    }
    Ok((records, next))
}
