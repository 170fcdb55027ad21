//! The members of a group and what is counted over them.
//!
//! Invariants ([`Members::check`]):
//! - the leader is a member; there is one unless the group is empty;
//! - each instance id names a member that carries it, and the other way round;
//! - `supported` counts for each protocol the members that offer it, `joining` those that wait for
//!   an answer to their join.
//!
//! Ordered by member id, never by hash: the same events give the same group.

use std::collections::BTreeMap;

use bytestring::ByteString;

use super::{
    error::Error,
    member::{Member, Protocols, Supported},
    names::{InstanceId, MemberId, Token},
};

#[derive(Default, Debug)]
pub(super) struct Members {
    by_id: BTreeMap<MemberId, Member>,
    instances: BTreeMap<InstanceId, MemberId>,
    supported: Supported,
    joining: usize,
    leader: Option<MemberId>,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn contains(&self, id: &MemberId) -> bool {
        self.by_id.contains_key(id)
    }

    pub(super) fn get(&self, id: &MemberId) -> Option<&Member> {
        self.by_id.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&MemberId, &Member)> {
        self.by_id.iter()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &MemberId> {
        self.by_id.keys()
    }

    pub(super) fn leader(&self) -> Option<&MemberId> {
        self.leader.as_ref()
    }

    pub(super) fn is_leader(&self, id: &MemberId) -> bool {
        self.leader.as_ref() == Some(id)
    }

    /// The member that goes by this instance id.
    pub(super) fn of_instance(&self, instance: &InstanceId) -> Option<&MemberId> {
        self.instances.get(instance)
    }

    /// How many wait for an answer to their join.
    pub(super) fn joining(&self) -> usize {
        self.joining
    }

    /// Changes what is not counted: times, assignment, a waiting sync.
    pub(super) fn update<T>(
        &mut self,
        id: &MemberId,
        change: impl FnOnce(&mut Member) -> T,
    ) -> Option<T> {
        self.by_id.get_mut(id).map(change)
    }

    /// The same for all members.
    pub(super) fn update_all(&mut self, mut change: impl FnMut(&MemberId, &mut Member)) {
        self.by_id.iter_mut().for_each(|(id, member)| change(id, member));
    }

    /// Takes in a member. The first one leads.
    pub(super) fn add(&mut self, id: MemberId, member: Member) {
        if let Some(instance) = &member.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        count(&mut self.supported, &member.protocols);
        self.joining += usize::from(member.joining.is_some());
        self.leader.get_or_insert_with(|| id.clone());
        self.by_id.insert(id, member);
    }

    /// Lets a member go. If it led, another member leads.
    pub(super) fn remove(&mut self, id: &MemberId) -> Option<Member> {
        let member = self.by_id.remove(id)?;
        uncount(&mut self.supported, &member.protocols);
        self.joining -= usize::from(member.joining.is_some());
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        if self.is_leader(id) {
            self.leader = self.by_id.keys().next().cloned();
        }
        Some(member)
    }

    /// Gives a static member another id. What waited under the old one is returned with the member
    /// as it was.
    pub(super) fn rename(&mut self, from: &MemberId, to: &MemberId) -> Option<Member> {
        let old = self.by_id.remove(from)?;
        self.joining -= usize::from(old.joining.is_some());
        let renamed = Member { joining: None, syncing: None, ..old.clone() };
        if let Some(instance) = &old.instance {
            self.instances.insert(instance.clone(), to.clone());
        }
        if self.is_leader(from) {
            self.leader = Some(to.clone());
        }
        self.by_id.insert(to.clone(), renamed);
        Some(old)
    }

    /// Replaces what a member offers.
    pub(super) fn set_protocols(&mut self, id: &MemberId, protocols: Protocols) {
        let Some(member) = self.by_id.get_mut(id) else { return };
        uncount(&mut self.supported, &member.protocols);
        count(&mut self.supported, &protocols);
        member.protocols = protocols;
    }

    /// Lets a member's join wait, or no longer, and returns the one that waited before.
    pub(super) fn set_joining(&mut self, id: &MemberId, token: Option<Token>) -> Option<Token> {
        let member = self.by_id.get_mut(id)?;
        self.joining += usize::from(token.is_some());
        let before = std::mem::replace(&mut member.joining, token);
        self.joining -= usize::from(before.is_some());
        before
    }

    /// Whether the request comes from who it says: a member, and the newest of its instance id.
    pub(super) fn validate(
        &self,
        id: &MemberId,
        instance: Option<&InstanceId>,
    ) -> Result<(), Error> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(Error::UnknownMember),
                Some(current) if current != id => return Err(Error::FencedInstance),
                Some(_) => {}
            }
        }
        if self.contains(id) { Ok(()) } else { Err(Error::UnknownMember) }
    }

    /// Whether one of the protocols is offered by every member.
    pub(super) fn supports_any(&self, protocols: &Protocols) -> bool {
        let all = self.by_id.len();
        protocols.names().any(|name| self.supported.get(name).copied().unwrap_or(0) == all)
    }

    /// The protocol that most members want of those that all offer. Of equals, the leader's
    /// favourite. `None` only if there is nothing that all offer.
    pub(super) fn elect_protocol(&self) -> Option<ByteString> {
        let all = self.by_id.len();
        let common = self.supported.iter().filter(|(_, count)| **count == all);
        let mut candidates: Vec<ByteString> = common.map(|(name, _)| name.clone()).collect();
        if let Some(leader) = self.leader.as_ref().and_then(|leader| self.by_id.get(leader)) {
            let rank = |name: &ByteString| leader.protocols.names().position(|own| own == name);
            candidates.sort_by_key(rank);
        }
        let mut votes = vec![0_usize; candidates.len()];
        for member in self.by_id.values() {
            let vote = member.vote(&candidates);
            let at = candidates.iter().position(|candidate| Some(candidate) == vote);
            if let Some(at) = at {
                votes[at] += 1;
            }
        }
        // `min_by_key` on the reverse takes the first of equals.
        let best = (0..candidates.len()).min_by_key(|at| std::cmp::Reverse(votes[*at]))?;
        Some(candidates.swap_remove(best))
    }

    /// Makes sure that a member leads whose join waits; `false` if none waits.
    pub(super) fn elect_joining_leader(&mut self) -> bool {
        let joins = |member: &Member| member.joining.is_some();
        if self.leader.as_ref().and_then(|id| self.by_id.get(id)).is_some_and(joins) {
            return true;
        }
        let Some((id, _)) = self.by_id.iter().find(|(_, member)| joins(member)) else {
            return false;
        };
        self.leader = Some(id.clone());
        true
    }

    /// Puts back a leader that the log names.
    pub(super) fn restore_leader(&mut self, leader: &MemberId) {
        if self.contains(leader) {
            self.leader = Some(leader.clone());
        }
    }

    /// Asserts the invariants above.
    #[cfg(test)]
    pub(super) fn check(&self) {
        assert_eq!(self.leader.is_some(), !self.by_id.is_empty(), "one leader unless empty");
        assert!(self.leader.iter().all(|leader| self.contains(leader)), "the leader is a member");
        let joining = self.by_id.values().filter(|member| member.joining.is_some()).count();
        assert_eq!(joining, self.joining);
        let mut supported = Supported::new();
        let mut instances = BTreeMap::new();
        for (id, member) in &self.by_id {
            count(&mut supported, &member.protocols);
            if let Some(instance) = &member.instance {
                assert!(instances.insert(instance.clone(), id.clone()).is_none());
            }
        }
        assert_eq!((supported, instances), (self.supported.clone(), self.instances.clone()));
    }
}

fn count(supported: &mut Supported, protocols: &Protocols) {
    for name in protocols.names() {
        *supported.entry(name.clone()).or_default() += 1;
    }
}

fn uncount(supported: &mut Supported, protocols: &Protocols) {
    for name in protocols.names() {
        if let Some(members) = supported.get_mut(name) {
            *members -= 1;
            if *members == 0 {
                supported.remove(name);
            }
        }
    }
}
