//! Members' sessions: how they are kept, left and lost.

use super::{
    Cx, Effects, Error, Group, State,
    names::{Generation, InstanceId, MemberId},
};

/// Who a request says it is from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// The member; `None` for a client that is not a member and only keeps offsets here.
    pub(crate) member: Option<MemberId>,
    /// Its instance id, if it is static.
    pub(crate) instance: Option<InstanceId>,
    /// The generation; negative for none.
    pub(crate) generation: Generation,
}

/// A member that is to leave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Leaving {
    /// Its id; `None`: whoever has the instance id, as an administrator asks.
    pub(crate) member: Option<MemberId>,
    /// Its instance id.
    pub(crate) instance: Option<InstanceId>,
}

impl Group {
    /// A member lives.
    ///
    /// # Errors
    /// That it must join again, or is not a member.
    pub(crate) fn heartbeat(&mut self, cx: &Cx<'_>, from: &Identity) -> Result<(), Error> {
        let member = from.member.as_ref().ok_or(Error::UnknownMember)?;
        self.members.validate(member, from.instance.as_ref())?;
        if from.generation != self.generation {
            return Err(Error::IllegalGeneration);
        }
        self.members.update(member, |member| member.touch(cx.now));
        match self.state {
            State::PreparingRebalance { .. } => Err(Error::RebalanceInProgress),
            _ => Ok(()),
        }
    }

    /// Whether offsets may be committed. A commit keeps its member's session.
    ///
    /// # Errors
    /// Why they may not.
    pub(crate) fn check_commit(&mut self, cx: &Cx<'_>, from: &Identity) -> Result<(), Error> {
        let empty = matches!(self.state, State::Empty);
        if from.generation.0 < 0 && empty {
            return Ok(());
        }
        if from.generation.0 < 0 && from.member.is_none() && from.instance.is_none() {
            // An offset of a group with members is theirs.
            return Err(Error::UnknownMember);
        }
        let unknown = MemberId::from("");
        let member = from.member.as_ref().unwrap_or(&unknown);
        self.members.validate(member, from.instance.as_ref())?;
        if from.generation != self.generation {
            return Err(Error::IllegalGeneration);
        }
        if let State::CompletingRebalance { .. } = self.state {
            return Err(Error::RebalanceInProgress);
        }
        self.members.update(member, |member| member.touch(cx.now));
        Ok(())
    }

    /// Lets members go, with one result each. Ids that were handed out can be given back too.
    pub(crate) fn leave(
        &mut self,
        cx: &Cx<'_>,
        leaving: &[Leaving],
        out: &mut Effects,
    ) -> Vec<Result<(), Error>> {
        let before = self.members.len();
        let results = leaving.iter().map(|member| self.leave_one(member, out)).collect();
        match self.state {
            State::PreparingRebalance { .. } => self.maybe_complete_join(cx, out),
            _ if self.members.len() < before => self.prepare_rebalance(cx, out),
            _ => {}
        }
        results
    }

    fn leave_one(&mut self, leaving: &Leaving, out: &mut Effects) -> Result<(), Error> {
        let id = match (&leaving.member, &leaving.instance) {
            (Some(id), _) if self.pending.contains_key(id) => id.clone(),
            (Some(id), instance) => {
                self.members.validate(id, instance.as_ref())?;
                id.clone()
            }
            (None, Some(instance)) => {
                self.members.of_instance(instance).cloned().ok_or(Error::UnknownMember)?
            }
            (None, None) => return Err(Error::UnknownMember),
        };
        self.expel(&id, Error::UnknownMember, out);
        Ok(())
    }

    /// Time has passed: gives up who was silent for too long, and ends phases whose time is up.
    pub(crate) fn tick(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        self.expire_pending(cx, out);
        self.expire_members(cx, out);
        let due = match &self.state {
            State::PreparingRebalance { until, .. } => {
                if *until <= cx.now {
                    self.join_time_is_up(cx, out);
                }
                return;
            }
            State::CompletingRebalance { syncs, .. } | State::Stable { syncs } => {
                syncs.deadline().is_some_and(|deadline| deadline <= cx.now)
            }
            State::Empty => false,
        };
        if due {
            self.expel_missing(cx, out);
        }
    }

    fn expire_pending(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        let before = self.pending.len();
        self.pending.retain(|_, until| *until > cx.now);
        let preparing = matches!(self.state, State::PreparingRebalance { .. });
        if self.pending.len() < before && preparing && self.all_joined() {
            self.complete_join(cx, out);
        }
    }

    fn expire_members(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        let due = |group: &Self, id: &MemberId| {
            let deadline = group.members.get(id).and_then(|member| member.deadline());
            deadline.is_some_and(|deadline| deadline <= cx.now)
        };
        let silent: Vec<MemberId> =
            self.members.ids().filter(|id| due(self, id)).cloned().collect();
        for id in silent {
            // The rebalance that one member's end begins may have answered the next one's join.
            if !due(self, &id) {
                continue;
            }
            self.expel(&id, Error::UnknownMember, out);
            match self.state {
                State::Empty => {}
                State::PreparingRebalance { .. } if self.all_joined() => {
                    self.complete_join(cx, out)
                }
                State::PreparingRebalance { .. } => {}
                _ => self.prepare_rebalance(cx, out),
            }
        }
    }

    /// Gives up the members that never asked for their assignment.
    fn expel_missing(&mut self, cx: &Cx<'_>, out: &mut Effects) {
        let missing = match &mut self.state {
            State::CompletingRebalance { syncs, .. } | State::Stable { syncs } => {
                std::mem::take(&mut syncs.missing)
            }
            _ => return,
        };
        for id in missing {
            self.expel(&id, Error::UnknownMember, out);
        }
        self.prepare_rebalance(cx, out);
    }
}
