//! What was acknowledged to a writer, and when.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use weir_history::Seen;
use weir_test_support::wait::Stopwatch;

/// A record that was acknowledged. Times are by its writer's clock.
#[derive(Clone, Copy, Debug)]
pub struct Acked {
    /// Which, and where it is.
    pub seen: Seen,
    /// When its producer got it.
    pub handed_over: Duration,
    /// When its producer said so.
    pub acknowledged: Duration,
}

impl Acked {
    /// How long it took.
    pub fn took(&self) -> Duration {
        self.acknowledged - self.handed_over
    }
}

/// What has been acknowledged to a writer up to now, and when. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Timeline(Arc<Mutex<Vec<Acked>>>);

impl Timeline {
    /// Notes that a record was acknowledged just now.
    pub(super) fn note(&self, seen: Seen, handed_over: Duration, clock: &Stopwatch) {
        let mut all = self.acknowledged();
        // Told with the lock held, so that what is noted is in the order of time.
        all.push(Acked { seen, handed_over, acknowledged: clock.elapsed() });
    }

    /// All of it, which is not shown from now on.
    pub(super) fn take(&self) -> Vec<Acked> {
        std::mem::take(&mut *self.acknowledged())
    }

    /// How many records were acknowledged by `time`, about.
    pub fn len_at(&self, time: Duration) -> usize {
        self.acknowledged().partition_point(|acked| acked.acknowledged < time)
    }

    /// What was acknowledged after the first `seen` records, which are counted on.
    pub fn from(&self, seen: &mut usize) -> Vec<Acked> {
        let more = self.acknowledged()[*seen..].to_vec();
        *seen += more.len();
        more
    }

    /// How long each record of a partition took that was acknowledged between two times.
    pub fn took_in(&self, partition: i32, since: Duration, until: Duration) -> Vec<Duration> {
        let (from, to) = (self.len_at(since), self.len_at(until));
        let acked = self.acknowledged();
        let of_partition = acked[from..to].iter().filter(|it| it.seen.place.partition == partition);
        of_partition.map(Acked::took).collect()
    }

    /// The record that took longest of those that were acknowledged between two times.
    pub fn slowest(&self, since: Duration, until: Duration) -> Option<Acked> {
        let (from, to) = (self.len_at(since), self.len_at(until));
        self.acknowledged()[from..to].iter().max_by_key(|it| it.took()).copied()
    }

    /// How long each record took that was acknowledged between two times.
    pub fn took(&self, since: Duration, until: Duration) -> Vec<Duration> {
        let (from, to) = (self.len_at(since), self.len_at(until));
        let acked = self.acknowledged();
        acked[from..to].iter().map(Acked::took).collect()
    }

    fn acknowledged(&self) -> MutexGuard<'_, Vec<Acked>> {
        self.0.lock().expect("nobody panics with the lock")
    }
}
