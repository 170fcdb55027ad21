//! Delays as object stores have them.

use std::time::Duration;

/// The standard normal distribution's 99th percentile.
const NORMAL_P99: f64 = 2.326;

/// Log-normal delays from a seed.
#[derive(Clone, Debug)]
pub struct Delays {
    /// Of the logarithm of milliseconds; `None`: no delay at all.
    normal: Option<(f64, f64)>,
    state: u64,
}

impl Delays {
    /// None at all.
    pub fn none() -> Self {
        Self { normal: None, state: 0 }
    }

    /// Half of them are shorter than `median`, one of a hundred is longer than `p99`.
    pub fn log_normal(median: Duration, p99: Duration, seed: u64) -> Self {
        let ln = |time: Duration| (time.as_secs_f64() * 1e3).max(1e-3).ln();
        let (mean, high) = (ln(median), ln(p99.max(median)));
        Self { normal: Some((mean, (high - mean) / NORMAL_P99)), state: seed }
    }

    /// The next delay.
    pub fn draw(&mut self) -> Duration {
        let Some((mean, deviation)) = self.normal else { return Duration::ZERO };
        // Box and Muller, 1958.
        let (one, other) = (self.fraction(), self.fraction());
        let normal = (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos();
        Duration::from_secs_f64((mean + deviation * normal).exp().min(60_000.0) / 1e3)
    }

    /// A number above 0 and up to 1 (splitmix64).
    fn fraction(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_tail_are_as_asked() {
        let [median, p99] = [30, 150].map(Duration::from_millis);
        let mut delays = Delays::log_normal(median, p99, 7);
        let mut drawn: Vec<Duration> = (0..100_000).map(|_| delays.draw()).collect();
        drawn.sort_unstable();
        let near = |found: Duration, wanted: Duration| {
            (found.as_secs_f64() / wanted.as_secs_f64() - 1.0).abs() < 0.05
        };
        assert!(near(drawn[50_000], median), "{:?}", drawn[50_000]);
        assert!(near(drawn[99_000], p99), "{:?}", drawn[99_000]);
        assert_eq!(Delays::none().draw(), Duration::ZERO);
    }
}
