//! The embedded store in processes that are killed, and on a file system without room.
//!
//! Each test runs a part of itself in a child process: this program again, with [`CHILD`] set.

#![allow(clippy::unwrap_used, reason = "a test should panic")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use weir_meta::store::{Embedded, MetaStore, StoreError, Txn, list};

/// Tells a child where to work.
const CHILD: &str = "WEIR_META_TEST_DIR";

/// This program again, for the test `name` alone, writing to a pipe.
fn child(name: &str, dir: &Path) -> Child {
    // A shell that ignores SIGXFSZ hands that down: a write above the limit is then an error.
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

async fn put(store: &Embedded, key: String, value: Vec<u8>) -> Result<(), StoreError> {
    store.txn(Txn::new().put(key, value)).await.map(|outcome| assert!(outcome.is_committed()))
}

/// Writes numbers and says so, until it is killed.
async fn write_until_killed(dir: &Path) {
    let store = Embedded::open(dir).await.unwrap();
    let first = list(&store, "").await.unwrap().0.len();
    for number in first.. {
        put(&store, format!("{number:08}"), vec![b'x'; number % 700]).await.unwrap();
        println!("acknowledged {number}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return write_until_killed(dir.as_ref()).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for round in 0..12 {
        let mut child = child("what_was_acknowledged_survives_kill_9", dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let numbers =
            lines.filter_map(|line| line.unwrap().split_once("acknowledged ")?.1.parse().ok());
        let mut numbers: Box<dyn Iterator<Item = usize>> = Box::new(numbers);
        acknowledged = numbers.nth(round * 7).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts too.
        acknowledged = numbers.last().unwrap_or(acknowledged);
        let store = Embedded::open(dir.path()).await.unwrap();
        let (entries, revision) = list(&store, "").await.unwrap();
        let found = entries.len();
        assert!(
            [acknowledged + 1, acknowledged + 2].contains(&found),
            "round {round}: {acknowledged} acknowledged, {found} found"
        );
        assert_eq!(revision.0 as usize, found);
        for (number, entry) in entries.iter().enumerate() {
            assert_eq!(entry.key.as_str(), format!("{number:08}"));
            assert_eq!(entry.value.len(), number % 700);
        }
        store.close().await;
    }
    assert!(acknowledged > 100);
}

fn limit_file_size(bytes: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes, maximum }).unwrap();
}

#[tokio::test]
async fn a_file_system_without_room_heals() {
    let Some(dir) = std::env::var_os(CHILD) else {
        let dir = tempfile::tempdir().unwrap();
        let out = child("a_file_system_without_room_heals", dir.path()).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && said.contains("1 passed"), "{said}");
        return;
    };
    let store = Embedded::open(&dir).await.unwrap();
    limit_file_size(Some(3 << 20));
    let mut written = 0;
    let error = loop {
        match put(&store, format!("{written:08}"), vec![b'x'; 100_000]).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(list(&store, "").await.unwrap().0.len(), written, "reads go on");
    limit_file_size(None);
    put(&store, "healed".to_owned(), vec![b'x'; 500_000]).await.unwrap();
    store.close().await;
    let store = Embedded::open(&dir).await.unwrap();
    assert_eq!(list(&store, "").await.unwrap().0.len(), written + 1);
}
