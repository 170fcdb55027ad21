use std::net::SocketAddr;

use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

async fn ask(address: SocketAddr, path: &str) -> String {
    send(address, &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
        .await
}

async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn tells_health_readiness_and_metrics_until_stopped() {
    let mut registry = Registry::default();
    let counter = Counter::<u64>::default();
    registry.register("weir_tests", "Tests", counter.clone());
    counter.inc();
    let (readiness, tasks) = (Readiness::default(), Tasks::new());
    let router = health::router(registry, readiness.clone());
    let address = serve("127.0.0.1:0", router, &tasks).await.unwrap();

    assert!(ask(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 503"));
    readiness.set(true);
    assert!(ask(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    let metrics = ask(address, "/metrics").await;
    assert!(metrics.contains("weir_tests_total 1"), "{metrics}");
    assert!(metrics.contains("openmetrics-text"), "{metrics}");
    assert!(ask(address, "/").await.starts_with("HTTP/1.1 404"));
    tasks.shutdown().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let tasks = Tasks::new();
    let free = || health::router(Registry::default(), Readiness::default());
    let address = serve("127.0.0.1:0", free(), &tasks).await.unwrap();
    let error = serve(&address.to_string(), free(), &tasks).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen on {address} for HTTP: ")), "{error}");
}
