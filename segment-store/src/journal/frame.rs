//! The header of a file and of a frame.
//!
//! ```text
//! file header, 128 bytes:
//!   magic "WEIRWAL1" 8 · version 4 · file 4 · cluster 16 · session 8 · nonce 8 · first slot 8 ·
//!   synced file 4 · synced position 8 · zero 56 · CRC32C of these 4
//! frame, starts at a multiple of 64:
//!   magic "WFRM" 4 · kind 4 · slot 8 · body length 8 · synced file 4 · synced position 8 ·
//!   CRC32C of the body 4 · CRC32C of these, the nonce, the file and this position 4 · zero 20 ·
//!   body, then zeros up to a multiple of 64
//! ```
//!
//! The nonce is random, new for each session, and known to nobody outside: record bytes that look
//! like a frame are never taken for one.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;
use weir_ids::{SessionId, Slot};
use weir_protocol::records::crc32c;

use crate::wire::{Cursor, Malformed};

/// Bytes of the file header.
pub const FILE_HEADER_BYTES: usize = 128;
/// So many bytes of it say whose file it is, and which one.
const FILE_HEADER_START_BYTES: usize = 48;
/// Bytes of a frame's header.
pub(super) const FRAME_HEADER_BYTES: usize = 64;
/// Frames begin at multiples of this.
pub(super) const ALIGN: u64 = 64;
/// How a file of a write-ahead log begins.
pub const FILE_MAGIC: [u8; 8] = *b"WEIRWAL1";
/// How a frame begins.
pub(super) const FRAME_MAGIC: [u8; 4] = *b"WFRM";
const VERSION: u32 = 1;

/// What tells one session's frames from all other bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster.
    pub cluster: Uuid,
    /// The session.
    pub session: SessionId,
    /// Random, new for each session.
    pub nonce: u64,
}

/// A position in a session's log: which file, which byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Position {
    /// The file, from 1; 0 before the first.
    pub file: u32,
    /// The byte in it.
    pub byte: u64,
}

/// The header of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileHeader {
    /// Whose file.
    pub identity: Identity,
    /// Its number, from 1.
    pub file: u32,
    /// The slot of its first frame.
    pub first_slot: Slot,
    /// Everything below this was durable when the file was made.
    pub synced: Position,
}

/// Why a file header can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileHeaderError {
    /// The bytes are no file header.
    Bad(&'static str),
    /// A newer Weir wrote it.
    NewerVersion(u32),
}

impl FileHeader {
    /// What is known of a header before the file's first slot is. It is no header without the rest.
    pub(super) fn start(identity: Identity, file: u32) -> Bytes {
        let (first_slot, synced) = (Slot::OPEN, Position::default());
        let header = Self { identity, file, first_slot, synced };
        header.encode().slice(..FILE_HEADER_START_BYTES)
    }

    /// What follows [`FileHeader::start`].
    pub(super) fn rest(&self) -> Bytes {
        self.encode().slice(FILE_HEADER_START_BYTES..)
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut to = BytesMut::with_capacity(FILE_HEADER_BYTES);
        to.put_slice(&FILE_MAGIC);
        to.put_u32_le(VERSION);
        to.put_u32_le(self.file);
        to.put_slice(self.identity.cluster.as_bytes());
        to.put_u64_le(self.identity.session.0);
        to.put_u64_le(self.identity.nonce);
        to.put_u64_le(self.first_slot.0);
        to.put_u32_le(self.synced.file);
        to.put_u64_le(self.synced.byte);
        to.put_bytes(0, FILE_HEADER_BYTES - 4 - to.len());
        let crc = crc32c(&to);
        to.put_u32_le(crc);
        to.freeze()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FileHeaderError> {
        let bytes = bytes
            .get(..FILE_HEADER_BYTES)
            .ok_or(FileHeaderError::Bad("the file is shorter than its header"))?;
        if bytes[..8] != FILE_MAGIC {
            return Err(FileHeaderError::Bad("it does not begin with WEIRWAL1"));
        }
        let (content, stored) = bytes.split_at(FILE_HEADER_BYTES - 4);
        if crc32c(content).to_le_bytes() != *stored {
            return Err(FileHeaderError::Bad("the file header fails its checksum"));
        }
        let mut from = Cursor::new(&content[8..]);
        let version = from.u32("version").unwrap_or(0);
        if version != VERSION {
            return Err(FileHeaderError::NewerVersion(version));
        }
        Self::fields(&mut from).map_err(|_| FileHeaderError::Bad("the file header is too short"))
    }

    fn fields(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        let file = from.u32("file")?;
        let identity = Identity {
            cluster: Uuid::from_bytes(from.array("cluster")?),
            session: SessionId(from.u64("session")?),
            nonce: from.u64("nonce")?,
        };
        let first_slot = Slot(from.u64("first slot")?);
        let synced = Position { file: from.u32("synced file")?, byte: from.u64("synced byte")? };
        Ok(Self { identity, file, first_slot, synced })
    }
}

/// What a frame is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameKind {
    /// It holds a slot.
    Slot,
    /// It holds nothing but news of what is synced.
    Mark,
}

/// The header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// What it is for.
    pub kind: FrameKind,
    /// Its slot; of a mark, the next slot.
    pub slot: Slot,
    /// Bytes of the body.
    pub body_len: u64,
    /// Everything below this was durable when the frame was written.
    pub synced: Position,
    /// CRC32C of the body.
    pub body_crc: u32,
}

impl FrameHeader {
    pub(super) fn encode(&self, nonce: u64, at: Position) -> Bytes {
        let mut to = BytesMut::with_capacity(FRAME_HEADER_BYTES);
        to.put_slice(&FRAME_MAGIC);
        to.put_u32_le(match self.kind {
            FrameKind::Slot => 1,
            FrameKind::Mark => 2,
        });
        to.put_u64_le(self.slot.0);
        to.put_u64_le(self.body_len);
        to.put_u32_le(self.synced.file);
        to.put_u64_le(self.synced.byte);
        to.put_u32_le(self.body_crc);
        let crc = Self::seal(&to, nonce, at);
        to.put_u32_le(crc);
        to.put_bytes(0, FRAME_HEADER_BYTES - to.len());
        to.freeze()
    }

    /// Reads a frame header that is said to lie at `at`; `None` if these bytes are none.
    pub(super) fn decode(bytes: &[u8], nonce: u64, at: Position) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        if bytes[..4] != FRAME_MAGIC || bytes[44..].iter().any(|byte| *byte != 0) {
            return None;
        }
        let (content, stored) = bytes[..44].split_at(40);
        if Self::seal(content, nonce, at).to_le_bytes() != *stored {
            return None;
        }
        Self::fields(&mut Cursor::new(&content[4..])).ok()
    }

    fn fields(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            kind: match from.u32("kind")? {
                1 => FrameKind::Slot,
                2 => FrameKind::Mark,
                _ => return Err(from.malformed("unknown kind of frame")),
            },
            slot: Slot(from.u64("slot")?),
            body_len: from.u64("length")?,
            synced: Position { file: from.u32("synced file")?, byte: from.u64("synced byte")? },
            body_crc: from.u32("checksum")?,
        })
    }

    fn seal(content: &[u8], nonce: u64, at: Position) -> u32 {
        let mut all = [0u8; FRAME_HEADER_BYTES];
        all[..content.len()].copy_from_slice(content);
        all[40..48].copy_from_slice(&nonce.to_le_bytes());
        all[48..52].copy_from_slice(&at.file.to_le_bytes());
        all[52..60].copy_from_slice(&at.byte.to_le_bytes());
        crc32c(&all)
    }

    /// Where the frame behind this one begins, if this one lies at `at`.
    pub(super) fn end(&self, at: u64) -> Option<u64> {
        at.checked_add(FRAME_HEADER_BYTES as u64)?
            .checked_add(self.body_len)?
            .checked_next_multiple_of(ALIGN)
    }
}
