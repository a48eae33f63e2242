//! Instants and the distances between them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::record::Timestamp;

/// The instant that much later; the last one that there is, if need be.
pub(crate) fn after(time: Timestamp, wait: Duration) -> Timestamp {
    let nanos = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_nanos(time.as_nanos().saturating_add(nanos))
}

/// How long it is from one instant to another; nothing if that came first.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_nanos(u64::try_from(to.as_nanos().saturating_sub(from.as_nanos())).unwrap_or(0))
}

/// The instant of the system's clock.
pub(crate) fn of(time: SystemTime) -> Timestamp {
    let nanos = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// The beginning of its second.
pub(super) fn second(time: Timestamp) -> Timestamp {
    Timestamp::from_nanos(time.as_secs().saturating_mul(1_000_000_000))
}

/// ISO 8601 in UTC, in whole seconds, as in `2026-11-21T02:40:00Z`.
pub(super) fn in_seconds(time: Timestamp) -> String {
    second(time).to_string()
}

/// The same in milliseconds, always three digits of them.
pub(super) fn in_millis(time: Timestamp) -> String {
    let millis = time.as_nanos().rem_euclid(1_000_000_000) / 1_000_000;
    let seconds = in_seconds(time);
    format!("{}.{millis:03}Z", seconds.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_with_the_precision_of_aws() {
        let time = Timestamp::from_nanos(1_763_692_800_005_999_999);
        assert_eq!(in_seconds(time), "2025-11-21T02:40:00Z");
        assert_eq!(in_millis(time), "2025-11-21T02:40:00.005Z");
        assert_eq!(in_millis(second(time)), "2025-11-21T02:40:00.000Z");
    }

    #[test]
    fn distances_are_never_negative() {
        let (early, late) = (Timestamp::from_nanos(5), Timestamp::from_nanos(12));
        assert_eq!(between(early, late), Duration::from_nanos(7));
        assert_eq!(between(late, early), Duration::ZERO);
        assert_eq!(after(early, Duration::MAX).as_nanos(), i64::MAX);
    }
}
