//! Requests that are begun in time, or never.
//!
//! What was sent over a connection that broke may still arrive: the network keeps it while a way is cut, and a
//! process that was paused finds it when it goes on. Whoever asked has given it up by then, and has perhaps asked
//! for something later, which the delayed request would undo. So a request says by when it is to be begun, in the
//! time of the process that is asked; after that it is refused.
//!
//! Nobody's clock needs to be right for that. An answer says what time it was in the process that gave it, and at
//! least as much time has passed there since as has passed here: so what is taken for the other's time is never
//! ahead of it. A request is refused too early rather than too late, and a refusal tells the time, too.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use weir_ids::NodeId;

/// How long it is relied upon that two clocks pass equally fast, but for [`DRIFT_MAX`].
const RELIED_UPON: Duration = Duration::from_secs(60);

/// How far two clocks may have moved apart after a minute: clocks that time servers steer are off by 500 µs a
/// second at most.
pub const DRIFT_MAX: Duration = Duration::from_millis(50);

/// A moment in the time of a process, which begins with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// The process.
    pub process: u64,
    /// How long it had run by then, in milliseconds.
    pub millis: u64,
}

/// The clock of this process.
#[derive(Debug)]
pub struct ProcessClock {
    process: u64,
    began: Instant,
}

impl ProcessClock {
    /// Begins. No other process has ever had the number `process`.
    pub fn new(process: u64) -> Self {
        Self { process, began: Instant::now() }
    }

    /// What time it is.
    pub fn now(&self) -> Moment {
        Moment { process: self.process, millis: millis(self.began.elapsed()) }
    }

    /// Whether it is later than `moment`, or that is not of this process.
    pub fn is_past(&self, moment: Moment) -> bool {
        let now = self.now();
        moment.process != now.process || now.millis > moment.millis
    }
}

/// What time it is on other nodes, as far as they have told.
#[derive(Debug, Default)]
pub struct Clocks(Mutex<BTreeMap<NodeId, Told>>);

#[derive(Clone, Copy, Debug)]
struct Told {
    moment: Moment,
    heard: Instant,
}

impl Clocks {
    /// Nobody has told anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// `node` has just told that it is `moment` there.
    pub fn told(&self, node: NodeId, moment: Moment) {
        let told = Told { moment, heard: Instant::now() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(node, told);
    }

    /// A moment that passes on `node` before `time` has passed here (and [`DRIFT_MAX`]). If it is not known what time
    /// it is there, a moment that has passed in any process: a request with it is refused, and that tells the time.
    pub fn within(&self, node: NodeId, time: Duration) -> Moment {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&node).copied();
        let known = told.map(|told| (told.moment, told.heard.elapsed()));
        match known.filter(|(_, since)| *since < RELIED_UPON) {
            Some((Moment { process, millis: then }, since)) => {
                Moment { process, millis: then.saturating_add(millis(since + time)) }
            }
            None => Moment { process: 0, millis: 0 },
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const NODE: NodeId = NodeId(7);
    const PROMPTLY: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_time_is_begun_and_what_comes_later_is_not() {
        let (clock, clocks) = (ProcessClock::new(1), Clocks::new());
        advance(Duration::from_secs(100)).await;
        let answered = clock.now();
        // On its way.
        advance(Duration::from_millis(30)).await;
        clocks.told(NODE, answered);
        advance(Duration::from_secs(5)).await;
        let begin_by = clocks.within(NODE, PROMPTLY);
        advance(PROMPTLY - Duration::from_millis(30)).await;
        assert!(!clock.is_past(begin_by));
        advance(Duration::from_millis(31)).await;
        assert!(clock.is_past(begin_by), "whoever has asked has given it up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_meant_for_the_process_before_is_not_begun() {
        let (before, clocks) = (ProcessClock::new(1), Clocks::new());
        advance(Duration::from_secs(100)).await;
        clocks.told(NODE, before.now());
        let after = ProcessClock::new(2);
        assert!(after.is_past(clocks.within(NODE, PROMPTLY)));
        clocks.told(NODE, after.now());
        assert!(!after.is_past(clocks.within(NODE, PROMPTLY)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_may_tell_any_number() {
        let clocks = Clocks::new();
        for millis in [0, u64::MAX] {
            clocks.told(NODE, Moment { process: 1, millis });
            assert!(clocks.within(NODE, PROMPTLY).millis >= millis);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_nothing_was_heard_of_for_long_is_asked_anew() {
        let (clock, clocks) = (ProcessClock::new(1), Clocks::new());
        assert!(clock.is_past(clocks.within(NODE, PROMPTLY)), "nothing is known of it yet");
        clocks.told(NODE, clock.now());
        advance(RELIED_UPON).await;
        assert!(
            clock.is_past(clocks.within(NODE, PROMPTLY)),
            "it may pass faster or slower than ours"
        );
    }
}
