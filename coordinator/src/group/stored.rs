//! A group's state in the form that the log keeps, and back.
//!
//! Only a finished rebalance is stored: with its assignment, or without members. What happens in
//! between is lost with the process; members then find their generation refused and join again.

use std::time::Duration;

use bytes::Bytes;
use weir_ids::Timestamp;
use weir_protocol::messages::offsets_topic::{GroupMetadataValue, MemberMetadata};

use super::{
    Cx, Effects, Error, Group, State, Store, Syncs, Then,
    member::{Client, Member, Protocol, Protocols},
    names::{Generation, InstanceId, MemberId},
};
use crate::records;

impl Group {
    /// The group as the log last had it. Its members get a whole session to be heard of.
    #[must_use]
    pub(crate) fn restore(cx: &Cx<'_>, stored: GroupMetadataValue) -> Self {
        let mut group = Self::new(cx);
        group.since = Timestamp(stored.current_state_timestamp);
        group.generation = Generation(stored.generation);
        group.protocol_type = (!stored.protocol_type.is_empty()).then_some(stored.protocol_type);
        group.protocol = stored.protocol;
        for member in stored.members {
            let name = group.protocol.clone().unwrap_or_default();
            let protocol = Protocol { name, metadata: member.subscription.clone() };
            let id = MemberId(member.member_id.clone());
            group.members.add(id, restore_member(cx, member, protocol));
        }
        if group.members.is_empty() {
            return group;
        }
        if let Some(leader) = stored.leader {
            group.members.restore_leader(&MemberId(leader));
        }
        let syncs = Syncs { missing: Default::default(), until: cx.now };
        group.state = State::Stable { syncs };
        if group.members.len() > cx.settings.group_max_size {
            // The limit has been lowered: a rebalance lets the first to come back in.
            let until = cx.now + group.rebalance_timeout();
            group.enter(cx, State::PreparingRebalance { until, first: None });
        }
        group
    }

    /// Stores the state with the given assignments.
    ///
    /// # Errors
    /// If it does not fit into a batch.
    pub(super) fn store(
        &self,
        cx: &Cx<'_>,
        assignment: impl Fn(&MemberId, &Member) -> Bytes,
        then: Then,
        out: &mut Effects,
    ) -> Result<(), Error> {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.iter().map(|(id, member)| MemberMetadata {
            member_id: id.0.clone(),
            group_instance_id: member.instance.as_ref().map(|instance| instance.0.clone()),
            client_id: member.client.id.clone(),
            client_host: member.client.host.clone(),
            rebalance_timeout: millis(member.rebalance_timeout),
            session_timeout: millis(member.session_timeout),
            subscription: member.protocols.metadata(protocol),
            assignment: assignment(id, member),
        });
        let value = GroupMetadataValue {
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            generation: self.generation.0,
            protocol: self.protocol.clone(),
            leader: self.members.leader().map(|leader| leader.0.clone()),
            current_state_timestamp: self.since.0,
            members: members.collect(),
        };
        let value = records::group_value(&value).map_err(|_| Error::TooLarge)?;
        if value.len() > records::value_max_bytes(cx.settings) {
            return Err(Error::TooLarge);
        }
        out.stores.push(Store { value, then });
        Ok(())
    }
}

fn restore_member(cx: &Cx<'_>, stored: MemberMetadata, protocol: Protocol) -> Member {
    let session_timeout = duration(stored.session_timeout);
    let rebalance_timeout = match stored.rebalance_timeout {
        -1 => session_timeout,
        timeout => duration(timeout),
    };
    Member {
        instance: stored.group_instance_id.map(InstanceId),
        client: Client { id: stored.client_id, host: stored.client_host },
        rebalance_timeout,
        session_timeout,
        protocols: Protocols(vec![protocol]),
        assignment: stored.assignment,
        is_new: false,
        expires: cx.now + session_timeout,
        joining: None,
        syncing: None,
    }
}

/// A duration as the wire and the log have it; a negative one is none.
pub(crate) fn duration(millis: i32) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
