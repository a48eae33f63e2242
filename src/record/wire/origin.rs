//! Where a record comes from: the table's stream, or the table itself.

use super::timestamp::Timestamp;

/// What `eventSource` says of a record of a stream.
const STREAM: &str = "aws:dynamodb";
/// What it says of a row of a snapshot. No event of AWS has such a source.
const SNAPSHOT: &str = "anabranch:snapshot";

const NANOS_PER_MICRO: i64 = 1_000;

/// Where a record comes from.
///
/// On the wire a row of a snapshot is an event like any other, so that it goes through the same dispatcher, router and
/// handlers: its `eventSource` is `anabranch:snapshot`, and where a sequence number stands it has the time of its read, in
/// microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// A change, from the table's stream.
    #[default]
    Stream,
    /// A row as a scan, a query or an export found it: an insert of what may have been there for long. Or what has become
    /// of an item over a while, as an incremental export has it: an insert, a modify or a remove.
    Snapshot {
        /// When the row was read, to the microsecond: no later than the moment as of which it is what the table held.
        ///
        /// Of two reads of an item the later one counts, and any change of its stream counts more than either. Take the
        /// time before the request is sent; of an export, the time as of which it was made; of an incremental one, the
        /// last moment of its window. That an item was gone is known as of a time just as well as what was in it: a remove
        /// is above every earlier row of its item, and below every later one.
        read_at: Timestamp,
    },
}

impl Origin {
    /// Whether it is a row of a snapshot.
    pub fn is_snapshot(self) -> bool {
        matches!(self, Self::Snapshot { .. })
    }

    /// The origin that an `eventSource` names; of a snapshot, whether it is one.
    pub(super) fn names_snapshot(source: &[u8]) -> Option<bool> {
        match source {
            source if source == STREAM.as_bytes() => Some(false),
            source if source == SNAPSHOT.as_bytes() => Some(true),
            _ => None,
        }
    }

    /// The origin of a record with this `eventSource` and sequence number. A time that is none is the earliest one, which
    /// loses against all others.
    #[cfg(feature = "events")]
    pub(in crate::record) fn of(source: Option<&str>, sequence_number: Option<&str>) -> Self {
        if source != Some(SNAPSHOT) {
            return Self::Stream;
        }
        let time = sequence_number.and_then(|number| time_of(number.as_bytes()));
        Self::Snapshot { read_at: time.unwrap_or(Timestamp::from_nanos(0)) }
    }

    /// What `eventSource` says.
    pub(in crate::record) fn event_source(self) -> &'static str {
        match self {
            Self::Stream => STREAM,
            Self::Snapshot { .. } => SNAPSHOT,
        }
    }
}

/// Microseconds since 1970; what was before is 0.
pub(in crate::record) fn micros(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanos().div_euclid(NANOS_PER_MICRO)).unwrap_or_default()
}

/// The time of so many microseconds since 1970, if it is before the year 2262.
pub(in crate::record) fn time_of(micros: &[u8]) -> Option<Timestamp> {
    let micros: i64 = str::from_utf8(micros).ok()?.parse().ok()?;
    micros.checked_mul(NANOS_PER_MICRO).map(Timestamp::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{
        RawRecord, Version,
        wire::{Cause, EventName, EventWriter, ItemJson, RecordParts, RecordReason, split},
    };

    fn row(micros: i64) -> RecordParts<'static> {
        let (keys, row) = (r#"{"PK":{"S":"a"}}"#, r#"{"PK":{"S":"a"},"n":{"N":"1"}}"#);
        let read_at = Timestamp::from_nanos(micros * NANOS_PER_MICRO);
        RecordParts::snapshot(ItemJson::from_json(keys), ItemJson::from_json(row), read_at)
    }

    fn read(event: &str) -> Result<RawRecord, RecordReason> {
        let payload = format!(r#"{{"Records":[{event}]}}"#);
        let record = split(payload.into()).unwrap().next().unwrap();
        record.map_err(|record| record.error().reason().clone())
    }

    #[test]
    fn a_row_travels_as_an_insert() {
        let record = row(1_763_692_800_250_000).into_record().unwrap();
        let read_at = Timestamp::from_nanos(1_763_692_800_250_000_000);
        assert_eq!(record.origin(), Origin::Snapshot { read_at });
        assert_eq!((record.event_name(), record.cause()), (EventName::Insert, Cause::User));
        assert_eq!((record.event_id(), record.created_at()), (None, None));
        assert_eq!(record.new_image().unwrap().attribute("PK").unwrap().as_deref(), Some("a"));
        assert_eq!(Version::of(&record), Version::snapshot(0, 1_763_692_800_250_000));
        assert_eq!(read(str::from_utf8(record.json()).unwrap()).unwrap().origin(), record.origin());
    }

    #[test]
    fn what_has_become_of_an_item_travels_as_a_change_of_its_time() {
        let keys = || ItemJson::from_json(r#"{"PK":{"S":"a"}}"#);
        let image = |n: &str| ItemJson::from_json(format!(r#"{{"PK":{{"S":"a"}},"n":{{"N":"{n}"}}}}"#));
        for (old, new, name) in [
            (None, Some("2"), EventName::Insert),
            (Some("1"), Some("2"), EventName::Modify),
            (Some("1"), None, EventName::Remove),
            (None, None, EventName::Remove),
        ] {
            let as_of = Timestamp::from_nanos(9_000);
            let record = RecordParts::snapshot_change(keys(), old.map(image), new.map(image), as_of).into_record();
            let record = record.unwrap();
            assert_eq!((record.event_name(), record.origin()), (name, Origin::Snapshot { read_at: as_of }));
            assert_eq!((record.old_image().is_some(), record.new_image().is_some()), (old.is_some(), new.is_some()));
            let version = Version::of(&record);
            assert!(Version::snapshot(0, 8) < version && version < Version::snapshot(0, 10));
            assert!(version < Version::stream(0, "", "1"));
        }
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_cut_off_and_nothing_is_before_1970() {
        for (nanos, micros) in [(1_999, 1), (-1, 0), (i64::MIN, 0), (i64::MAX, 9_223_372_036_854_775)] {
            let parts = RecordParts { origin: Origin::Snapshot { read_at: Timestamp::from_nanos(nanos) }, ..row(0) };
            assert_eq!(Version::of(&parts.into_record().unwrap()), Version::snapshot(0, micros));
        }
    }

    #[test]
    fn rows_and_changes_share_a_payload() {
        let change = |n: &'static str| RecordParts {
            event_name: Some("REMOVE".into()),
            sequence_number: Some(n.into()),
            ..RecordParts::default()
        };
        let mut event = EventWriter::new();
        for parts in [&change("7"), &row(1), &change("9")] {
            event.push(parts);
        }
        let origins: Vec<_> = split(event.finish()).unwrap().map(|record| record.unwrap().origin()).collect();
        assert_eq!(origins.iter().map(|origin| origin.is_snapshot()).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn the_marker_may_stand_anywhere() {
        let change = r#""dynamodb":{"SequenceNumber":"\u0037"}"#;
        let marker = r#""eventSource":"anabranch\u003asnapshot""#;
        let nobody = r#""userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}"#;
        for fields in [[change, marker, nobody], [nobody, marker, change], [marker, nobody, change]] {
            let record = read(&format!(r#"{{"eventName":"INSERT",{}}}"#, fields.join(","))).unwrap();
            assert_eq!(record.origin(), Origin::Snapshot { read_at: Timestamp::from_nanos(7_000) });
            assert_eq!(record.cause(), Cause::User);
        }
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        let event = |time: &str| {
            let change = format!(r#""dynamodb":{{"SequenceNumber":"{time}"}}"#);
            read(&format!(r#"{{"eventName":"INSERT","eventSource":"anabranch:snapshot",{change}}}"#))
        };
        assert!(event("9223372036854775").is_ok());
        for late in ["9223372036854776", "9223372036854775808", &"9".repeat(40)] {
            assert_eq!(event(late).unwrap_err(), RecordReason::BadReadTime);
        }
        assert_eq!(event("-1").unwrap_err(), RecordReason::BadSequenceNumber);
    }

    #[cfg(feature = "events")]
    #[test]
    fn the_origin_survives_the_types_of_other_crates() {
        let record = row(42).into_record().unwrap();
        let event = aws_lambda_events::dynamodb::EventRecord::try_from(&record).unwrap();
        assert_eq!(RawRecord::try_from(event.clone()).unwrap().origin(), record.origin());
        let mut broken = event;
        broken.change.sequence_number = None;
        let earliest = Origin::Snapshot { read_at: Timestamp::from_nanos(0) };
        assert_eq!(RawRecord::try_from(broken).unwrap().origin(), earliest);
    }
}
