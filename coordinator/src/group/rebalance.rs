//! From one generation to the next: gathering members, giving up those that don't come, electing.

use super::{
    Cx, Effects, Error, Gathering, Group, JoinRefused, JoinedMember, State, Syncs, Then,
    names::MemberId,
};

impl Group {
    /// A member came, went or changed: begins a rebalance, or sees whether the one under way has
    /// all it waits for.
    pub(super) fn rebalance_or_complete(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        match self.state {
            State::PreparingRebalance { .. } => self.maybe_complete_join(cx, out),
            _ => self.prepare_rebalance(cx, out),
        }
    }

    /// Asks all members to join again.
    pub(super) fn prepare_rebalance(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        if let State::CompletingRebalance { .. } = self.state {
            self.revoke_assignments(cx, Error::RebalanceInProgress, out);
        }
        let timeout = self.rebalance_timeout();
        let delay = cx.settings.initial_rebalance_delay;
        if matches!(self.state, State::Empty) {
            let remaining = timeout.saturating_sub(delay);
            let first = Some(Gathering { delay, remaining, member_added: false });
            self.enter(cx, State::PreparingRebalance { until: cx.now + delay, first });
            if delay.is_zero() {
                self.complete_join(cx, out);
            }
            return;
        }
        self.enter(cx, State::PreparingRebalance { until: cx.now + timeout, first: None });
        self.maybe_complete_join(cx, out);
    }

    /// Goes on to the next generation if every member has joined. The first rebalance of an empty
    /// group waits out its delay all the same.
    pub(super) fn maybe_complete_join(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        if matches!(self.state, State::PreparingRebalance { first: None, .. }) && self.all_joined()
        {
            self.complete_join(cx, out);
        }
    }

    pub(super) fn all_joined(&self) -> bool {
        self.members.joining() == self.members.len() && self.pending.is_empty()
    }

    /// The time to join is up, or the wait for more members of a group's first rebalance.
    pub(super) fn join_time_is_up(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        let State::PreparingRebalance { until, first } = &mut self.state else { return };
        let Some(gathering) = first else { return self.complete_join(cx, out) };
        if !gathering.member_added || gathering.remaining.is_zero() {
            return self.complete_join(cx, out);
        }
        let delay = gathering.remaining.min(cx.settings.initial_rebalance_delay);
        let remaining = gathering.remaining.saturating_sub(gathering.delay);
        *gathering = Gathering { delay, remaining, member_added: false };
        *until = cx.now + delay;
    }

    /// Ends the join phase with those who have come. Static members are kept although they have
    /// not: they may be restarting. If nobody has come, they are waited for once more.
    pub(super) fn complete_join(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        let absent = |(id, member): (&MemberId, &super::member::Member)| {
            (member.joining.is_none() && member.instance.is_none()).then(|| id.clone())
        };
        let absent: Vec<MemberId> = self.members.iter().filter_map(absent).collect();
        for id in absent {
            self.expel(&id, Error::UnknownMember, out);
        }
        if self.members.is_empty() {
            return self.become_empty(cx, out);
        }
        if !self.members.elect_joining_leader() {
            let until = cx.now + self.rebalance_timeout();
            self.state = State::PreparingRebalance { until, first: None };
            return;
        }
        self.generation = self.generation.next();
        self.protocol = self.members.elect_protocol();
        let missing = self.members.ids().cloned().collect();
        let syncs = Syncs { missing, until: cx.now + self.rebalance_timeout() };
        self.enter(cx, State::CompletingRebalance { syncs, assigning: None });
        self.answer_joins(cx, out);
    }

    fn become_empty(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        self.generation = self.generation.next();
        self.protocol = None;
        self.enter(cx, State::Empty);
        // A state without members fits. If this never becomes durable, the log names members that
        // will be found silent.
        let _ = self.store(cx, |_, _| Default::default(), Then::Nothing, out);
    }

    fn answer_joins(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        let ids: Vec<MemberId> = self.members.ids().cloned().collect();
        for id in ids {
            let members =
                if self.members.is_leader(&id) { self.joined_members() } else { Vec::new() };
            if let Some(token) = self.members.set_joining(&id, None) {
                out.join(token, Ok(self.joined(&id, members)));
            }
            self.members.update(&id, |member| {
                member.is_new = false;
                member.touch(cx.now);
            });
        }
    }

    /// The members as the leader is told of them.
    pub(super) fn joined_members(&self) -> Vec<JoinedMember> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.iter().map(|(id, member)| JoinedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            metadata: member.protocols.metadata(protocol),
        });
        members.collect()
    }

    /// Drops a member, or an id that was handed out. What waits for it is answered.
    pub(super) fn expel(&mut self, id: &MemberId, error: Error, out: &mut Effects) {
        self.pending.remove(id);
        if let State::CompletingRebalance { syncs, .. } | State::Stable { syncs } = &mut self.state
        {
            syncs.missing.remove(id);
        }
        let Some(member) = self.members.remove(id) else { return };
        if let Some(token) = member.joining {
            out.join(token, Err(JoinRefused { error, member: None }));
        }
        if let Some(token) = member.syncing {
            out.sync(token, Err(error));
        }
    }
}
