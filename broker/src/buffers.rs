//! The room that a broker has for records in memory.
//!
//! Each batch takes room before it enters a queue and gives it back when the tail drops it. When
//! there is none, callers wait in the order in which they came: producers are slowed, not refused.

use tokio::sync::Semaphore;

/// What a batch takes beside its bytes: its places in queues, tail and slot.
pub(crate) const BATCH_BYTES: u64 = 512;
/// The semaphore counts in these, so that any sensible limit fits.
const UNIT_BYTES: u64 = 64;

pub(crate) struct Buffers {
    units: Semaphore,
    limit: u64,
}

impl Buffers {
    /// Room for `limit` bytes.
    pub(crate) fn new(limit: u64) -> Self {
        let units = usize::try_from(limit / UNIT_BYTES).unwrap_or(Semaphore::MAX_PERMITS);
        Self { units: Semaphore::new(units.min(Semaphore::MAX_PERMITS)), limit }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Waits for room for batches of these lengths together. Returns what each of them took, to be
    /// given back by [`Buffers::release`]. Together they take at most all there is.
    pub(crate) async fn reserve(&self, lens: impl Iterator<Item = usize>) -> Vec<u64> {
        let mut left = self.limit / UNIT_BYTES;
        let mut total = 0;
        let mut taken = Vec::with_capacity(lens.size_hint().0);
        for len in lens {
            let units = (len as u64 + BATCH_BYTES).div_ceil(UNIT_BYTES).min(left);
            left -= units;
            total += units;
            taken.push(units * UNIT_BYTES);
        }
        let units = u32::try_from(total).unwrap_or(u32::MAX);
        // Never closed.
        if let Ok(permit) = self.units.acquire_many(units).await {
            permit.forget();
        }
        taken
    }

    /// Gives back what [`Buffers::reserve`] gave.
    pub(crate) fn release(&self, bytes: u64) {
        self.units.add_permits(usize::try_from(bytes / UNIT_BYTES).unwrap_or(0));
    }

    /// Whether there is little left, or somebody waits.
    pub(crate) fn is_scarce(&self) -> bool {
        self.used() > self.limit - self.limit / 16
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> u64 {
        self.limit.saturating_sub(self.units.available_permits() as u64 * UNIT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn room_is_taken_given_back_and_waited_for_in_order() {
        let buffers = Buffers::new(1 << 20);
        let first = buffers.reserve([900 << 10].into_iter()).await[0];
        assert!(buffers.used() >= 900 << 10);
        let mut large = Box::pin(buffers.reserve([200 << 10].into_iter()));
        assert!((&mut large).now_or_never().is_none());
        assert!(buffers.reserve([10].into_iter()).now_or_never().is_none(), "nobody overtakes");
        buffers.release(first);
        let second = large.await[0];
        buffers.release(second);
        assert_eq!(buffers.used(), 0);
    }

    #[tokio::test]
    async fn a_batch_larger_than_all_room_takes_all_of_it() {
        let buffers = Buffers::new(1 << 20);
        let taken = buffers.reserve([5 << 20, 7].into_iter()).await;
        assert_eq!(taken, [1 << 20, 0]);
        taken.into_iter().for_each(|bytes| buffers.release(bytes));
        assert_eq!(buffers.used(), 0);
    }
}
