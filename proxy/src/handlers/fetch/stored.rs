//! Reading behind the tail: the owner has said where, this reads what.

use weir_ids::Offset;
use weir_protocol::{ErrorCode, codec::Records};
use weir_segment_store::Reference;

use super::{batches, plan::Target};
use crate::handlers::Handlers;

/// Reads the batches of `references` from the target's offset up to `end`. Waits for a turn: who
/// lags behind must not slow those who do not.
pub(super) async fn read(
    handlers: &Handlers,
    target: &Target,
    references: &[Reference],
    end: Offset,
) -> Result<Records, ErrorCode> {
    // The semaphore is never closed.
    let _turn = handlers.lagging_reads.acquire().await;
    let mut records = Records::new();
    for reference in references {
        let left = (target.max_bytes as usize).saturating_sub(records.len());
        if !records.is_empty() && left == 0 {
            break;
        }
        let from = target.offset.max(reference.base);
        let read = handlers.reader.read(reference, from, left as u32).await.map_err(|error| {
            let partition = target.partition;
            tracing::warn!(%partition, %error, "stored records could not be read");
            ErrorCode::KAFKA_STORAGE_ERROR
        })?;
        let bytes = if reference.last < end { read } else { batches::below(read, end) };
        if !records.is_empty() && bytes.len() > left {
            break;
        }
        records.push(bytes);
    }
    Ok(records)
}
