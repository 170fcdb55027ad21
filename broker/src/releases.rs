//! News of partitions that other sessions give up: whoever is to own them next waits for that.

use std::collections::BTreeSet;

use futures::{StreamExt, stream, stream::SelectAll};
use weir_ids::TopicId;
use weir_meta::{
    Metadata,
    model::{Log, LogState, Record},
    store::{Event, Revision},
};

/// Of so many topics at most each is watched by itself; of more, all that there are.
const TOPICS_MAX: usize = 16;

/// A watch over the logs of some topics, as long as it is needed.
pub(crate) struct Releases {
    topics: BTreeSet<TopicId>,
    batches: SelectAll<stream::BoxStream<'static, bool>>,
}

impl Releases {
    /// What is released of `topics` at revision `from` and later.
    pub(crate) fn watch(metadata: &Metadata, topics: BTreeSet<TopicId>, from: Revision) -> Self {
        let prefixes: Vec<String> = match topics.len() {
            0..=TOPICS_MAX => topics.iter().map(|topic| Log::prefix(*topic)).collect(),
            _ => vec![Log::PREFIX.to_owned()],
        };
        let batches = prefixes.iter().map(|prefix| {
            let watch = metadata.store().watch(prefix, from);
            let batches = stream::unfold(watch, |mut watch| async move {
                // Whatever ends it: those who wait look by themselves now and then.
                let batch = watch.next().await.ok()?;
                Some((batch.events.iter().any(is_release), watch))
            });
            batches.boxed()
        });
        Self { batches: stream::select_all(batches), topics }
    }

    /// The topics that are watched.
    pub(crate) fn topics(&self) -> &BTreeSet<TopicId> {
        &self.topics
    }

    /// Waits until something is released. Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) {
        while let Some(released) = self.batches.next().await {
            if released {
                return;
            }
        }
        std::future::pending().await
    }
}

fn is_release(event: &Event) -> bool {
    let Event::Put(entry) = event else { return false };
    Log::decode(entry).is_ok_and(|log| matches!(log.state, LogState::Released { .. }))
}
