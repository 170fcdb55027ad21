//! Looking for what is missing, and bringing back metadata that are lost.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use weir_acceptance::load::{Reader, Writer, WriterSettings};
use weir_history::Seen;
use weir_test_support::{Admin, Cluster, ClusterSettings, Weir, wait};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const PARTITIONS: i32 = 12;
const COMMITTED: [i64; 3] = [7, 0, 12];
const COMMITS: [(i32, i64); 3] = [(0, 7), (1, 0), (2, 12)];
/// How long a cluster may take until every group has a coordinator.
const FOUND: Duration = Duration::from_secs(60);
/// Every role in each node.
const ALL: [&[&str]; 3] = [&["broker", "coordinator", "controller", "proxy"]; 3];

fn write(bootstrap: &str, count: usize) -> Vec<Seen> {
    let settings = WriterSettings::new(0, true);
    let mut writer = Writer::new(bootstrap, "events", PARTITIONS, settings).unwrap();
    for _ in 0..count {
        writer.send().unwrap();
    }
    writer.flush().unwrap();
    writer.into_history().1
}

fn read(bootstrap: &str, admin: &mut Admin) -> Vec<Seen> {
    let ends = admin.end_offsets("events", PARTITIONS).unwrap();
    Reader::new(bootstrap, "events", PARTITIONS).unwrap().read_to(&ends).unwrap()
}

/// What `weir fsck` says of a data directory, and with which code it ends.
fn fsck(data: &Path, arguments: &[&str]) -> (String, Option<i32>) {
    let mut command = Command::new(WEIR);
    let output = command.arg("fsck").arg("--data").arg(data).args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code())
}

/// The node for which `is_it` holds.
fn coordinator(cluster: &Cluster, is_it: impl Fn(&mut Admin) -> bool) -> Admin {
    let find = || {
        let nodes = cluster.proxies().into_values().map(|address| Admin::connect(address).unwrap());
        nodes.into_iter().find_map(|mut admin| is_it(&mut admin).then_some(admin))
    };
    wait::until("a node coordinates the group", FOUND, find).unwrap()
}

#[test]
fn a_cluster_that_has_lost_its_metadata_comes_back_with_every_record_and_offset() {
    let mut cluster = ClusterSettings::new(WEIR, &ALL).start().unwrap();
    let (_, address) = cluster.proxies().pop_first().unwrap();
    let mut admin = Admin::connect(address).unwrap();
    admin.create_topic("events", PARTITIONS).unwrap();
    let mut written = write(&cluster.bootstrap(), 2_000);
    let committed = |admin: &mut Admin| admin.commit("readers", "events", &COMMITS).is_ok();
    coordinator(&cluster, committed);
    let copied = || {
        let said = cluster.run(1, &["fsck", "--records"]).unwrap();
        assert!(said.contains("nothing is missing"), "{said}");
        said.contains("the store tells what every topic is called").then_some(())
    };
    wait::until("topics are copied to the store", FOUND, copied).unwrap();
    cluster.kill9_all().unwrap();
    cluster.replace_etcd().unwrap();
    let said = cluster.run(1, &["fsck"]).unwrap_err().to_string();
    assert!(said.contains("the metadata hold no cluster"), "{said}");

    let said = cluster.run(1, &["fsck", "--rebuild-metadata"]).unwrap();
    assert!(said.contains("2 topics with 62 partitions are back"), "{said}");
    let again = cluster.run(1, &["fsck", "--rebuild-metadata"]).unwrap_err().to_string();
    assert!(again.contains("import into empty metadata"), "{again}");

    cluster.start_all().unwrap();
    written.extend(write(&cluster.bootstrap(), 1_000));
    // Committing one more offset tells who has the group.
    let mut admin =
        coordinator(&cluster, |admin| admin.commit("readers", "events", &[(3, 1)]).is_ok());
    assert_eq!(admin.committed("readers", "events", 3).unwrap(), COMMITTED);
    let mut found = read(&cluster.bootstrap(), &mut admin);
    found.sort_by_key(|seen| seen.place);
    written.sort_by_key(|seen| seen.place);
    assert_eq!(found, written);
    let said = cluster.run(1, &["fsck", "--records"]).unwrap();
    assert!(said.contains("nothing is missing"), "{said}");
}

#[test]
fn a_node_that_has_lost_its_metadata_comes_back() {
    let mut server = Weir::new(WEIR).start().unwrap();
    let mut admin = Admin::connect(server.address()).unwrap();
    admin.create_topic("events", PARTITIONS).unwrap();
    let mut written = write(&server.bootstrap(), 500);
    admin.commit("readers", "events", &COMMITS).unwrap();
    let copies = server.data_dir().join("objects/catalog");
    let copied = || {
        // One that is being written has another name.
        let is_whole = |path: &PathBuf| !path.to_string_lossy().contains('#');
        let whole = files(&copies).into_iter().filter(is_whole);
        whole
            .flat_map(std::fs::read_to_string)
            .any(|text| text.contains("topics/__consumer_offsets"))
            .then_some(())
    };
    wait::until("topics are copied to the store", FOUND, copied).unwrap();
    server.kill9().unwrap();
    std::fs::remove_file(server.data_dir().join("metadata.db")).unwrap();
    let (said, code) = fsck(server.data_dir(), &["--rebuild-metadata"]);
    assert_eq!(code, Some(0), "{said}");

    server.restart().unwrap();
    let mut admin = Admin::connect(server.address()).unwrap();
    assert_eq!(admin.committed("readers", "events", 3).unwrap(), COMMITTED);
    written.extend(write(&server.bootstrap(), 500));
    let mut found = read(&server.bootstrap(), &mut admin);
    found.sort_by_key(|seen| seen.place);
    written.sort_by_key(|seen| seen.place);
    assert_eq!(found, written);
    server.stop().unwrap();
    let (said, code) = fsck(server.data_dir(), &["--records"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("nothing is missing"), "{said}");
}

#[test]
fn what_is_gone_is_told_by_topic_and_offset() {
    let mut server = Weir::new(WEIR).start().unwrap();
    let mut admin = Admin::connect(server.address()).unwrap();
    admin.create_topic("events", PARTITIONS).unwrap();
    write(&server.bootstrap(), 500);
    server.stop().unwrap();
    let data = server.data_dir();
    let (said, code) = fsck(data, &["--records"]);
    assert_eq!(code, Some(0), "{said}");
    // Records lie in what a checkpoint has gathered.
    let objects = files(&data.join("objects"));
    let sorted = objects.iter().find(|file| file.to_string_lossy().contains("/sorted/")).unwrap();
    let whole = std::fs::read(sorted).unwrap();
    std::fs::remove_file(sorted).unwrap();
    let (said, code) = fsck(data, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("events/0: records 0 to"), "{said}");
    std::fs::write(sorted, whole).unwrap();
    assert_eq!(fsck(data, &[]).1, Some(0));
}

/// All files below a directory.
fn files(below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
