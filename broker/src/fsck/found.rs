//! What a check finds.

use std::{collections::BTreeSet, fmt};

use weir_ids::{Offset, SessionId, TopicId, TopicPartition};
use weir_segment_store::ObjectName;

/// What a check has come to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Partitions that were looked at.
    pub partitions: usize,
    /// Sessions that are needed to open them.
    pub sessions: usize,
    /// Sessions that nobody has ended: brokers that run, or died a moment ago.
    pub live: usize,
    /// Topics whose names are not copied to the store yet: it alone would not tell them.
    pub uncopied: usize,
    /// Ranges of records.
    pub ranges: usize,
    /// Objects that are needed.
    pub needed: Tally,
    /// Objects of live sessions that nothing published leads to yet.
    pub unpublished: Tally,
    /// Objects that nobody needs.
    pub orphans: Tally,
    /// Bytes of records that were read and are right.
    pub read_bytes: u64,
    /// What is wrong.
    pub problems: BTreeSet<Problem>,
    /// And which.
    pub unneeded: Vec<ObjectName>,
}

/// Objects, and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// How many.
    pub objects: usize,
    /// How long they are together.
    pub bytes: u64,
}

/// What is wrong with a cluster's stored state.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Problem {
    /// Records are gone, or the page that says where they are.
    Missing {
        /// Whose.
        partition: TopicPartition,
        /// What they were in.
        object: ObjectName,
        /// The first that is gone.
        from: Offset,
        /// The last.
        to: Offset,
    },
    /// Records, or the page that says where they are, can't be read.
    Unreadable {
        /// Whose.
        partition: TopicPartition,
        /// The first that can't be read.
        from: Offset,
        /// What is wrong.
        what: String,
    },
    /// The parts of a log do not fit together: no broker will open it.
    Incomplete {
        /// Which.
        partition: TopicPartition,
        /// What does not fit.
        what: String,
    },
    /// A session that is needed can't be read.
    Session {
        /// Which.
        session: SessionId,
        /// Why.
        what: String,
    },
    /// The store holds a session that the metadata do not know: they are older, as after a restore from a backup.
    UnknownSession(SessionId),
    /// A partition of a topic has no log in the metadata.
    NoLog(TopicPartition),
    /// A log belongs to no topic.
    NoTopic(TopicPartition),
    /// A topic has no assignment of its partitions to nodes, or one of another length.
    NoAssignment(TopicId),
}

impl Tally {
    pub(super) fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

impl Problem {
    /// The same, with topics as `name` calls them.
    pub fn told(&self, name: impl Fn(TopicId) -> Option<String>) -> String {
        let of = |it: &TopicPartition| match name(it.topic) {
            Some(topic) => format!("{topic}/{}", it.partition),
            None => it.to_string(),
        };
        match self {
            Self::Missing { partition, object, from, to } => {
                let partition = of(partition);
                format!(
                    "{partition}: records {from} to {to} are gone with {object}; restore it from a backup"
                )
            }
            Self::Unreadable { partition, from, what } => {
                format!("{}: records from {from} on can't be read: {what}", of(partition))
            }
            Self::Incomplete { partition, what } => {
                format!("{}: no broker will open it: {what}", of(partition))
            }
            Self::Session { session, what } => format!("session {session}: {what}"),
            Self::UnknownSession(session) => format!(
                "the metadata do not know session {session}, of which the store holds something: they are older than \
                 the store, as after a restore from a backup; put newer ones in their place, or rebuild them"
            ),
            Self::NoLog(partition) => format!("{}: the metadata have no log of it", of(partition)),
            Self::NoTopic(partition) => {
                format!("{partition}: the metadata have a log of it, but no such topic")
            }
            Self::NoAssignment(topic) => {
                let topic = name(*topic).unwrap_or_else(|| topic.to_string());
                format!("{topic}: its partitions are not assigned to nodes, or not all")
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(|_| None))
    }
}
