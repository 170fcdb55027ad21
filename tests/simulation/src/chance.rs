//! Chance, all of it from the seed.
//!
//! Each purpose has numbers of its own: one more draw in one place does not move those of another.

use std::{ops::RangeInclusive, time::Duration};

use weir_runtime::{Random, Seeded};

/// Numbers for one purpose.
pub(crate) struct Chance(Seeded);

impl Chance {
    /// The numbers of `purpose` in the run of `seed`.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        Self(Seeded::new(derived(seed, purpose)))
    }

    /// From 0 to below `n`.
    pub(crate) fn below(&self, n: u64) -> u64 {
        self.0.next_u64() % n.max(1)
    }

    /// One of a range.
    pub(crate) fn within(&self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A time of so many milliseconds.
    pub(crate) fn millis(&self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.within(range))
    }

    /// True so often of a hundred.
    pub(crate) fn percent(&self, often: u64) -> bool {
        self.below(100) < often
    }

    /// One of several; there must be one.
    pub(crate) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// A number.
    pub(crate) fn number(&self) -> u64 {
        self.0.next_u64()
    }
}

/// A seed for `purpose`: FNV-1a of its name, then mixed.
pub(crate) fn derived(seed: u64, purpose: &str) -> u64 {
    let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Seeded::new(seed ^ hash.rotate_left(17)).next_u64()
}
