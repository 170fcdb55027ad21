//! What the collector needs to know of a session.

use std::collections::{BTreeMap, BTreeSet};

use weir_ids::{Offset, SessionId, TopicPartition};
use weir_segment_store::ObjectName;

use crate::Named;

/// Everything that a live session refers to (`docs/proof.md`): what the partitions refer to that it has
/// open or still covers, what its recoveries under way have read, and what its last published and its
/// unanswered checkpoints name, themselves included. It may name more than it must; never less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionReport {
    /// Who says so.
    pub session: SessionId,
    /// What that is.
    pub named: Named,
    /// How many bytes of objects the partitions refer to that it has open; what pages list is not among them.
    pub held: BTreeMap<ObjectName, u64>,
    /// The partitions that it owns and has open.
    pub partitions: Vec<TopicPartition>,
}

/// Objects of which little is needed. What is had better be written once more, so that they can go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thin {
    /// The objects.
    pub objects: BTreeSet<ObjectName>,
    /// Pages that list something in them: whose, and from which offset on.
    pub listed_at: BTreeSet<(TopicPartition, Offset)>,
}
