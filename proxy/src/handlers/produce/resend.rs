//! Handing appends to the owners of their partitions, again if need be.
//!
//! A client need not notice that a partition moves: what its old owner did not take goes to the new one
//! as soon as the view shows it, or the same is tried again a little later. That goes on for as long as the
//! request may take, and no longer than [`PATIENCE`](crate::handlers::patience::PATIENCE).

use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};
use weir_broker::client::{Append, AppendError, Appended};
use weir_ids::{NodeId, TopicPartition};

use super::lanes::{Attempt, Lanes, Ticket, Told};
use crate::handlers::{Handlers, patience::Pauses};

/// Hands appends to `owner`. If this is dropped before it is done, nobody has them.
pub(super) async fn hand(
    handlers: &Handlers,
    lanes: &Lanes,
    owner: NodeId,
    appends: Vec<(Ticket, Append)>,
) {
    let (tickets, appends): (Vec<_>, Vec<_>) = appends.into_iter().unzip();
    let mut leaving = Leaving { lanes, tickets };
    let Some(broker) = handlers.brokers.broker(owner) else { return };
    let receipts = broker.append(appends).await;
    for (ticket, receipt) in leaving.tickets.drain(..).zip(receipts) {
        lanes.handed(ticket, Some(receipt));
    }
}

/// Appends that are being handed over. Dropped, they stay.
struct Leaving<'a> {
    lanes: &'a Lanes,
    tickets: Vec<Ticket>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        for ticket in self.tickets.drain(..) {
            self.lanes.handed(ticket, None);
        }
    }
}

/// What an append came to, at its first attempt or its last.
pub(super) async fn told(handlers: &Handlers, lanes: &Lanes, ticket: Ticket) -> Told {
    let partition = ticket.partition;
    let told = lanes.told(ticket).await;
    match &told {
        Told::Finally(result, owner) => {
            if let (Ok(appended), Some(owner)) = (result, owner) {
                handlers.owners.note(partition, appended.epoch, *owner);
            }
            // It went alone, and others have waited for it.
            if lanes.is_waiting(partition) {
                send(handlers, lanes, partition).await;
            }
        }
        Told::Again(Attempt { owner: Some(owner), current, .. }) => match current {
            Some(current) => handlers.owners.note(partition, *current, *owner),
            None => handlers.owners.lost(partition, *owner),
        },
        Told::Again(_) => {}
    }
    told
}

/// What an append comes to, sent again until `give_up` if need be; `None` if it was given up and may still
/// be taken.
pub(super) async fn outcome(
    handlers: &Handlers,
    lanes: &Lanes,
    ticket: Ticket,
    give_up: Instant,
) -> Option<Result<Appended, AppendError>> {
    let partition = ticket.partition;
    let mut pauses = Pauses::new();
    loop {
        let attempt = match told(handlers, lanes, ticket).await {
            Told::Finally(result, _) => return Some(result),
            Told::Again(attempt) => attempt,
        };
        let again = timeout_at(give_up, async {
            lanes.settle(partition).await;
            change(handlers, partition, attempt, pauses.next()).await;
            send(handlers, lanes, partition).await;
        });
        if again.await.is_err() {
            let unclear = lanes.give_up(ticket);
            return (!unclear).then_some(Err(AppendError::NotOwner(partition)));
        }
    }
}

/// Hands what waits in a lane to whoever owns its partition now.
async fn send(handlers: &Handlers, lanes: &Lanes, partition: TopicPartition) {
    if let Some(owner) = handlers.owner_node(partition) {
        let appends = lanes.leave(partition, owner, handlers.owners.epoch(partition));
        hand(handlers, lanes, owner, appends).await;
    }
}

/// Waits until it makes sense to try again: there is another owner or a newer epoch, or `pause` is over.
async fn change(handlers: &Handlers, partition: TopicPartition, tried: Attempt, pause: Duration) {
    let until = Instant::now() + pause;
    let mut changes = handlers.view.changes();
    loop {
        let owner = handlers.owner_node(partition);
        let newer = tried.epoch.is_some_and(|epoch| epoch < handlers.owners.epoch(partition));
        if newer || (owner.is_some() && owner != tried.owner) {
            return;
        }
        tokio::select! {
            biased;
            _ = changes.next() => {}
            () = sleep_until(until) => return,
        }
    }
}
