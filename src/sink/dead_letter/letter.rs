//! One letter: a record and why nobody could handle it.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

/// Bytes of a reason that are kept; the record is never cut, its explanation may be.
const REASON_LIMIT: usize = 8 * 1024;

/// The last second of the year 9999, past which no RFC 3339 time can be written.
const LAST_SECOND: u64 = 253_402_300_799;

/// A record that was rejected, whole, with the reason and the place.
///
/// `Debug` shows everything but the record, whose contents belong to your users.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// The record's JSON as it arrived in the payload, valid or not.
    pub record: Bytes,
    /// Its sequence number, if it could be read.
    pub sequence_number: Option<String>,
    /// Its event id, if it could be read.
    pub event_id: Option<String>,
    /// The ARN of the stream it came from, if it could be read.
    pub source_arn: Option<String>,
    /// Why it was rejected: never values of the record.
    pub reason: String,
    /// The function that rejected it.
    pub function: Arc<str>,
    /// When it was rejected, in whole milliseconds.
    pub time: SystemTime,
}

impl DeadLetter {
    /// A letter for `record`, rejected by `function` at `time`.
    ///
    /// A reason longer than 8 KiB is cut; `time` loses what is finer than a
    /// millisecond and is moved into the years 1970 to 9999.
    pub fn new(
        record: impl Into<Bytes>,
        reason: impl Into<String>,
        function: impl Into<Arc<str>>,
        time: SystemTime,
    ) -> Self {
        Self {
            record: record.into(),
            sequence_number: None,
            event_id: None,
            source_arn: None,
            reason: shortened(reason.into()),
            function: function.into(),
            time: whole_milliseconds(time),
        }
    }

    /// Says which sequence number the record carries.
    #[must_use]
    pub fn with_sequence_number(mut self, number: impl Into<String>) -> Self {
        self.sequence_number = Some(number.into());
        self
    }

    /// Says which event id the record carries.
    #[must_use]
    pub fn with_event_id(mut self, id: impl Into<String>) -> Self {
        self.event_id = Some(id.into());
        self
    }

    /// Says which stream the record came from.
    #[must_use]
    pub fn with_source_arn(mut self, arn: impl Into<String>) -> Self {
        self.source_arn = Some(arn.into());
        self
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("record_bytes", &self.record.len())
            .field("sequence_number", &self.sequence_number)
            .field("event_id", &self.event_id)
            .field("source_arn", &self.source_arn)
            .field("reason", &self.reason)
            .field("function", &self.function)
            .field("time", &self.time)
            .finish()
    }
}

fn shortened(mut reason: String) -> String {
    const MARK: &str = " … (cut)";
    if reason.len() > REASON_LIMIT {
        reason.truncate(reason.floor_char_boundary(REASON_LIMIT - MARK.len()));
        reason.push_str(MARK);
    }
    reason
}

fn whole_milliseconds(time: SystemTime) -> SystemTime {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since_epoch.as_secs().min(LAST_SECOND);
    UNIX_EPOCH + Duration::new(seconds, since_epoch.subsec_millis() * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_keeps_the_record_to_itself() {
        let letter = DeadLetter::new("Rex the dog", "reason", "f", UNIX_EPOCH);
        let shown = format!("{letter:?}");
        assert!(!shown.contains("Rex"), "{shown}");
        assert!(shown.contains("record_bytes: 11"), "{shown}");
    }

    #[test]
    fn an_endless_reason_is_cut_between_characters() {
        let letter = DeadLetter::new("", "é".repeat(10_000), "f", UNIX_EPOCH);
        assert!(letter.reason.len() <= REASON_LIMIT);
        assert!(letter.reason.ends_with("é … (cut)"));
    }

    #[test]
    fn times_keep_their_milliseconds_and_stay_in_range() {
        let time = UNIX_EPOCH + Duration::from_nanos(1_234_567_890);
        assert_eq!(whole_milliseconds(time), UNIX_EPOCH + Duration::from_millis(1_234));
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(whole_milliseconds(before), UNIX_EPOCH);
        let late = UNIX_EPOCH + Duration::from_secs(LAST_SECOND + 5);
        assert_eq!(whole_milliseconds(late), UNIX_EPOCH + Duration::from_secs(LAST_SECOND));
    }
}
