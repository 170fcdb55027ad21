//! Reading behind the tail: the owner has said where, this reads what.

use std::ops::Range;

use weir_broker::client::Places;
use weir_ids::Offset;
use weir_protocol::{ErrorCode, codec::Records};
use weir_segment_store::{ReadError, Reference};

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
        tracing::warn!(partition = %target.partition, %error, "stored records could not be read");
        ErrorCode::KAFKA_STORAGE_ERROR
    };
    let references = places.references(&handlers.reader, target.offset).await;
    let references = references.map_err(unreadable)?;
    let (mut records, mut next) = (Records::new(), target.offset);
    'ranges: for reference in &references {
        let left = (target.max_bytes as usize).saturating_sub(records.len());
        if !records.is_empty() && left == 0 {
            break;
        }
        let from = next.max(reference.base);
        let read = handlers.reader.read(reference, from, left as u32).await;
        let (pieces, behind) = read.map_err(unreadable)?;
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
    Ok(Found { records, range: target.offset..next, references })
}
