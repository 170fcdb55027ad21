//! What the collector needs to know of a session.

use weir_ids::{SessionId, TopicPartition};

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
    /// The partitions that it owns and has open.
    pub partitions: Vec<TopicPartition>,
}
