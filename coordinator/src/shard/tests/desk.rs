//! Asking a shard, on paused time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::oneshot;
use weir_ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicPartition};
use weir_runtime::{Clock, Runtime, Seeded, Tasks};

use crate::{
    coordinator::ask,
    group::{
        Client, Error, Generation, GroupId, Identity, Join, JoinAnswer, Joined, Protocol,
        Protocols, Sync, Synced, Token,
    },
    records::{Committed, OffsetKey},
    settings::Settings,
    shard::{Context, Request, Shard},
    testing::{FakeBroker, FakeCluster, offsets_topic},
};

/// The time of day stands still: nothing here looks at it.
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000)
    }
}

pub(super) struct Desk {
    pub(super) broker: Arc<FakeBroker>,
    pub(super) cluster: Arc<FakeCluster>,
    pub(super) partition: TopicPartition,
    pub(super) tasks: Tasks,
    context: Context,
    shard: Shard,
}

pub(super) fn key(partition: u32) -> OffsetKey {
    OffsetKey { topic: "orders".into(), partition: PartitionIndex(partition) }
}

pub(super) fn committed(offset: i64, metadata: &str) -> Committed {
    Committed {
        offset: Offset(offset),
        leader_epoch: LeaderEpoch::NONE,
        metadata: metadata.into(),
        at: Timestamp(1_700_000_000_000),
        expires: None,
        topic_id: TopicId::NIL,
    }
}

pub(super) fn nobody() -> Identity {
    Identity { member: None, instance: None, generation: Generation(-1) }
}

impl Desk {
    pub(super) fn new() -> Self {
        Self::with(Settings::dev())
    }

    pub(super) fn with(settings: Settings) -> Self {
        let broker = Arc::new(FakeBroker::default());
        let cluster = FakeCluster::new(Arc::clone(&broker), vec![offsets_topic(1)]);
        let context = Context {
            runtime: Runtime::new(Noon, Seeded::new(1)),
            cluster: Arc::clone(&cluster) as _,
            reader: Arc::clone(&broker) as _,
            settings: Arc::new(settings),
        };
        let (tasks, partition) = (Tasks::new(), FakeCluster::partition(0));
        let shard = Shard::start(&tasks, context.clone(), partition);
        Self { broker, cluster, partition, tasks, context, shard }
    }

    /// Another process takes the partition over; this one does not know.
    pub(super) fn successor(&self) -> Self {
        let tasks = Tasks::new();
        let shard = Shard::start(&tasks, self.context.clone(), self.partition);
        Self {
            broker: Arc::clone(&self.broker),
            cluster: Arc::clone(&self.cluster),
            partition: self.partition,
            tasks,
            context: self.context.clone(),
            shard,
        }
    }

    pub(super) async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> T {
        match tokio::time::timeout(Duration::from_secs(600), ask(&self.shard, request)).await {
            Ok(answer) => answer.expect("the shard dropped a request"),
            Err(_) => panic!("the shard never answered"),
        }
    }

    pub(super) async fn commit(
        &self,
        group: &str,
        partition: u32,
        offset: i64,
    ) -> Result<(), Error> {
        self.commit_all(group, vec![(key(partition), committed(offset, ""))]).await
    }

    pub(super) async fn commit_all(
        &self,
        group: &str,
        offsets: Vec<(OffsetKey, Committed)>,
    ) -> Result<(), Error> {
        let group = GroupId::from(group);
        self.ask(|to| Request::Commit(group, nobody(), offsets, to)).await
    }

    pub(super) async fn fetch(&self, group: &str, partition: u32) -> Result<Option<i64>, Error> {
        let group = GroupId::from(group);
        let found = self.ask(|to| Request::Fetch(group, vec![key(partition)], to)).await?;
        Ok(found[0].as_ref().map(|committed| committed.offset.0))
    }

    pub(super) async fn join(&self, group: &str, member: Option<&Joined>) -> JoinAnswer {
        let protocol = Protocol { name: "range".into(), metadata: Bytes::from_static(b"topics") };
        let join = Join {
            token: Token::NONE,
            member: member.map(|joined| joined.member.clone()),
            instance: None,
            client: Client { id: "c".into(), host: "/10.0.0.1".into() },
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(60),
            protocol_type: "consumer".into(),
            protocols: Protocols(vec![protocol]),
            unique: self.context.runtime.uuid(),
            id_first: false,
            can_skip: false,
        };
        let group = GroupId::from(group);
        self.ask(|to| Request::Join(group, join, to)).await
    }

    pub(super) async fn sync(&self, group: &str, joined: &Joined) -> Result<Synced, Error> {
        let assigned = joined
            .members
            .iter()
            .map(|member| (member.member.clone(), Bytes::from_static(b"everything")));
        let sync = Sync {
            token: Token::NONE,
            member: joined.member.clone(),
            instance: None,
            generation: joined.generation,
            protocol_type: None,
            protocol: None,
            assignments: assigned.collect(),
        };
        let group = GroupId::from(group);
        self.ask(|to| Request::Sync(group, sync, to)).await
    }

    /// Returns once everything that was asked before has been handled.
    pub(super) async fn settle(&self) {
        let nobody = Identity { member: None, instance: None, generation: Generation(0) };
        let from = GroupId::from("nobody's group");
        assert!(self.ask(|to| Request::Heartbeat(from, nobody, to)).await.is_err());
    }

    pub(super) async fn heartbeat(&self, group: &str, joined: &Joined) -> Result<(), Error> {
        let (member, generation) = (Some(joined.member.clone()), joined.generation);
        let from = Identity { member, instance: None, generation };
        let group = GroupId::from(group);
        self.ask(|to| Request::Heartbeat(group, from, to)).await
    }
}
