//! A broker's tail stream across the network. It ends when its connection breaks.

use std::sync::Arc;

use tokio::sync::mpsc;
use weir_broker::client::{TailEvent, TailSink, TailSource, tail};
use weir_ids::{NodeId, TopicPartition};

use super::{
    Host, Links,
    ordered::{Receiver, Sender, ordered},
};

/// Interest in a partition, or the end of it.
type Interest = (TopicPartition, bool);
/// News, as many as there are at once.
type News = Vec<(TopicPartition, TailEvent)>;

/// The tail stream of the broker on `node`.
pub(super) fn linked(links: Links, node: NodeId) -> TailSource {
    let (sink, interests, source) = tail();
    let process = Arc::clone(links.process());
    process.run(Box::pin(async move { follow(&links, node, sink, interests).await }));
    source
}

async fn follow(
    links: &Links,
    node: NodeId,
    sink: TailSink,
    mut interests: mpsc::Receiver<Interest>,
) {
    let Ok(connection) = links.connect(node).await else { return };
    let (from, to) = connection.ends();
    let (asking, asked) = ordered::<Interest>(links.net(), from, to);
    let (telling, mut told) = ordered::<News>(links.net(), to, from);
    links.net().trace().line(format_args!("{from}>{to} tail"));
    let server = Arc::clone(&connection.to);
    connection.to.process.run(Box::pin(serve(server, asked, telling)));
    loop {
        tokio::select! {
            biased;
            () = connection.broken() => return,
            news = told.recv() => match news {
                Some(news) => news.into_iter().for_each(|(of, event)| sink.push(of, event)),
                None => return,
            },
            interest = interests.recv() => match interest {
                Some(interest) => asking.send(interest),
                None => return,
            },
        }
    }
}

async fn serve(host: Arc<Host>, mut asked: Receiver<Interest>, telling: Sender<News>) {
    let Some(broker) = host.services().broker else { return };
    let source = broker.tail();
    loop {
        tokio::select! {
            biased;
            interest = asked.recv() => match interest {
                Some((partition, true)) => source.subscribe(partition).await,
                Some((partition, false)) => source.unsubscribe(partition).await,
                None => return,
            },
            news = source.next() => match news {
                Some(news) => telling.send(news),
                None => return,
            },
        }
    }
}
