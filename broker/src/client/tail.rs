//! A stream of news about partitions with a waiting reader.
//!
//! The news of a partition is its newest state, not its history: what a slow reader has not taken
//! yet is replaced by what is newer. So a stream holds at most one event a subscribed partition, and
//! a broker never waits for a reader.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, mpsc};
use weir_ids::TopicPartition;

use super::TailEvent;

/// How many changes of interest may be on their way to the broker.
const INTEREST_QUEUE: usize = 1024;

/// The reader's end.
pub struct TailSource {
    interest: mpsc::Sender<(TopicPartition, bool)>,
    news: Arc<News>,
}

/// The broker's end. Cheap to clone.
#[derive(Clone)]
pub struct TailSink {
    news: Arc<News>,
}

#[derive(Default)]
struct News {
    waiting: Mutex<BTreeMap<TopicPartition, TailEvent>>,
    arrived: Notify,
}

/// The two ends of a stream, and what the reader asks for: news of a partition from now on (`true`)
/// or no more (`false`), in order. It ends when the reader is gone.
pub fn tail() -> (TailSink, mpsc::Receiver<(TopicPartition, bool)>, TailSource) {
    let (interest, interests) = mpsc::channel(INTEREST_QUEUE);
    let news = Arc::new(News::default());
    (TailSink { news: Arc::clone(&news) }, interests, TailSource { interest, news })
}

impl TailSource {
    /// Asks for news of `partition`. The first event tells its state as it is then, so that nothing
    /// is missed between a read and the subscription.
    pub async fn subscribe(&self, partition: TopicPartition) {
        // A broker that is gone shows in `next`.
        let _ = self.interest.send((partition, true)).await;
    }

    /// Asks for no more news of `partition`. Some may still be on its way.
    pub async fn unsubscribe(&self, partition: TopicPartition) {
        let _ = self.interest.send((partition, false)).await;
    }

    /// The news since the last call, at least one; `None` when the broker is gone.
    pub async fn next(&self) -> Option<Vec<(TopicPartition, TailEvent)>> {
        loop {
            let taken = std::mem::take(&mut *self.news.lock());
            if !taken.is_empty() {
                return Some(taken.into_iter().collect());
            }
            tokio::select! {
                biased;
                () = self.news.arrived.notified() => {}
                () = self.interest.closed() => return None,
            }
        }
    }
}

impl TailSink {
    /// Tells the reader, in place of what it has not taken yet.
    pub fn push(&self, partition: TopicPartition, event: TailEvent) {
        self.news.lock().insert(partition, event);
        self.news.arrived.notify_one();
    }
}

impl News {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TopicPartition, TailEvent>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
