//! In what two rows differ, by value.

use std::{collections::BTreeSet, fmt};

use super::{AttributeValue, Item, canonical_number};

/// How a row differs from what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// It is not there, and should be.
    Missing,
    /// It is there, and should not be.
    Extra,
    /// It has other attributes, or other values of them.
    Different {
        /// The names of those attributes, in order.
        attributes: Vec<String>,
    },
}

/// Says what differs, and never from what: values are users' data.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Extra => f.write_str("extra"),
            Self::Different { attributes } => write!(f, "different in {}", attributes.join(", ")),
        }
    }
}

/// How a row differs from what it should be; none if it does not.
///
/// Values are compared as DynamoDB does: numbers by what they come to (`1` and `1.0`), sets whatever their order.
///
/// ```
/// use anabranch::sink::table::{AttributeValue, Difference, difference, item, text};
///
/// let should_be = item([("PK", text("PET#mia")), ("weightKg", AttributeValue::N("4.20".into())), ("name", text("Mia"))]);
/// let row = item([("PK", text("PET#mia")), ("weightKg", AttributeValue::N("4.2".into())), ("name", text("Tom"))]);
/// assert_eq!(difference(Some(&should_be), Some(&row)), Some(Difference::Different { attributes: vec!["name".into()] }));
/// assert_eq!(difference(Some(&should_be), None), Some(Difference::Missing));
/// ```
pub fn difference(expected: Option<&Item>, found: Option<&Item>) -> Option<Difference> {
    let (expected, found) = match (expected, found) {
        (None, None) => return None,
        (Some(_), None) => return Some(Difference::Missing),
        (None, Some(_)) => return Some(Difference::Extra),
        (Some(expected), Some(found)) => (expected, found),
    };
    let names: BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differs = |name: &&&String| match (expected.get(**name), found.get(**name)) {
        (Some(one), Some(other)) => one != other && canonical(one) != canonical(other),
        _ => true,
    };
    let attributes: Vec<_> = names.iter().filter(differs).map(|name| (*name).clone()).collect();
    (!attributes.is_empty()).then_some(Difference::Different { attributes })
}

/// What tells whether rows are still as they were: equal for equal rows, and nothing can be read from it.
#[cfg(feature = "dynamodb")]
pub(crate) fn fingerprint<'r>(rows: impl IntoIterator<Item = Option<&'r Item>>) -> [u8; 32] {
    use sha2::{Digest, Sha256};

    let mut hash = Sha256::new();
    for row in rows {
        let mut bytes = Vec::new();
        match row {
            Some(row) => map(&mut bytes, row.iter()),
            None => bytes.push(b'-'),
        }
        hash.update(bytes);
    }
    hash.finalize().into()
}

/// The same bytes for values that DynamoDB takes for the same, other bytes for others.
fn canonical(value: &AttributeValue) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes, value);
    bytes
}

fn write(bytes: &mut Vec<u8>, value: &AttributeValue) {
    match value {
        AttributeValue::S(text) => field(bytes, b'S', text.as_bytes()),
        AttributeValue::N(number) => field(bytes, b'N', canonical_number(number).as_bytes()),
        AttributeValue::B(binary) => field(bytes, b'B', binary),
        AttributeValue::Bool(value) => field(bytes, b'?', &[u8::from(*value)]),
        AttributeValue::Null(_) => bytes.push(b'0'),
        AttributeValue::Ss(set) => elements(bytes, b's', set.iter().map(|text| text.clone().into_bytes())),
        AttributeValue::Ns(set) => {
            elements(bytes, b'n', set.iter().map(|number| canonical_number(number).into_bytes()))
        }
        AttributeValue::Bs(set) => elements(bytes, b'b', set.iter().cloned()),
        AttributeValue::M(entries) => map(bytes, entries.iter()),
        AttributeValue::L(values) => {
            bytes.push(b'L');
            bytes.extend((values.len() as u64).to_be_bytes());
            values.iter().for_each(|value| write(bytes, value));
        }
    }
}

/// Length first, so that no two sequences of fields look alike.
fn field(bytes: &mut Vec<u8>, kind: u8, field: &[u8]) {
    bytes.push(kind);
    bytes.extend((field.len() as u64).to_be_bytes());
    bytes.extend(field);
}

fn elements(bytes: &mut Vec<u8>, kind: u8, set: impl Iterator<Item = Vec<u8>>) {
    let set: BTreeSet<_> = set.collect();
    bytes.push(kind);
    bytes.extend((set.len() as u64).to_be_bytes());
    set.iter().for_each(|element| field(bytes, kind, element));
}

fn map<'v>(bytes: &mut Vec<u8>, entries: impl Iterator<Item = (&'v String, &'v AttributeValue)>) {
    let mut entries: Vec<_> = entries.collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    bytes.push(b'M');
    bytes.extend((entries.len() as u64).to_be_bytes());
    for (name, value) in entries {
        field(bytes, b'k', name.as_bytes());
        write(bytes, value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::sink::table::{item, text};

    fn row(value: AttributeValue) -> Item {
        item([("v", value)])
    }

    fn number(text: &str) -> AttributeValue {
        AttributeValue::N(text.into())
    }

    fn set(members: [&str; 2]) -> AttributeValue {
        AttributeValue::Ss(members.map(str::to_owned).into())
    }

    fn nested(value: AttributeValue) -> AttributeValue {
        AttributeValue::L(vec![AttributeValue::M(HashMap::from([("n".to_owned(), value)]))])
    }

    #[test]
    fn equal_values_may_be_written_otherwise() {
        let pairs = [
            (number("1"), number("1.0")),
            (set(["a", "b"]), set(["b", "a"])),
            (nested(number("10")), nested(number("1E1"))),
            (AttributeValue::Ns(vec!["1".into(), "2".into()]), AttributeValue::Ns(vec!["2.0".into(), "1".into()])),
        ];
        for (one, other) in pairs {
            let (one, other) = (row(one), row(other));
            assert_eq!(difference(Some(&one), Some(&other)), None);
        }
    }

    #[test]
    fn other_values_differ_and_are_named() {
        let values = [
            text("1"),
            number("1"),
            AttributeValue::B(b"1".to_vec()),
            AttributeValue::Bool(true),
            AttributeValue::Bool(false),
            AttributeValue::Null(true),
            set(["a", "b"]),
            set(["a", "c"]),
            AttributeValue::Bs(vec![b"a".to_vec(), b"b".to_vec()]),
            AttributeValue::L(vec![text("a"), text("b")]),
            AttributeValue::L(vec![text("b"), text("a")]),
            nested(number("1")),
            nested(number("2")),
        ];
        for (at, one) in values.iter().enumerate() {
            let same = values.iter().filter(|other| canonical(other) == canonical(one));
            assert_eq!(same.count(), 1, "value {at}");
        }
        let (one, other) = (item([("a", text("1")), ("b", text("1"))]), item([("a", text("1")), ("c", text("1"))]));
        let expected = Difference::Different { attributes: vec!["b".into(), "c".into()] };
        assert_eq!(expected.to_string(), "different in b, c");
        assert_eq!(difference(Some(&one), Some(&other)), Some(expected));
    }

    #[test]
    fn a_row_that_is_not_there_is_told_from_one_that_is() {
        assert_eq!(difference(None, Some(&Item::default())), Some(Difference::Extra));
        assert_eq!(difference(None, None), None);
    }

    #[cfg(feature = "dynamodb")]
    #[test]
    fn a_fingerprint_is_that_of_equal_rows_and_of_no_others() {
        let (one, same, other) = (row(number("1")), row(number("1.0")), row(number("2")));
        assert_eq!(fingerprint([Some(&one)]), fingerprint([Some(&same)]));
        assert_ne!(fingerprint([Some(&one)]), fingerprint([Some(&other)]));
        let empty = Item::default();
        assert_ne!(fingerprint([None]), fingerprint([Some(&empty)]));
        assert_ne!(fingerprint([None, Some(&empty)]), fingerprint([Some(&empty), None]));
    }
}
