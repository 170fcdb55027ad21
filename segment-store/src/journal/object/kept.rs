//! What of a log is never deleted: fences and open markers. A store forgets what is deleted, and would let
//! a stalled writer come back.

use weir_ids::Slot;

use crate::{
    ByteRange, ObjectName, Store, StoreError,
    object::{FOOTER_BYTES, HEADER_BYTES, Header, Kind},
};

/// How large an object is at most that holds no records. A slot that does is larger: the shortest batch
/// alone has 61 bytes.
pub(super) const EMPTY_BYTES_MAX: u64 = (HEADER_BYTES + FOOTER_BYTES + 16) as u64;

/// A fence in this slot, far above all others, says that nobody needs the session any more and that the
/// metadata may not know it: whatever else there is of it was forgotten on purpose.
pub const FORGOTTEN: Slot = crate::name::FORGOTTEN;

/// Whether `name`, which has `bytes`, may be one that is never deleted: then [`is_kept`] tells.
pub fn may_be_kept(name: ObjectName, bytes: u64) -> bool {
    matches!(name, ObjectName::WalSlot { .. }) && bytes <= EMPTY_BYTES_MAX
}

/// Reads whether `name` is one that is never deleted. `None`: what was read is not what was written, now at least.
///
/// # Errors
/// When it can't be read.
pub async fn is_kept(store: &Store, name: ObjectName) -> Result<Option<bool>, StoreError> {
    let range = ByteRange { at: 0, len: HEADER_BYTES as u32 };
    let header = Header::decode(&store.get_range(name, range).await?).ok();
    Ok(header.map(|header| matches!(header.kind, Kind::Fence | Kind::OpenMarker)))
}

#[cfg(test)]
mod tests {
    use weir_ids::SessionId;

    use super::*;
    use crate::{
        object::Builder,
        testing::{CLUSTER, batch, body, chunk, partition},
    };

    #[test]
    fn size_tells_slots_from_what_is_never_deleted() {
        let session = SessionId(u64::MAX);
        for kind in [Kind::Fence, Kind::OpenMarker] {
            let (number, put_id) = (u64::MAX, u64::MAX);
            let header = Header { cluster: CLUSTER, session, number, put_id, kind };
            assert!(Builder::new(&header).finish().len <= EMPTY_BYTES_MAX);
        }
        let least = chunk(partition(0), 0, &[batch(0, 0, 1)]);
        let shortest = body(session, Slot(1), vec![least]).len - 100;
        assert!(shortest > EMPTY_BYTES_MAX, "even without its record's value");
    }
}
