//! Items as plain JSON.

use serde_json::{Map, Number, Value};

use crate::{
    record::Item,
    sink::table::{AttributeValue, canonical_number},
};

/// How numbers are written into documents.
///
/// A JSON number is a 64-bit integer or a double to a search server; a DynamoDB number has up to 38 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Numbers {
    /// As a number where a 64-bit integer or a double holds it exactly, as a string otherwise. Nothing is lost: a field that the
    /// mapping says is numeric reads the string too (`coerce`, which is on by default), as far as its type goes.
    #[default]
    Exact,
    /// As strings, all of them: for fields that the mapping says are `keyword`s.
    Text,
    /// As numbers, all of them, digits beyond a double lost.
    Doubles,
}

/// Every attribute of an item as plain JSON, with [`Numbers::Exact`]: the simplest document.
///
/// `S` becomes a string, `BOOL` a boolean, `NULL` null, `L` and the sets lists, `M` an object, `B` base64 as a `binary`
/// field has it, and `N` a number where that is exact. Never none.
///
/// ```
/// use anabranch::{record::Item, search::all_attributes, sink::table::{AttributeValue, item, text}};
///
/// let mia = Item(item([("species", text("cat")), ("weightKg", AttributeValue::N("4.25".into()))]));
/// let document = all_attributes(&mia).map(serde_json::Value::Object);
/// assert_eq!(document, Some(serde_json::json!({"species": "cat", "weightKg": 4.25})));
/// ```
pub fn all_attributes(item: &Item) -> Option<Map<String, Value>> {
    Some(plain(item, Numbers::Exact))
}

/// Every attribute of an item as plain JSON, with a choice of how numbers are written.
pub fn plain(item: &Item, numbers: Numbers) -> Map<String, Value> {
    item.0.iter().map(|(name, value)| (name.clone(), json(value, numbers))).collect()
}

fn json(value: &AttributeValue, numbers: Numbers) -> Value {
    let text = |text: &String| Value::String(text.clone());
    let binary = |binary: &Vec<u8>| Value::String(base64_simd::STANDARD.encode_to_string(binary));
    match value {
        AttributeValue::S(string) => text(string),
        AttributeValue::N(number) => number_json(number, numbers),
        AttributeValue::B(bytes) => binary(bytes),
        AttributeValue::Bool(yes) => Value::Bool(*yes),
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Ss(set) => set.iter().map(text).collect(),
        AttributeValue::Ns(set) => set.iter().map(|number| number_json(number, numbers)).collect(),
        AttributeValue::Bs(set) => set.iter().map(binary).collect(),
        AttributeValue::L(list) => list.iter().map(|value| json(value, numbers)).collect(),
        AttributeValue::M(map) => {
            Value::Object(map.iter().map(|(name, value)| (name.clone(), json(value, numbers))).collect())
        }
    }
}

fn number_json(text: &str, numbers: Numbers) -> Value {
    let number = match numbers {
        Numbers::Text => None,
        Numbers::Exact => integer(text).or_else(|| double(text).filter(|number| reads_as(number, text))),
        Numbers::Doubles => integer(text).or_else(|| double(text)),
    };
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

fn integer(text: &str) -> Option<Number> {
    text.parse::<i64>().ok().map(Number::from)
}

fn double(text: &str) -> Option<Number> {
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// Whether a number's own text is the same decimal number.
fn reads_as(number: &Number, text: &str) -> bool {
    canonical_number(&number.to_string()) == canonical_number(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::sink::table::item;

    fn number(text: &str, numbers: Numbers) -> Value {
        number_json(text, numbers)
    }

    #[test]
    fn numbers_are_exact_or_text() {
        let exact = |text| number(text, Numbers::Exact);
        assert_eq!(exact("42"), json!(42));
        assert_eq!(exact("-0.1"), json!(-0.1));
        assert_eq!(exact("1E+30"), json!(1e30));
        assert_eq!(exact("9223372036854775807"), json!(i64::MAX));
        assert_eq!(exact("12345678901234567890123456789012345678"), json!("12345678901234567890123456789012345678"));
        assert_eq!(exact("0.12345678901234567890"), json!("0.12345678901234567890"));
        assert_eq!(exact("9007199254740993.5"), json!("9007199254740993.5"));
        assert_eq!(exact("1E-130"), json!(1e-130));
        assert_eq!(number("42", Numbers::Text), json!("42"));
        assert_eq!(number("0.12345678901234567890", Numbers::Doubles), json!(0.123_456_789_012_345_68));
    }

    #[test]
    fn every_kind_of_attribute_has_its_json() {
        let all = Item(item([
            ("s", AttributeValue::S("a".into())),
            ("b", AttributeValue::B(vec![0, 255])),
            ("yes", AttributeValue::Bool(true)),
            ("no", AttributeValue::Null(true)),
            ("ss", AttributeValue::Ss(vec!["a".into()])),
            ("ns", AttributeValue::Ns(vec!["1".into(), "2.5".into()])),
            ("bs", AttributeValue::Bs(vec![vec![1]])),
            ("l", AttributeValue::L(vec![AttributeValue::N("3".into())])),
            ("m", AttributeValue::M(item([("n", AttributeValue::N("4".into()))]).into_inner())),
        ]));
        let expected = json!({
            "s": "a", "b": "AP8=", "yes": true, "no": null, "ss": ["a"], "ns": [1, 2.5], "bs": ["AQ=="], "l": [3], "m": {"n": 4}
        });
        assert_eq!(all_attributes(&all).map(Value::Object), Some(expected));
    }

    proptest! {
        #[test]
        fn an_exact_number_is_the_number(digits in "-?[1-9][0-9]{0,37}", shift in -60..60_i64) {
            let text = format!("{digits}E{shift}");
            let json = number(&text, Numbers::Exact);
            let back = match &json {
                Value::String(same) => same.clone(),
                number => number.to_string(),
            };
            prop_assert_eq!(canonical_number(&back), canonical_number(&text));
        }
    }
}
