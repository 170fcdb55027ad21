//! Fetch: records from given offsets, perhaps after a wait.
//!
//! Rounds of reading alternate with waits at the tails until there is enough, something is to be
//! told at once, or the time is over. Between rounds a fetch holds no records and no response
//! memory. The answer is always "no session" (KIP-227): a client then names all partitions each
//! time.

mod answer;
mod batches;
mod plan;
mod round;
mod stored;

use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use weir_protocol::{
    ErrorCode,
    messages::{FetchRequest, FetchResponse},
};

use self::{
    plan::{Partition, Plan},
    round::Round,
};
use super::{Answer, Call, Handlers};
use crate::tail::{Seen, Wait};

/// The epochs that a client may name without having a session: a new one, or none.
const NO_SESSION_EPOCHS: std::ops::RangeInclusive<i32> = -1..=0;

pub(super) async fn handle(handlers: &Handlers, call: &Call, request: FetchRequest) -> Answer {
    if !NO_SESSION_EPOCHS.contains(&request.session_epoch) {
        let error_code = ErrorCode::FETCH_SESSION_ID_NOT_FOUND;
        return Answer::of(FetchResponse { error_code, ..FetchResponse::default() });
    }
    let began = Instant::now();
    let settings = &handlers.shared.settings;
    let mut plan = Plan::new(request, call.version, &handlers.view.now(), settings);
    let deadline = began + plan.max_wait;
    let mut round = round::run(handlers, &mut plan, deadline).await;
    while !(is_enough(&plan, &round, deadline) || handlers.stop.is_requested()) {
        drop(std::mem::replace(&mut round, Round::nothing()));
        if let News::None = wait(handlers, &mut plan, deadline).await {
            break;
        }
        round = round::run(handlers, &mut plan, deadline).await;
    }
    handlers.shared.metrics.fetch_seconds.observe(began.elapsed().as_secs_f64());
    let shown = || handlers.shown(call);
    let body = answer::response(plan, call.version, &handlers.epochs, shown);
    Answer { body: body.into(), memory: round.memory }
}

fn is_enough(plan: &Plan, round: &Round, deadline: Instant) -> bool {
    round.limited
        || plan.is_settled()
        || plan.bytes() >= plan.min_bytes
        || Instant::now() >= deadline
}

/// What a wait came to.
enum News {
    /// The time is over and every partition is where it was: what was found still holds.
    None,
    /// All partitions are to be read again.
    Some,
}

/// Waits until enough may be there, or the time is over. Records that were found are dropped: they
/// are read again with what comes, and cost no memory meanwhile.
async fn wait(handlers: &Handlers, plan: &mut Plan, deadline: Instant) -> News {
    let missing = plan.min_bytes - plan.bytes();
    let mut wait = Wait::for_bytes(missing as u64);
    let isolation = plan.isolation;
    // Whether nothing was found and news of all partitions will be heard.
    let mut complete = plan.bytes() == 0;
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
    let due = Box::pin(tokio::time::sleep_until(deadline));
    let _counted = Counted::one_more(&handlers.shared.metrics.fetches_waiting);
    tokio::select! {
        biased;
        () = wait.reached() => {}
        // Where news comes from, the stop does too.
        () = handlers.stop.requested(), if !complete => {}
        () = due => {}
    }
    if complete && !wait.has_heard() {
        return News::None;
    }
    plan.forget();
    News::Some
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

#[cfg(test)]
mod tests;
