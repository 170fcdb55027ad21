//! The broker's side of a stream of appends. Runs in the broker's process.

use std::sync::Arc;

use weir_broker::client::{Append, AppendError, Appended};

use super::{
    Host,
    ordered::{Receiver, Sender},
};

/// An append's number on its stream, and its answer.
pub(super) type Answer = (u64, Result<Appended, AppendError>);

/// Hands over what arrives, in order, and sends back the answers.
pub(super) async fn appends(
    host: Arc<Host>,
    mut inbox: Receiver<Vec<(u64, Append)>>,
    answers: Sender<Answer>,
) {
    while let Some(appends) = inbox.recv().await {
        let Some(broker) = host.services().broker else {
            for (number, append) in appends {
                answers.send((number, Err(AppendError::NotOwner(append.partition))));
            }
            continue;
        };
        let (numbers, appends): (Vec<_>, Vec<_>) = appends.into_iter().unzip();
        let receipts = broker.append(appends).await;
        let answers = answers.clone();
        host.process.run(Box::pin(async move {
            for (number, receipt) in numbers.into_iter().zip(receipts) {
                answers.send((number, receipt.await));
            }
        }));
    }
}
