//! What holds for every item and every way to write it.

use std::collections::{BTreeMap, HashMap};

use proptest::{collection, option, prelude::*};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_dynamo::AttributeValue;

use super::{
    super::{Item, Number, de, find, lane, skip},
    generate::{self, Layout},
    oracle,
};

/// Whatever a deserializer offers to a visitor that takes anything.
#[derive(Debug, Clone, PartialEq)]
enum Anything {
    Text(String),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bytes(Vec<u8>),
    Bool(bool),
    Unit,
    Seq(Vec<Anything>),
    Map(BTreeMap<String, Anything>),
}

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anyone;

        impl<'de> Visitor<'de> for Anyone {
            type Value = Anything;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Anything, E> {
                Ok(Anything::Text(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Anything, E> {
                Ok(Anything::Unsigned(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Anything, E> {
                Ok(Anything::Signed(value))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Anything, E> {
                Ok(Anything::Float(value))
            }

            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Anything, E> {
                Ok(Anything::Bytes(bytes))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Anything, E> {
                Ok(Anything::Bool(value))
            }

            fn visit_unit<E: Error>(self) -> Result<Anything, E> {
                Ok(Anything::Unit)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Anything, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Anything::Seq(elements))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Anything, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    entries.insert(name, value);
                }
                Ok(Anything::Map(entries))
            }
        }

        deserializer.deserialize_any(Anyone)
    }
}

/// A type with one of each shape that serde knows and `serde_dynamo` reads.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Everything {
    text: String,
    maybe: Option<String>,
    #[serde(default)]
    absent: Option<u8>,
    tiny: i8,
    long: i64,
    size: u64,
    ratio: f64,
    small_ratio: f32,
    flag: bool,
    letter: char,
    nothing: (),
    list: Vec<String>,
    set: Vec<String>,
    numbers: Vec<i64>,
    pair: (String, i32),
    scores: HashMap<String, f64>,
    counts: BTreeMap<u32, i64>,
    address: Address,
    kind: Kind,
    shape: Shape,
    status: Status,
    event: Adjacent,
    either: Either,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Address {
    street: String,
    zip: Option<Zip>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Zip(String);

#[derive(Debug, Clone, PartialEq, Deserialize)]
enum Kind {
    Cat,
    Dog(u32),
    Bird { wings: u8 },
    Fish(String, i64),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type")]
enum Shape {
    Circle { radius: f64, points: u32 },
    Square { side: i64 },
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Open,
    Closed,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Moved { distance: u64 },
    Named(String),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Rest {
    extra: i64,
    more: Option<f64>,
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn m<const N: usize>(entries: [(&str, AttributeValue); N]) -> AttributeValue {
    AttributeValue::M(entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

prop_compose! {
    fn kind()(choice in 0..4, number: u8, text in generate::text()) -> AttributeValue {
        match choice {
            0 => s("Cat"),
            1 => m([("Dog", n(number))]),
            2 => m([("Bird", m([("wings", n(number))]))]),
            _ => m([("Fish", AttributeValue::L(vec![s(text), n(number)]))]),
        }
    }
}

prop_compose! {
    fn tagged()(first: bool, number: u32, ratio in -1e6..1e6f64, text in generate::text()) -> Vec<(&'static str, AttributeValue)> {
        if first {
            vec![
                ("shape", m([("radius", n(ratio)), ("type", s("Circle")), ("points", n(number))])),
                ("event", m([("t", s("Moved")), ("c", m([("distance", n(number))]))])),
                ("either", n(number)),
                ("status", s("open")),
            ]
        } else {
            vec![
                ("shape", m([("type", s("Square")), ("side", n(number))])),
                ("event", m([("c", s(text.clone())), ("t", s("Named"))])),
                ("either", s(text)),
                ("status", s("closed")),
            ]
        }
    }
}

prop_compose! {
    fn plain()(
        text in generate::text(), maybe in option::of(generate::text()), tiny: i8, long: i64, size: u64, ratio in -1e9..1e9f64,
        flag: bool, letter: char, list in collection::vec(generate::text(), 0..4), numbers in collection::vec(any::<i64>(), 0..4),
    ) -> Vec<(&'static str, AttributeValue)> {
        vec![
            ("text", s(text)),
            ("maybe", maybe.map_or(AttributeValue::Null(true), s)),
            ("tiny", n(tiny)),
            ("long", n(long)),
            ("size", n(size)),
            ("ratio", n(ratio)),
            ("small_ratio", n(ratio / 7.0)),
            ("flag", AttributeValue::Bool(flag)),
            ("letter", s(letter)),
            ("nothing", AttributeValue::Null(true)),
            ("list", AttributeValue::L(list.iter().cloned().map(s).collect())),
            ("set", AttributeValue::Ss(list)),
            ("numbers", AttributeValue::Ns(numbers.iter().map(ToString::to_string).collect())),
        ]
    }
}

prop_compose! {
    fn everything()(
        plain in plain(), kind in kind(), tagged in tagged(), entries in collection::hash_map(generate::name(), -1e3..1e3f64, 0..4),
        counts in collection::hash_map(any::<u32>(), any::<i64>(), 0..4), zip in option::of(generate::text()), extra: i64,
        unknown in generate::attribute(),
    ) -> HashMap<String, AttributeValue> {
        let scores = entries.into_iter().map(|(name, score)| (name, n(score))).collect();
        let counts = counts.into_iter().map(|(key, count)| (key.to_string(), n(count))).collect();
        let nested = vec![
            ("kind", kind),
            ("scores", AttributeValue::M(scores)),
            ("counts", AttributeValue::M(counts)),
            ("pair", AttributeValue::L(vec![s("left"), n(extra % 1000)])),
            ("address", m([("zip", zip.map_or(AttributeValue::Null(true), s)), ("street", s("Long Road")), ("attic", unknown)])),
            ("extra", n(extra)),
            ("more", n(extra / 3)),
        ];
        plain.into_iter().chain(tagged).chain(nested).map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

proptest! {
    #[test]
    fn items_are_read_without_loss(item in generate::item(), seed: u64) {
        let json = generate::json(&item, Layout::random(seed));
        prop_assert_eq!(de::item_from_json(json.as_bytes()).unwrap().into_inner(), item.clone());
        let Item(nested) = de::from_json(json.as_bytes()).unwrap();
        prop_assert_eq!(nested.into_inner(), item);
    }

    #[test]
    fn anything_reads_as_the_oracle_reads_it(item in generate::item(), seed: u64) {
        let json = generate::json(&item, Layout::random(seed));
        let expected: Anything = oracle::from_json(json.as_bytes()).unwrap();
        prop_assert_eq!(de::from_json::<Anything>(json.as_bytes()).unwrap(), expected);
    }

    #[test]
    fn every_type_reads_as_the_oracle_and_serde_dynamo_read_it(item in everything(), seed: u64) {
        let json = generate::json(&item, Layout::random(seed));
        let ours: Everything = de::from_json(json.as_bytes()).unwrap();
        prop_assert_eq!(&ours, &oracle::from_json(json.as_bytes()).unwrap());
        prop_assert_eq!(&ours, &serde_dynamo::from_item(serde_dynamo::Item::from(item)).unwrap());
    }

    #[test]
    fn every_text_and_name_comes_back(name in generate::name(), text in generate::text(), seed: u64) {
        let item = HashMap::from([(name.clone(), s(text.clone()))]);
        let json = generate::json(&item, Layout::random(seed));
        let read: HashMap<String, String> = de::from_json(json.as_bytes()).unwrap();
        prop_assert_eq!(read.get(&name), Some(&text));
        let found = find::text(json.as_bytes(), 0, &name).unwrap();
        prop_assert_eq!(found.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn integers_of_every_width_come_back(signed: i128, unsigned: u128, seed: u64) {
        let item = HashMap::from([("signed".to_owned(), n(signed)), ("unsigned".to_owned(), n(unsigned))]);
        let json = generate::json(&item, Layout::random(seed));
        #[derive(Deserialize)]
        struct Wide { signed: i128, unsigned: u128 }
        let wide: Wide = de::from_json(json.as_bytes()).unwrap();
        prop_assert_eq!((wide.signed, wide.unsigned), (signed, unsigned));
        let narrow: Result<HashMap<String, i32>, _> = de::from_json(json.as_bytes());
        prop_assert_eq!(narrow.is_ok(), i32::try_from(signed).is_ok() && i32::try_from(unsigned).is_ok());
    }

    #[test]
    fn numbers_come_back_as_text(number in generate::number(), seed: u64) {
        let json = generate::json(&HashMap::from([("n".to_owned(), n(&number))]), Layout::random(seed));
        let exact: HashMap<String, Number> = de::from_json(json.as_bytes()).unwrap();
        prop_assert_eq!(exact["n"].as_str(), number.as_str());
        let float: HashMap<String, f64> = de::from_json(json.as_bytes()).unwrap();
        prop_assert_eq!(float["n"], number.parse::<f64>().unwrap());
    }

    #[test]
    fn lanes_do_not_depend_on_the_layout(item in generate::item(), first: u64, second: u64) {
        let lane = |seed| lane::of(generate::json(&item, Layout::random(seed)).as_bytes(), 0);
        // Keys are S, N or B; other types count by their text.
        let keys_only = item.values().all(|value| matches!(value, AttributeValue::S(_) | AttributeValue::N(_) | AttributeValue::B(_)));
        prop_assert!(!keys_only || lane(first) == lane(second));
    }

    #[test]
    fn items_and_attributes_are_skipped_to_their_ends(item in generate::item(), value in generate::attribute(), seed: Option<u64>, rest: String) {
        let layout = || seed.map_or_else(Layout::compact, Layout::random);
        let json = generate::json(&item, layout());
        let whole = format!("{json},{rest}");
        prop_assert_eq!(skip::item(&whole.as_bytes()[1..]), Some(&whole.as_bytes()[json.len()..]));
        prop_assert_eq!(skip::value(whole.as_bytes()), Some(&whole.as_bytes()[json.len()..]));
        let one = generate::json(&HashMap::from([("a".to_owned(), value)]), layout());
        let value = &one[one.find(':').unwrap() + 1..one.len() - 1].trim();
        let whole = format!("{value},{rest}");
        prop_assert_eq!(skip::attribute(whole.as_bytes()), Some(&whole.as_bytes()[value.len()..]));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in collection::vec(any::<u8>(), 0..200)) {
        let _ = de::from_json::<Anything>(&bytes);
        let _ = de::from_json::<Everything>(&bytes);
        let _ = de::item_from_json(&bytes);
        let _ = find::text(&bytes, 0, "a");
        lane::of(&bytes, 0);
    }
}
