//! Tail streams across processes. One ends when its connection breaks.

use futures::stream;
use tokio::sync::mpsc;
use weir_ids::{NodeId, TopicPartition};
use weir_rpc::{Links, tonic::Streaming};

use super::{convert, wire, wire::broker_client::BrokerClient as Client};
use crate::client::{BrokerClient, TailSink, TailSource, tail};

/// How many changes of interest are on their way.
const INTERESTS: usize = 256;

/// The tail stream of the broker on `node`.
pub(super) fn linked(links: &Links, node: NodeId) -> TailSource {
    let (sink, interests, source) = tail();
    let following = links.clone();
    links.tasks().spawn("tail stream", |stop| async move {
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = follow(&following, node, &sink, interests) => {}
        }
    });
    source
}

async fn follow(
    links: &Links,
    node: NodeId,
    sink: &TailSink,
    mut interests: mpsc::Receiver<(TopicPartition, bool)>,
) {
    let Ok(connection) = links.connect(node).await else { return };
    let (asking, asked) = mpsc::channel::<wire::Interest>(INTERESTS);
    let outgoing = stream::unfold(asked, |mut asked| async move {
        let interest = asked.recv().await?;
        Some((interest, asked))
    });
    let mut client = Client::new(connection.channel());
    let opening = client.tail(outgoing);
    tokio::select! {
        biased;
        () = connection.broken() => {}
        opened = opening => {
            let Ok(news) = opened else { return };
            let mut news = news.into_inner();
            tokio::select! {
                biased;
                () = connection.broken() => {}
                () = take(&mut news, sink) => {}
                () = async {
                    while let Some((partition, wanted)) = interests.recv().await {
                        let partition = Some(partition.into());
                        if asking.send(wire::Interest { partition, wanted }).await.is_err() {
                            return;
                        }
                    }
                } => {}
            }
        }
    }
}

async fn take(news: &mut Streaming<wire::News>, sink: &TailSink) {
    while let Ok(Some(wire::News { events })) = news.message().await {
        for event in events {
            let Ok((partition, event)) = convert::event(event) else { return };
            sink.push(partition, event);
        }
    }
}

/// The broker's side of such a stream.
pub(super) async fn serve(
    client: &dyn BrokerClient,
    mut interests: Streaming<wire::Interest>,
    telling: mpsc::Sender<wire::News>,
) {
    let source = client.tail();
    let asked = async {
        while let Ok(Some(wire::Interest { partition, wanted })) = interests.message().await {
            let Ok(partition) = convert::partition(partition) else { return };
            match wanted {
                true => source.subscribe(partition).await,
                false => source.unsubscribe(partition).await,
            }
        }
    };
    let told = async {
        while let Some(news) = source.next().await {
            let events = news.into_iter().map(Into::into).collect();
            // While the reader takes nothing, its news are replaced by newer ones.
            if telling.send(wire::News { events }).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = asked => {}
        () = told => {}
    }
}
