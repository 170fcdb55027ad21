//! What a Fetch request asks for, held against the cluster. No I/O.

use std::{sync::Arc, time::Duration};

use bytestring::ByteString;
use weir_broker::client::{Isolation, Offsets};
use weir_ids::{LeaderEpoch, NodeId, Offset, TopicId, TopicPartition};
use weir_meta::views::{Snapshot, TopicView};
use weir_protocol::{
    ErrorCode,
    codec::Records,
    messages::{FetchRequest, fetch::FetchPartition},
};

use crate::{cluster, routing::Owners, settings::Settings};

/// From this version on topics are named by id.
const BY_TOPIC_ID: i16 = 13;
/// Below this version a client may not know zstd (KIP-110).
const KNOWS_ZSTD: i16 = 10;

/// What a fetch asks for as a whole.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) isolation: Isolation,
    pub(super) max_bytes: usize,
    pub(super) min_bytes: usize,
    pub(super) max_wait: Duration,
    /// Whether the client can read zstd.
    pub(super) zstd: bool,
    /// Whether topics are named by id.
    pub(super) by_id: bool,
}

/// Where partitions are.
#[derive(Clone, Copy)]
pub(super) struct Routes<'a> {
    pub(super) now: &'a Snapshot,
    pub(super) owners: &'a Owners,
}

impl Routes<'_> {
    fn owner(&self, partition: TopicPartition) -> Option<NodeId> {
        self.owners.owner(partition, self.now)
    }
}

/// How a client names a topic: by its id or, in old versions, by its name; the other is empty.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct TopicKey {
    pub(super) name: ByteString,
    pub(super) id: TopicId,
}

/// What a fetch asks for of one partition.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) index: i32,
    epoch: i32,
    offset: i64,
    max_bytes: i32,
}

/// A fetch under way: what was asked, and what was found until now.
pub(super) struct Plan {
    pub(super) terms: Terms,
    /// The topics, each with the end of its partitions in `partitions`.
    pub(super) topics: Vec<(TopicKey, usize)>,
    pub(super) partitions: Vec<Partition>,
    /// Who owns what: places in `partitions`, those of one owner side by side.
    owned: Vec<(NodeId, usize)>,
}

/// A partition that was asked for.
pub(super) struct Partition {
    pub(super) index: i32,
    pub(super) found: Found,
    /// `None`: there is no such partition, and `found` says so.
    pub(super) target: Option<Target>,
}

/// What to read.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) partition: TopicPartition,
    pub(super) owner: NodeId,
    pub(super) epoch: Option<LeaderEpoch>,
    pub(super) offset: Offset,
    pub(super) max_bytes: u32,
}

/// What is known of a partition by now.
pub(super) enum Found {
    /// Nothing yet.
    Unread,
    /// These offsets, and no record.
    Empty(Offsets),
    /// Records.
    Records(Offsets, Records),
    /// It can't be read.
    Failed(ErrorCode),
    /// It can't be read now: it moves, or its owner knows less than the client. That passes.
    Moving(ErrorCode),
}

impl Found {
    pub(super) fn bytes(&self) -> usize {
        match self {
            Found::Records(_, records) => records.len(),
            _ => 0,
        }
    }

    pub(super) fn offsets(&self) -> Option<Offsets> {
        match self {
            Found::Empty(offsets) | Found::Records(offsets, _) => Some(*offsets),
            Found::Unread | Found::Failed(_) | Found::Moving(_) => None,
        }
    }

    pub(super) fn error_code(&self) -> ErrorCode {
        match self {
            Found::Failed(code) | Found::Moving(code) => *code,
            _ => ErrorCode::NONE,
        }
    }

    /// The records, which are to be read again if they are wanted again.
    pub(super) fn take_records(&mut self) -> Records {
        match self {
            Found::Records(_, records) => {
                let records = std::mem::take(records);
                *self = Found::Unread;
                records
            }
            _ => Records::new(),
        }
    }
}

impl Terms {
    pub(super) fn of(request: &FetchRequest, version: i16, settings: &Settings) -> Self {
        let max_bytes = size(request.max_bytes).min(settings.fetch_max_bytes);
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        Self {
            isolation: match request.isolation_level {
                1 => Isolation::ReadCommitted,
                _ => Isolation::ReadUncommitted,
            },
            max_bytes,
            min_bytes: size(request.min_bytes).min(max_bytes),
            max_wait: wait.min(settings.fetch_max_wait),
            zstd: version >= KNOWS_ZSTD,
            by_id: version >= BY_TOPIC_ID,
        }
    }

    /// Whether a wait on these terms may be gone on with on the others.
    pub(super) fn wait_alike(&self, other: &Terms) -> bool {
        let of = |it: &Terms| (it.isolation, it.min_bytes);
        of(self) == of(other)
    }
}

impl From<&FetchPartition> for Asked {
    fn from(asked: &FetchPartition) -> Self {
        Self {
            index: asked.partition,
            epoch: asked.current_leader_epoch,
            offset: asked.fetch_offset,
            max_bytes: asked.partition_max_bytes,
        }
    }
}

impl Plan {
    /// A fetch of partitions of `topics`.
    pub(super) fn new<P: IntoIterator<Item = Asked>>(
        terms: Terms,
        topics: impl Iterator<Item = (TopicKey, P)>,
        routes: &Routes<'_>,
    ) -> Self {
        let snapshot = routes.now;
        let mut plan =
            Self { terms, topics: Vec::new(), partitions: Vec::new(), owned: Vec::new() };
        for (key, asked) in topics {
            let (topic, missing) = if terms.by_id {
                (snapshot.topic_by_id(key.id), ErrorCode::UNKNOWN_TOPIC_ID)
            } else {
                (snapshot.topic(&key.name), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            };
            let find = |asked| partition(asked, topic, missing, routes);
            plan.partitions.extend(asked.into_iter().map(find));
            plan.topics.push((key, plan.partitions.len()));
        }
        plan.route(routes);
        plan
    }

    /// Bytes of records found so far.
    pub(super) fn bytes(&self) -> usize {
        self.partitions.iter().map(|partition| partition.found.bytes()).sum()
    }

    /// Whether something is to be told at once: an error, or that there is nothing to wait for.
    pub(super) fn is_settled(&self) -> bool {
        let failed = |partition: &Partition| matches!(partition.found, Found::Failed(_));
        self.partitions.is_empty() || self.partitions.iter().any(failed)
    }

    /// Whether a partition is not where it was looked for.
    pub(super) fn is_moving(&self) -> bool {
        self.partitions.iter().any(|partition| matches!(partition.found, Found::Moving(_)))
    }

    /// Looks for the owners of all partitions again.
    pub(super) fn route(&mut self, routes: &Routes<'_>) {
        for partition in &mut self.partitions {
            if let Some(target) = &mut partition.target
                && let Some(owner) = routes.owner(target.partition)
            {
                target.owner = owner;
            }
        }
        self.owned.clear();
        let owners = self.partitions.iter().enumerate();
        self.owned
            .extend(owners.filter_map(|(place, it)| Some((it.target.as_ref()?.owner, place))));
        self.owned.sort_unstable();
    }

    /// Sends the client elsewhere for everything that there is.
    pub(super) fn turn_away(&mut self) {
        for partition in self.partitions.iter_mut().filter(|it| it.target.is_some()) {
            partition.found = Found::Failed(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
    }

    /// Forgets what was found, so that it is read again.
    pub(super) fn forget(&mut self) {
        for partition in self.partitions.iter_mut().filter(|it| it.target.is_some()) {
            partition.found = Found::Unread;
        }
    }

    /// The owners, and for each the places of what it owns, beside the partitions.
    pub(super) fn by_owner(
        &mut self,
    ) -> (impl Iterator<Item = (NodeId, impl Iterator<Item = usize>)>, &mut [Partition]) {
        let runs = self.owned.chunk_by(|(one, _), (other, _)| one == other);
        let by_owner = runs.map(|run| (run[0].0, run.iter().map(|(_, place)| *place)));
        (by_owner, &mut self.partitions)
    }
}

fn partition(
    asked: Asked,
    topic: Option<&Arc<TopicView>>,
    missing: ErrorCode,
    routes: &Routes<'_>,
) -> Partition {
    let index = asked.index;
    let failed = |code| Partition { index, found: Found::Failed(code), target: None };
    let Some(topic) = topic else { return failed(missing) };
    let Some(partition) = cluster::partition(topic, index) else {
        return failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    };
    let Some(owner) = routes.owner(partition) else {
        return failed(ErrorCode::NOT_LEADER_OR_FOLLOWER);
    };
    let epoch = asked.epoch;
    let target = Target {
        partition,
        owner,
        epoch: (epoch >= 0).then_some(LeaderEpoch(epoch)),
        offset: Offset(asked.offset),
        max_bytes: u32::try_from(asked.max_bytes).unwrap_or(0),
    };
    Partition { index, found: Found::Unread, target: Some(target) }
}

fn size(bytes: i32) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}
