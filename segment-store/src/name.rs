//! What objects are called.
//!
//! ```text
//! open/{session:020}                         the first slot of an object journal: that there is one
//! {hh}/wal/{session:020}/{slot:020}          another slot
//! forgotten/{session:020}                    that nobody needs the journal of that session any more
//! wal/{session:020}/{file:010}.wal           a file of a file journal, on the local disk or in HDFS
//! {hh}/sorted/{session:020}/{number:020}     small pieces gathered, many partitions
//! {hh}/checkpoint/{session:020}/{number:020}
//! {hh}/pages/{session:020}/{number:020}      where older records are, many partitions
//! ```
//!
//! The number of a sorted object, or of one of pages, begins with that of the checkpoint for which it was written (32 bits, then
//! 32 bits that count up within the session): whoever sweeps knows from its name that nothing can be
//! published any more that refers to it for the first time.
//!
//! `hh` is a hash of the session, so that sessions spread over a store that shards by prefix, while
//! all objects of one are listed together. What says that a session was there at all stands apart, so that
//! the sessions are listed without everything else. Names carry the session that wrote them: whoever sweeps
//! knows whose object it is without opening it.

use std::fmt;

use weir_ids::{SessionId, Slot};

use weir_protocol::records::crc32c;

/// The slot that says that nobody needs its session any more; far above all others.
pub(crate) const FORGOTTEN: Slot = Slot(u64::MAX - 1);

/// The name of an object or of a file of a file journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ObjectName {
    /// One slot of a write-ahead log in an object store.
    WalSlot {
        /// Whose log.
        session: SessionId,
        /// Which slot.
        slot: Slot,
    },
    /// One file of a write-ahead log on a local disk or in HDFS; holds many slots.
    WalFile {
        /// Whose log.
        session: SessionId,
        /// Which file, from 1.
        file: u32,
    },
    /// Small pieces of many partitions, gathered by a checkpoint.
    Sorted {
        /// Who wrote it.
        session: SessionId,
        /// See [`ObjectName::sorted_number`].
        number: u64,
    },
    /// A checkpoint of a session's write-ahead log.
    Checkpoint {
        /// Who wrote it.
        session: SessionId,
        /// Counts up within the session.
        number: u64,
    },
    /// Pages of references of many partitions.
    Pages {
        /// Who wrote it.
        session: SessionId,
        /// See [`ObjectName::sorted_number`].
        number: u64,
    },
}

/// Text that is not the name of an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the name of an object of this store")]
pub struct NameError(pub String);

impl ObjectName {
    /// The session that wrote it.
    pub fn session(self) -> SessionId {
        match self {
            Self::WalSlot { session, .. }
            | Self::WalFile { session, .. }
            | Self::Sorted { session, .. }
            | Self::Checkpoint { session, .. }
            | Self::Pages { session, .. } => session,
        }
    }

    /// The number of the `nth` object of its kind that a session writes beside its checkpoints, which is written for checkpoint `checkpoint`.
    pub fn sorted_number(checkpoint: u64, nth: u64) -> u64 {
        assert!(checkpoint.max(nth) <= u64::from(u32::MAX), "a session has used up its numbers");
        checkpoint << 32 | nth
    }

    /// The number of the checkpoint that it is, or for which it was written.
    pub fn checkpoint_number(self) -> Option<u64> {
        match self {
            Self::WalSlot { .. } | Self::WalFile { .. } => None,
            Self::Sorted { number, .. } | Self::Pages { number, .. } => Some(number >> 32),
            Self::Checkpoint { number, .. } => Some(number),
        }
    }

    fn tail(self) -> String {
        match self {
            Self::WalSlot { session, slot: Slot::OPEN } => {
                format!("{OPEN_PREFIX}/{:020}", session.0)
            }
            Self::WalSlot { session, slot: FORGOTTEN } => {
                format!("{FORGOTTEN_PREFIX}/{:020}", session.0)
            }
            Self::WalSlot { session, slot } => format!("wal/{:020}/{:020}", session.0, slot.0),
            Self::WalFile { session, file } => format!("wal/{:020}/{file:010}.wal", session.0),
            Self::Sorted { session, number } => format!("sorted/{:020}/{number:020}", session.0),
            Self::Checkpoint { session, number } => {
                format!("checkpoint/{:020}/{number:020}", session.0)
            }
            Self::Pages { session, number } => format!("pages/{:020}/{number:020}", session.0),
        }
    }

    /// Reads a name back from its text.
    ///
    /// # Errors
    /// [`NameError`] when the text was not made by this type's `Display`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let name = Self::parse_parts(text).ok_or_else(|| NameError(text.to_owned()))?;
        if name.to_string() == text { Ok(name) } else { Err(NameError(text.to_owned())) }
    }

    fn parse_parts(text: &str) -> Option<Self> {
        if let Some((kind @ (OPEN_PREFIX | FORGOTTEN_PREFIX), session)) = text.split_once('/') {
            let slot = if kind == OPEN_PREFIX { Slot::OPEN } else { FORGOTTEN };
            return Some(Self::WalSlot { session: SessionId(session.parse().ok()?), slot });
        }
        let tail = match text.split_once('/')? {
            ("wal", _) => text,
            (_, tail) => tail,
        };
        let mut parts = tail.split('/');
        let (kind, session, last) = (parts.next()?, parts.next()?, parts.next()?);
        let session = SessionId(session.parse().ok()?);
        Some(match kind {
            "wal" => match last.strip_suffix(".wal") {
                Some(file) => Self::WalFile { session, file: file.parse().ok()? },
                None => Self::WalSlot { session, slot: Slot(last.parse().ok()?) },
            },
            "sorted" => Self::Sorted { session, number: last.parse().ok()? },
            "checkpoint" => Self::Checkpoint { session, number: last.parse().ok()? },
            "pages" => Self::Pages { session, number: last.parse().ok()? },
            _ => return None,
        })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.tail();
        match self {
            Self::WalFile { .. } | Self::WalSlot { slot: Slot::OPEN | FORGOTTEN, .. } => {
                f.write_str(&tail)
            }
            _ => write!(f, "{}/{tail}", prefix_of(self.session())),
        }
    }
}

/// What the names of the slots begin with that say that a session was there.
pub(crate) const OPEN_PREFIX: &str = "open";
/// And of what says that it was forgotten.
pub(crate) const FORGOTTEN_PREFIX: &str = "forgotten";

/// What the names of a session's other objects begin with.
pub(crate) fn prefix_of(session: SessionId) -> String {
    format!("{:02x}", crc32c(&session.0.to_be_bytes()) as u8)
}

/// What the names of the slots of a log in an object store begin with, but for the two that stand apart.
pub(crate) fn slots_of(session: SessionId) -> String {
    format!("{}/wal/{:020}", prefix_of(session), session.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_stable_and_read_back() {
        let session = SessionId(7);
        for (name, text) in [
            (ObjectName::WalSlot { session, slot: Slot::OPEN }, "open/00000000000000000007"),
            (ObjectName::WalSlot { session, slot: Slot(3) }, "/wal/"),
            (ObjectName::WalSlot { session, slot: FORGOTTEN }, "forgotten/00000000000000000007"),
            (ObjectName::WalFile { session, file: 12 }, "wal/00000000000000000007/0000000012.wal"),
            (ObjectName::Sorted { session, number: 9 }, "/sorted/"),
            (ObjectName::Checkpoint { session, number: u64::MAX }, "/checkpoint/"),
            (ObjectName::Pages { session, number: 9 }, "/pages/"),
        ] {
            assert!(name.to_string().contains(text), "{name}");
            assert_eq!(ObjectName::parse(&name.to_string()), Ok(name));
        }
    }

    #[test]
    fn a_sorted_object_tells_for_which_checkpoint_it_was_written() {
        let session = SessionId(7);
        let sorted = |checkpoint, nth| ObjectName::Sorted {
            session,
            number: ObjectName::sorted_number(checkpoint, nth),
        };
        assert_eq!(sorted(5, 9).checkpoint_number(), Some(5));
        assert!(sorted(5, 10) > sorted(5, 9) && sorted(6, 11) > sorted(5, 10));
        assert_eq!(ObjectName::Checkpoint { session, number: 5 }.checkpoint_number(), Some(5));
        assert_eq!(ObjectName::WalSlot { session, slot: Slot(5) }.checkpoint_number(), None);
    }

    #[test]
    fn other_text_is_refused() {
        for text in
            ["", "wal", "wal/1/2", "zz/sorted/1/2", "00/sorted/x/y", "a/b/c/d", "wal/7/1.wal"]
        {
            assert_eq!(ObjectName::parse(text), Err(NameError(text.to_owned())), "{text}");
        }
    }
}
