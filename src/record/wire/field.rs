//! The fields of a record, and how they are recognized.

/// A field that is read, or any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    EventId,
    EventName,
    EventSource,
    Region,
    SourceArn,
    UserIdentity,
    Change,
    CreatedAt,
    Keys,
    NewImage,
    OldImage,
    SequenceNumber,
    SizeBytes,
    ViewType,
    Other,
}

/// The fields of a record itself, or of what happened, in its member `dynamodb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fields {
    OfRecord,
    OfChange,
}

impl Fields {
    /// Recognizes a key by its first eight bytes and steps over it, if it is written compactly. `rest` begins behind its
    /// opening quote; what is handed back begins with the value, which may be anything.
    #[inline(always)]
    pub(super) fn short_key(self, rest: &[u8]) -> Option<(Field, &[u8])> {
        let word = u64::from_le_bytes(*rest.first_chunk::<8>()?);
        let (field, value) = match self {
            Self::OfRecord => match word {
                EVENT_ID => (Field::EventId, rest.strip_prefix(b"eventID\":")?),
                EVENT_NAME => (Field::EventName, rest.strip_prefix(b"eventName\":")?),
                EVENT_VERSION => (Field::Other, rest.strip_prefix(b"eventVersion\":")?),
                EVENT_SOURCE => match rest.strip_prefix(b"eventSource\":") {
                    Some(value) => (Field::EventSource, value),
                    None => (Field::SourceArn, rest.strip_prefix(b"eventSourceARN\":")?),
                },
                REGION => (Field::Region, rest.strip_prefix(b"awsRegion\":")?),
                CHANGE => (Field::Change, rest.strip_prefix(b"dynamodb\":")?),
                _ => return None,
            },
            Self::OfChange => match word {
                CREATED_AT => (Field::CreatedAt, rest.strip_prefix(b"ApproximateCreationDateTime\":")?),
                KEYS => (Field::Keys, rest.strip_prefix(b"Keys\":")?),
                NEW_IMAGE => (Field::NewImage, rest.strip_prefix(b"NewImage\":")?),
                OLD_IMAGE => (Field::OldImage, rest.strip_prefix(b"OldImage\":")?),
                SEQUENCE_NUMBER => (Field::SequenceNumber, rest.strip_prefix(b"SequenceNumber\":")?),
                SIZE_BYTES => (Field::SizeBytes, rest.strip_prefix(b"SizeBytes\":")?),
                VIEW_TYPE => (Field::ViewType, rest.strip_prefix(b"StreamViewType\":")?),
                _ => return None,
            },
        };
        // A space belongs to the value as it is read in general.
        if matches!(value.first(), Some(b' ' | b'\n' | b'\t' | b'\r')) { None } else { Some((field, value)) }
    }

    /// The field of a key.
    pub(super) fn of(self, key: &[u8]) -> Field {
        let range = match self {
            Self::OfRecord => 0..7,
            Self::OfChange => 7..14,
        };
        NAMES[range].iter().find(|(_, name)| name.as_bytes() == key).map_or(Field::Other, |(field, _)| *field)
    }
}

impl Field {
    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(field, _)| *field == self).map_or("", |(_, name)| name)
    }

    /// A bit of its own; other fields have none and may be there twice.
    #[inline(always)]
    pub(super) fn bit(self) -> u32 {
        if self as u32 == Self::Other as u32 { 0 } else { 1 << self as u32 }
    }
}

const NAMES: [(Field, &str); 14] = [
    (Field::EventId, "eventID"),
    (Field::EventName, "eventName"),
    (Field::EventSource, "eventSource"),
    (Field::Region, "awsRegion"),
    (Field::SourceArn, "eventSourceARN"),
    (Field::UserIdentity, "userIdentity"),
    (Field::Change, "dynamodb"),
    (Field::CreatedAt, "ApproximateCreationDateTime"),
    (Field::Keys, "Keys"),
    (Field::NewImage, "NewImage"),
    (Field::OldImage, "OldImage"),
    (Field::SequenceNumber, "SequenceNumber"),
    (Field::SizeBytes, "SizeBytes"),
    (Field::ViewType, "StreamViewType"),
];

const EVENT_ID: u64 = word(b"eventID\"");
const EVENT_NAME: u64 = word(b"eventNam");
const EVENT_VERSION: u64 = word(b"eventVer");
const EVENT_SOURCE: u64 = word(b"eventSou");
const REGION: u64 = word(b"awsRegio");
const CHANGE: u64 = word(b"dynamodb");
const CREATED_AT: u64 = word(b"Approxim");
/// A record whose `Keys` are no compact object is read in general.
const KEYS: u64 = word(b"Keys\":{\"");
const NEW_IMAGE: u64 = word(b"NewImage");
const OLD_IMAGE: u64 = word(b"OldImage");
const SEQUENCE_NUMBER: u64 = word(b"Sequence");
const SIZE_BYTES: u64 = word(b"SizeByte");
const VIEW_TYPE: u64 = word(b"StreamVi");

const fn word(text: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_keys_are_recognized_as_all_others_are() {
        for fields in [Fields::OfRecord, Fields::OfChange] {
            for (_, name) in NAMES {
                let text = format!("{name}\":{{\"S\":1}}");
                let expected = fields.of(name.as_bytes());
                match fields.short_key(text.as_bytes()) {
                    Some((field, value)) => assert_eq!((field, value), (expected, &b"{\"S\":1}"[..]), "{name}"),
                    None => assert!(matches!(expected, Field::Other | Field::UserIdentity), "{name}"),
                }
            }
        }
        assert_eq!(Fields::OfRecord.short_key(b"eventVersion\":\"1.1\""), Some((Field::Other, &b"\"1.1\""[..])));
        assert_eq!(Fields::OfRecord.short_key(b"eventID\": \"1\""), None);
        assert_eq!(Fields::OfRecord.short_key(b"eventNames\":\"1\""), None);
        assert_eq!(Fields::OfRecord.short_key(b"event"), None);
    }

    #[test]
    fn every_field_has_a_bit_and_a_name_of_its_own() {
        let bits = NAMES.iter().fold(0, |bits, (field, _)| {
            assert_eq!(bits & field.bit(), 0);
            bits | field.bit()
        });
        assert_eq!((bits.count_ones(), Field::Other.bit()), (14, 0));
        assert!(NAMES.iter().all(|(field, name)| field.name() == *name));
    }
}
