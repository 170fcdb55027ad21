//! Joining: who may come in, and whether that takes a rebalance.

use std::time::Duration;

use bytestring::ByteString;
use tokio::time::Instant;

use super::{
    Cx, Effects, Error, Group, JoinRefused, Joined, State, Then,
    member::{self, Client, Member, Protocols},
    names::{InstanceId, MemberId, Token},
};

/// How long a new member's first join may wait. It can't send heartbeats yet, since it does not
/// know its id; one that is still there joins again.
const NEW_MEMBER_JOIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// Protocols that one member may offer.
const PROTOCOLS_MAX: usize = 100;

/// Ids that may be handed out and not yet joined with, for each member that the group may have.
const PENDING_PER_MEMBER: usize = 2;

/// A request to join.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Join {
    /// Under what the request waits.
    pub(crate) token: Token,
    /// The id that the member was given; `None` the first time.
    pub(crate) member: Option<MemberId>,
    /// Its instance id, if it is static.
    pub(crate) instance: Option<InstanceId>,
    /// Who it is.
    pub(crate) client: Client,
    /// How long it may be silent.
    pub(crate) session_timeout: Duration,
    /// How long a rebalance may wait for it.
    pub(crate) rebalance_timeout: Duration,
    /// What kind of group it wants.
    pub(crate) protocol_type: ByteString,
    /// What it offers, the most wanted first.
    pub(crate) protocols: Protocols,
    /// Makes its id unique, should it need one.
    pub(crate) unique: uuid::Uuid,
    /// It takes two joins to come in: the first only gets an id (KIP-394, from version 4).
    pub(crate) id_first: bool,
    /// A leader of this version can be told to leave the assignment as it is (KIP-814, from 9).
    pub(crate) can_skip: bool,
}

impl Group {
    /// Lets a member in, or back in.
    pub(crate) fn join(&mut self, cx: &Cx<'_>, join: Join, out: &mut Effects) {
        let refused = match self.admit(cx, &join, out) {
            Err(error) => Err(error),
            Ok(()) => match join.member.clone() {
                None => self.join_without_id(cx, join.clone(), out),
                Some(id) if self.pending.contains_key(&id) && join.instance.is_none() => {
                    self.add_member(cx, id, &join, out);
                    Ok(())
                }
                Some(id) => self.join_again(cx, &id, &join, out),
            },
        };
        if let Err(error) = refused {
            let member = if error == Error::MaxSizeReached { None } else { join.member };
            out.join(join.token, Err(JoinRefused { error, member }));
        }
    }

    /// Checks what does not depend on which member it is.
    fn admit(&mut self, cx: &Cx<'_>, join: &Join, out: &mut Effects) -> Result<(), Error> {
        let bytes = join.protocols.bytes();
        if join.protocols.0.len() > PROTOCOLS_MAX || bytes > cx.settings.member_metadata_max_bytes {
            return Err(Error::InvalidRequest);
        }
        let instance = join.instance.as_ref();
        let known = instance.and_then(|instance| self.members.of_instance(instance));
        if !self.has_room(cx, join.member.as_ref().or(known)) {
            if let Some(id) = &join.member {
                self.expel(id, Error::MaxSizeReached, out);
                self.maybe_complete_join(cx, out);
            }
            return Err(Error::MaxSizeReached);
        }
        let fits = if self.members.is_empty() {
            !join.protocol_type.is_empty() && !join.protocols.0.is_empty()
        } else {
            self.protocol_type.as_ref() == Some(&join.protocol_type)
                && self.members.supports_any(&join.protocols)
        };
        if fits { Ok(()) } else { Err(Error::InconsistentProtocol) }
    }

    /// Whether the group takes the member, a new one or one of its own. While it prepares a
    /// rebalance, those who came back first count: so a group that is over a lowered limit shrinks.
    fn has_room(&self, cx: &Cx<'_>, id: Option<&MemberId>) -> bool {
        let max = cx.settings.group_max_size;
        let known = id.and_then(|id| self.members.get(id));
        match self.state {
            State::Empty => true,
            State::PreparingRebalance { .. } => {
                known.is_some_and(|member| member.joining.is_some()) || self.members.joining() < max
            }
            State::CompletingRebalance { .. } | State::Stable { .. } => {
                known.is_some() || self.members.len() < max
            }
        }
    }

    fn join_without_id(&mut self, cx: &Cx<'_>, join: Join, out: &mut Effects) -> Result<(), Error> {
        let id = member::new_id(join.instance.as_ref(), &join.client, join.unique);
        if let Some(instance) = &join.instance {
            match self.members.of_instance(instance).cloned() {
                Some(old) => self.replace_static(cx, &old, id, &join, out),
                None => self.add_member(cx, id, &join, out),
            }
            return Ok(());
        }
        if !join.id_first {
            self.add_member(cx, id, &join, out);
            return Ok(());
        }
        let pending_max = cx.settings.group_max_size.saturating_mul(PENDING_PER_MEMBER);
        if self.pending.len() >= pending_max {
            return Err(Error::MaxSizeReached);
        }
        self.pending.insert(id.clone(), cx.now + join.session_timeout);
        let error = Error::MemberIdRequired;
        out.join(join.token, Err(JoinRefused { error, member: Some(id) }));
        Ok(())
    }

    fn join_again(
        &mut self,
        cx: &Cx<'_>,
        id: &MemberId,
        join: &Join,
        out: &mut Effects,
    ) -> Result<(), Error> {
        self.members.validate(id, join.instance.as_ref())?;
        let same = self.members.get(id).is_some_and(|member| member.protocols == join.protocols);
        let leads = self.members.is_leader(id);
        match self.state {
            // Its members are gone: validation has refused already.
            State::Empty => return Err(Error::UnknownMember),
            // The answer to its join got lost: it is given again.
            State::CompletingRebalance { .. } if same => {
                let members = if leads { self.joined_members() } else { Vec::new() };
                out.join(join.token, Ok(self.joined(id, members)));
            }
            // Nothing new from a follower. A leader asks for a rebalance by joining again.
            State::Stable { .. } if same && !leads => {
                out.join(join.token, Ok(self.joined(id, Vec::new())));
            }
            _ => {
                self.update_member(id, join, out);
                self.rebalance_or_complete(cx, out);
            }
        }
        Ok(())
    }

    fn add_member(&mut self, cx: &Cx<'_>, id: MemberId, join: &Join, out: &mut Effects) {
        if let State::PreparingRebalance { first: Some(first), .. } = &mut self.state {
            first.member_added = true;
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        self.pending.remove(&id);
        let member = Member {
            instance: join.instance.clone(),
            client: join.client.clone(),
            rebalance_timeout: join.rebalance_timeout,
            session_timeout: join.session_timeout,
            protocols: join.protocols.clone(),
            assignment: Default::default(),
            is_new: true,
            expires: cx.now + NEW_MEMBER_JOIN_TIMEOUT,
            joining: Some(join.token),
            syncing: None,
        };
        self.members.add(id, member);
        self.rebalance_or_complete(cx, out);
    }

    /// Takes over what a member says of itself now. An older join of its is answered: its sender has
    /// given up on it.
    fn update_member(&mut self, id: &MemberId, join: &Join, out: &mut Effects) {
        self.members.set_protocols(id, join.protocols.clone());
        self.members.update(id, |member| {
            member.rebalance_timeout = join.rebalance_timeout;
            member.session_timeout = join.session_timeout;
        });
        if let Some(replaced) = self.members.set_joining(id, Some(join.token)) {
            let error = Error::RebalanceInProgress;
            out.join(replaced, Err(JoinRefused { error, member: Some(id.clone()) }));
        }
    }

    /// A static member came back, without its id: it gets a new one, and whoever uses the old one is
    /// fenced. If the group is stable and would choose the same protocol again, its assignment stays.
    fn replace_static(
        &mut self,
        cx: &Cx<'_>,
        old: &MemberId,
        id: MemberId,
        join: &Join,
        out: &mut Effects,
    ) {
        let leader_before = self.members.leader().cloned();
        if let Some(before) = self.members.rename(old, &id) {
            let error = Error::FencedInstance;
            if let Some(token) = before.joining {
                out.join(token, Err(JoinRefused { error, member: Some(old.clone()) }));
            }
            if let Some(token) = before.syncing {
                out.sync(token, Err(error));
            }
        }
        self.update_member(&id, join, out);
        self.members.update(&id, |member| {
            member.client = join.client.clone();
            member.touch(cx.now);
        });
        match &mut self.state {
            State::Stable { syncs } => {
                if syncs.missing.remove(old) {
                    syncs.missing.insert(id.clone());
                }
                if self.members.elect_protocol() != self.protocol {
                    return self.prepare_rebalance(cx, out);
                }
                let (token, can_skip) = (join.token, join.can_skip);
                let then = Then::Rejoined { member: id, token, leader_before, can_skip };
                if self.store(cx, |_, member| member.assignment.clone(), then, out).is_err() {
                    self.prepare_rebalance(cx, out);
                }
            }
            // The leader may have assigned to the old id already.
            State::CompletingRebalance { .. } => self.prepare_rebalance(cx, out),
            State::PreparingRebalance { .. } | State::Empty => self.maybe_complete_join(cx, out),
        }
    }

    /// A static member's return is durable: answer its join, unless a rebalance does so by now.
    pub(super) fn rejoined(
        &mut self,
        now: Instant,
        id: &MemberId,
        leader_before: Option<MemberId>,
        can_skip: bool,
        out: &mut Effects,
    ) {
        let Some(token) = self.members.set_joining(id, None) else { return };
        self.members.update(id, |member| member.touch(now));
        let leads = can_skip && self.members.is_leader(id);
        let members = if leads { self.joined_members() } else { Vec::new() };
        let mut joined = self.joined(id, members);
        joined.skip_assignment = leads;
        if let (false, Some(leader)) = (can_skip, leader_before) {
            // An old client that finds itself the leader would assign anew. It is told who led
            // before, its old self perhaps, so that it asks for its assignment like a follower.
            joined.leader = leader;
        }
        out.join(token, Ok(joined));
    }

    /// A member's answer in the current generation.
    pub(super) fn joined(&self, id: &MemberId, members: Vec<super::JoinedMember>) -> Joined {
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.members.leader().unwrap_or(id).clone(),
            member: id.clone(),
            members,
            skip_assignment: false,
        }
    }
}
