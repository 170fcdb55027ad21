//! A cluster of processes over a real etcd: brokers die, stop and come back, and clients go on.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use weir_acceptance::fragile::FragileProducer;
use weir_acceptance::load::{Reader, Writer, WriterSettings};
use weir_history::{Seen, Value};
use weir_test_support::wait::Stopwatch;
use weir_test_support::{Admin, Cluster, ClusterSettings, wait};

const WEIR: &str = env!("CARGO_BIN_EXE_weir");
const PARTITIONS: i32 = 12;
/// How long partitions may take to be evened out.
const MOVED: Duration = Duration::from_secs(60);
/// How long clients may wait for a zone that does not answer; their own patience is a minute.
const GOES_ON: Duration = Duration::from_secs(30);
const INNER: &[&str] = &["coordinator", "controller"];
/// Three brokers, two proxies, and two of what else there is.
const ROLES: [&[&str]; 7] =
    [&["broker"], &["broker"], &["broker"], &["proxy"], &["proxy"], INNER, INNER];
/// Every role in each node.
const ALL: [&[&str]; 3] = [&["broker", "coordinator", "controller", "proxy"]; 3];

fn cluster() -> Cluster {
    ClusterSettings::new(WEIR, &ROLES).start().unwrap()
}

fn admin(cluster: &Cluster) -> Admin {
    let (_, address) = cluster.proxies().pop_first().unwrap();
    Admin::connect(address).unwrap()
}

fn writer(cluster: &Cluster) -> Writer {
    admin(cluster).create_topic("events", PARTITIONS).unwrap();
    let settings = WriterSettings::new(0, true);
    Writer::new(&cluster.bootstrap(), "events", PARTITIONS, settings).unwrap()
}

fn send(writer: &mut Writer, count: usize) {
    for _ in 0..count {
        writer.send().unwrap();
    }
}

/// Everything acknowledged is there, where it was said to be, and once.
fn judge(cluster: &Cluster, writer: Writer) {
    let (_, acknowledged) = writer.into_history();
    let ends = admin(cluster).end_offsets("events", PARTITIONS).unwrap();
    let reader = Reader::new(&cluster.bootstrap(), "events", PARTITIONS).unwrap();
    let read = reader.read_to(&ends).unwrap();
    let mut found: BTreeMap<Value, Vec<Seen>> = BTreeMap::new();
    for seen in read {
        found.entry(seen.value).or_default().push(seen);
    }
    assert!(!acknowledged.is_empty());
    for seen in acknowledged {
        assert_eq!(found.get(&seen.value), Some(&vec![seen]), "{seen:?}");
    }
    let twice = found.values().find(|places| places.len() > 1);
    assert!(twice.is_none(), "{twice:?}");
}

#[test]
fn brokers_are_killed_one_after_the_other_and_come_back() {
    let mut cluster = cluster();
    let mut writer = writer(&cluster);
    send(&mut writer, 2_000);
    for broker in [1, 2, 3] {
        cluster.kill9(broker).unwrap();
        send(&mut writer, 2_000);
        writer.flush().unwrap();
        cluster.launch(broker).unwrap();
        cluster.wait_until_ready(broker).unwrap();
        send(&mut writer, 1_000);
    }
    writer.flush().unwrap();
    judge(&cluster, writer);
}

#[test]
fn over_s3_a_broker_is_killed_and_then_everything_at_once() {
    let mut cluster = ClusterSettings::new(WEIR, &ALL).on_s3().start().unwrap();
    let mut writer = writer(&cluster);
    send(&mut writer, 2_000);
    cluster.kill9(1).unwrap();
    send(&mut writer, 2_000);
    writer.flush().unwrap();
    cluster.kill9_all().unwrap();
    cluster.start_all().unwrap();
    send(&mut writer, 1_000);
    writer.flush().unwrap();
    judge(&cluster, writer);
}

#[test]
fn nodes_that_ask_for_their_ids_are_killed_and_come_back_under_others() {
    let mut cluster = ClusterSettings::new(WEIR, &ALL).auto_ids().start().unwrap();
    let mut writer = writer(&cluster);
    for node in [1, 2, 3] {
        send(&mut writer, 1_000);
        cluster.kill9(node).unwrap();
        cluster.launch(node).unwrap();
        cluster.wait_until_ready(node).unwrap();
        send(&mut writer, 1_000);
        writer.flush().unwrap();
    }
    judge(&cluster, writer);
}

#[test]
fn stopped_brokers_hand_over_without_an_error_at_any_client() {
    let mut cluster = cluster();
    let mut writer = writer(&cluster);
    send(&mut writer, 2_000);
    writer.flush().unwrap();
    let (_, proxy) = cluster.proxies().pop_first().unwrap();
    let mut fragile = FragileProducer::connect(proxy, "events", PARTITIONS, 100).unwrap();
    for broker in [1, 2] {
        let status = std::thread::scope(|scope| {
            let stopping = scope.spawn(|| cluster.stop(broker).unwrap());
            while !stopping.is_finished() {
                fragile.send_acknowledged().unwrap();
            }
            stopping.join().unwrap()
        });
        assert_eq!(status.code(), Some(0), "{}", cluster.tail(broker));
        (0..PARTITIONS).for_each(|_| fragile.send_acknowledged().unwrap());
        send(&mut writer, 2_000);
        writer.flush().unwrap();
    }
}

#[test]
fn partitions_move_to_a_broker_that_comes_without_an_error_at_any_client() {
    let mut cluster = cluster();
    cluster.kill9(1).unwrap();
    let mut writer = writer(&cluster);
    send(&mut writer, 2_000);
    writer.flush().unwrap();
    let (_, proxy) = cluster.proxies().pop_first().unwrap();
    let mut fragile = FragileProducer::connect(proxy, "events", PARTITIONS, 100).unwrap();
    cluster.launch(1).unwrap();
    cluster.wait_until_ready(1).unwrap();
    wait::until("a third of the partitions has moved", MOVED, || {
        fragile.send_acknowledged().unwrap();
        (cluster.open_partitions(1).unwrap() >= PARTITIONS as u64 / 3).then_some(())
    })
    .unwrap();
    // To each of them, wherever it is now.
    (0..PARTITIONS).for_each(|_| fragile.send_acknowledged().unwrap());
    writer.flush().unwrap();
}

#[test]
fn clients_of_a_killed_proxy_go_on_through_the_other() {
    let mut cluster = cluster();
    let mut writer = writer(&cluster);
    send(&mut writer, 2_000);
    let (last, _) = cluster.proxies().pop_last().unwrap();
    cluster.kill9(last).unwrap();
    send(&mut writer, 2_000);
    writer.flush().unwrap();
    judge(&cluster, writer);
}

#[test]
fn clients_in_other_zones_go_on_when_one_is_cut_off() {
    const OTHERS: &[&str] = &["broker", "coordinator", "controller"];
    let roles: [&[&str]; 6] = [OTHERS, OTHERS, OTHERS, &["proxy"], &["proxy"], &["proxy"]];
    let zones = ["a", "b", "c", "a", "b", "c"];
    let mut cluster = ClusterSettings::new(WEIR, &roles).zones(&zones).start().unwrap();
    admin(&cluster).create_topic("events", PARTITIONS).unwrap();
    let proxies: Vec<String> = cluster.proxies().values().map(ToString::to_string).collect();
    // A proxy in any zone may be asked who leads.
    let neighbours = ["weir_zone=b", "weir_zone=c", "weir_zone=a"];
    for (zone, client_id) in neighbours.into_iter().enumerate() {
        let settings = WriterSettings::new(u16::try_from(zone).unwrap(), true);
        let settings = WriterSettings { client_id, ..settings };
        let near = &proxies[(zone + 1) % proxies.len()];
        let mut writer = Writer::new(near, "events", PARTITIONS, settings).unwrap();
        send(&mut writer, 1_000);
        writer.flush().unwrap();
        let nodes = (1..).zip(zones).filter(|(_, it)| *it == zones[zone]).map(|(node, _)| node);
        let nodes: Vec<u32> = nodes.collect();
        nodes.iter().for_each(|node| cluster.pause(*node, true).unwrap());
        cluster.etcd().pause(zone, true).unwrap();
        send(&mut writer, 2_000);
        let cut = Stopwatch::start();
        writer.flush().unwrap();
        assert!(cut.elapsed() < GOES_ON, "{:?}", cut.elapsed());
        cluster.etcd().pause(zone, false).unwrap();
        cluster.etcd().wait_until_served().unwrap();
        for node in nodes {
            cluster.pause(node, false).unwrap();
            cluster.wait_until_ready(node).unwrap();
        }
        judge(&cluster, writer);
    }
}

#[test]
fn while_etcd_is_away_clients_go_on() {
    let mut cluster = cluster();
    let mut writer = writer(&cluster);
    send(&mut writer, 2_000);
    writer.flush().unwrap();
    cluster.etcd().stop().unwrap();
    send(&mut writer, 5_000);
    writer.flush().unwrap();
    cluster.etcd().start_all().unwrap();
    send(&mut writer, 1_000);
    writer.flush().unwrap();
    judge(&cluster, writer);
}

#[test]
fn metadata_are_saved_and_restored_and_nothing_starts_without_them() {
    let mut cluster = ClusterSettings::new(WEIR, &ALL).start().unwrap();
    let mut writer = writer(&cluster);
    send(&mut writer, 1_000);
    writer.flush().unwrap();
    cluster.stop_all().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metadata").display().to_string();
    let said = cluster.run(1, &["meta", "export", "--to", &file]).unwrap();
    assert!(said.starts_with("exported "), "{said}");

    cluster.replace_etcd().unwrap();
    let (said, code) = cluster.refused(1, |text| text).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("which the metadata, at revision"), "{said}");
    let occupied = cluster.run(1, &["meta", "import", "--from", &file]).unwrap_err();
    assert!(occupied.to_string().contains("import into empty metadata"), "{occupied}");

    cluster.replace_etcd().unwrap();
    cluster.run(1, &["meta", "import", "--from", &file]).unwrap();
    cluster.start_all().unwrap();
    send(&mut writer, 1_000);
    writer.flush().unwrap();
    judge(&cluster, writer);
}

#[test]
fn what_can_not_work_is_refused_in_a_line() {
    let mut cluster = cluster();
    let etcd = cluster.etcd().url();
    let (said, code) = cluster
        .refused(1, |text| text.replace("cluster = \"test\"", "cluster = \"other\""))
        .unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("belongs to cluster \"test\", not \"other\""), "{said}");
    cluster.stop(2).unwrap();
    let (said, code) = cluster.refused(2, |text| text.replace("id = 2", "id = 1")).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.lines().last().unwrap().contains("node id 1 is used by a node"), "{said}");
    let (said, code) =
        cluster.refused(1, |text| text.replace(&etcd, "etcd://127.0.0.2:1")).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.lines().last().unwrap().contains("127.0.0.2"), "{said}");
}
