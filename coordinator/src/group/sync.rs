//! Syncing: the leader's assignment comes in, is stored, and goes out to each member.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Cx, Effects, Error, Group, State, Synced, Then,
    names::{Generation, InstanceId, MemberId, Token},
};

/// A request for an assignment; from the leader, with everybody's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sync {
    /// Under what the request waits.
    pub(crate) token: Token,
    /// Who asks.
    pub(crate) member: MemberId,
    /// Its instance id, if it is static.
    pub(crate) instance: Option<InstanceId>,
    /// The generation that it has joined.
    pub(crate) generation: Generation,
    /// What kind of group it takes it for; `None`: it does not say.
    pub(crate) protocol_type: Option<ByteString>,
    /// The protocol that it takes for chosen; `None`: it does not say.
    pub(crate) protocol: Option<ByteString>,
    /// The assignments, if it leads.
    pub(crate) assignments: Vec<(MemberId, Bytes)>,
}

impl Group {
    /// Hands out a member's assignment, now or when it is durable.
    pub(crate) fn sync(&mut self, cx: &Cx<'_>, sync: Sync, out: &mut Effects) {
        let token = sync.token;
        if let Err(error) = self.try_sync(cx, sync, out) {
            out.sync(token, Err(error));
        }
    }

    fn try_sync(&mut self, cx: &Cx<'_>, sync: Sync, out: &mut Effects) -> Result<(), Error> {
        let id = &sync.member;
        self.members.validate(id, sync.instance.as_ref())?;
        if sync.generation != self.generation {
            return Err(Error::IllegalGeneration);
        }
        let differs = |said: &Option<ByteString>, is: &Option<ByteString>| matches!((said, is), (Some(said), Some(is)) if said != is);
        if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            return Err(Error::InconsistentProtocol);
        }
        let leads = self.members.is_leader(id);
        match &mut self.state {
            State::Empty => Err(Error::UnknownMember),
            State::PreparingRebalance { .. } => Err(Error::RebalanceInProgress),
            State::CompletingRebalance { syncs, assigning } => {
                syncs.missing.remove(id);
                let assigns = leads && assigning.is_none();
                let before = self.members.update(id, |member| member.syncing.replace(sync.token));
                if let Some(replaced) = before.flatten() {
                    out.sync(replaced, Err(Error::RebalanceInProgress));
                }
                if assigns {
                    self.assign(cx, sync.assignments, out);
                }
                Ok(())
            }
            State::Stable { syncs } => {
                syncs.missing.remove(id);
                let assignment = self.members.get(id).map(|member| member.assignment.clone());
                out.sync(sync.token, Ok(self.synced(assignment.unwrap_or_default())));
                Ok(())
            }
        }
    }

    /// Stores what the leader assigned. Members that it left out get nothing.
    fn assign(&mut self, cx: &Cx<'_>, assignments: Vec<(MemberId, Bytes)>, out: &mut Effects) {
        let given: BTreeMap<MemberId, Bytes> =
            assignments.into_iter().filter(|(id, _)| self.members.contains(id)).collect();
        let then = Then::Assign(self.generation);
        let stored = self.store(cx, |id, _| given.get(id).cloned().unwrap_or_default(), then, out);
        match (stored, &mut self.state) {
            (Ok(()), State::CompletingRebalance { assigning, .. }) => *assigning = Some(given),
            (Ok(()), _) => {}
            (Err(error), _) => {
                self.revoke_assignments(cx, error, out);
                self.prepare_rebalance(cx, out);
            }
        }
    }

    /// What was to be stored is durable.
    pub(crate) fn stored(&mut self, cx: &Cx<'_>, then: Then, out: &mut Effects) {
        match then {
            Then::Nothing => {}
            Then::Assign(generation) => self.assigned(cx, generation, out),
            Then::Rejoined { member, token, leader_before, can_skip } => {
                let waits = self.members.get(&member).and_then(|member| member.joining);
                let stable = matches!(self.state, State::Stable { .. });
                if stable && waits == Some(token) {
                    self.rejoined(cx.now, &member, leader_before, can_skip, out);
                }
            }
        }
    }

    /// The assignment is durable: it goes out, unless the group has moved on.
    fn assigned(&mut self, cx: &Cx<'_>, generation: Generation, out: &mut Effects) {
        let State::CompletingRebalance { syncs, assigning } = &mut self.state else { return };
        if generation != self.generation {
            return;
        }
        let Some(mut given) = assigning.take() else { return };
        let syncs = syncs.clone();
        self.members.update_all(|id, member| {
            member.assignment = given.remove(id).unwrap_or_default();
        });
        self.enter(cx, State::Stable { syncs });
        self.answer_syncs(cx, |group, assignment| Ok(group.synced(assignment)), out);
    }

    /// Takes back what was assigned and sends whoever waits away with an error.
    pub(super) fn revoke_assignments(&mut self, cx: &Cx<'_>, error: Error, out: &mut Effects) {
        self.members.update_all(|_, member| member.assignment = Bytes::new());
        self.answer_syncs(cx, |_, _| Err(error), out);
    }

    /// Answers all waiting syncs. A member's session begins anew: it may have run out unnoticed
    /// while the member waited.
    fn answer_syncs(
        &mut self,
        cx: &Cx<'_>,
        answer: impl Fn(&Self, Bytes) -> Result<Synced, Error>,
        out: &mut Effects,
    ) {
        let mut waiting = Vec::new();
        self.members.update_all(|_, member| {
            if let Some(token) = member.syncing.take() {
                member.touch(cx.now);
                waiting.push((token, member.assignment.clone()));
            }
        });
        for (token, assignment) in waiting {
            out.sync(token, answer(self, assignment));
        }
    }

    fn synced(&self, assignment: Bytes) -> Synced {
        Synced {
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment,
        }
    }
}
