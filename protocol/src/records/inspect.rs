//! Checks of single records, for topics that ask for them: keys where the topic is compacted, each
//! record's timestamp where old ones are refused. Everything else is decided from the header
//! ([`validate`](super::validate)), because looking inside may mean decompressing.

use weir_ids::Timestamp;

use super::batch::Batch;
use super::iter;
use crate::ErrorCode;

/// Faults beyond this many are not listed: the client has to mend its code, not a record.
pub const MAX_UNFIT: usize = 100;

/// What a topic asks of every record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordRules {
    /// A key, since compaction goes by it.
    pub keys: bool,
    /// A timestamp within this span, ends included; records without one pass.
    pub timestamps: Option<(Timestamp, Timestamp)>,
}

impl RecordRules {
    /// Whether there is anything to look inside for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a record lacks.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
pub enum Lack {
    /// What compaction goes by.
    #[error("a compacted topic takes no record without a key")]
    Key,
    /// A time that is allowed.
    #[error("timestamp {timestamp} is outside the allowed span from {from} to {to}")]
    Timestamp {
        /// The record's.
        timestamp: Timestamp,
        /// The smallest allowed.
        from: Timestamp,
        /// The largest allowed.
        to: Timestamp,
    },
}

/// A record that does not fit the topic: an entry of `record_errors` in the answer (KIP-467).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unfit {
    /// The record's number in its batch, from 0.
    pub index: i32,
    /// What it lacks.
    pub lack: Lack,
}

/// Why the records of a batch are refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// They cannot be read, or hold more than may be decompressed.
    #[error(transparent)]
    Unreadable(#[from] iter::Error),
    /// Some do not fit. At most [`MAX_UNFIT`] are listed.
    #[error("record {} does not fit the topic, nor do {} others: {}", .first.index, .others.len(),
        .first.lack)]
    Unfit {
        /// The first of them.
        first: Unfit,
        /// The others, in order.
        others: Vec<Unfit>,
    },
}

impl Error {
    /// What a Produce response says of it. As with Kafka, the first record decides.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        match self {
            Self::Unfit { first: Unfit { lack: Lack::Timestamp { .. }, .. }, .. } => {
                ErrorCode::INVALID_TIMESTAMP
            }
            Self::Unfit { .. } | Self::Unreadable(_) => ErrorCode::INVALID_RECORD,
        }
    }
}

impl Batch {
    /// Holds every record against `rules`, decompressing at most `max_bytes`.
    ///
    /// # Errors
    /// With the records that do not fit.
    pub fn inspect(&self, rules: &RecordRules, max_bytes: usize) -> Result<(), Error> {
        if rules.is_empty() {
            return Ok(());
        }
        let mut unfit = Vec::new();
        for (index, record) in (0..).zip(self.records(max_bytes)?) {
            let record = record?;
            if let Some(lack) = lack(rules, record.key.is_some(), record.timestamp) {
                unfit.push(Unfit { index, lack });
                if unfit.len() == MAX_UNFIT {
                    break;
                }
            }
        }
        let mut unfit = unfit.into_iter();
        match unfit.next() {
            None => Ok(()),
            Some(first) => Err(Error::Unfit { first, others: unfit.collect() }),
        }
    }
}

fn lack(rules: &RecordRules, has_key: bool, timestamp: Timestamp) -> Option<Lack> {
    if rules.keys && !has_key {
        return Some(Lack::Key);
    }
    let (from, to) = rules.timestamps?;
    let within = timestamp == Timestamp::NONE || (from..=to).contains(&timestamp);
    (!within).then_some(Lack::Timestamp { timestamp, from, to })
}
