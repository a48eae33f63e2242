//! Random items, and every way to write them as JSON.

use std::collections::HashMap;

use proptest::{collection, prelude::*};
use serde_dynamo::AttributeValue;

/// A small source of layout decisions (xorshift), so that one seed is one text.
pub(super) struct Layout {
    state: u64,
    /// Whether to write anything that a plain JSON writer would not.
    odd: bool,
}

impl Layout {
    /// No whitespace, no escapes but the necessary.
    pub(super) fn compact() -> Self {
        Self { state: 1, odd: false }
    }

    /// Whitespace, escapes and order at random.
    pub(super) fn random(seed: u64) -> Self {
        Self { state: seed | 1, odd: true }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % bound
    }

    pub(super) fn space(&mut self, json: &mut String) {
        while self.odd && self.below(4) == 0 {
            json.push([' ', '\n', '\t', '\r'][self.below(4)]);
        }
    }

    pub(super) fn token(&mut self, json: &mut String, token: &str) {
        self.space(json);
        json.push_str(token);
        self.space(json);
    }

    pub(super) fn string(&mut self, json: &mut String, text: &str) {
        json.push('"');
        for character in text.chars() {
            self.character(json, character);
        }
        json.push('"');
    }

    fn character(&mut self, json: &mut String, character: char) {
        let escape = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\t' => "\\t",
            '/' if self.odd && self.below(2) == 0 => "\\/",
            _ => "",
        };
        if (self.odd && self.below(16) == 0) || (escape.is_empty() && character < ' ') {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let digits = if self.below(2) == 0 { format!("\\u{unit:04x}") } else { format!("\\u{unit:04X}") };
                json.push_str(&digits);
            }
        } else if escape.is_empty() {
            json.push(character);
        } else {
            json.push_str(escape);
        }
    }

    pub(super) fn list<T>(
        &mut self,
        json: &mut String,
        elements: &[T],
        mut write: impl FnMut(&mut Self, &mut String, &T),
    ) {
        self.token(json, "[");
        for (index, element) in elements.iter().enumerate() {
            if index > 0 {
                self.token(json, ",");
            }
            write(self, json, element);
        }
        self.token(json, "]");
    }

    /// An object; its members in the given order, or in any.
    pub(super) fn object<T>(
        &mut self,
        json: &mut String,
        mut members: Vec<(&str, T)>,
        mut write: impl FnMut(&mut Self, &mut String, T),
    ) {
        if self.odd {
            (1..members.len()).rev().for_each(|index| {
                let other = self.below(index + 1);
                members.swap(index, other);
            });
        }
        self.token(json, "{");
        for (index, (name, value)) in members.into_iter().enumerate() {
            if index > 0 {
                self.token(json, ",");
            }
            self.string(json, name);
            self.token(json, ":");
            write(self, json, value);
        }
        self.token(json, "}");
    }

    pub(super) fn item(&mut self, json: &mut String, item: &HashMap<String, AttributeValue>) {
        let mut members: Vec<_> = item.iter().map(|(name, value)| (name.as_str(), value)).collect();
        members.sort_by_key(|(name, _)| *name);
        self.object(json, members, |layout, json, value| layout.attribute(json, value));
    }

    fn attribute(&mut self, json: &mut String, value: &AttributeValue) {
        let tag = match value {
            AttributeValue::S(_) => "S",
            AttributeValue::N(_) => "N",
            AttributeValue::B(_) => "B",
            AttributeValue::Bool(_) => "BOOL",
            AttributeValue::Null(_) => "NULL",
            AttributeValue::M(_) => "M",
            AttributeValue::L(_) => "L",
            AttributeValue::Ss(_) => "SS",
            AttributeValue::Ns(_) => "NS",
            AttributeValue::Bs(_) => "BS",
        };
        self.object(json, vec![(tag, value)], |layout, json, value| layout.payload(json, value));
    }

    fn payload(&mut self, json: &mut String, value: &AttributeValue) {
        match value {
            AttributeValue::S(text) | AttributeValue::N(text) => self.string(json, text),
            AttributeValue::B(bytes) => self.binary(json, bytes),
            AttributeValue::Bool(value) | AttributeValue::Null(value) => {
                json.push_str(if *value { "true" } else { "false" })
            }
            AttributeValue::M(entries) => self.item(json, entries),
            AttributeValue::L(values) => self.list(json, values, |layout, json, value| layout.attribute(json, value)),
            AttributeValue::Ss(texts) | AttributeValue::Ns(texts) => {
                self.list(json, texts, |layout, json, text| layout.string(json, text));
            }
            AttributeValue::Bs(values) => self.list(json, values, |layout, json, bytes| layout.binary(json, bytes)),
        }
    }

    fn binary(&mut self, json: &mut String, bytes: &[u8]) {
        self.string(json, &base64_simd::STANDARD.encode_to_string(bytes));
    }
}

/// Names of attributes: mostly ordinary, some odd.
pub(super) fn name() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-zA-Z][a-zA-Z0-9_]{0,20}", 1 => any::<String>(), 1 => "(S|N|B|M|L|Records|eventID|SequenceNumber)"]
}

/// Texts: short and long, with what JSON has to escape.
pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,40}",
        2 => "\\PC{0,20}",
        1 => any::<String>(),
        1 => "[a-z \"\\\\/\n{}\\[\\],:]{0,120}",
        1 => Just(r#"]},{"eventID":"1","eventName":"INSERT","dynamodb":{"SequenceNumber":"666"}}"#.to_owned()),
    ]
}

/// Numbers as DynamoDB writes them, and in notations that other writers use.
pub(super) fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i32>().prop_map(|n| n.to_string()),
        any::<i128>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        "-?[1-9][0-9]{0,15}\\.[0-9]{1,20}",
        "-?[1-9]E[0-9]{1,2}",
        "-?[1-9]\\.[0-9]{1,5}E-?[0-9]{1,2}",
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    collection::vec(any::<u8>(), 0..50)
}

/// Any attribute value.
pub(super) fn attribute() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        3 => text().prop_map(AttributeValue::S),
        3 => number().prop_map(AttributeValue::N),
        1 => bytes().prop_map(AttributeValue::B),
        1 => any::<bool>().prop_map(AttributeValue::Bool),
        1 => Just(AttributeValue::Null(true)),
        1 => collection::vec(text(), 0..4).prop_map(AttributeValue::Ss),
        1 => collection::vec(number(), 0..4).prop_map(AttributeValue::Ns),
        1 => collection::vec(bytes(), 0..4).prop_map(AttributeValue::Bs),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(AttributeValue::L),
            collection::hash_map(name(), inner, 0..4).prop_map(AttributeValue::M),
        ]
    })
}

/// Any item; it has at least one attribute, as items have keys.
pub(super) fn item() -> impl Strategy<Value = HashMap<String, AttributeValue>> {
    collection::hash_map(name(), attribute(), 1..8)
}

/// The JSON of an item, in a random layout or compact.
pub(super) fn json(item: &HashMap<String, AttributeValue>, mut layout: Layout) -> String {
    let mut json = String::new();
    layout.item(&mut json, item);
    json.trim().to_owned()
}
