//! A watch across the network: batches come late, twice, or not at all, and the watch breaks.

use futures::stream;
use tokio::time::sleep;
use weir_meta::store::{Batch, Revision, StoreError, Watch};

use super::{Mishaps, mishaps::WatchFate};
use crate::net::{Net, Place};

struct Following {
    watch: Watch,
    prefix: String,
    net: Net,
    to: Place,
    mishaps: Mishaps,
    again: Option<Batch>,
}

/// `watch` as `to` gets it.
pub(super) fn remote(watch: Watch, prefix: &str, net: &Net, to: Place, mishaps: &Mishaps) -> Watch {
    let (net, mishaps, prefix) = (net.clone(), mishaps.clone(), prefix.to_owned());
    let place = Following { watch, prefix, net, to, mishaps, again: None };
    Watch::new(stream::unfold(Some(place), |place| async move {
        let mut place = place?;
        match place.next().await {
            Ok(batch) => Some((Ok(batch), Some(place))),
            Err(error) => Some((Err(error), None)),
        }
    }))
}

impl Following {
    async fn next(&mut self) -> Result<Batch, StoreError> {
        if let Some(again) = self.again.take() {
            return Ok(again);
        }
        let batch = self.watch.next().await?;
        let fate = self.mishaps.of_watch(&self.prefix);
        let Self { net, to, prefix, .. } = self;
        net.travel(Place::Metadata, *to).await;
        match fate {
            WatchFate::Delivered => {}
            WatchFate::Repeated => self.again = Some(batch.clone()),
            WatchFate::Compacted => {
                let oldest = Revision(batch.revision.0 + 1);
                return Err(StoreError::Compacted { oldest });
            }
            WatchFate::Lost(time) => {
                sleep(time).await;
                let reason = "the watch broke".to_owned();
                return Err(StoreError::Unavailable { reason });
            }
        }
        net.trace().line(format_args!("metadata>{to} {prefix} at {}", batch.revision));
        Ok(batch)
    }
}
