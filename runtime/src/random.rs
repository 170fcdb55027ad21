//! Chance. Good enough for ids, jitter and shuffles; never for secrets.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

/// Gives random numbers.
pub trait Random: Send + Sync {
    /// The next one.
    fn next_u64(&self) -> u64;
}

/// SplitMix64 (Steele, Lea, Flood 2014) from a seed: the same seed, the same numbers.
pub struct Seeded(AtomicU64);

impl Seeded {
    /// Numbers that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Random for Seeded {
    fn next_u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The operating system's randomness, through the standard library's hasher keys.
pub struct SystemRandom {
    keys: RandomState,
    next: Seeded,
}

impl Default for SystemRandom {
    fn default() -> Self {
        let keys = RandomState::new();
        let next = Seeded::new(keys.hash_one(std::process::id()));
        Self { keys, next }
    }
}

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        self.keys.hash_one(self.next.next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_numbers() {
        let (a, b) = (Seeded::new(7), Seeded::new(7));
        let from = |random: &Seeded| (0..100).map(|_| random.next_u64()).collect::<Vec<_>>();
        assert_eq!(from(&a), from(&b));
        assert_ne!(from(&Seeded::new(7)), from(&Seeded::new(8)));
    }
}
