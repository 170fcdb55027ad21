//! The attribute bits of a batch and what they mean.

/// How the records of a batch are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Compression {
    /// Not at all.
    None = 0,
    /// gzip.
    Gzip = 1,
    /// Snappy in the framing of xerial's Java library, or bare.
    Snappy = 2,
    /// LZ4 frames.
    Lz4 = 3,
    /// Zstandard (KIP-110).
    Zstd = 4,
}

impl Compression {
    /// Every codec.
    pub const ALL: [Compression; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// The codec with this number on the wire.
    #[must_use]
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// The name that configurations and tools use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Whose clock a batch's timestamps are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer's, a timestamp a record.
    CreateTime,
    /// The broker's: the maximal timestamp of the batch stands for all its records.
    LogAppendTime,
}

/// The attribute bits of a batch. Unknown bits are kept as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The codec's number, known or not.
    #[must_use]
    pub fn codec_id(self) -> u8 {
        (self.0 & Self::CODEC) as u8
    }

    /// The codec, if it is one that Kafka has.
    #[must_use]
    pub fn compression(self) -> Option<Compression> {
        Compression::from_id(self.codec_id())
    }

    /// Whose timestamps these are.
    #[must_use]
    pub fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Part of a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// Written by the broker for clients' eyes only: a transaction marker.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// The base timestamp is the time from which compaction may drop tombstones (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }

    /// These attributes with another codec.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self(self.0 & !Self::CODEC | compression as i16)
    }

    /// These attributes with the broker's timestamps.
    #[must_use]
    pub fn with_log_append_time(self) -> Self {
        Self(self.0 | Self::LOG_APPEND_TIME)
    }

    /// These attributes, part of a transaction.
    #[must_use]
    pub fn with_transactional(self) -> Self {
        Self(self.0 | Self::TRANSACTIONAL)
    }

    /// These attributes, of a control batch.
    #[must_use]
    pub fn with_control(self) -> Self {
        Self(self.0 | Self::CONTROL)
    }

    /// These attributes, with a delete horizon in place of the base timestamp.
    #[must_use]
    pub fn with_delete_horizon(self) -> Self {
        Self(self.0 | Self::DELETE_HORIZON)
    }
}
