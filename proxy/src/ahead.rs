//! Reading ahead of whoever reads a partition from one end to the other.
//!
//! A reader is known by where it will go on: who asks for what follows the last answer is the same, or as good as. Each
//! time it does so, twice as much is read ahead for it, up to a share of the room that there is for blocks: what was
//! read ahead must still be there when it is asked for.

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};
use weir_ids::{Offset, TopicPartition};
use weir_runtime::Tasks;
use weir_segment_store::{Reader, Reference};

/// How much is read ahead of a reader that has gone on once.
const FIRST_BYTES: u32 = 1 << 20;
/// And at most.
const MOST_BYTES: u32 = 16 << 20;
/// Who has not gone on for so long is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// How many readers are known.
const READERS_MAX: usize = 4_096;
/// How many ranges are read ahead at the same time, for all together.
const READS_MAX: usize = 64;

/// Reads ahead, and knows where readers are.
pub(crate) struct Ahead {
    reader: Reader,
    readers: Mutex<Readers>,
    reads: Arc<Semaphore>,
    tasks: Tasks,
}

/// What is read ahead of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    bytes: u32,
    /// All below has been asked of the store.
    end: Offset,
}

/// A partition, and where a reader will go on in it.
type Place = (TopicPartition, Offset);

/// Those who have read within the last seconds.
#[derive(Default)]
struct Readers {
    windows: HashMap<Place, Window>,
    /// When they came to where they are, oldest first; some have gone on since.
    came: VecDeque<(Instant, Place)>,
}

impl Readers {
    /// The window of the reader that has read from `at` on, which is somewhere else now.
    fn leaves(&mut self, at: Place) -> Option<Window> {
        self.windows.remove(&at)
    }

    fn comes_to(&mut self, at: Place, window: Window, now: Instant) {
        self.windows.insert(at, window);
        self.came.push_back((now, at));
        while let Some((since, place)) = self.came.front().copied() {
            if self.came.len() <= READERS_MAX && now.duration_since(since) < FORGOTTEN_AFTER {
                break;
            }
            self.came.pop_front();
            self.windows.remove(&place);
        }
    }
}

impl Ahead {
    /// Nobody reads yet. What is read ahead is read as `tasks`, and kept by `reader`.
    pub(crate) fn new(reader: Reader, tasks: Tasks) -> Self {
        let (readers, reads) = (Mutex::default(), Arc::new(Semaphore::new(READS_MAX)));
        Self { reader, readers, reads, tasks }
    }

    /// Somebody has been given what lies in `read`, and `references` say where that is and what follows.
    pub(crate) fn has_read(
        &self,
        partition: TopicPartition,
        read: Range<Offset>,
        references: &[Reference],
    ) {
        if read.end <= read.start {
            return;
        }
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = readers.leaves((partition, read.start));
        let most = self.most(readers.windows.len() + 1);
        let bytes = match before {
            None => 0,
            Some(window) => window.bytes.saturating_mul(2).max(FIRST_BYTES).min(most),
        };
        let from = before.map_or(read.end, |window| window.end.max(read.end));
        let end = self.read_ahead(read.end, from, bytes, references);
        readers.comes_to((partition, read.end), Window { bytes, end }, Instant::now());
    }

    /// Whether somebody is known who will go on there.
    #[cfg(test)]
    pub(crate) fn knows(&self, partition: TopicPartition, at: Offset) -> bool {
        let readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.windows.contains_key(&(partition, at))
    }

    /// Reads `bytes` behind `next`, but nothing below `from`; returns up to where.
    fn read_ahead(
        &self,
        next: Offset,
        from: Offset,
        bytes: u32,
        references: &[Reference],
    ) -> Offset {
        let (mut left, mut end) = (bytes, from);
        for reference in references.iter().filter(|reference| reference.last >= next) {
            let wanted = left.min(reference.data.len);
            left -= wanted;
            if wanted == 0 {
                break;
            }
            if reference.last < from {
                continue;
            }
            // Those who wait for records come first.
            let Ok(turn) = Arc::clone(&self.reads).try_acquire_owned() else { break };
            let (reader, reference) = (self.reader.clone(), *reference);
            let begin = from.max(reference.base);
            self.tasks.spawn("read ahead", move |_| async move {
                reader.read_ahead(&reference, begin, wanted).await;
                drop(turn);
            });
            if wanted == reference.data.len {
                end = reference.last.plus(1);
            }
        }
        end
    }

    fn most(&self, readers: usize) -> u32 {
        share(self.reader.settings().block_cache_bytes, readers)
    }
}

/// What one of so many readers gets: half the room for blocks is for what has been read ahead. Less than a block would
/// push out what was read ahead of others before they want it, and it would be read twice: then it is nothing.
fn share(block_cache_bytes: u64, readers: usize) -> u32 {
    let share = block_cache_bytes / 2 / readers.max(1) as u64;
    match u32::try_from(share).unwrap_or(MOST_BYTES).min(MOST_BYTES) {
        share if share < FIRST_BYTES => 0,
        share => share,
    }
}

#[cfg(test)]
mod tests {
    use weir_ids::{PartitionIndex, TopicId};

    use super::*;

    fn place(offset: i64) -> Place {
        let topic = TopicId(uuid::Uuid::from_u128(1));
        (TopicPartition::new(topic, PartitionIndex(0)), Offset(offset))
    }

    fn window(bytes: u32) -> Window {
        Window { bytes, end: Offset(0) }
    }

    #[test]
    fn a_reader_is_known_where_it_goes_on_and_forgotten_when_it_does_not() {
        let (mut readers, begin) = (Readers::default(), Instant::now());
        readers.comes_to(place(10), window(1), begin);
        readers.comes_to(place(70), window(2), begin + FORGOTTEN_AFTER / 2);
        assert_eq!(readers.leaves(place(10)), Some(window(1)));
        assert_eq!(readers.leaves(place(10)), None, "it has gone on");
        readers.comes_to(place(20), window(3), begin + FORGOTTEN_AFTER);
        assert_eq!(readers.windows.len(), 2);
        readers.comes_to(
            place(30),
            window(4),
            begin + FORGOTTEN_AFTER * 2 - Duration::from_secs(1),
        );
        assert_eq!(readers.leaves(place(70)), None, "it stands still");
        assert_eq!(readers.leaves(place(20)), Some(window(3)));
    }

    #[test]
    fn nothing_is_read_ahead_where_there_is_no_room_for_all() {
        assert_eq!(share(128 << 20, 1), MOST_BYTES);
        assert_eq!(share(128 << 20, 16), 4 << 20);
        assert_eq!(share(128 << 20, 64), FIRST_BYTES);
        assert_eq!(share(128 << 20, 65), 0);
        assert_eq!(share(u64::MAX, 0), MOST_BYTES);
    }

    #[test]
    fn so_many_are_known_and_no_more() {
        let (mut readers, now) = (Readers::default(), Instant::now());
        for offset in 0..2 * READERS_MAX as i64 {
            readers.comes_to(place(offset), window(1), now);
        }
        assert_eq!((readers.windows.len(), readers.came.len()), (READERS_MAX, READERS_MAX));
        assert_eq!(readers.leaves(place(0)), None);
        assert!(readers.leaves(place(2 * READERS_MAX as i64 - 1)).is_some());
    }
}
