//! The names within a group. Each is a type of its own, so that a member can't stand for a group.

use bytestring::ByteString;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) ByteString);

        /// Copies, so that a name that is kept does not keep the frame alive that it came in.
        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(ByteString::from(name))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&*self.0, f)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), &*self.0)
            }
        }
    };
}

name!(
    /// A group's id, chosen by its members. May be empty: old clients commit offsets so.
    GroupId
);

name!(
    /// A member's id within a group, given by the coordinator.
    MemberId
);

name!(
    /// The name that a static member keeps over restarts (KIP-345).
    InstanceId
);

impl GroupId {
    /// The id, unless it is empty: nobody can join a group without a name.
    #[must_use]
    pub(crate) fn given(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self::from(id))
    }
}

impl MemberId {
    /// The id, unless it is empty: on the wire that stands for none.
    #[must_use]
    pub(crate) fn given(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self::from(id))
    }
}

/// How often a group has been rebalanced. Requests of an older generation are refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Generation(pub(crate) i32);

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1).max(0))
    }
}

/// Names one waiting request; the shard knows whose it is. Never given twice in a shard's life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Token(pub(crate) u64);

impl Token {
    /// Of a request that has not reached its shard yet.
    pub(crate) const NONE: Token = Token(0);
}
