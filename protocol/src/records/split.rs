//! Cutting consecutive batches apart.

use bytes::Bytes;

use super::batch::{Batch, Error};

/// Walks the batches in `bytes`, each a slice of them. Ends after the first error, which says at
/// which byte; a batch cut by the end of `bytes` is one too, so a reader of byte ranges must ask
/// for whole batches or treat [`Error::Truncated`] as the end.
pub fn split(bytes: Bytes) -> impl Iterator<Item = Result<Batch, Error>> {
    let whole = bytes.len();
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let mut bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        let position = whole - bytes.len();
        let batch = Batch::parse_first(&mut bytes, position);
        if batch.is_ok() {
            rest = Some(bytes);
        }
        Some(batch)
    })
}
