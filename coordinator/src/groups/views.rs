//! Groups as people and tools see them.

use bytestring::ByteString;

use super::Groups;
use crate::group::{Described, GroupId};

/// A group for ListGroups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    /// Its id.
    pub(crate) group: GroupId,
    /// What kind of group it is; empty if nobody has joined.
    pub(crate) protocol_type: ByteString,
    /// Kafka's name of its state.
    pub(crate) state: &'static str,
}

/// A group that is only in the log has no members.
const EMPTY: &str = "Empty";

impl Groups {
    /// A group, if it exists.
    #[must_use]
    pub(crate) fn describe(&self, id: &GroupId) -> Option<Described> {
        if let Some(live) = self.live.get(id) {
            return Some(live.group.describe());
        }
        let stored = self.image.group(id)?.state();
        Some(Described {
            state: EMPTY,
            protocol_type: stored.map(|state| state.protocol_type.clone()).unwrap_or_default(),
            protocol: ByteString::new(),
            members: Vec::new(),
        })
    }

    /// All groups, by name.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<Listed> {
        let live = self.live.iter().map(|(id, live)| Listed {
            group: id.clone(),
            protocol_type: live.group.protocol_type().cloned().unwrap_or_default(),
            state: live.group.state(),
        });
        let stored = self.image.groups().filter(|(id, _)| !self.live.contains_key(*id));
        let stored = stored.map(|(id, image)| Listed {
            group: id.clone(),
            protocol_type: image
                .state()
                .map(|state| state.protocol_type.clone())
                .unwrap_or_default(),
            state: EMPTY,
        });
        let mut listed: Vec<Listed> = live.chain(stored).collect();
        listed.sort_by(|a, b| a.group.cmp(&b.group));
        listed
    }
}
