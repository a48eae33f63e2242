//! How large items are: as DynamoDB counts them, and as they travel.

use std::io;

use super::{AttributeValue, Item, RowWrite};

/// The most bytes that DynamoDB holds in one item.
pub(super) const ITEM_LIMIT: usize = 400 * 1024;

/// The size of an item in bytes as DynamoDB counts it: names and values as UTF-8, numbers at two digits a byte,
/// and small overheads for nesting.
///
/// AWS documents the sizes of numbers as approximate; they are rounded up here.
pub fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| attribute_size(name, value)).sum()
}

pub(super) fn attribute_size(name: &str, value: &AttributeValue) -> usize {
    name.len() + value_size(value)
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number_size(number),
        AttributeValue::B(binary) => binary.len(),
        AttributeValue::Bool(_) | AttributeValue::Null(_) => 1,
        AttributeValue::Ss(set) => set.iter().map(String::len).sum(),
        AttributeValue::Ns(set) => set.iter().map(|number| number_size(number)).sum(),
        AttributeValue::Bs(set) => set.iter().map(Vec::len).sum(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>(),
    }
}

fn number_size(number: &str) -> usize {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count();
    digits.div_ceil(2) + 1 + usize::from(number.starts_with('-'))
}

/// The bytes that a write takes in the body of a batch request: its JSON, and the names around it.
pub(super) fn wire_size(write: &RowWrite) -> usize {
    const AROUND: usize = br#"{"DeleteRequest":{"Item":},"#.len() + 2;
    let mut counter = Counter(AROUND);
    // The only failures that JSON has come from the writer, and this one has none.
    let _ = serde_json::to_writer(&mut counter, write.row().unwrap_or(write.key()));
    counter.0
}

struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::table::{item, text};

    #[test]
    fn sizes_follow_the_documented_rules() {
        let number = |text: &str| AttributeValue::N(text.into());
        let cases = [
            (text("héllo"), 6),
            (number("27"), 2),
            (number("-27"), 3),
            (number("1.5E+100"), 2),
            (AttributeValue::B(vec![0; 5]), 5),
            (AttributeValue::Null(true), 1),
            (AttributeValue::Ss(vec!["ab".into(), "c".into()]), 3),
            (AttributeValue::Ns(vec!["1".into(), "222".into()]), 5),
            (AttributeValue::Bs(vec![vec![0; 4], vec![0]]), 5),
            (AttributeValue::L(vec![text("a"), AttributeValue::Bool(true)]), 3 + 2 + 2),
            (AttributeValue::M(item([("k", text("v"))]).into_inner()), 3 + 3),
        ];
        for (value, size) in cases {
            assert_eq!(item_size(&item([("name", value.clone())])), 4 + size, "{value:?}");
        }
    }

    #[test]
    fn the_wire_size_covers_the_json_of_the_request() {
        let row = item([("PK", text("\u{1}\"")), ("b", AttributeValue::B(vec![255; 100]))]);
        let json = serde_json::json!({"PutRequest": {"Item": row}}).to_string();
        let write = RowWrite::put(item([("PK", text("\u{1}\""))]), row);
        assert!((json.len()..json.len() + 10).contains(&wire_size(&write)));
    }
}
