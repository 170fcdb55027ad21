//! A member of a consumer group, by the classic protocol: joins, syncs, fetches, commits, and joins
//! again when it is told to. Gives everything up at each rebalance, as eager assignors do.

use std::{collections::BTreeMap, time::Duration};

use bytestring::ByteString;
use tokio::time::{Instant, sleep};
use weir_history::{Event, Group, Isolation, Notes, Place};
use weir_ids::NodeId;
use weir_protocol::{
    ErrorCode, Message,
    messages::{
        ConsumerProtocolAssignment, ConsumerProtocolSubscription, HeartbeatRequest,
        JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, SyncGroupRequest,
        consumer_protocol_assignment::TopicPartition, join_group::JoinGroupRequestProtocol,
        leave_group::MemberIdentity, sync_group::SyncGroupRequestAssignment,
    },
};

use super::{
    Phase, Shared,
    consumer::Position,
    directory::Directory,
    offsets::{self, Committer, committed},
};

const JOIN_VERSION: i16 = 5;
const SYNC_VERSION: i16 = 3;
const HEARTBEAT_VERSION: i16 = 3;
const LEAVE_VERSION: i16 = 3;
const PROTOCOL: &str = "range";
const SESSION_TIMEOUT_MS: i32 = 6_000;
const REBALANCE_TIMEOUT_MS: i32 = 4_000;
/// How long a rebalance may take, from a member's point of view.
const REBALANCE_WITHIN: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(200);
const HEARTBEAT_EVERY: Duration = Duration::from_millis(700);

/// Which group, and which of its members this is.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    pub(crate) group: String,
    pub(crate) number: u16,
}

struct Member<'a> {
    directory: &'a Directory,
    notes: &'a Notes,
    group: Group,
    group_id: ByteString,
    member_id: ByteString,
    generation: i32,
    /// The proxy that it talks to about its group.
    coordinator: NodeId,
}

/// Why a member has to join again.
enum Again {
    /// The group rebalances.
    Rebalance,
    /// It is not a member any more.
    Forgotten,
    /// Nobody answers, or not as a coordinator should.
    Trouble,
}

/// Consumes as a member until the phase ends. Leaves and comes back now and then.
pub(crate) async fn member(shared: Shared, membership: Membership) {
    let notes = shared.recorder.client(Isolation::default());
    let directory = Directory::new(&shared, notes.client().0);
    let mut member = Member {
        directory: &directory,
        notes: &notes,
        group: Group(membership.number),
        group_id: membership.group.as_str().into(),
        member_id: ByteString::new(),
        generation: -1,
        coordinator: directory.any(),
    };
    sleep(directory.chance.millis(0..=3000)).await;
    while shared.phase() == Phase::Working {
        match member.live().await {
            Ok(()) => {
                sleep(directory.chance.millis(100..=5000)).await;
            }
            Err(Again::Rebalance) => {}
            Err(Again::Forgotten) => member.forget(),
            Err(Again::Trouble) => {
                member.coordinator = directory.any();
                sleep(PAUSE).await;
            }
        }
    }
    member.leave().await;
}

impl Member<'_> {
    fn say(&self, what: std::fmt::Arguments<'_>) {
        let (client, group, generation) = (self.notes.client().0, &self.group_id, self.generation);
        let trace = self.directory.shared.net.trace();
        trace.line(format_args!("c{client} of {group} in {generation} {what}"));
    }

    fn forget(&mut self) {
        (self.member_id, self.generation) = (ByteString::new(), -1);
    }

    /// From joining until it must join again, or leaves by itself.
    async fn live(&mut self) -> Result<(), Again> {
        let shared = &self.directory.shared;
        let joined = self.join().await?;
        let mine = self.sync(&joined).await?;
        let positions = self.resume(&mine).await?;
        let (directory, notes) = (self.directory, self.notes);
        let mut position = Position { directory, notes, positions };
        let mut beat_at = Instant::now() + HEARTBEAT_EVERY;
        let mut commit_at = Instant::now() + directory.chance.millis(300..=2000);
        let leave_at = Instant::now() + directory.chance.millis(5_000..=40_000);
        let mut committed = position.positions.clone();
        while shared.phase() == Phase::Working {
            if position.positions.is_empty() {
                sleep(PAUSE).await;
            } else {
                position.round().await;
            }
            let now = Instant::now();
            if now >= commit_at {
                self.commit(&position.positions, &mut committed).await?;
                commit_at = now + directory.chance.millis(300..=2000);
            }
            if now >= beat_at {
                beat_at = now + HEARTBEAT_EVERY;
                if let Err(again) = self.heartbeat().await {
                    if let Again::Rebalance = again {
                        // The last chance to say how far it got.
                        let _ = self.commit(&position.positions, &mut committed).await;
                    }
                    return Err(again);
                }
            }
            if now >= leave_at {
                self.commit(&position.positions, &mut committed).await?;
                self.leave().await;
                return Ok(());
            }
        }
        self.commit(&position.positions, &mut committed).await
    }

    async fn join(&mut self) -> Result<JoinGroupResponse, Again> {
        let topics = self.directory.shared.topics.all().map(|(name, _)| name.into()).collect();
        let subscription = ConsumerProtocolSubscription { topics, ..Default::default() };
        let metadata = subscription.encode_versioned(0).unwrap_or_default();
        loop {
            let request = JoinGroupRequest {
                group_id: self.group_id.clone(),
                session_timeout_ms: SESSION_TIMEOUT_MS,
                rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
                member_id: self.member_id.clone(),
                protocol_type: "consumer".into(),
                protocols: vec![JoinGroupRequestProtocol {
                    name: PROTOCOL.into(),
                    metadata: metadata.clone(),
                }],
                ..Default::default()
            };
            let directory = self.directory;
            let asked =
                directory.ask_within(self.coordinator, JOIN_VERSION, &request, REBALANCE_WITHIN);
            let answer = asked.await.map_err(|_| Again::Trouble)?;
            match answer.error_code {
                ErrorCode::NONE => {
                    self.member_id = answer.member_id.clone();
                    self.generation = answer.generation_id;
                    return Ok(answer);
                }
                ErrorCode::MEMBER_ID_REQUIRED => self.member_id = answer.member_id,
                code => return Err(again(code)),
            }
        }
    }

    /// Hands in assignments if it leads the group; gets its own.
    async fn sync(&mut self, joined: &JoinGroupResponse) -> Result<Vec<i32>, Again> {
        let topics = &self.directory.shared.topics;
        let leads = joined.leader == joined.member_id;
        let assignments = if leads { assign(topics, joined) } else { Vec::new() };
        let request = SyncGroupRequest {
            group_id: self.group_id.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            assignments,
            ..Default::default()
        };
        let directory = self.directory;
        let asked =
            directory.ask_within(self.coordinator, SYNC_VERSION, &request, REBALANCE_WITHIN);
        let answer = asked.await.map_err(|_| Again::Trouble)?;
        if !answer.error_code.is_none() {
            return Err(again(answer.error_code));
        }
        let assigned = ConsumerProtocolAssignment::decode_versioned(answer.assignment);
        let assigned = assigned.map_err(|_| Again::Trouble)?.assigned_partitions;
        let numbers = assigned.iter().flat_map(|topic| {
            topic.partitions.iter().filter_map(|index| topics.number(&topic.topic, *index))
        });
        Ok(numbers.collect())
    }

    /// Where to go on: at what is committed, or at the beginning.
    async fn resume(&mut self, mine: &[i32]) -> Result<BTreeMap<i32, i64>, Again> {
        if mine.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (asked, group) = (self.notes.now(), self.group);
        let committed = committed(self.directory, self.coordinator, &self.group_id, mine).await;
        let committed = committed.ok_or(Again::Trouble)?;
        let mut positions = BTreeMap::new();
        for (partition, offset) in committed {
            let place = Place { partition, offset };
            self.notes.note(Event::OffsetRead { group, place, asked });
            self.say(format_args!("reads {partition}@{offset}"));
            if offset >= 0 {
                self.notes.note(Event::Resumed { group, place, asked });
            } else {
                self.notes.note(Event::Sought(Place { partition, offset: 0 }));
            }
            positions.insert(partition, offset.max(0));
        }
        Ok(positions)
    }

    async fn heartbeat(&mut self) -> Result<(), Again> {
        let request = HeartbeatRequest {
            group_id: self.group_id.clone(),
            generation_id: self.generation,
            member_id: self.member_id.clone(),
            ..Default::default()
        };
        let answer = self.directory.ask(self.coordinator, HEARTBEAT_VERSION, &request).await;
        match answer.map_err(|_| Again::Trouble)?.error_code {
            ErrorCode::NONE => Ok(()),
            code => Err(again(code)),
        }
    }

    /// Commits what has changed.
    async fn commit(
        &mut self,
        positions: &BTreeMap<i32, i64>,
        committed: &mut BTreeMap<i32, i64>,
    ) -> Result<(), Again> {
        let changed: Vec<(i32, i64)> = positions
            .iter()
            .filter(|(partition, at)| committed.get(partition) != Some(at))
            .map(|(partition, at)| (*partition, *at))
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let group = self.group;
        for (partition, offset) in &changed {
            let place = Place { partition: *partition, offset: *offset };
            self.notes.note(Event::OffsetSent { group, place, transaction: None });
        }
        let by = Committer {
            group_id: self.group_id.clone(),
            member_id: self.member_id.clone(),
            generation: self.generation,
        };
        let asked = offsets::commit(self.directory, self.coordinator, &by, &changed);
        let mut failed = None;
        for (partition, error) in asked.await.map_err(|_| Again::Trouble)? {
            if !error.is_none() {
                failed = Some(error);
            } else if let Some(offset) = positions.get(&partition).copied() {
                self.notes.note(Event::OffsetAcked { group, place: Place { partition, offset } });
                self.say(format_args!("has committed {partition}@{offset}"));
                committed.insert(partition, offset);
            }
        }
        failed.map_or(Ok(()), |code| Err(again(code)))
    }

    async fn leave(&mut self) {
        let member = MemberIdentity { member_id: self.member_id.clone(), ..Default::default() };
        let request = LeaveGroupRequest {
            group_id: self.group_id.clone(),
            members: vec![member],
            ..Default::default()
        };
        let _ = self.directory.ask(self.coordinator, LEAVE_VERSION, &request).await;
        self.forget();
    }
}

fn again(code: ErrorCode) -> Again {
    match code {
        ErrorCode::REBALANCE_IN_PROGRESS => Again::Rebalance,
        ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::ILLEGAL_GENERATION => Again::Forgotten,
        _ => Again::Trouble,
    }
}

/// Every partition to one member, in turn.
fn assign(topics: &super::Topics, joined: &JoinGroupResponse) -> Vec<SyncGroupRequestAssignment> {
    let members = joined.members.len().max(1);
    let assignment = |(place, member): (usize, &ByteString)| {
        let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for number in (0..topics.partitions()).filter(|number| *number as usize % members == place)
        {
            let (topic, partition) = topics.of(number);
            by_topic.entry(topic).or_default().push(partition);
        }
        let assigned_partitions = by_topic
            .into_iter()
            .map(|(topic, partitions)| TopicPartition { topic: topic.into(), partitions })
            .collect();
        let assignment = ConsumerProtocolAssignment { assigned_partitions, user_data: None };
        let assignment = assignment.encode_versioned(0).unwrap_or_default();
        SyncGroupRequestAssignment { member_id: member.clone(), assignment }
    };
    let members: Vec<ByteString> =
        joined.members.iter().map(|member| member.member_id.clone()).collect();
    members.iter().enumerate().map(assignment).collect()
}
