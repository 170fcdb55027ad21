//! Names of nodes, broker sessions and what they write.

use crate::number;

number!(
    /// A process of the cluster; the broker id that Kafka clients see.
    NodeId(u32)
);

number!(
    /// One run of the broker role and so one write-ahead log. Given once, never again: it comes of the
    /// revision of an allocation key in the metadata store.
    SessionId(u64)
);

number!(
    /// A place in a session's write-ahead log. Slot 0 opens the log; data begins at 1.
    Slot(u64)
);

impl Slot {
    /// The slot that opens a log and holds no data.
    pub const OPEN: Slot = Slot(0);

    /// The slot behind this one.
    #[must_use]
    pub fn next(self) -> Slot {
        Slot(self.0 + 1)
    }
}

number!(
    /// The number of a claim within its session, from 1.
    ClaimNumber(u64)
);

impl ClaimNumber {
    /// No claim yet.
    pub const NONE: ClaimNumber = ClaimNumber(0);

    /// The claim after this one.
    #[must_use]
    pub fn next(self) -> ClaimNumber {
        ClaimNumber(self.0 + 1)
    }
}
