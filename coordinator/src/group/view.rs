//! A group as people and tools see it.

use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Group, State,
    member::Client,
    names::{InstanceId, MemberId},
};

/// A group for DescribeGroups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Described {
    /// Kafka's name of the state.
    pub(crate) state: &'static str,
    /// What kind of group it is; empty if nobody has joined.
    pub(crate) protocol_type: ByteString,
    /// The protocol, once all is assigned.
    pub(crate) protocol: ByteString,
    /// The members, by id.
    pub(crate) members: Vec<DescribedMember>,
}

/// A member for DescribeGroups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DescribedMember {
    /// Its id.
    pub(crate) member: MemberId,
    /// Its instance id.
    pub(crate) instance: Option<InstanceId>,
    /// Who it is.
    pub(crate) client: Client,
    /// What it told under the chosen protocol, once all is assigned.
    pub(crate) metadata: Bytes,
    /// What it was assigned last.
    pub(crate) assignment: Bytes,
}

impl Group {
    /// Kafka's name of the state.
    #[must_use]
    pub(crate) fn state(&self) -> &'static str {
        match self.state {
            State::Empty => "Empty",
            State::PreparingRebalance { .. } => "PreparingRebalance",
            State::CompletingRebalance { .. } => "CompletingRebalance",
            State::Stable { .. } => "Stable",
        }
    }

    /// What kind of group it is; `None` if nobody has joined ever.
    #[must_use]
    pub(crate) fn protocol_type(&self) -> Option<&ByteString> {
        self.protocol_type.as_ref()
    }

    /// All of it.
    #[must_use]
    pub(crate) fn describe(&self) -> Described {
        let protocol = match self.state {
            State::Stable { .. } => self.protocol.clone(),
            _ => None,
        };
        let members = self.members.iter().map(|(id, member)| DescribedMember {
            member: id.clone(),
            instance: member.instance.clone(),
            client: member.client.clone(),
            metadata: protocol
                .as_deref()
                .map(|name| member.protocols.metadata(name))
                .unwrap_or_default(),
            assignment: member.assignment.clone(),
        });
        Described {
            state: self.state(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            members: members.collect(),
            protocol: protocol.clone().unwrap_or_default(),
        }
    }
}
