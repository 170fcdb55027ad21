//! The file that says that a session is over.
//!
//! ```text
//! 128 bytes: magic "WEIRFENC" 8 · version 4 · file 4 · cluster 16 · session 8 · end slot 8 · zero 76 ·
//!   CRC32C of these 4
//! ```
//!
//! It stands in the place of the next file of the log. It is written under another name, closed and then
//! renamed, so that whoever sees its name sees all of it.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;
use weir_ids::{SessionId, Slot};
use weir_protocol::records::crc32c;

use crate::wire::{Cursor, Malformed};

/// How a fence begins.
pub const FENCE_MAGIC: [u8; 8] = *b"WEIRFENC";
/// How long it is.
pub(super) const FENCE_BYTES: usize = 128;
const VERSION: u32 = 1;

/// A fence.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fence {
    /// The cluster.
    pub cluster: Uuid,
    /// The session that is over.
    pub session: SessionId,
    /// In the place of which file it stands.
    pub file: u32,
    /// The first slot that does not exist.
    pub end: Slot,
}

/// Why bytes are no fence that can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FenceError {
    /// They are something else.
    Other,
    /// They have rotted.
    Rotten,
    /// A newer Weir wrote it.
    NewerVersion(u32),
}

impl Fence {
    pub(super) fn encode(&self) -> Bytes {
        let mut to = BytesMut::with_capacity(FENCE_BYTES);
        to.put_slice(&FENCE_MAGIC);
        to.put_u32_le(VERSION);
        to.put_u32_le(self.file);
        to.put_slice(self.cluster.as_bytes());
        to.put_u64_le(self.session.0);
        to.put_u64_le(self.end.0);
        to.put_bytes(0, FENCE_BYTES - 4 - to.len());
        let crc = crc32c(&to);
        to.put_u32_le(crc);
        to.freeze()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, FenceError> {
        if !bytes.starts_with(&FENCE_MAGIC) {
            return Err(FenceError::Other);
        }
        let (content, stored) = bytes
            .get(..FENCE_BYTES)
            .and_then(<[u8]>::split_last_chunk::<4>)
            .ok_or(FenceError::Rotten)?;
        if crc32c(content).to_le_bytes() != *stored {
            return Err(FenceError::Rotten);
        }
        let mut from = Cursor::new(&content[FENCE_MAGIC.len()..]);
        match from.u32("version") {
            Ok(VERSION) => Self::fields(&mut from).map_err(|_| FenceError::Rotten),
            version => Err(FenceError::NewerVersion(version.unwrap_or(0))),
        }
    }

    fn fields(from: &mut Cursor<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            file: from.u32("file")?,
            cluster: Uuid::from_bytes(from.array("cluster")?),
            session: SessionId(from.u64("session")?),
            end: Slot(from.u64("end")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_reads_back_and_nothing_else_is_one() {
        let (cluster, session) = (Uuid::from_u128(3), SessionId(9));
        let fence = Fence { cluster, session, file: 4, end: Slot(77) };
        let bytes = fence.encode();
        assert_eq!((bytes.len(), Fence::decode(&bytes)), (FENCE_BYTES, Ok(fence)));
        assert_eq!(Fence::decode(b"WEIRWAL1"), Err(FenceError::Other));
        for place in FENCE_MAGIC.len()..FENCE_BYTES {
            let mut rotten = bytes.to_vec();
            rotten[place] ^= 1;
            assert_eq!(Fence::decode(&rotten), Err(FenceError::Rotten), "byte {place}");
            assert_eq!(Fence::decode(&bytes[..place]), Err(FenceError::Rotten), "{place} bytes");
        }
    }
}
