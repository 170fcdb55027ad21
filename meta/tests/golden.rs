//! Old versions of every value stay readable: what is written today is compared with files that
//! never change, and those are read back.

#![allow(clippy::unwrap_used, reason = "a test should panic")]

use std::{collections::BTreeMap, fmt::Debug, path::Path};

use weir_ids::{
    ClaimNumber, LeaderEpoch, NodeId, Offset, PartitionIndex, ProducerId, SessionId, Slot, TopicId,
    TopicPartition,
};
use weir_meta::{
    model::{
        Assignment, CheckpointPointer, Cluster, Condemned, Creation, Deletion, Drained, HostPort,
        Import, Inherited, Leadership, Log, LogState, ModelError, NextNodeId, NextProducerId, Node,
        Owner, Record, Role, Seal, Session, SessionAllocation, Topic, TopicState, Wal,
    },
    store::{Entry, Key, Revision},
};

fn entry(key: Key, value: Vec<u8>) -> Entry {
    Entry {
        key,
        value: value.into(),
        create_revision: Revision(1),
        mod_revision: Revision(1),
        version: 1,
        lease: None,
    }
}

/// The file holds the key on its first line and the value on its second.
fn check<T: Record + PartialEq + Debug>(name: &str, key: Key, value: &T) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let written = format!("{key}\n{}\n", String::from_utf8(value.encode().to_vec()).unwrap());
    let golden = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; it would be:\n{written}", path.display()));
    let (golden_key, golden_value) = golden.trim_end().split_once('\n').unwrap();
    let read = T::decode(&entry(golden_key.into(), golden_value.into())).unwrap();
    assert_eq!(read, *value, "{name} is read as something else");
    assert_eq!(written, golden, "{name} is written differently: that needs a new version");

    let newer = golden_value.replacen("\"v\":1", "\"v\":2", 1);
    let error = T::decode(&entry(key.clone(), newer.into())).unwrap_err();
    assert!(matches!(error, ModelError::NewerVersion { found: 2, known: 1, .. }), "{error}");
    let more = golden_value.replacen('{', "{\"added later\":[1],", 1);
    assert_eq!(T::decode(&entry(key.clone(), more.into())).unwrap(), *value);
    for cut in 0..golden_value.len() {
        let error = T::decode(&entry(key.clone(), golden_value[..cut].into())).unwrap_err();
        assert!(matches!(error, ModelError::Damaged { .. }), "cut at {cut}: {error}");
    }
}

fn topic() -> TopicId {
    TopicId("7f1f3c5e-2b7a-4d5c-9a63-3c1b0f6d2e41".parse().unwrap())
}

#[test]
fn topics() {
    let mut value = Topic {
        id: topic(),
        partitions: 12,
        replication_factor: 3,
        configs: BTreeMap::from([("retention.ms".to_owned(), "60000".to_owned())]),
        internal: false,
        highest_epoch: LeaderEpoch::NONE,
        state: TopicState::Live,
    };
    check("topic-live.v1", Topic::key("orders"), &value);
    value.state = TopicState::Deleting;
    check("topic-deleting.v1", Topic::key("orders"), &value);
    value.state = TopicState::Gone;
    value.highest_epoch = LeaderEpoch(41);
    value.configs.clear();
    check("topic-gone.v1", Topic::key("orders"), &value);
}

#[test]
fn assignments() {
    let nodes = vec![NodeId(1), NodeId(2), NodeId(1)];
    check("assignment.v1", Assignment::key(topic()), &Assignment { nodes });
}

#[test]
fn logs() {
    let key = Log::key(TopicPartition::new(topic(), PartitionIndex(7)));
    check("log-new.v1", key.clone(), &Log::new(LeaderEpoch::NONE));
    let part = |session, end: Option<u64>| Inherited {
        session: SessionId(session),
        epoch: LeaderEpoch(2),
        claim: ClaimNumber(4),
        end_slot: end.map(Slot),
        end_offset: end.map(|end| Offset(end as i64 * 10)),
    };
    let mut value = Log {
        leader_epoch: LeaderEpoch(3),
        owner: Some(Owner { session: SessionId(41), claim: ClaimNumber(9) }),
        state: LogState::Open,
        log_start: Offset(100),
        manifest: Some("5c/seg/m-12".to_owned()),
        inherited: vec![part(17, Some(88)), part(23, None)],
    };
    check("log-open.v1", key.clone(), &value);
    value.state = LogState::Released { end_slot: Slot(90), end_offset: Offset(1_000) };
    check("log-released.v1", key.clone(), &value);
    value.state = LogState::Dropped;
    check("log-dropped.v1", key, &value);
}

#[test]
fn sessions_and_wals() {
    let session =
        Session { node: NodeId(1), rpc: Some("10.0.1.7:9650".into()), zone: Some("az-a".into()) };
    check("session.v1", Session::key(SessionId(41)), &session);
    let alone = Session { node: NodeId(1), rpc: None, zone: None };
    check("session-alone.v1", Session::key(SessionId(41)), &alone);
    let mut allocation = SessionAllocation { node: NodeId(1), above: 0 };
    check("session-allocation.v1", SessionAllocation::key(), &allocation);
    allocation.above = 812;
    check("session-allocation-imported.v1", SessionAllocation::key(), &allocation);
    check("import.v1", Import::key(), &Import {});

    let key = Wal::key(SessionId(41));
    check("wal-new.v1", key.clone(), &Wal::default());
    check("wal-node.v1", key.clone(), &Wal::of(NodeId(1)));
    check("drained.v1", Drained::key(NodeId(4)), &Drained {});
    check("condemned.v1", Condemned::key(SessionId(41)), &Condemned {});
    let checkpoint = CheckpointPointer {
        object: "9a/ckp/41/12".to_owned(),
        number: 12,
        covers_below: Slot(977),
        adopted_through: ClaimNumber(9),
    };
    let sealed = Some(Seal { at: Slot(1_003), detail: None });
    let mut value = Wal { checkpoint: Some(checkpoint), trim: Slot(977), sealed, ..Wal::default() };
    check("wal-sealed.v1", key.clone(), &value);
    value.sealed = Some(Seal { at: Slot(1_003), detail: Some("3:88".to_owned()) });
    check("wal-sealed-detail.v1", key.clone(), &value);
    let rpc = Some("10.0.0.1:9192".to_owned());
    check("wal-rpc.v1", key, &Wal { rpc, ..Wal::of(NodeId(1)) });
}

#[test]
fn cluster() {
    let value = Cluster { id: "0d4b7c4e".to_owned(), name: "prod".to_owned(), format: 1 };
    check("cluster.v1", Cluster::key(), &value);
    check("controller.v1", Leadership::key(), &Leadership { node: NodeId(2) });
    let next = NextNodeId { next: NodeId(1_003) };
    check("node-ids.v1", NextNodeId::key(), &next);
    let next = NextProducerId { next: ProducerId(3_000) };
    check("producer-ids.v1", NextProducerId::key(), &next);
    let mut node = Node {
        roles: vec![Role::Broker, Role::Coordinator, Role::Proxy, Role::Controller],
        kafka: Some(HostPort { host: "proxy-1".to_owned(), port: 9092 }),
        rpc: Some("10.0.1.7:9650".to_owned()),
        http: Some("10.0.1.7:9644".to_owned()),
        zone: Some("az-a".to_owned()),
        draining: false,
    };
    check("node.v1", Node::key(NodeId(1)), &node);
    node.draining = true;
    check("node-draining.v1", Node::key(NodeId(1)), &node);
    let creation = Creation { name: "orders".to_owned(), from: 0, to: 50_000 };
    check("creation.v1", Creation::key(topic()), &creation);
    let deletion = Deletion { name: "orders".to_owned() };
    check("deletion.v1", Deletion::key(topic()), &deletion);
}
