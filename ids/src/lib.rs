//! The names of things in a log.
//!
//! Every crate speaks of topics, partitions, offsets, epochs, sessions and slots. Each is a type of
//! its own, so that an offset can't be passed where an epoch is meant. This crate holds names and
//! nothing else: no I/O, no policy, no wire format.

mod session;
mod topic;

pub use session::{ClaimNumber, NodeId, SessionId, Slot};
pub use topic::{
    LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence, Timestamp, TopicId,
    TopicPartition,
};

/// Defines a number with a meaning: ordered, hashable, printed as the bare number.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}
pub(crate) use number;
