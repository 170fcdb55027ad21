//! How fast the store is to be.

use std::time::Duration;

use crate::Delays;

/// Delays, and a bound on what is sent. By default there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Half of the answers take longer, in milliseconds; 0: none is delayed.
    pub median_ms: u64,
    /// One of a hundred takes longer, in milliseconds.
    pub p99_ms: u64,
    /// All answers together are sent so fast; 0: as fast as it goes.
    pub mib_per_second: u64,
}

impl Pace {
    /// As `median_ms=30&p99_ms=30&mib_per_second=200`; what is left out is 0. `None` if it says something else.
    pub fn parse(query: &str) -> Option<Self> {
        let mut pace = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=')?;
            let part = match name {
                "median_ms" => &mut pace.median_ms,
                "p99_ms" => &mut pace.p99_ms,
                "mib_per_second" => &mut pace.mib_per_second,
                _ => return None,
            };
            *part = value.parse().ok()?;
        }
        Some(pace)
    }

    /// As [`Pace::parse`] reads it.
    pub fn query(self) -> String {
        let Self { median_ms, p99_ms, mib_per_second } = self;
        format!("median_ms={median_ms}&p99_ms={p99_ms}&mib_per_second={mib_per_second}")
    }

    pub(crate) fn delays(self) -> Delays {
        let [median, p99] = [self.median_ms, self.p99_ms].map(Duration::from_millis);
        if median.is_zero() { Delays::none() } else { Delays::log_normal(median, p99, 1) }
    }

    pub(crate) fn bytes_per_second(self) -> Option<u64> {
        (self.mib_per_second > 0).then_some(self.mib_per_second << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read() {
        let pace = Pace { median_ms: 30, p99_ms: 40, mib_per_second: 200 };
        assert_eq!(Pace::parse(&pace.query()), Some(pace));
        assert_eq!(Pace::parse(""), Some(Pace::default()));
        assert_eq!(Pace::parse("speed=1"), None);
        assert_eq!(Pace::parse("median_ms=soon"), None);
    }
}
