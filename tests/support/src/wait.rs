//! Waiting for conditions, and the only clock and the only sleep that tests have.
//!
//! A test never sleeps for as long as something "should" take: it names a condition and a deadline that
//! is far beyond any sane duration, so that it is quick where the machine is quick and does not fail
//! where it is slow.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(5);

/// A point in time that something must not take beyond.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline `time` from now.
    pub fn after(time: Duration) -> Self {
        Self(Stopwatch::start().0 + time)
    }

    /// Whether it has been reached.
    pub fn has_passed(self) -> bool {
        self.left().is_zero()
    }

    /// How long it is until then.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Stopwatch::start().0)
    }
}

/// Measures real time.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "tests of real processes run in real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The time as records say it: milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "servers under test look at the same clock")]
pub fn timestamp() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Waits until `condition` gives a value.
///
/// # Errors
/// When `most` passes before that; the message says that `what` did not happen.
pub fn until<T>(what: &str, most: Duration, mut condition: impl FnMut() -> Option<T>) -> Result<T> {
    let deadline = Deadline::after(most);
    loop {
        if let Some(value) = condition() {
            return Ok(value);
        }
        if deadline.has_passed() {
            bail!("{what}: not within {most:?}");
        }
        std::thread::sleep(POLL);
    }
}

/// Lets `time` pass because its passing is what is measured: a load that runs for a minute, an idle
/// server whose CPU is read. Never for waiting until something has happened.
pub fn let_pass(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_value_of_the_condition() {
        let mut looks = 0;
        let third = until("third look", Duration::from_secs(60), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(third.unwrap(), 3);
    }

    #[test]
    fn says_what_did_not_happen() {
        let never = until("rain", Duration::ZERO, || None::<()>);
        assert_eq!(never.unwrap_err().to_string(), "rain: not within 0ns");
    }
}
