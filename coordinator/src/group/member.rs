//! One member and what it can do.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use bytestring::ByteString;
use tokio::time::Instant;

use super::names::{InstanceId, MemberId, Token};

/// Who a client says it is and where it calls from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Client {
    /// The client id of its requests.
    pub(crate) id: ByteString,
    /// Its address, for people who look at a group.
    pub(crate) host: ByteString,
}

/// A way of assigning that a member offers, for consumers an assignor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Protocol {
    /// Its name.
    pub(crate) name: ByteString,
    /// What the leader needs to know of this member, for consumers its subscription. Opaque.
    pub(crate) metadata: Bytes,
}

/// The protocols of a member, the most wanted first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Protocols(pub(crate) Vec<Protocol>);

impl Protocols {
    /// The distinct names, the most wanted first.
    pub(super) fn names(&self) -> impl Iterator<Item = &ByteString> {
        self.0.iter().enumerate().filter_map(|(at, protocol)| {
            let first = self.0[..at].iter().all(|earlier| earlier.name != protocol.name);
            first.then_some(&protocol.name)
        })
    }

    /// The metadata under a name; empty if the member does not offer it.
    pub(super) fn metadata(&self, name: &str) -> Bytes {
        let found = self.0.iter().find(|protocol| &*protocol.name == name);
        found.map(|protocol| protocol.metadata.clone()).unwrap_or_default()
    }

    /// Names and metadata together.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(|protocol| protocol.name.len() + protocol.metadata.len()).sum()
    }
}

/// How many members offer each protocol.
pub(super) type Supported = BTreeMap<ByteString, usize>;

/// A member.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) instance: Option<InstanceId>,
    pub(super) client: Client,
    pub(super) rebalance_timeout: Duration,
    pub(super) session_timeout: Duration,
    pub(super) protocols: Protocols,
    pub(super) assignment: Bytes,
    /// Its first join is not answered yet: it does not know its id, so it can't send heartbeats,
    /// and a disconnect is not seen while the join waits. It is given longer, but not for ever.
    pub(super) is_new: bool,
    /// When it is given up unless it is heard of.
    pub(super) expires: Instant,
    pub(super) joining: Option<Token>,
    pub(super) syncing: Option<Token>,
}

impl Member {
    /// When the member is given up: not while one of its requests waits here, unless it is new.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.joining.is_some() || self.syncing.is_some();
        (self.is_new || !waits).then_some(self.expires)
    }

    /// It was heard of.
    pub(super) fn touch(&mut self, now: Instant) {
        self.expires = now + self.session_timeout;
    }

    /// Its favourite of the candidates.
    pub(super) fn vote<'a>(&self, candidates: &'a [ByteString]) -> Option<&'a ByteString> {
        self.protocols
            .0
            .iter()
            .find_map(|protocol| candidates.iter().find(|candidate| **candidate == protocol.name))
    }
}

/// A new member's id: who it says it is, and something that makes it unique.
pub(super) fn new_id(
    instance: Option<&InstanceId>,
    client: &Client,
    unique: uuid::Uuid,
) -> MemberId {
    let prefix = instance.map_or(&*client.id, |instance| &*instance.0);
    MemberId(format!("{prefix}-{unique}").into())
}
