//! What a history speaks of: values, places, and who saw what when. Small integers all of them, for a
//! run records millions.

use std::fmt;

/// Defines a number with a meaning, printed with its prefix.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// Whoever records: one thread of control that sees one thing after the other. Numbered from 0.
    Client(u16), "client "
);
number!(
    /// A consumer group. Numbered from 0.
    Group(u16), "group "
);
number!(
    /// A transaction, unique in a run; each begin takes the next number. Numbered from 0.
    Transaction(u32), "transaction "
);
number!(
    /// A position in the log of events: all events with a smaller one were over before.
    Order(u64), "event "
);

/// A value, unique in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// Who wrote it: an index into the history's writers.
    pub writer: u16,
    /// Which of the writer's values, in the order in which they were handed to the producer; without
    /// holes, from 0.
    pub number: u32,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.writer, self.number)
    }
}

/// A place in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The partition. A history of several topics numbers their partitions through.
    pub partition: i32,
    /// The offset in it.
    pub offset: i64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

/// A record: what is where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.value, self.place)
    }
}

/// How one knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client saw it during the run.
    Run {
        /// Which client.
        client: Client,
        /// Which event of the history's log.
        at: Order,
    },
    /// What there was in the end.
    End,
    /// What a `read_committed` reader got in the end.
    EndCommitted,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { client, at } => write!(f, "{client}, {at}"),
            Self::End => f.write_str("the end"),
            Self::EndCommitted => f.write_str("the read_committed read in the end"),
        }
    }
}
