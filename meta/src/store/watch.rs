//! Following what changes.

use std::fmt;

use futures::{Stream, StreamExt, stream::BoxStream};

use super::{Batch, StoreError};

/// About how many events a batch holds; more only when one revision has more.
pub const WATCH_BATCH_EVENTS_MAX: usize = 1_000;

/// What changes under a prefix, batch by batch. Dropping it ends the watch.
pub struct Watch(BoxStream<'static, Result<Batch, StoreError>>);

impl Watch {
    /// A watch over what an implementation delivers.
    pub fn new(batches: impl Stream<Item = Result<Batch, StoreError>> + Send + 'static) -> Self {
        Self(batches.boxed())
    }

    /// The next changes; waits for them. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`StoreError::Compacted`]: list and watch again. Any error ends this watch.
    pub async fn next(&mut self) -> Result<Batch, StoreError> {
        self.0.next().await.unwrap_or(Err(StoreError::Closed))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}
