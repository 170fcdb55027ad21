//! Produce: batches go to the owners of their partitions in the order in which they came.
//!
//! Handing over happens while the request is being read, so that the order of a connection is the
//! order of its appends; answering happens later, in turn. What an owner does not take because the
//! partition has moved is sent again, in order ([`lanes`]). With `acks=0` there is no answer, and an
//! error ends the connection: it is the only way to tell.

mod answer;
mod broken;
mod lanes;
mod plan;
mod resend;

use std::{pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};
use weir_broker::client::{AppendError, Appended};
use weir_protocol::{
    ErrorCode,
    messages::{ProduceRequest, ProduceResponse},
};

pub(crate) use self::lanes::Lanes;
use self::{
    lanes::{Ticket, Told},
    plan::{Partition, Plan},
};
use super::{Call, Handlers, codes, patience::PATIENCE};

/// The least time that an append is waited for. Durability takes a moment that a Kafka without
/// replicas does not need, and who asks with a timeout of 0 would never be told of a success.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// A request whose records have been handed over.
pub(super) struct Appending {
    call: Call,
    acks: i16,
    deadline: Instant,
    plan: Plan,
    /// By place in the plan's partitions.
    tickets: Vec<(usize, Ticket)>,
}

/// What a request with `acks=0` came to.
pub(super) type Unanswered = Result<(), ErrorCode>;

/// How a request is answered.
pub(super) enum Outcome {
    Answer(ProduceResponse),
    Unanswered(Unanswered),
}

/// Hands the records over. Waits while a broker's buffers are full.
pub(super) async fn begin(handlers: &Handlers, call: Call, request: ProduceRequest) -> Appending {
    let acks = request.acks;
    let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let deadline = call.arrived + patience.max(TIMEOUT_MIN);
    let client_id = call.client_id.as_ref();
    let now = handlers.view.now();
    let mut plan = Plan::new(request, call.version, client_id, &now, &handlers.owners);
    // It comes again at another proxy. Without an answer nobody would.
    if acks != 0 && handlers.turns_away() {
        plan.appends.clear();
    }
    let lanes = &call.conversation.appends;
    let mut tickets = Vec::with_capacity(plan.partitions.len());
    let handed = std::mem::take(&mut plan.appends).into_iter().map(|(owner, appends)| {
        let mut now = Vec::with_capacity(appends.len());
        for (place, append) in appends {
            let epoch = handlers.owners.epoch(append.partition);
            let (ticket, append) = lanes.enter(append, owner, epoch);
            tickets.push((place, ticket));
            now.extend(append.map(|append| (ticket, append)));
        }
        resend::hand(handlers, lanes, owner, now)
    });
    let handed: Vec<_> = handed.collect();
    join_all(handed).await;
    Appending { call, acks, deadline, plan, tickets }
}

impl Appending {
    /// Waits for the brokers' answers and makes the client's of them.
    pub(super) async fn answer(self, handlers: Arc<Handlers>) -> Outcome {
        let Self { call, acks, deadline, plan, tickets } = self;
        let lanes = &call.conversation.appends;
        let mut results: Vec<_> = plan.partitions.iter().map(Partition::untried).collect();
        tickets.iter().for_each(|(place, _)| results[*place] = None);
        let give_up = deadline.min(call.arrived + PATIENCE);
        let in_time = timeout_at(deadline, async {
            let again = FuturesUnordered::new();
            for (place, ticket) in &tickets {
                match resend::told(&handlers, lanes, *ticket).await {
                    Told::Finally(result, _) => results[*place] = Some(result),
                    Told::Again(_) => again.push(async {
                        (*place, resend::outcome(&handlers, lanes, *ticket, give_up).await)
                    }),
                }
            }
            // All at once: a request may be for a thousand partitions that have moved together.
            let mut again = pin!(again);
            while let Some((place, outcome)) = again.next().await {
                results[place] = outcome;
            }
        });
        // Whatever is not known by then is given up.
        let _ = in_time.await;
        for (place, ticket) in tickets {
            if results[place].is_none() && !lanes.give_up(ticket) {
                results[place] = Some(Err(AppendError::NotOwner(ticket.partition)));
            }
        }
        let arrived = call.arrived;
        handlers.shared.metrics.produce_seconds.observe(arrived.elapsed().as_secs_f64());
        if acks == 0 {
            return Outcome::Unanswered(first_error(&plan, &results));
        }
        let shown = || handlers.shown(&call);
        Outcome::Answer(answer::response(plan, results, call.version, &handlers.owners, shown))
    }
}

fn first_error(plan: &Plan, results: &[Option<Result<Appended, AppendError>>]) -> Unanswered {
    for (partition, result) in plan.partitions.iter().zip(results) {
        match (partition, result) {
            (Partition::Failed(failed), _) => return Err(failed.error_code),
            (_, Some(Err(error))) => return Err(codes::of_append(error)),
            // Nobody waits longer than this for an answer that is not sent.
            (_, None | Some(Ok(_))) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod moving_tests;
#[cfg(test)]
pub(super) mod tests;
