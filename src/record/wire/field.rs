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
    /// The field of a key.
    pub(super) fn of(self, key: &str) -> Field {
        let range = match self {
            Self::OfRecord => 0..7,
            Self::OfChange => 7..14,
        };
        NAMES[range].iter().find(|(_, name)| *name == key).map_or(Field::Other, |(field, _)| *field)
    }
}

impl Field {
    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(field, _)| *field == self).map_or("", |(_, name)| name)
    }

    /// A bit of its own; other fields have none and may be there twice.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_belongs_to_its_object() {
        assert_eq!(Fields::OfRecord.of("eventID"), Field::EventId);
        assert_eq!(Fields::OfChange.of("Keys"), Field::Keys);
        assert_eq!(Fields::OfChange.of("eventID"), Field::Other);
        assert_eq!(Fields::OfRecord.of("Keys"), Field::Other);
        assert_eq!(Fields::OfRecord.of("eventVersion"), Field::Other);
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
