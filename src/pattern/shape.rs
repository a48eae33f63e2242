//! The shape of a stream record: what a path can lead to.

/// A place in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Record,
    Identity,
    Change,
    /// The key attributes.
    Keys,
    /// The attributes of an image, or of a map.
    Image,
    /// An attribute, or an element of a list: an object with a type descriptor.
    Attribute,
    KeyAttribute,
    Leaf(Kind),
}

/// What the values of a leaf are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text that holds a number of DynamoDB.
    TextOfNumber,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    Number,
    Bool,
}

use Kind::{Bool, Number, OneOf, Text, TextOfNumber};
use Place::{Attribute, Change, Identity, Image, KeyAttribute, Keys, Leaf, Record};

const EVENT_NAMES: &[&str] = &["INSERT", "MODIFY", "REMOVE"];
const VIEW_TYPES: &[&str] = &["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"];

const RECORD: &[(&str, Place)] = &[
    ("eventID", Leaf(Text)),
    ("eventName", Leaf(OneOf(EVENT_NAMES))),
    ("eventVersion", Leaf(Text)),
    ("eventSource", Leaf(OneOf(&["aws:dynamodb"]))),
    ("awsRegion", Leaf(Text)),
    ("eventSourceARN", Leaf(Text)),
    ("userIdentity", Identity),
    ("dynamodb", Change),
];

const IDENTITY: &[(&str, Place)] = &[("type", Leaf(Text)), ("principalId", Leaf(Text))];

const CHANGE: &[(&str, Place)] = &[
    ("ApproximateCreationDateTime", Leaf(Number)),
    ("Keys", Keys),
    ("NewImage", Image),
    ("OldImage", Image),
    ("SequenceNumber", Leaf(TextOfNumber)),
    ("SizeBytes", Leaf(Number)),
    ("StreamViewType", Leaf(OneOf(VIEW_TYPES))),
];

const KEY_ATTRIBUTE: &[(&str, Place)] = &[("S", Leaf(Text)), ("N", Leaf(TextOfNumber)), ("B", Leaf(Text))];

const ATTRIBUTE: &[(&str, Place)] = &[
    ("S", Leaf(Text)),
    ("N", Leaf(TextOfNumber)),
    ("B", Leaf(Text)),
    ("BOOL", Leaf(Bool)),
    ("NULL", Leaf(Bool)),
    ("SS", Leaf(Text)),
    ("NS", Leaf(TextOfNumber)),
    ("BS", Leaf(Text)),
    ("L", Attribute),
    ("M", Image),
];

impl Place {
    /// What has this name there, if anything can.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        match self {
            Image => Some(Attribute),
            Keys => Some(KeyAttribute),
            _ => self.members().iter().find(|(member, _)| *member == name).map(|(_, place)| *place),
        }
    }

    /// Every name there is, where names are given.
    pub(super) fn members(self) -> &'static [(&'static str, Self)] {
        match self {
            Record => RECORD,
            Identity => IDENTITY,
            Change => CHANGE,
            KeyAttribute => KEY_ATTRIBUTE,
            Attribute => ATTRIBUTE,
            Keys | Image | Leaf(_) => &[],
        }
    }

    /// Follows the names of a pattern, dots in them included; in an image, a dot may also be part of an attribute's name.
    ///
    /// # Errors
    /// How many of the names could be followed, and how far that led.
    pub(super) fn follow(self, keys: &[String]) -> Result<Self, (usize, Self)> {
        let mut place = self;
        for (index, key) in keys.iter().enumerate() {
            place = place.step(key).ok_or((index, place))?;
        }
        Ok(place)
    }

    fn step(self, key: &str) -> Option<Self> {
        let in_parts = key.split('.').try_fold(self, |place, name| place.member(name));
        match self {
            // An attribute called `a.b` rather than the type `b` of an attribute `a`.
            Image | Keys if !matches!(in_parts, Some(Leaf(_))) => self.member(key),
            _ => in_parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(path: &str) -> Result<Place, (usize, Place)> {
        Record.follow(&path.split('/').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn paths_of_records_are_followed() {
        assert_eq!(follow("eventName"), Ok(Leaf(OneOf(EVENT_NAMES))));
        assert_eq!(follow("dynamodb/NewImage/weightKg/N"), Ok(Leaf(TextOfNumber)));
        assert_eq!(follow("dynamodb/NewImage/weightKg"), Ok(Attribute));
        assert_eq!(follow("dynamodb/OldImage/a/M/b/L/M/c/BOOL"), Ok(Leaf(Bool)));
        assert_eq!(follow("dynamodb/Keys/PK/S"), Ok(Leaf(Text)));
        assert_eq!(follow("dynamodb.Keys.PK.S"), Ok(Leaf(Text)));
        assert_eq!(follow("dynamodb/NewImage/a.b/S"), Ok(Leaf(Text)));
        assert_eq!(follow("dynamodb/NewImage/a.S"), Ok(Leaf(Text)));
    }

    #[test]
    fn paths_of_no_record_end_somewhere() {
        assert_eq!(follow("NewImage/a/S"), Err((0, Record)));
        assert_eq!(follow("dynamodb/NewImage/a/name/S"), Err((3, Attribute)));
        assert_eq!(follow("dynamodb/Keys/PK/BOOL"), Err((3, KeyAttribute)));
        assert_eq!(follow("eventName/x"), Err((1, Leaf(OneOf(EVENT_NAMES)))));
    }
}
