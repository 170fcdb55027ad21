use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};
use weir_ids::NodeId;
use weir_meta::controller::{Drain, Error, MovePartitions, Question, Reply};
use weir_runtime::Tasks;

use super::*;
use crate::{
    http,
    testing::{Cluster, topic_id},
};

/// Notes what it is asked; it knows nodes 1 and 2.
struct Noting(mpsc::UnboundedSender<Question>);

#[async_trait]
impl Controller for Noting {
    async fn ask(&self, question: Question) -> Result<Reply, Error> {
        self.0.send(question.clone()).unwrap();
        match question {
            Question::Drain(Drain { node, .. }) if node.0 > 2 => Err(Error::NoSuchNode { node }),
            Question::MovePartitions(MovePartitions { to, .. }) if to.0 > 2 => {
                Err(Error::NoSuchBroker { node: to })
            }
            _ => Ok(Reply::Done),
        }
    }
}

struct World {
    address: SocketAddr,
    asked: mpsc::UnboundedReceiver<Question>,
    _tasks: Tasks,
}

impl World {
    async fn start(access: Access) -> Self {
        let tasks = Tasks::new();
        let cluster = Cluster::start(&tasks, &[("events", 7, 3)]).await;
        let (sender, asked) = mpsc::unbounded_channel();
        let admin = Admin { view: cluster.view, controller: Arc::new(Noting(sender)), access };
        let address = http::serve("127.0.0.1:0", admin.router(), &tasks).await.unwrap();
        Self { address, asked, _tasks: tasks }
    }

    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let host = if headers.contains("Host:") { "" } else { "Host: localhost:1\r\n" };
        let length = body.len();
        let request = format!(
            "{method} /admin/v1/{path} HTTP/1.1\r\n{host}{headers}Content-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn nodes_and_placement_are_shown() {
    let world = World::start(Access::Nobody).await;
    let (status, nodes) = world.ask("GET", "nodes", "", "").await;
    assert_eq!(status, 200);
    assert!(nodes.contains(r#""id":1,"registered":true"#), "{nodes}");
    assert!(nodes.contains(r#""partitions":3"#), "{nodes}");
    assert_eq!(world.ask("GET", "nodes/1", "", "").await.0, 200);
    let (status, problem) = world.ask("GET", "nodes/9", "", "").await;
    assert_eq!(
        (status, &problem[..]),
        (404, r#"{"error_code":404,"message":"there is no node 9"}"#)
    );
    assert_eq!(world.ask("GET", "nodes/nine", "", "").await.0, 400);

    let (status, placed) = world.ask("GET", "topics/events/partitions", "", "").await;
    assert_eq!(status, 200);
    assert!(placed.contains(r#"{"partition":2,"node":1}"#), "{placed}");
    assert_eq!(world.ask("GET", "topics/nothing/partitions", "", "").await.0, 404);
    assert_eq!(world.ask("GET", "nothing", "", "").await.0, 404);
    assert_eq!(world.ask("POST", "nodes", "", "").await.0, 405);
}

#[tokio::test]
async fn drains_and_moves_are_asked_of_the_controller() {
    let mut world = World::start(Access::Local).await;
    assert_eq!(world.ask("PUT", "nodes/1/drain", "", "").await.0, 200);
    let drain = |drain| Question::Drain(Drain { node: NodeId(1), drain });
    assert_eq!(world.asked.recv().await, Some(drain(true)));
    assert_eq!(world.ask("DELETE", "nodes/1/drain", "", "").await.0, 200);
    assert_eq!(world.asked.recv().await, Some(drain(false)));
    assert_eq!(world.ask("PUT", "nodes/3/drain", "", "").await.0, 404);
    world.asked.recv().await;

    let body = r#"{"topic":"events","partitions":[0,2],"to":2}"#;
    assert_eq!(world.ask("POST", "moves", JSON, body).await.0, 202);
    let (topic, partitions, to) = (topic_id(7), vec![0, 2], NodeId(2));
    let moved = Question::MovePartitions(MovePartitions { topic, partitions, to });
    assert_eq!(world.asked.recv().await, Some(moved));
    let to_nobody = body.replace(r#""to":2"#, r#""to":3"#);
    let (status, problem) = world.ask("POST", "moves", JSON, &to_nobody).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem.contains("node 3 is no broker"), "{problem}");
    world.asked.recv().await;

    let of_nothing = body.replace("events", "nothing");
    assert_eq!(world.ask("POST", "moves", JSON, &of_nothing).await.0, 404);
    assert_eq!(world.ask("POST", "moves", JSON, r#"{"topic":"events"}"#).await.0, 422);
    assert_eq!(world.ask("POST", "moves", JSON, "{").await.0, 400);
    // As a form on another's page could send it.
    assert_eq!(world.ask("POST", "moves", "", body).await.0, 415);
    assert!(world.asked.is_empty());
}

#[tokio::test]
async fn only_who_may_changes_something() {
    let refused = async |access: Access, headers: &str, expected: u16| {
        let world = World::start(access).await;
        let (status, problem) = world.ask("PUT", "nodes/1/drain", headers, "").await;
        assert_eq!(status, expected, "{problem}");
        assert!(problem.contains("http.admin_token") || problem.contains("Bearer"), "{problem}");
        assert!(world.asked.is_empty());
    };
    let token = || Access::new(Some("secret".to_owned()), "0.0.0.0:9644");
    refused(Access::new(None, "0.0.0.0:9644"), "", 403).await;
    refused(Access::new(None, "node-1.example.com:9644"), "", 403).await;
    refused(Access::new(None, "127.0.0.1:9644"), "Host: rebound.example.com\r\n", 403).await;
    refused(Access::new(Some(String::new()), "0.0.0.0:9644"), "Authorization: Bearer \r\n", 403)
        .await;
    refused(token(), "", 401).await;
    refused(token(), "Authorization: Bearer secreT\r\n", 401).await;
    refused(token(), "Authorization: Bearer secrets\r\n", 401).await;

    let allowed = async |access: Access, headers: &str| {
        let world = World::start(access).await;
        assert_eq!(world.ask("PUT", "nodes/1/drain", headers, "").await.0, 200);
    };
    allowed(token(), "Authorization: Bearer secret\r\n").await;
    allowed(Access::new(None, "[::1]:9644"), "Host: [::1]:9644\r\n").await;
    allowed(Access::new(None, "localhost:9644"), "Host: 127.0.0.1\r\n").await;
}
