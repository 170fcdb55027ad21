//! Produce: batches go to the owners of their partitions in the order in which they came.
//!
//! Handing over happens while the request is being read, so that the order of a connection is the
//! order of its appends; answering happens later, in turn. With `acks=0` there is no answer, and an
//! error ends the connection: it is the only way to tell.

mod answer;
mod plan;

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::{Instant, timeout_at};
use weir_broker::client::{AppendError, Appended, Receipt};
use weir_protocol::{
    ErrorCode,
    messages::{ProduceRequest, ProduceResponse},
};

use self::plan::{Partition, Plan};
use super::{Call, Handlers, codes};

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
    receipts: Vec<(usize, Receipt)>,
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
    let mut plan = Plan::new(request, call.version, client_id, &handlers.view.now());
    let handed = std::mem::take(&mut plan.appends).into_iter().map(|(owner, appends)| async move {
        let (places, appends): (Vec<_>, Vec<_>) = appends.into_iter().unzip();
        match handlers.brokers.broker(owner) {
            Some(broker) => places.into_iter().zip(broker.append(appends).await).collect(),
            // No receipt: answered as not owned.
            None => Vec::new(),
        }
    });
    let receipts = join_all(handed).await.into_iter().flatten().collect();
    Appending { call, acks, deadline, plan, receipts }
}

impl Appending {
    /// Waits for the brokers' answers and makes the client's of them.
    pub(super) async fn answer(self, handlers: Arc<Handlers>) -> Outcome {
        let Self { call, acks, deadline, plan, receipts } = self;
        let mut results: Vec<_> = plan.partitions.iter().map(|_| None).collect();
        let in_time = timeout_at(deadline, async {
            for (place, receipt) in receipts {
                results[place] = Some(receipt.await);
            }
        });
        let timed_out = in_time.await.is_err();
        let arrived = call.arrived;
        handlers.shared.metrics.produce_seconds.observe(arrived.elapsed().as_secs_f64());
        note_epochs(&handlers, &plan, &results);
        if acks == 0 {
            return Outcome::Unanswered(first_error(&plan, &results));
        }
        let shown = || handlers.shown(&call);
        Outcome::Answer(answer::response(
            plan,
            results,
            timed_out,
            call.version,
            &handlers.epochs,
            shown,
        ))
    }
}

fn note_epochs(
    handlers: &Handlers,
    plan: &Plan,
    results: &[Option<Result<Appended, AppendError>>],
) {
    for (place, result) in plan.partitions.iter().zip(results) {
        let Partition::Appending { partition, .. } = place else { continue };
        match result {
            Some(Ok(appended)) => handlers.epochs.note(*partition, appended.epoch),
            Some(Err(AppendError::WrongEpoch { current, .. })) => {
                handlers.epochs.note(*partition, *current);
            }
            _ => {}
        }
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
mod tests;
