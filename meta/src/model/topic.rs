//! `topics/{name}`: a topic, by the name that clients know.
//!
//! ```text
//! topics/orders
//! {"v":1,"id":"7f1f…","partitions":12,"replication_factor":3,
//!  "configs":{"retention.ms":"60000"},"internal":false,"highest_epoch":-1,"state":"live"}
//! ```
//!
//! Written by the controller alone. The count is written last: every partition below it has its
//! `logs/` key. The key outlives the topic: state `gone` keeps the highest leader epoch ever used
//! under the name, so that the epochs of a topic created again begin above it; clients tell old
//! news from new by them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_ids::{LeaderEpoch, TopicId};

use super::codec::Record;
use crate::store::Key;

/// How many partitions a topic has at most: their assignment is one value.
pub const PARTITIONS_PER_TOPIC_MAX: u32 = 100_000;

/// How long a topic's name is at most, as in Kafka.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// A topic.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Topic {
    /// Its identity: another one each time the topic is created.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// From 1 to 3; told to clients and nothing else, since the store replicates.
    pub replication_factor: i16,
    /// The configs that were set, by name.
    pub configs: BTreeMap<String, String>,
    /// Whether it belongs to Weir itself; its partition count then never changes.
    pub internal: bool,
    /// The highest leader epoch used by earlier topics of this name.
    pub highest_epoch: LeaderEpoch,
    /// Whether there is such a topic.
    pub state: TopicState,
}

/// Whether there is such a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TopicState {
    /// There is.
    Live,
    /// It is being deleted: nobody can claim its partitions any more, and the highest epoch is
    /// being found out.
    Deleting,
    /// There is not; the name may be used again.
    Gone,
}

impl Record for Topic {}

impl Topic {
    /// The keys of all topics.
    pub const PREFIX: &'static str = "topics/";

    /// The key of the topic `name`.
    pub fn key(name: &str) -> Key {
        format!("{}{name}", Self::PREFIX).into()
    }

    /// The name in a topic's key.
    pub fn name(key: &Key) -> Option<&str> {
        key.as_str().strip_prefix(Self::PREFIX)
    }

    /// Whether clients may see it.
    pub fn is_live(&self) -> bool {
        self.state == TopicState::Live
    }
}

/// What is wrong with a topic's name.
#[derive(
    Clone, Copy, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize, serde::Deserialize,
)]
pub enum TopicNameError {
    /// It is empty.
    #[error("a topic's name can't be empty")]
    Empty,
    /// It is `.` or `..`.
    #[error("a topic can't be named \".\" or \"..\"")]
    Dots,
    /// It is too long.
    #[error("a topic's name has at most {TOPIC_NAME_BYTES_MAX} characters, this one has {0}")]
    TooLong(usize),
    /// It has a character that no name may have.
    #[error("a topic's name has letters a-z and A-Z, digits, '.', '_' and '-', not {0:?}")]
    Character(char),
}

/// Checks a topic's name by Kafka's rules.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_topic_name(name: &str) -> Result<(), TopicNameError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        return Err(TopicNameError::Empty);
    }
    if name == "." || name == ".." {
        return Err(TopicNameError::Dots);
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        return Err(TopicNameError::TooLong(name.chars().count()));
    }
    name.chars().find(|c| !legal(*c)).map_or(Ok(()), |c| Err(TopicNameError::Character(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        let longest = "x".repeat(TOPIC_NAME_BYTES_MAX);
        for good in ["a", "...", "a.b_c-D9", "__consumer_offsets", longest.as_str()] {
            assert_eq!(check_topic_name(good), Ok(()), "{good}");
        }
        assert_eq!(check_topic_name(""), Err(TopicNameError::Empty));
        assert_eq!(check_topic_name("."), Err(TopicNameError::Dots));
        assert_eq!(check_topic_name(".."), Err(TopicNameError::Dots));
        assert_eq!(check_topic_name(&"x".repeat(250)), Err(TopicNameError::TooLong(250)));
        for bad in [' ', '/', '\0', 'é', ':'] {
            let name = format!("a{bad}");
            assert_eq!(check_topic_name(&name), Err(TopicNameError::Character(bad)));
        }
    }

    #[test]
    fn a_name_survives_its_key() {
        assert_eq!(Topic::name(&Topic::key("orders")), Some("orders"));
        assert_eq!(Topic::name(&"nodes/1".into()), None);
    }
}
