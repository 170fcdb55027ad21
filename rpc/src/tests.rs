use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::net::TcpListener;
use tonic::service::Routes;
use weir_ids::NodeId;
use weir_runtime::{Runtime, Tasks};

use crate::{
    Failed, Identity, Links, Peers, Server,
    hello::{HelloClient, greeting},
};

const PATIENCE: Duration = Duration::from_secs(30);

fn identity(node: u32) -> Identity {
    Identity { cluster: "test".to_owned(), node: NodeId(node) }
}

/// Peers at fixed places, and what was said of them.
#[derive(Default)]
struct Known {
    places: Mutex<BTreeMap<NodeId, String>>,
    told: Mutex<Vec<(u32, bool)>>,
}

impl Known {
    fn put(&self, node: u32, place: impl ToString) {
        self.places.lock().unwrap().insert(NodeId(node), place.to_string());
    }

    fn told(&self) -> Vec<(u32, bool)> {
        self.told.lock().unwrap().clone()
    }
}

impl Peers for Known {
    fn address(&self, node: NodeId) -> Option<String> {
        self.places.lock().unwrap().get(&node).cloned()
    }

    fn works(&self, node: NodeId) {
        self.told.lock().unwrap().push((node.0, true));
    }

    fn broke(&self, node: NodeId) {
        self.told.lock().unwrap().push((node.0, false));
    }
}

/// A server that is ended with its tasks, and everything it runs: it has a runtime of its own.
struct Other {
    runtime: Option<tokio::runtime::Runtime>,
    address: std::net::SocketAddr,
}

impl Other {
    fn start(own: Identity, listen: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let address = runtime.block_on(async {
            let server = Server::bind(listen).await.unwrap();
            let address = server.address();
            server.serve(own, Runtime::system(), Routes::default(), &Tasks::new());
            address
        });
        Self { runtime: Some(runtime), address }
    }

    fn end(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }
}

fn links(known: &Arc<Known>) -> (Links, Tasks) {
    let tasks = Tasks::new();
    let peers = Arc::clone(known) as Arc<dyn Peers>;
    (Links::new(identity(1), Runtime::system(), peers, &tasks), tasks)
}

async fn ask(links: &Links, node: u32) -> Result<u32, Failed> {
    ask_at(links, node, None).await
}

async fn ask_at(links: &Links, node: u32, known: Option<&str>) -> Result<u32, Failed> {
    let asked = links.call_at(NodeId(node), known, |channel| async move {
        HelloClient::new(channel).greet(greeting(&identity(1), &Runtime::system())).await
    });
    asked.await.map(|greeting| greeting.node)
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        while !condition() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it takes too long");
}

#[test]
fn a_call_is_answered_and_a_connection_made_once() {
    let other = Other::start(identity(2), "127.0.0.1:0");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let known = Arc::new(Known::default());
        known.put(2, other.address);
        let (links, _tasks) = links(&known);
        let many = (0..20).map(|_| ask(&links, 2));
        for answer in futures::future::join_all(many).await {
            assert_eq!(answer, Ok(2));
        }
        assert_eq!(ask(&links, 2).await, Ok(2));
        assert!(known.told().iter().all(|told| *told == (2, true)));
    });
    other.end();
}

#[test]
fn whoever_is_not_meant_is_not_asked() {
    let other = Other::start(identity(2), "127.0.0.1:0");
    let stranger = Identity { cluster: "another".to_owned(), node: NodeId(3) };
    let stranger = Other::start(stranger, "127.0.0.1:0");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let known = Arc::new(Known::default());
        known.put(3, other.address);
        known.put(4, stranger.address);
        let (links, _tasks) = links(&known);
        assert_eq!(ask(&links, 3).await, Err(Failed::Refused), "node 2 answers there");
        assert_eq!(ask(&links, 4).await, Err(Failed::Refused), "a node of another cluster");
        assert_eq!(ask(&links, 5).await, Err(Failed::Unreachable), "nobody knows where it is");
        assert_eq!(known.told(), [(3, false), (4, false), (5, false)]);
    });
    other.end();
    stranger.end();
}

#[tokio::test]
async fn nobody_and_somebody_who_says_nothing_are_told_apart() {
    let known = Arc::new(Known::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    known.put(2, listener.local_addr().unwrap());
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    known.put(3, gone.local_addr().unwrap());
    drop(gone);
    let (links, _tasks) = links(&known);
    assert_eq!(ask(&links, 2).await, Err(Failed::Unreachable));
    assert_eq!(ask(&links, 3).await, Err(Failed::Refused));
    assert_eq!(known.told(), [(2, false), (3, false)]);
}

#[tokio::test]
async fn who_is_not_known_to_live_is_asked_where_it_was() {
    let known = Arc::new(Known::default());
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = gone.local_addr().unwrap().to_string();
    drop(gone);
    let (links, _tasks) = links(&known);
    assert_eq!(ask(&links, 2).await, Err(Failed::Unreachable), "nobody knows where it is");
    assert_eq!(ask_at(&links, 2, Some(&place)).await, Err(Failed::Refused));
    let other = weir_runtime::blocking(|| Other::start(identity(2), "127.0.0.1:0")).await;
    known.put(2, other.address);
    assert_eq!(ask_at(&links, 2, Some(&place)).await, Ok(2), "it has moved");
    other.end();
}

#[test]
fn a_broken_connection_is_noticed_and_another_made() {
    let other = Other::start(identity(2), "127.0.0.1:0");
    let address = other.address;
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let known = Arc::new(Known::default());
        known.put(2, address);
        let (links, _tasks) = links(&known);
        let first = links.connect(NodeId(2)).await.unwrap();
        assert!(!first.is_broken());
        other.end();
        tokio::time::timeout(PATIENCE, first.broken()).await.unwrap();
        until(|| known.told().last() == Some(&(2, false))).await;
        let mut late = HelloClient::new(first.channel());
        assert!(
            late.greet(greeting(&identity(1), &Runtime::system())).await.is_err(),
            "it stays broken"
        );
        assert_eq!(ask(&links, 2).await, Err(Failed::Refused));
        let starting = move || Other::start(identity(2), &address.to_string());
        let again = weir_runtime::blocking(starting).await;
        assert_eq!(ask(&links, 2).await, Ok(2));
        assert_eq!(known.told().last(), Some(&(2, true)));
        again.end();
    });
}
