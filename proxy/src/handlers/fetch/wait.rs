//! Waiting until there is more to read.

use std::{pin::Pin, time::Duration};

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::{Instant, Sleep, sleep_until};

use super::plan::{Partition, Plan};
use crate::{
    handlers::Handlers,
    tail::{Seen, Wait},
};

/// A wait may end this part of it too early.
const EARLIER: u32 = 32;
/// And no more than that.
const EARLIER_MAX: Duration = Duration::from_millis(100);
/// How finely timers tell times apart.
const TIMERS_APART: Duration = Duration::from_millis(1);

/// A wait for what a plan asks for. It may be gone on with when its time was over.
pub(super) struct Waiting {
    wait: Wait,
    /// Whether nothing was found, and news of all partitions will be heard.
    complete: bool,
    due: Pin<Box<Sleep>>,
}

impl Waiting {
    /// Begins to wait for what is missing to `plan`. Records that were found are dropped if it has
    /// any: they are read again with what comes, and cost no memory meanwhile.
    pub(super) fn on(handlers: &Handlers, plan: &mut Plan) -> Self {
        let missing = plan.terms.min_bytes - plan.bytes();
        let mut wait = Wait::for_bytes(missing as u64);
        let isolation = plan.terms.isolation;
        let mut complete = plan.bytes() == 0 && !plan.is_moving();
        let (by_owner, partitions) = plan.by_owner();
        for (owner, places) in by_owner {
            let Some(tail) = handlers.tail(owner) else {
                complete = false;
                continue;
            };
            wait.on(
                &tail,
                places.filter_map(|place| {
                    let Partition { found, target, .. } = &partitions[place];
                    let visible = found.offsets()?.visible(isolation);
                    Some(Seen { partition: target.as_ref()?.partition, visible, isolation })
                }),
            );
        }
        if !complete {
            plan.forget();
        }
        Self { wait, complete, due: Box::pin(sleep_until(Instant::now())) }
    }

    /// Waits until enough may be there, or until `deadline`. `false`: every partition is where it was,
    /// and what was found still holds.
    pub(super) async fn hears(&mut self, handlers: &Handlers, deadline: Instant) -> bool {
        let Self { wait, complete, due } = self;
        due.as_mut().reset(deadline);
        let _counted = Counted::one_more(&handlers.shared.metrics.fetches_waiting);
        tokio::select! {
            biased;
            () = wait.reached() => {}
            // Where news comes from, the stop does too.
            () = handlers.stop.requested(), if !*complete => {}
            () = due => {}
        }
        !*complete || wait.has_heard()
    }
}

/// When a fetch is answered that came at `now` and may wait for `max_wait`: a little earlier, at an end
/// that it shares with others of the same length. Waking up for each would be much of what idle
/// consumers cost.
pub(super) fn deadline(now: Instant, max_wait: Duration, origin: Instant) -> Instant {
    let latest = now + max_wait;
    let grid = (max_wait / EARLIER).min(EARLIER_MAX);
    if grid < TIMERS_APART {
        return latest;
    }
    let beyond = latest.duration_since(origin).as_micros() % grid.as_micros();
    latest - Duration::from_micros(beyond as u64)
}

/// Counts a wait, also when it is given up.
struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    fn one_more(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}
