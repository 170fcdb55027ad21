//! What a run came to.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use weir_history::Verdict;

/// Figures, and what the checker found.
#[derive(Debug)]
pub struct Report {
    figures: String,
    verdict: Verdict,
}

impl Report {
    /// A run's figures and its verdict.
    pub fn new(figures: String, verdict: Verdict) -> Self {
        Self { figures, verdict }
    }

    /// # Errors
    /// When a promise was broken.
    pub fn check(&self) -> Result<()> {
        ensure!(self.verdict.is_clean(), "promises were broken\n{self}");
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.figures, self.verdict)
    }
}

/// How times are spread.
#[derive(Clone, Debug)]
pub struct Spread {
    sorted: Vec<Duration>,
}

impl Spread {
    /// Of these times.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { sorted: times }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// A time that so many hundredths do not exceed; zero when there are none.
    pub fn percentile(&self, hundredths: f64) -> Duration {
        let place = (self.sorted.len() as f64 * hundredths / 100.0).ceil() as usize;
        self.sorted.get(place.max(1) - 1).copied().unwrap_or_default()
    }

    /// The longest.
    pub fn most(&self) -> Duration {
        self.percentile(100.0)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, p9999] = [50.0, 99.0, 99.99].map(|it| self.percentile(it));
        let (most, count) = (self.most(), self.count());
        write!(f, "p50 {p50:.2?}, p99 {p99:.2?}, p99.99 {p9999:.2?}, most {most:.2?} of {count}")
    }
}
