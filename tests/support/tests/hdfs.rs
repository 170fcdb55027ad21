//! An HDFS of real processes: it starts empty, keeps what was written while its processes die, refuses
//! what it is told to refuse, and says what is wrong when it does not start.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::PathBuf;
use std::time::Duration;

use weir_test_support::{Hdfs, HdfsSettings, Quota, wait};

/// How long anything may take that must happen.
const PATIENCE: Duration = Duration::from_secs(60);
const FILE: &str = "/weir/journal/0";

/// A local file with this content.
fn local(hdfs: &Hdfs, content: &str) -> PathBuf {
    let path = hdfs.folder().join("local");
    std::fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_file_outlives_a_datanode_and_restarts() {
    let mut hdfs = Hdfs::start().unwrap();
    let content = "a line of text\n".repeat(10_000);
    let local = local(&hdfs, &content);
    hdfs.shell(&["-mkdir", "-p", "/weir/journal"]).unwrap();
    hdfs.shell(&["-put", local.to_str().unwrap(), FILE]).unwrap();
    let listed = hdfs.ls_r("/").unwrap();
    assert!(listed.lines().any(|line| line.contains("150000") && line.ends_with(FILE)), "{listed}");
    let copies = wait::until("a copy on each DataNode", PATIENCE, || {
        let bytes = hdfs.datanode_bytes();
        bytes.iter().all(|bytes| bytes.is_some_and(|bytes| bytes >= 150_000)).then_some(bytes)
    });
    assert_eq!(copies.unwrap().len(), hdfs.datanodes());

    hdfs.kill_datanode(0).unwrap();
    assert_eq!(hdfs.datanode_bytes()[0], None);
    hdfs.pause_datanode(1).unwrap();
    hdfs.restart_namenode().unwrap();
    assert_eq!(hdfs.shell(&["-cat", FILE]).unwrap(), content);
    hdfs.resume_datanode(1).unwrap();
    hdfs.restart_datanode(0).unwrap();
    hdfs.wait_until_served().unwrap();
    hdfs.kill_datanode(2).unwrap();
    assert_eq!(hdfs.shell(&["-cat", FILE]).unwrap(), content);
}

#[test]
fn quotas_and_safe_mode_refuse_and_relent() {
    let settings = HdfsSettings::default().datanodes(1).replication(1);
    let hdfs = settings.property("dfs.blocksize", 8192).start().unwrap();
    let local = local(&hdfs, "a line of text\n");
    hdfs.shell(&["-mkdir", "-p", "/weir/journal"]).unwrap();
    let put = || hdfs.shell(&["-put", "-f", local.to_str().unwrap(), FILE]);
    let refused = || put().unwrap_err().to_string();

    hdfs.set_quota("/weir", Quota::Names(2)).unwrap();
    assert!(refused().contains("NameSpace quota"), "{}", refused());
    hdfs.clear_quota("/weir").unwrap();
    hdfs.set_quota("/weir", Quota::Bytes(8191)).unwrap();
    assert!(refused().contains("DiskSpace quota"), "{}", refused());
    hdfs.clear_quota("/weir").unwrap();
    hdfs.safe_mode(true).unwrap();
    assert!(refused().contains("safe mode"), "{}", refused());
    hdfs.safe_mode(false).unwrap();
    put().unwrap();
    assert_eq!(hdfs.shell(&["-cat", FILE]).unwrap(), "a line of text\n");
}

#[test]
fn a_start_that_fails_says_why() {
    // More than a DataNode can lock without native code.
    let settings = HdfsSettings::default().datanodes(1);
    let error = settings.property("dfs.datanode.max.locked.memory", 1).start().unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("datanode-0 ended") && error.contains("max locked memory"), "{error}");
}
