//! The one format of stored records: slots, sorted objects and (later) segments.
//!
//! ```text
//! ┌────────────────────────────────────────────────────────────────────┐
//! │ header, 64 bytes: magic "WEIROBJ1" · cluster 16 · session 8 ·      │
//! │   number 8 · put id 8 · kind 1 · zero 11 · CRC32C of these 4       │
//! ├────────────────────────────────────────────────────────────────────┤
//! │ chunks: record batches as a consumer gets them, one run a          │
//! │   partition and leader epoch                                       │
//! ├────────────────────────────────────────────────────────────────────┤
//! │ batch indexes: one block a chunk, column by column, CRC32C         │
//! ├────────────────────────────────────────────────────────────────────┤
//! │ directory: a line a chunk, CRC32C                                  │
//! ├────────────────────────────────────────────────────────────────────┤
//! │ footer, 100 bytes: the header once more 64 · directory start 8 ·   │
//! │   directory length 4 · CRC32C of header and chunks 4 ·             │
//! │   body length 8 · version 4 · magic "WEIR" 4 · CRC32C of these 4   │
//! └────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Positions are counted from the start of the body. Where a journal packs bodies into files, an
//! `origin` says where the body begins and turns them into positions in the file.
//!
//! Invariants: a body names who wrote it and with which random put id, so that a writer recognises
//! its own after an unclear answer; its end alone says that too, so that recovery reads ends only.
//! Chunks, batch indexes and the directory are each summed: a
//! reader of one range needs none of the rest.

mod batch_index;
mod build;
mod directory;
mod frame;

pub use batch_index::{BatchEntry, BatchFlags, ProducerMark};
pub use build::{Body, Builder, ChunkSource};
pub(crate) use directory::batches_of;
pub use directory::{Chunk, Directory, End};
pub use frame::{FOOTER_BYTES, HEADER_BYTES, HEADER_MAGIC, Header, Kind};

use weir_protocol::records::crc32c;

use crate::Malformed;

/// Why a stored object can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not an object of this format, or its end is missing.
    #[error("not a whole object: {0}")]
    NotAnObject(&'static str),
    /// A newer Weir wrote it.
    #[error("format version {0} is newer than this Weir understands (1): upgrade Weir")]
    NewerVersion(u32),
    /// A checksum does not fit its bytes.
    #[error("{what} fails its checksum: stored {stored:08x}, computed {computed:08x}")]
    Checksum {
        /// Which part.
        what: &'static str,
        /// The stored sum.
        stored: u32,
        /// The sum of the bytes as they are.
        computed: u32,
    },
    /// Bytes that are summed right but make no sense.
    #[error("{part}: {error}")]
    Malformed {
        /// Which part.
        part: &'static str,
        /// What and where.
        error: Malformed,
    },
}

/// Splits off and checks the four CRC bytes at the end of `bytes`.
fn checked<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a [u8], Error> {
    let Some((content, stored)) = bytes.split_last_chunk::<4>() else {
        return Err(Error::NotAnObject("shorter than its own checksum"));
    };
    let (stored, computed) = (u32::from_le_bytes(*stored), crc32c(content));
    if stored == computed { Ok(content) } else { Err(Error::Checksum { what, stored, computed }) }
}

#[cfg(test)]
mod tests;
