//! Timestamps as people read them.

use std::fmt;

use weir_ids::Timestamp;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Days of the 400 years after which the calendar repeats.
const CYCLE_DAYS: i64 = 146_097;
/// Days from 0000-01-01 to 1970-01-01.
const EPOCH_DAYS: i64 = 719_528;

/// Prints a timestamp as UTC and as the number that is stored; one outside the years 0 to 9999 as
/// the number alone.
pub(super) struct Utc(pub(super) Timestamp);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timestamp(ms) = self.0;
        if self.0 == Timestamp::NONE {
            return f.write_str("no timestamp");
        }
        let (year, month, day) = date(ms.div_euclid(DAY_MS));
        if !(0..=9999).contains(&year) {
            return write!(f, "timestamp {ms}");
        }
        let rest = ms.rem_euclid(DAY_MS);
        let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
        let (second, milli) = (rest / 1000 % 60, rest % 1000);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")?;
        write!(f, " ({ms})")
    }
}

/// Year, month and day, `days` after 1970-01-01.
fn date(days: i64) -> (i64, usize, i64) {
    let days = days + EPOCH_DAYS;
    let mut year = days.div_euclid(CYCLE_DAYS) * 400;
    let mut day = days.rem_euclid(CYCLE_DAYS);
    while day >= 365 + leap_day(year) {
        day -= 365 + leap_day(year);
        year += 1;
    }
    let mut month = 1;
    for len in [31, 28 + leap_day(year), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < len {
            break;
        }
        day -= len;
        month += 1;
    }
    (year, month, day + 1)
}

fn leap_day(year: i64) -> i64 {
    i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z (0)"),
            (-2, "1969-12-31T23:59:59.998Z (-2)"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z (951782400000)"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z (1709251199999)"),
            (1_795_222_123_456, "2026-11-21T00:48:43.456Z (1795222123456)"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z (4107542400000)"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z (253402300799999)"),
            (253_402_300_800_000, "timestamp 253402300800000"),
            (i64::MAX, "timestamp 9223372036854775807"),
            (i64::MIN, "timestamp -9223372036854775808"),
            (-1, "no timestamp"),
        ] {
            assert_eq!(Utc(Timestamp(ms)).to_string(), text);
        }
    }
}
