//! What the coordinator keeps in `__consumer_offsets`, in Kafka's own format, so that tools that
//! read that topic can read ours.
//!
//! ```text
//! key    type i16 (0, 1: an offset; 2: a group) · the key's fields
//! value  version i16 · the value's fields; none: the offset or group is gone
//! ```
//! Written as Kafka 4.3 does: offsets in version 4 (1 if the client set a time to expire), groups in
//! version 3. Read: all versions that Kafka ever wrote. Keys of other types belong to protocols that
//! are not served yet; they are named, not decoded.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use weir_ids::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId};
use weir_protocol::{
    Message,
    codec::{DecodeError, Decoder, EncodeError, Encoder, Wire},
    messages::offsets_topic::{
        GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue,
    },
};

use crate::{group::GroupId, settings::Settings};

/// Types of keys. Offsets had version 0 and 1 before types were invented, of the same form.
const OFFSET_KEY_OLD: i16 = 0;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;

/// Versions of values that are written.
const OFFSET_VALUE: i16 = 4;
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
const GROUP_VALUE: i16 = 3;

/// What a batch and a record take beside key and value, at most; the key's names come on top.
const OVERHEAD_BYTES: usize = 256;

/// A partition that a group consumes. By name: it is a client's, and may be gone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct OffsetKey {
    /// The topic.
    pub(crate) topic: ByteString,
    /// The partition.
    pub(crate) partition: PartitionIndex,
}

/// A committed offset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Committed {
    /// The next offset to consume.
    pub(crate) offset: Offset,
    /// The epoch of the record before it; `NONE` if the client does not know.
    pub(crate) leader_epoch: LeaderEpoch,
    /// The client's note.
    pub(crate) metadata: ByteString,
    /// When it was committed.
    pub(crate) at: Timestamp,
    /// When it expires, if the client said so.
    pub(crate) expires: Option<Timestamp>,
    /// The topic's id when it was committed; `NIL` if that was not known.
    pub(crate) topic_id: TopicId,
}

/// One record of the log: what is so from there on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    /// An offset was committed, or is gone.
    Offset(GroupId, OffsetKey, Option<Committed>),
    /// A group has this state, as an encoded [`GroupMetadataValue`], or is gone.
    Group(GroupId, Option<Bytes>),
}

/// Why a record is not understood.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The record has no key.
    #[error("a record without a key")]
    NoKey,
    /// A key of a protocol that is not served here.
    #[error("a key of type {0}, which is not known")]
    UnknownType(i16),
    /// A partition below 0.
    #[error("an offset of partition {0}")]
    Partition(i32),
    /// Key or value can't be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl Change {
    /// Key and value of the record.
    ///
    /// # Errors
    /// If a name is longer than the format allows, which requests can't bring in.
    pub(crate) fn encode(&self) -> Result<(Bytes, Option<Bytes>), EncodeError> {
        match self {
            Self::Offset(group, key, value) => {
                let message = OffsetCommitKey {
                    group: group.0.clone(),
                    topic: key.topic.clone(),
                    // Came out of an `i32` and so fits.
                    partition: i32::try_from(key.partition.0).unwrap_or(i32::MAX),
                };
                let value = value.as_ref().map(Committed::encode).transpose()?;
                Ok((encode_key(OFFSET_KEY, &message)?, value))
            }
            Self::Group(group, value) => {
                let message = GroupMetadataKey { group: group.0.clone() };
                Ok((encode_key(GROUP_KEY, &message)?, value.clone()))
            }
        }
    }

    /// Reads a record. Nothing of it is shared: what is kept must not keep a whole batch alive.
    ///
    /// # Errors
    /// Why it is not understood; the record is to be skipped.
    pub(crate) fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, Error> {
        let mut d = Decoder::new(Bytes::copy_from_slice(key.ok_or(Error::NoKey)?));
        let value = value.map(Bytes::copy_from_slice);
        match i16::read(&mut d)? {
            OFFSET_KEY_OLD | OFFSET_KEY => {
                let key = OffsetCommitKey::decode(&mut d, 0)?;
                let partition =
                    u32::try_from(key.partition).map_err(|_| Error::Partition(key.partition))?;
                let place = OffsetKey { topic: key.topic, partition: PartitionIndex(partition) };
                let value = value.map(Committed::decode).transpose()?;
                Ok(Self::Offset(GroupId(key.group), place, value))
            }
            GROUP_KEY => {
                let key = GroupMetadataKey::decode(&mut d, 0)?;
                Ok(Self::Group(GroupId(key.group), value))
            }
            other => Err(Error::UnknownType(other)),
        }
    }

    /// About what the record takes in the log.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Offset(group, key, value) => offset_bytes(group, key, value.as_ref()),
            Self::Group(group, value) => group_bytes(group, value.as_ref()),
        }
    }
}

/// About what an offset's record takes in the log.
pub(crate) fn offset_bytes(group: &GroupId, key: &OffsetKey, value: Option<&Committed>) -> usize {
    const KEY: usize = 20;
    const VALUE: usize = 45;
    let value = value.map_or(0, |value| VALUE + value.metadata.len());
    KEY + group.0.len() + key.topic.len() + value
}

/// About what a group's record takes in the log.
pub(crate) fn group_bytes(group: &GroupId, value: Option<&Bytes>) -> usize {
    const KEY: usize = 14;
    KEY + group.0.len() + value.map_or(0, Bytes::len)
}

impl Committed {
    fn encode(&self) -> Result<Bytes, EncodeError> {
        let version = match self.expires {
            Some(_) => OFFSET_VALUE_WITH_EXPIRY,
            None => OFFSET_VALUE,
        };
        let value = OffsetCommitValue {
            offset: self.offset.0,
            leader_epoch: self.leader_epoch.0,
            metadata: self.metadata.clone(),
            commit_timestamp: self.at.0,
            expire_timestamp: self.expires.unwrap_or(Timestamp::NONE).0,
            topic_id: self.topic_id,
        };
        value.encode_versioned(version)
    }

    fn decode(value: Bytes) -> Result<Self, DecodeError> {
        let value = OffsetCommitValue::decode_versioned(value)?;
        Ok(Self {
            offset: Offset(value.offset),
            leader_epoch: LeaderEpoch(value.leader_epoch),
            metadata: value.metadata,
            at: Timestamp(value.commit_timestamp),
            expires: (value.expire_timestamp >= 0).then_some(Timestamp(value.expire_timestamp)),
            topic_id: value.topic_id,
        })
    }
}

/// A group's state as a record's value.
///
/// # Errors
/// If a name is longer than the format allows.
pub(crate) fn group_value(value: &GroupMetadataValue) -> Result<Bytes, EncodeError> {
    value.encode_versioned(GROUP_VALUE)
}

/// A group's state out of a record's value.
///
/// # Errors
/// If it is of a newer version, or damaged.
pub(crate) fn read_group(value: &Bytes) -> Result<GroupMetadataValue, DecodeError> {
    GroupMetadataValue::decode_versioned(value.clone())
}

/// The longest value that fits into a batch beside the longest key.
pub(crate) fn value_max_bytes(settings: &Settings) -> usize {
    const NAME: usize = i16::MAX as usize;
    settings.batch_max_bytes.saturating_sub(OVERHEAD_BYTES + NAME)
}

fn encode_key<M: Message>(kind: i16, message: &M) -> Result<Bytes, EncodeError> {
    let mut e = Encoder::new();
    message.encode(&mut e, 0)?;
    let fields = e.finish().into_bytes();
    let mut key = BytesMut::with_capacity(2 + fields.len());
    key.extend_from_slice(&kind.to_be_bytes());
    key.extend_from_slice(&fields);
    Ok(key.freeze())
}

#[cfg(test)]
mod tests;
