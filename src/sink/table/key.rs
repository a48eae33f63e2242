//! What makes two rows the same row.

use std::fmt::Write;

use super::{AttributeValue, Item};

/// The identity of a row: equal for two keys that a table takes for the same.
///
/// Built from names, types and exact values, numbers by their value (`1`, `1.0` and `1E0` are one key). It
/// holds users' data and has no `Debug` for that reason.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct RowKey(Vec<u8>);

impl RowKey {
    /// The identity of the row that `key` names.
    pub(super) fn of(key: &Item) -> Self {
        Self::select(key, key)
    }

    /// The identity of a row by those of its attributes that `names` has.
    pub(super) fn select(row: &Item, names: &Item) -> Self {
        let mut names: Vec<&String> = names.keys().collect();
        names.sort_unstable();
        let mut bytes = Vec::new();
        for name in names {
            push(&mut bytes, name.as_bytes());
            push_value(&mut bytes, row.get(name));
        }
        Self(bytes)
    }
}

/// Length first, so that no two sequences of fields look alike.
fn push(bytes: &mut Vec<u8>, field: &[u8]) {
    bytes.extend((field.len() as u64).to_be_bytes());
    bytes.extend(field);
}

fn push_value(bytes: &mut Vec<u8>, value: Option<&AttributeValue>) {
    match value {
        Some(AttributeValue::S(text)) => push_typed(bytes, b'S', text.as_bytes()),
        Some(AttributeValue::B(binary)) => push_typed(bytes, b'B', binary),
        Some(AttributeValue::N(number)) => push_typed(bytes, b'N', canonical(number).as_bytes()),
        // No table has such a key: the table will say so, this only has to tell them apart.
        Some(other) => push_typed(bytes, b'?', &serde_json::to_vec(other).unwrap_or_default()),
        None => bytes.push(b'-'),
    }
}

fn push_typed(bytes: &mut Vec<u8>, kind: u8, field: &[u8]) {
    bytes.push(kind);
    push(bytes, field);
}

/// One text per number: sign, digits without zeros around them, and the exponent of the last digit.
///
/// What is not a number stays as it is.
pub(crate) fn canonical(number: &str) -> String {
    parse(number).unwrap_or_else(|| number.to_owned())
}

fn parse(number: &str) -> Option<String> {
    let (sign, rest) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number.strip_prefix('+').unwrap_or(number)),
    };
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let dropped = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some("0".to_owned());
    }
    let scale = exponent.checked_sub(fraction.len() as i64)?.checked_add(dropped as i64)?;
    let mut text = String::with_capacity(significant.len() + 8);
    write!(text, "{sign}{significant}e{scale}").ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sink::table::{item, text};

    #[test]
    fn numbers_are_one_key_by_value() {
        for same in [["1", "1.0"], ["1", "1E0"], ["100", "1e+2"], ["-0", "0.00"], ["0.5", ".5"], ["007", "7"]] {
            assert_eq!(canonical(same[0]), canonical(same[1]), "{same:?}");
        }
        for different in [["1", "10"], ["1", "-1"], ["1", "0.1"], ["12345678901234567890", "12345678901234567891"]] {
            assert_ne!(canonical(different[0]), canonical(different[1]), "{different:?}");
        }
        for broken in ["", "-", "1.2.3", "one", "1e", "1e99999999999999999999", "1E9223372036854775807000"] {
            assert_eq!(canonical(broken), broken);
        }
    }

    #[test]
    fn types_and_seams_tell_keys_apart() {
        let keys = [
            item([("PK", text("ab")), ("SK", text("c"))]),
            item([("PK", text("a")), ("SK", text("bc"))]),
            item([("PK", text("1"))]),
            item([("PK", AttributeValue::N("1".into()))]),
            item([("PK", AttributeValue::B(b"1".to_vec()))]),
            item([("PK", AttributeValue::Bool(true))]),
            item([("PK", AttributeValue::Bool(false))]),
            item([]),
        ];
        for (at, key) in keys.iter().enumerate() {
            let same = keys.iter().filter(|other| RowKey::of(other) == RowKey::of(key));
            assert_eq!(same.count(), 1, "key {at}");
        }
    }

    #[test]
    fn a_row_is_found_by_its_key_attributes() {
        let key = item([("PK", text("a"))]);
        let row = item([("PK", text("a")), ("name", text("Rex"))]);
        assert!(RowKey::select(&row, &key) == RowKey::of(&key));
        assert!(RowKey::select(&item([]), &key) != RowKey::of(&key));
    }

    proptest! {
        #[test]
        fn shifting_the_point_keeps_the_number(digits in "[1-9][0-9]{0,37}", zeros in 0..9_usize, shift in -60..60_i64) {
            let plain = format!("{digits}E{shift}");
            let shifted = format!("0.{}{digits}E{}", "0".repeat(zeros), shift + (zeros + digits.len()) as i64);
            prop_assert_eq!(canonical(&plain), canonical(&shifted));
        }
    }
}
