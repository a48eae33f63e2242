//! Times as events carry them.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::number::Decimal;

/// An instant, exact to the nanosecond, between the years 1677 and 2262.
///
/// Displays as RFC 3339 in UTC, with as many fractional digits as it has.
///
/// ```
/// use anabranch::record::Timestamp;
///
/// let time = Timestamp::from_nanos(1_763_692_800_250_000_000);
/// assert_eq!(time.to_string(), "2025-11-21T02:40:00.25Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const NANOS_PER_SECOND: i64 = 1_000_000_000;

impl Timestamp {
    /// The instant so many nanoseconds after 1970, or before it.
    pub fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since 1970, negative before.
    pub fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub fn as_secs(self) -> i64 {
        self.as_nanos().div_euclid(NANOS_PER_SECOND)
    }

    /// Writes a JSON number of seconds.
    pub(super) fn write_seconds(self, json: &mut Vec<u8>) {
        let (sign, nanos) = (if self.as_nanos() < 0 { "-" } else { "" }, self.as_nanos().unsigned_abs());
        let number = format!("{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
        json.extend_from_slice(number.trim_end_matches('0').trim_end_matches('.').as_bytes());
    }

    /// Reads a JSON number of seconds, such as `1700000000`, `1.7e9` or `1700000000.25`. Digits below a nanosecond
    /// are cut off.
    pub(super) fn parse_seconds(text: &str) -> Option<Self> {
        let mut number = Decimal::parse(text)?;
        number.exponent += 9;
        number.truncated().and_then(|nanos| i64::try_from(nanos).ok()).map(Self::from_nanos)
    }
}

/// A time that a timestamp cannot hold becomes the nearest that it can.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        Self::from_nanos(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |nanos| -nanos),
        })
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let distance = Duration::from_nanos(time.as_nanos().unsigned_abs());
        if time.as_nanos() < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanos) = (self.as_secs(), self.as_nanos().rem_euclid(NANOS_PER_SECOND));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
        if nanos != 0 {
            let digits = format!("{nanos:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Year, month and day of the proleptic Gregorian calendar, by Howard Hinnant's `civil_from_days`: years begin in March,
/// so that the leap day is a year's last.
fn civil(days_since_1970: i64) -> (i64, i64, i64) {
    let days = days_since_1970 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_seconds_is_read_exactly() {
        for (text, nanos) in [
            ("0", 0),
            ("1480642020", 1_480_642_020_000_000_000),
            ("1.66e9", 1_660_000_000_000_000_000),
            ("1.7E+9", 1_700_000_000_000_000_000),
            ("1700000000.123456789", 1_700_000_000_123_456_789),
            ("1700000000.1234567899", 1_700_000_000_123_456_789),
            ("-0.5", -500_000_000),
        ] {
            assert_eq!(Timestamp::parse_seconds(text).map(Timestamp::as_nanos), Some(nanos), "{text}");
        }
    }

    #[test]
    fn written_times_are_read_again() {
        for nanos in
            [0, 1_763_692_800_000_000_000, 1_763_692_800_250_000_000, 1, -1, -1_500_000_000, i64::MIN, i64::MAX]
        {
            let mut json = Vec::new();
            Timestamp::from_nanos(nanos).write_seconds(&mut json);
            let text = String::from_utf8(json).unwrap();
            assert_eq!(Timestamp::parse_seconds(&text).map(Timestamp::as_nanos), Some(nanos), "{text}");
        }
    }

    #[test]
    fn other_texts_and_far_times_are_refused() {
        for text in ["", "-", "1e", "abc", "1e99", "99999999999", "1.5.5", "--1", "1e9999999999999"] {
            assert_eq!(Timestamp::parse_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn times_display_as_rfc_3339() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399_000_000_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (1_480_642_020_000_000_000, "2016-12-02T01:27:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(Timestamp::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn times_convert_to_system_time_and_keep_their_order() {
        let (early, late) = (Timestamp::from_nanos(-5), Timestamp::from_nanos(7));
        assert!(early < late);
        assert_eq!(SystemTime::from(early), UNIX_EPOCH - Duration::from_nanos(5));
        assert_eq!(SystemTime::from(late), UNIX_EPOCH + Duration::from_nanos(7));
    }
}
