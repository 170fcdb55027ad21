//! A consumer of fixed partitions: from the beginning, on and on; now and then it goes back.

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant, sleep};
use weir_history::{Event, Isolation, Notes, Place, Seen};
use weir_protocol::ErrorCode;

use super::{
    Phase, Shared,
    directory::Directory,
    fetch::{EARLIEST, Fetched, fetch, list},
};

/// Pause after a round that brought nothing.
const PAUSE: Duration = Duration::from_millis(50);
/// How far a consumer goes back at most.
const BACK_MAX: u64 = 200;

pub(super) struct Position<'a> {
    pub(super) directory: &'a Directory,
    pub(super) notes: &'a Notes,
    pub(super) positions: BTreeMap<i32, i64>,
}

/// Consumes `partitions` until everything there is in the end has been read.
pub(crate) async fn consume(shared: Shared, partitions: Vec<i32>) {
    let notes = shared.recorder.client(Isolation::default());
    let directory = Directory::new(&shared, notes.client().0);
    let positions = partitions.iter().map(|partition| (*partition, 0)).collect();
    let mut position = Position { directory: &directory, notes: &notes, positions };
    for partition in &partitions {
        notes.note(Event::Sought(Place { partition: *partition, offset: 0 }));
    }
    let mut seek_at = Instant::now() + directory.chance.millis(5_000..=25_000);
    while !position.is_at_end(&shared) {
        position.round().await;
        if Instant::now() >= seek_at && shared.phase() == Phase::Working {
            seek_at = Instant::now() + directory.chance.millis(5_000..=25_000);
            position.go_back();
        }
    }
}

impl Position<'_> {
    /// Whether all is read that there will ever be.
    fn is_at_end(&self, shared: &Shared) -> bool {
        let ends = shared.ends.borrow();
        let Some(ends) = &*ends else { return false };
        self.positions.iter().all(|(partition, at)| *at >= ends[*partition as usize])
    }

    fn go_back(&mut self) {
        let chance = &self.directory.chance;
        let partitions: Vec<i32> = self.positions.keys().copied().collect();
        let partition = *chance.pick(&partitions);
        let at = self.positions.entry(partition).or_default();
        *at = (*at - chance.below(BACK_MAX) as i64).max(0);
        self.notes.note(Event::Sought(Place { partition, offset: *at }));
    }

    /// Fetches once from everywhere.
    pub(super) async fn round(&mut self) {
        if self.positions.keys().any(|partition| self.directory.leader(*partition).is_none())
            && !self.directory.refresh().await
        {
            sleep(PAUSE).await;
        }
        let fetched = fetch(self.directory, &self.positions).await;
        if fetched.is_empty() {
            sleep(PAUSE).await;
        }
        for fetched in fetched {
            self.take(fetched).await;
        }
    }

    async fn take(&mut self, fetched: Fetched) {
        let Fetched { partition, error, records, next } = fetched;
        match error {
            ErrorCode::NONE => {
                self.notes.note_all(records.into_iter().map(|(offset, value)| {
                    Event::Polled(Seen { place: Place { partition, offset }, value })
                }));
                self.positions.insert(partition, next);
            }
            ErrorCode::OFFSET_OUT_OF_RANGE => self.reset(partition).await,
            _ => {
                self.directory.forget(partition);
                sleep(PAUSE).await;
            }
        }
    }

    /// As `auto.offset.reset=earliest` has it.
    async fn reset(&mut self, partition: i32) {
        let Some((leader, _)) = self.directory.leader(partition) else { return };
        let listed = list(self.directory, leader, &[partition], EARLIEST).await;
        if let Some(start) = listed.get(&partition) {
            self.notes.note(Event::Reset(Place { partition, offset: start.offset }));
            self.positions.insert(partition, start.offset);
        }
    }
}
