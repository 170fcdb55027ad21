//! What clients ask for.

use super::*;
use crate::{
    model::PARTITIONS_PER_TOPIC_MAX,
    store::{Embedded, Remedy},
    topic_config::ConfigError,
};

fn manual(partitions: &[(i32, &[i32])]) -> CreateTopic {
    let assignments = partitions
        .iter()
        .map(|(partition, brokers)| ManualAssignment {
            partition: *partition,
            brokers: brokers.to_vec(),
        })
        .collect();
    CreateTopic { name: "manual".to_owned(), assignments, ..CreateTopic::default() }
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_created_whole() {
    let (store, process) = rig().await;
    let created = process.create("orders", 4).await.unwrap();
    assert_eq!((created.partitions, created.replication_factor), (4, 1));
    check_consistency(&store).await;
    let log = Metadata::new(Arc::new(store.clone()));
    let log = log.log(TopicPartition::new(created.id, PartitionIndex(3))).await.unwrap().unwrap();
    assert_eq!(log.value, Log::new(LeaderEpoch::NONE));
    let seen = process.view.wait_for(soon(), |now| now.topic("orders").cloned()).await.unwrap();
    assert_eq!(seen.id, created.id);
    assert_eq!(
        process.create("orders", 4).await,
        Err(Error::TopicExists { name: "orders".to_owned() })
    );
}

#[tokio::test(start_paused = true)]
async fn defaults_fill_what_is_left_out() {
    let (_, process) = rig().await;
    let named = |name: &str| CreateTopic { name: name.to_owned(), ..CreateTopic::default() };
    let created = process.controller.create_topic(named("a")).await.unwrap();
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
    let minus_one =
        CreateTopic { partitions: Some(-1), replication_factor: Some(-1), ..named("b") };
    let created = process.controller.create_topic(minus_one).await.unwrap();
    assert_eq!((created.partitions, created.replication_factor), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_refused_and_changes_nothing() {
    let (store, process) = rig().await;
    process.create("a.b", 1).await.unwrap();
    process.view.wait_for(soon(), |now| now.topic("a.b").cloned()).await.unwrap();
    let before = keys(&store, "").await;
    let with = |change: fn(&mut CreateTopic)| {
        let mut wanted = CreateTopic { name: "x".to_owned(), ..CreateTopic::default() };
        change(&mut wanted);
        let controller = process.controller.clone();
        async move { controller.create_topic(wanted).await.unwrap_err() }
    };
    let error = with(|wanted| wanted.name = "a/b".to_owned()).await;
    assert!(matches!(error, Error::InvalidName(_)), "{error}");
    let error = with(|wanted| wanted.name = "a_b".to_owned()).await;
    assert!(matches!(error, Error::NameCollides { .. }), "{error}");
    for count in [0, -2, i32::MIN, i32::MAX, PARTITIONS_PER_TOPIC_MAX as i32 + 1] {
        let error = process.create("x", count).await.unwrap_err();
        assert_eq!(error, Error::InvalidPartitions { asked: count });
    }
    let error = with(|wanted| wanted.replication_factor = Some(4)).await;
    assert_eq!(error, Error::InvalidReplicationFactor { asked: 4 });
    let error = with(|wanted| {
        wanted.configs.insert("retention.mss".to_owned(), "1".to_owned());
    })
    .await;
    assert!(matches!(error, Error::InvalidConfig(ConfigError::Unknown { .. })), "{error}");
    let bad: [&[(i32, &[i32])]; 5] = [
        &[(0, &[1]), (0, &[1])],
        &[(1, &[1])],
        &[(0, &[])],
        &[(0, &[1, 1])],
        &[(0, &[1]), (1, &[1, 2])],
    ];
    for assignment in bad {
        let error = process.controller.create_topic(manual(assignment)).await.unwrap_err();
        assert!(matches!(error, Error::InvalidAssignment { .. }), "{assignment:?}: {error}");
        assert_eq!(error.remedy(), Remedy::Fix);
    }
    let both = CreateTopic { partitions: Some(1), ..manual(&[(0, &[1])]) };
    assert!(process.controller.create_topic(both).await.is_err());
    assert_eq!(keys(&store, "").await, before);
}

#[tokio::test(start_paused = true)]
async fn a_manual_assignment_gives_the_counts() {
    let (_, process) = rig().await;
    let wanted = manual(&[(1, &[5, 6]), (0, &[6, 7])]);
    let created = process.controller.create_topic(wanted).await.unwrap();
    assert_eq!((created.partitions, created.replication_factor), (2, 2));
    let assigned = process.view.wait_for(soon(), |now| now.assignment(created.id).cloned()).await;
    assert_eq!(&assigned.unwrap()[..], [NodeId(1); 2], "there is no other broker");
}

#[tokio::test(start_paused = true)]
async fn validating_changes_nothing() {
    let (store, process) = rig().await;
    process.create("there", 2).await.unwrap();
    let before = list(&store, "topics/").await.unwrap();
    let wanted = CreateTopic {
        name: "new".to_owned(),
        partitions: Some(7),
        validate_only: true,
        ..CreateTopic::default()
    };
    let created = process.controller.create_topic(wanted).await.unwrap();
    assert_eq!((created.partitions, created.id), (7, TopicId::NIL));
    let mut wanted = CreatePartitions {
        topic: "there".to_owned(),
        total: 9,
        assignments: Some(vec![vec![1]; 7]),
        validate_only: true,
    };
    process.controller.create_partitions(wanted.clone()).await.unwrap();
    wanted.assignments = Some(vec![vec![1]; 6]);
    assert!(process.controller.create_partitions(wanted).await.is_err());
    let wanted = AlterConfigs {
        topic: "there".to_owned(),
        change: ConfigsChange::Replace(BTreeMap::from([("retention.ms".into(), "1".into())])),
        validate_only: true,
    };
    process.controller.alter_configs(wanted).await.unwrap();
    assert_eq!(list(&store, "topics/").await.unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn large_topics_take_many_transactions_and_leave_nothing_behind() {
    let (store, process) = rig().await;
    process.create("large", 10_000).await.unwrap();
    check_consistency(&store).await;
    process.grow("large", 10_050).await.unwrap();
    process.grow("large", 12_000).await.unwrap();
    check_consistency(&store).await;
    process.view.wait_for(soon(), |now| (now.partition_count() == 12_000).then_some(())).await;
    process.delete("large").await.unwrap();
    until_empty(&store, Deletion::PREFIX).await;
    check_consistency(&store).await;
    assert_eq!(keys(&store, Log::PREFIX).await.len(), 0);
}

#[tokio::test]
async fn ten_thousand_partitions_take_seconds_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Embedded::open(dir.path()).await.unwrap();
    broker(&store, 1).await;
    let process = Process::start(Arc::new(store.clone()), 1).await;
    process.controller.elected().await;
    let start = Instant::now();
    process.create("one-large", 10_000).await.unwrap();
    let one = start.elapsed();
    let start = Instant::now();
    let names: Vec<String> = (0..1_000).map(|n| format!("small-{n}")).collect();
    let creations = names.iter().map(|name| process.create(name, 10));
    for created in futures::future::join_all(creations).await {
        created.unwrap();
    }
    let many = start.elapsed();
    println!("10,000 partitions: {one:?} in one topic, {many:?} in 1,000 topics");
    check_consistency(&store).await;
    process.tasks.shutdown().await.unwrap();
    store.close().await;
    let start = Instant::now();
    drop(Embedded::open(dir.path()).await.unwrap());
    println!("opened again with 20,000 partitions: {:?}", start.elapsed());
    assert!(one + many < Duration::from_secs(60), "{one:?} and {many:?}");
}

#[tokio::test(start_paused = true)]
async fn partitions_only_grow() {
    let (_, process) = rig().await;
    process.create("a", 3).await.unwrap();
    for asked in [3, 2, 0, -1] {
        let error = process.grow("a", asked).await.unwrap_err();
        assert!(matches!(error, Error::PartitionsOnlyGrow { current: 3, .. }), "{error}");
    }
    assert_eq!(process.grow("b", 3).await, Err(Error::unknown("b")));
    let internal = CreateTopic {
        name: CONSUMER_OFFSETS_TOPIC.to_owned(),
        partitions: Some(50),
        ..CreateTopic::default()
    };
    process.controller.create_topic(internal).await.unwrap();
    let error = process.grow(CONSUMER_OFFSETS_TOPIC, 60).await.unwrap_err();
    assert!(matches!(error, Error::InternalTopic { .. }), "{error}");
    let error = process.delete(CONSUMER_OFFSETS_TOPIC).await.unwrap_err();
    assert!(matches!(error, Error::InternalTopic { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn configs_change_one_by_one_or_all_at_once() {
    let (_, process) = rig().await;
    process.create("a", 1).await.unwrap();
    let set = |value: &str| ConfigOp::Set(value.to_owned());
    let ops = [
        ("retention.ms", set("5")),
        ("cleanup.policy", ConfigOp::Append("compact".to_owned())),
        ("segment.ms", set("7")),
    ];
    process.alter("a", &ops).await.unwrap();
    process.alter("a", &[("segment.ms", ConfigOp::Delete)]).await.unwrap();
    let of = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [of("cleanup.policy", "delete,compact"), of("retention.ms", "5")];
    let seen = |now: &crate::views::Snapshot| {
        let topic = now.topic("a")?;
        (*topic.configs == BTreeMap::from(expected.clone())).then_some(topic.config.clone())
    };
    let config = process.view.wait_for(soon(), seen).await.expect("configs as expected");
    assert!(config.cleanup_policy.compact && config.retention_ms == 5);

    let error = process.alter("a", &[("retention.ms", set("x"))]).await.unwrap_err();
    assert!(matches!(error, Error::InvalidConfig(ConfigError::BadValue { .. })), "{error}");
    let error = process.alter("a", &[("retention.ms", ConfigOp::Append("1".into()))]).await;
    assert!(matches!(error, Err(Error::InvalidConfig(ConfigError::NotAList { .. }))));
    assert_eq!(process.alter("none", &[]).await, Err(Error::unknown("none")));
    let replace = AlterConfigs {
        topic: "a".to_owned(),
        change: ConfigsChange::Replace(BTreeMap::new()),
        validate_only: false,
    };
    process.controller.alter_configs(replace).await.unwrap();
    let unset = |now: &crate::views::Snapshot| now.topic("a")?.configs.is_empty().then_some(());
    process.view.wait_for(soon(), unset).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_topic_created_again_starts_above_all_epochs() {
    let (store, process) = rig().await;
    let metadata = Metadata::new(Arc::new(store.clone()));
    let first = process.create("a", 2).await.unwrap();
    let session = SessionId(1);
    let of = |id, number| TopicPartition::new(id, PartitionIndex(number));
    for claim in 1..=5 {
        metadata.claim(session, &[(of(first.id, 1), ClaimNumber(claim))]).await.remove(0).unwrap();
    }
    let deleted = process.delete("a").await.unwrap();
    assert_eq!(deleted.id, first.id);
    let late = metadata.claim(session, &[(of(first.id, 0), ClaimNumber(6))]).await.remove(0);
    assert!(late.is_err(), "no claim once it is marked");
    assert_eq!(process.delete("a").await, Err(Error::unknown("a")));

    let second = process.create("a", 2).await.expect("the name is free at once");
    assert_ne!(second.id, first.id);
    let claim = (of(second.id, 0), ClaimNumber(7));
    let claimed = metadata.claim(session, &[claim]).await.remove(0).unwrap();
    assert_eq!(claimed.log.leader_epoch, LeaderEpoch(5), "above 4, the highest used");

    // The owner has not let go of the first topic: its log stays, the other goes.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let left = keys(&store, &Log::prefix(first.id)).await;
    assert_eq!(left, [Log::key(of(first.id, 1)).to_string()]);
    let update = OwnedUpdate {
        partition: of(first.id, 1),
        epoch: LeaderEpoch(4),
        change: OwnedChange::Drop,
    };
    metadata.update_owned(session, &[update]).await.remove(0).unwrap();
    until_empty(&store, Deletion::PREFIX).await;
    assert_eq!(keys(&store, &Log::prefix(first.id)).await, [""; 0]);
    check_consistency(&store).await;
}

#[tokio::test(start_paused = true)]
async fn a_sealed_owner_need_not_confirm() {
    let (store, process) = rig().await;
    let metadata = Metadata::new(Arc::new(store.clone()));
    let created = process.create("a", 1).await.unwrap();
    let partition = TopicPartition::new(created.id, PartitionIndex(0));
    metadata.claim(SessionId(1), &[(partition, ClaimNumber(1))]).await.remove(0).unwrap();
    process.view.wait_for(soon(), |now| now.topic("a").cloned()).await.unwrap();
    let by_id = TopicRef::Id(created.id);
    process.controller.delete_topic(by_id.clone()).await.unwrap();
    process.view.wait_for(soon(), |now| now.topic("a").is_none().then_some(())).await.unwrap();
    assert_eq!(
        process.controller.delete_topic(by_id.clone()).await,
        Err(Error::UnknownTopic { topic: by_id })
    );
    metadata.seal(SessionId(1), Seal { at: Slot(1), detail: None }).await.unwrap();
    until_empty(&store, Deletion::PREFIX).await;
    check_consistency(&store).await;
}

#[tokio::test(start_paused = true)]
async fn topics_are_spread_over_the_brokers() {
    let (store, process) = rig().await;
    broker(&store, 2).await;
    broker(&store, 3).await;
    process.view.wait_for(soon(), |now| (now.sessions().count() == 3).then_some(())).await;
    let names: Vec<String> = (0..30).map(|n| format!("t{n}")).collect();
    let creations = names.iter().map(|name| process.create(name, 1));
    for created in futures::future::join_all(creations).await {
        created.unwrap();
    }
    let counts = |now: &crate::views::Snapshot| {
        (1..=3).map(|n| now.assigned_to(NodeId(n)).count()).collect::<Vec<_>>()
    };
    let all = |now: &crate::views::Snapshot| counts(now).iter().sum::<usize>() == 30;
    let spread = process.view.wait_for(soon(), |now| all(now).then(|| counts(now))).await;
    assert_eq!(spread, Some(vec![10, 10, 10]));
}
