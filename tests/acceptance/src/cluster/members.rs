//! Members of consumer groups, by the wire: many groups need few threads so.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, OffsetCommitRequest, SyncGroupRequest, TopicName,
};
use kafka_protocol::protocol::{Request, StrBytes};
use weir_test_support::wait::{self, Stopwatch};
use weir_test_support::wire::Connection;

/// The last version in which a member is let in at its first request.
const JOIN: i16 = 3;
const SYNC: i16 = 2;
const HEARTBEAT: i16 = 2;
const COMMIT: i16 = 6;
const SESSION_TIMEOUT_MS: i32 = 30_000;
const REBALANCE_TIMEOUT_MS: i32 = 60_000;
/// How long a group may take to form.
const FORMED: Duration = Duration::from_secs(60);
/// Answers that pass: loading, no coordinator, not this one.
const PASSES: [i16; 3] = [14, 15, 16];

/// A group all of whose members are here, each with a connection of its own.
pub(super) struct Members {
    group: GroupId,
    members: Vec<Member>,
    generation: i32,
}

struct Member {
    connection: Connection,
    id: StrBytes,
}

/// What a round of heartbeats came to.
pub(super) enum Beat {
    /// All are in the group, and each was told so within this time.
    All(Vec<Duration>),
    /// Some are to try again.
    Again,
}

impl Members {
    /// Forms a group of as many members as there are addresses.
    pub(super) fn form(group: &str, addresses: &[SocketAddr]) -> Result<Self> {
        let connect = |address: &SocketAddr| -> Result<Member> {
            let (connection, id) = (Connection::open(*address)?, StrBytes::default());
            Ok(Member { connection, id })
        };
        let members = addresses.iter().map(connect).collect::<Result<_>>()?;
        let group = GroupId(StrBytes::from_string(group.to_owned()));
        let mut formed = Self { group, members, generation: -1 };
        wait::until("a group forms", FORMED, || formed.join().transpose())??;
        Ok(formed)
    }

    /// Sends each member's request, then reads the answers.
    fn ask<R: Request>(
        &mut self,
        version: i16,
        request: impl Fn(&Self, usize) -> R,
    ) -> Result<Vec<R::Response>> {
        let requests: Vec<R> = (0..self.members.len()).map(|place| request(self, place)).collect();
        let mut sent = Vec::with_capacity(requests.len());
        for (member, request) in self.members.iter_mut().zip(&requests) {
            sent.push(member.connection.send(version, request)?);
        }
        let answers = self.members.iter_mut().zip(sent);
        answers.map(|(member, sent)| member.connection.receive::<R>(version, sent)).collect()
    }

    /// `None`: try again.
    fn join(&mut self) -> Result<Option<()>> {
        let joined = self.ask(JOIN, |group, place| {
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_static_str("range"))
                .with_metadata(Bytes::from_static(b"what a client says"));
            JoinGroupRequest::default()
                .with_group_id(group.group.clone())
                .with_session_timeout_ms(SESSION_TIMEOUT_MS)
                .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS)
                .with_member_id(group.members[place].id.clone())
                .with_protocol_type(StrBytes::from_static_str("consumer"))
                .with_protocols(vec![protocol])
        })?;
        for (member, answer) in self.members.iter_mut().zip(&joined) {
            if PASSES.contains(&answer.error_code) {
                return Ok(None);
            }
            ensure!(answer.error_code == 0, "a member is not let in: error {}", answer.error_code);
            member.id = answer.member_id.clone();
            self.generation = answer.generation_id;
        }
        if joined.iter().any(|answer| answer.generation_id != self.generation) {
            return Ok(None);
        }
        let synced = self.ask(SYNC, |group, place| {
            let is_leader = joined[place].leader == group.members[place].id;
            let assignment = |member: &Member| {
                SyncGroupRequestAssignment::default()
                    .with_member_id(member.id.clone())
                    .with_assignment(Bytes::from_static(b"what the leader says"))
            };
            let assignments = group.members.iter().filter(|_| is_leader).map(assignment).collect();
            SyncGroupRequest::default()
                .with_group_id(group.group.clone())
                .with_generation_id(group.generation)
                .with_member_id(group.members[place].id.clone())
                .with_assignments(assignments)
        })?;
        let all = synced.iter().all(|answer| answer.error_code == 0);
        Ok(all.then_some(()))
    }

    /// Every member gives a sign of life.
    ///
    /// # Errors
    /// When one is told that it is no member any more, or that the group forms anew.
    pub(super) fn beat(&mut self) -> Result<Beat> {
        let clock = Stopwatch::start();
        let answers = self.ask(HEARTBEAT, |group, place| {
            HeartbeatRequest::default()
                .with_group_id(group.group.clone())
                .with_generation_id(group.generation)
                .with_member_id(group.members[place].id.clone())
        })?;
        let took = clock.elapsed();
        if answers.iter().any(|answer| PASSES.contains(&answer.error_code)) {
            return Ok(Beat::Again);
        }
        for answer in &answers {
            let Self { group: GroupId(group), .. } = self;
            ensure!(answer.error_code == 0, "group {group:?} is lost: error {}", answer.error_code);
        }
        Ok(Beat::All(answers.iter().map(|_| took).collect()))
    }

    /// Its first member commits an offset for each of so many partitions.
    pub(super) fn commit(&mut self, topic: &str, offsets: &[i64]) -> Result<()> {
        let asked = (0..).zip(offsets).map(|(partition, offset)| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(*offset)
        });
        let asked = OffsetCommitRequestTopic::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partitions(asked.collect());
        let Self { group, generation, members } = self;
        let request = OffsetCommitRequest::default()
            .with_group_id(group.clone())
            .with_generation_id_or_member_epoch(*generation)
            .with_member_id(members[0].id.clone())
            .with_topics(vec![asked]);
        let answer = members[0].connection.request(COMMIT, &request)?;
        let mut errors = answer.topics.iter().flat_map(|topic| &topic.partitions);
        match errors.find(|it| it.error_code != 0) {
            Some(it) => bail!("an offset is not committed: error {}", it.error_code),
            None => Ok(()),
        }
    }
}
