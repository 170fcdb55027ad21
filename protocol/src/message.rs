//! Whole messages: what the derive makes of a definition.

use bytes::Bytes;

use crate::ApiKey;
use crate::codec::{
    DecodeError, Decoder, EncodeError, Encoder, MessageSchema, Struct, Versions, Wire,
};

/// A message with versions.
pub trait Message: Struct {
    /// Name, versions, fields.
    const MESSAGE: &'static MessageSchema;

    /// Versions that can be decoded and encoded.
    const VERSIONS: Versions = Self::MESSAGE.versions;

    /// Reads the message. What follows it in the frame is left unread.
    fn decode(d: &mut Decoder, version: i16) -> Result<Self, DecodeError> {
        d.begin(Self::MESSAGE, version)?;
        Wire::read(d)
    }

    /// Writes the message. A value that the version has no place for is an error, unless the
    /// schema says that it may be dropped.
    fn encode(&self, e: &mut Encoder, version: i16) -> Result<(), EncodeError> {
        e.begin(Self::MESSAGE, version)?;
        Wire::write(self, e)
    }

    /// Reads a message that its version precedes in 16 bits, as in a group's metadata and in the
    /// records of a coordinator's topic.
    fn decode_versioned(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let version = i16::read(&mut d)?;
        Self::decode(&mut d, version)
    }

    /// As [`decode_versioned`](Message::decode_versioned), and takes a version to come for the
    /// highest known one: for data that only grows at its end, as the consumers' protocol does.
    fn decode_versioned_or_newer(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut d = Decoder::new(bytes);
        let version = i16::read(&mut d)?;
        Self::decode(&mut d, version.min(Self::VERSIONS.max))
    }

    /// Writes the message behind its version.
    fn encode_versioned(&self, version: i16) -> Result<Bytes, EncodeError> {
        let mut e = Encoder::new();
        version.write(&mut e)?;
        self.encode(&mut e, version)?;
        Ok(e.finish().into_bytes())
    }
}

/// What a client sends.
pub trait Request: Message {
    /// Its API.
    const API: ApiKey;
    /// What answers it, in the same version.
    type Response: Response;
}

/// What a server answers.
pub trait Response: Message {
    /// Its API.
    const API: ApiKey;
}
