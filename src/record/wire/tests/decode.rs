//! What single types read, and refuse, case by case.

use std::{borrow::Cow, collections::HashMap};

use serde::{Deserialize, de::DeserializeOwned};

use super::super::{
    DecodeError, DecodeReason, EventWriter, Image, Item, ItemJson, Number, Origin, RawRecord, RecordParts, Timestamp,
    de, find, split,
};

/// Reads the attribute `a` of an item.
fn read<T: DeserializeOwned>(attribute: &str) -> Result<T, DecodeError> {
    #[derive(Deserialize)]
    struct Holder<T> {
        a: T,
    }
    de::from_json::<Holder<T>>(format!(r#"{{"a":{attribute}}}"#).as_bytes()).map(|holder| holder.a)
}

fn reason<T: DeserializeOwned + std::fmt::Debug>(attribute: &str) -> DecodeReason {
    read::<T>(attribute).unwrap_err().reason().clone()
}

/// Binary data, as `serde_bytes` has it.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Bytes, E> {
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[test]
fn integers_are_exact_or_refused() {
    assert_eq!(read::<u8>(r#"{"N":"255"}"#).unwrap(), 255);
    assert_eq!(read::<i8>(r#"{"N":"-128"}"#).unwrap(), -128);
    assert_eq!(read::<u64>(r#"{"N":"18446744073709551615"}"#).unwrap(), u64::MAX);
    assert_eq!(read::<i64>(r#"{"N":"-9223372036854775808"}"#).unwrap(), i64::MIN);
    assert_eq!(read::<u128>(r#"{"N":"340282366920938463463374607431768211455"}"#).unwrap(), u128::MAX);
    assert_eq!(read::<i128>(r#"{"N":"-170141183460469231731687303715884105728"}"#).unwrap(), i128::MIN);
    assert_eq!(read::<u32>(r#"{"N":"1E2"}"#).unwrap(), 100);
    assert_eq!(read::<i32>(r#"{"N":"-12.50E1"}"#).unwrap(), -125);
    assert_eq!(read::<u32>(r#"{"N":"-0"}"#).unwrap(), 0);
    assert_eq!(reason::<u8>(r#"{"N":"256"}"#), DecodeReason::OutOfRange { target: "u8" });
    assert_eq!(reason::<u8>(r#"{"N":"-1"}"#), DecodeReason::OutOfRange { target: "u8" });
    assert_eq!(reason::<u64>(r#"{"N":"1E30"}"#), DecodeReason::OutOfRange { target: "u64" });
    assert_eq!(reason::<i64>(&format!(r#"{{"N":"{}"}}"#, "9".repeat(60))), DecodeReason::OutOfRange { target: "i64" });
    assert_eq!(reason::<i64>(r#"{"N":"1.5"}"#), DecodeReason::NotAnInteger);
    assert_eq!(reason::<i64>(r#"{"N":"abc"}"#), DecodeReason::NotANumber);
    assert_eq!(reason::<i64>(r#"{"N":""}"#), DecodeReason::NotANumber);
    assert!(matches!(reason::<i64>(r#"{"S":"1"}"#), DecodeReason::WrongType { found: "S", .. }));
}

#[test]
fn floats_are_the_nearest_and_finite() {
    assert_eq!(read::<f64>(r#"{"N":"4.25"}"#).unwrap(), 4.25);
    assert_eq!(read::<f64>(r#"{"N":"-0.1"}"#).unwrap(), -0.1);
    assert_eq!(read::<f64>(r#"{"N":"9.9999999999999999999999999999999999999E+125"}"#).unwrap(), 1e126);
    assert_eq!(read::<f64>(r#"{"N":"1E-130"}"#).unwrap(), 1e-130);
    assert_eq!(read::<f64>(r#"{"N":"0.30000000000000004"}"#).unwrap(), 0.1 + 0.2);
    assert_eq!(read::<f32>(r#"{"N":"16777217"}"#).unwrap(), 16_777_216.0);
    assert_eq!(read::<f64>(r#"{"N":"12"}"#).unwrap(), 12.0);
    assert_eq!(reason::<f32>(r#"{"N":"1E40"}"#), DecodeReason::OutOfRange { target: "f32" });
    assert_eq!(reason::<f64>(r#"{"N":"NaN"}"#), DecodeReason::NotANumber);
    assert_eq!(reason::<f64>(r#"{"N":"inf"}"#), DecodeReason::NotANumber);
}

#[test]
fn exact_text_survives() {
    let digits = "1.2345678901234567890123456789012345678E-100";
    assert_eq!(read::<Number>(&format!(r#"{{"N":"{digits}"}}"#)).unwrap().as_str(), digits);
    assert_eq!(read::<String>(&format!(r#"{{"N":"{digits}"}}"#)).unwrap(), digits);
    assert_eq!(read::<Option<Number>>(r#"{"NULL":true}"#).unwrap(), None);
    assert_eq!(read::<Vec<Number>>(r#"{"NS":["1","2.50"]}"#).unwrap()[1].as_str(), "2.50");
    assert_eq!(reason::<Number>(r#"{"N":"1,5"}"#), DecodeReason::NotANumber);
    assert!(matches!(reason::<Number>(r#"{"S":"1"}"#), DecodeReason::WrongType { found: "S", .. }));
}

#[test]
fn a_number_behind_a_serde_buffer_is_exact_or_refused() {
    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Debug, Deserialize)]
    struct Inner {
        number: Number,
    }
    let whole: Outer = de::from_json(br#"{"number":{"N":"18446744073709551615"}}"#).unwrap();
    assert_eq!(whole.inner.number.as_str(), "18446744073709551615");
    assert!(de::from_json::<Outer>(br#"{"number":{"N":"0.1"}}"#).is_err());
}

#[test]
fn binary_reads_into_bytes_in_every_form() {
    assert_eq!(read::<Bytes>(r#"{"B":"AAEqQQ=="}"#).unwrap(), Bytes(vec![0, 1, 42, 65]));
    assert_eq!(read::<Vec<u8>>(r#"{"B":"AAEqQQ=="}"#).unwrap(), [0, 1, 42, 65]);
    assert_eq!(read::<[u8; 4]>(r#"{"B":"AAEqQQ=="}"#).unwrap(), [0, 1, 42, 65]);
    assert!(read::<Vec<u8>>(r#"{"B":""}"#).unwrap().is_empty());
    assert_eq!(read::<Vec<u8>>(r#"{"B":"\/\/8="}"#).unwrap(), [255, 255]);
    assert_eq!(read::<Vec<Bytes>>(r#"{"BS":["AA==","AQ=="]}"#).unwrap(), [Bytes(vec![0]), Bytes(vec![1])]);
    assert_eq!(read::<Vec<Vec<u8>>>(r#"{"BS":["AA=="]}"#).unwrap(), [[0]]);
    assert_eq!(read::<Vec<u8>>(r#"{"NS":["7","8"]}"#).unwrap(), [7, 8]);
    for broken in ["A", "AAEqQQ=", "AAEqQQ", "AA EqQQ==", "AAEq-_==", "é"] {
        assert_eq!(reason::<Bytes>(&format!(r#"{{"B":"{broken}"}}"#)), DecodeReason::BadBase64, "{broken}");
    }
    assert!(matches!(reason::<Bytes>(r#"{"S":"AA=="}"#), DecodeReason::WrongType { found: "S", .. }));
}

#[test]
fn options_units_and_booleans() {
    assert_eq!(read::<Option<String>>(r#"{"NULL":true}"#).unwrap(), None);
    assert_eq!(read::<Option<String>>(r#"{"S":"x"}"#).unwrap(), Some("x".to_owned()));
    assert_eq!(read::<Option<Option<bool>>>(r#"{"BOOL":false}"#).unwrap(), Some(Some(false)));
    assert_eq!(
        read::<Option<Vec<Option<i32>>>>(r#"{"L":[{"N":"1"},{"NULL":true}]}"#).unwrap(),
        Some(vec![Some(1), None])
    );
    read::<()>(r#"{"NULL":true}"#).unwrap();
    assert!(read::<bool>(r#"{"BOOL":true}"#).unwrap());
    assert!(matches!(reason::<bool>(r#"{"S":"true"}"#), DecodeReason::WrongType { found: "S", .. }));
    assert!(matches!(reason::<bool>(r#"{"BOOL":"true"}"#), DecodeReason::Syntax { .. }));
    assert!(matches!(reason::<()>(r#"{"S":""}"#), DecodeReason::WrongType { found: "S", .. }));
}

#[test]
fn strings_are_borrowed_where_nothing_is_escaped() {
    #[derive(Deserialize)]
    struct Borrowed<'a> {
        name: &'a str,
    }
    let json = br#"{"name":{"S":"no escapes: \u00e9"}}"#;
    assert!(de::from_json::<Borrowed<'_>>(json).is_err());
    let json = "{\"name\":{\"S\":\"plain é\"}}".as_bytes();
    let read: Borrowed<'_> = de::from_json(json).unwrap();
    assert!(json.as_ptr_range().contains(&read.name.as_ptr()));
    assert_eq!(read.name, "plain é");
    let read: HashMap<&str, &str> = de::from_json(json).unwrap();
    assert_eq!(read["name"], "plain é");
}

#[test]
fn surrogates_pair_or_fail() {
    assert_eq!(read::<String>(r#"{"S":"\uD83D\uDE00!"}"#).unwrap(), "😀!");
    assert_eq!(reason::<String>(r#"{"S":"\uD83D!"}"#), DecodeReason::BadEscape);
    assert_eq!(reason::<String>(r#"{"S":"\x"}"#), DecodeReason::BadEscape);
    assert_eq!(read::<char>(r#"{"S":"é"}"#).unwrap(), 'é');
    assert!(read::<char>(r#"{"S":"éé"}"#).is_err());
}

#[test]
fn map_keys_can_be_numbers_booleans_and_enums() {
    #[derive(Debug, PartialEq, Eq, Hash, Deserialize)]
    enum Day {
        Monday,
    }
    assert!(read::<HashMap<i64, bool>>(r#"{"M":{"-7":{"BOOL":true}}}"#).unwrap()[&-7]);
    assert_eq!(
        read::<HashMap<u128, u8>>(r#"{"M":{"340282366920938463463374607431768211455":{"N":"1"}}}"#).unwrap()
            [&u128::MAX],
        1
    );
    assert_eq!(read::<HashMap<bool, u8>>(r#"{"M":{"true":{"N":"1"}}}"#).unwrap()[&true], 1);
    assert_eq!(read::<HashMap<Day, u8>>(r#"{"M":{"Monday":{"N":"1"}}}"#).unwrap()[&Day::Monday], 1);
    assert_eq!(read::<HashMap<char, u8>>(r#"{"M":{"x":{"N":"1"}}}"#).unwrap()[&'x'], 1);
    assert!(matches!(reason::<HashMap<u8, u8>>(r#"{"M":{"x":{"N":"1"}}}"#), DecodeReason::NotANumber));
}

#[test]
fn a_whole_item_can_be_an_enum_an_option_or_a_newtype() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "entityType", rename_all = "UPPERCASE")]
    enum Entity {
        Pet { name: String, age: u8, weight: f64 },
        Activity { at: u64 },
    }
    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapper(Option<Entity>);
    let pet = br#"{"name":{"S":"Rex"},"age":{"N":"3"},"entityType":{"S":"PET"},"weight":{"N":"4.5"}}"#;
    let read: Wrapper = de::from_json(pet).unwrap();
    assert_eq!(read, Wrapper(Some(Entity::Pet { name: "Rex".to_owned(), age: 3, weight: 4.5 })));
    assert_eq!(
        de::from_json::<Entity>(br#"{"entityType":{"S":"ACTIVITY"},"at":{"N":"5"}}"#).unwrap(),
        Entity::Activity { at: 5 }
    );
    assert!(de::from_json::<Entity>(br#"{"entityType":{"S":"OWNER"}}"#).is_err());
    de::from_json::<serde::de::IgnoredAny>(pet).unwrap();
}

#[test]
fn items_nest_in_types() {
    #[derive(Deserialize)]
    struct Outer {
        id: String,
        payload: Item,
        history: Vec<Item>,
    }
    let json = br#"{"id":{"S":"1"},"payload":{"M":{"set":{"NS":["1","1E3"]}}},"history":{"L":[{"M":{}},{"M":{"b":{"B":"AA=="}}}]}}"#;
    let outer: Outer = de::from_json(json).unwrap();
    assert_eq!(outer.id, "1");
    assert_eq!(outer.payload.0["set"], serde_dynamo::AttributeValue::Ns(vec!["1".to_owned(), "1E3".to_owned()]));
    assert_eq!(outer.history[1].0["b"], serde_dynamo::AttributeValue::B(vec![0]));
    assert!(serde_json::from_str::<Item>("{}").is_err(), "only an image knows the types of its attributes");
}

#[test]
fn unknown_attributes_are_skipped_by_structure() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Small {
        a: u8,
    }
    let json =
        br#"{"x":{"L":[{"M":{"}":{"S":"\"}"}}},{"SS":["]"]}]},"a":{"N":"1"},"y":{"what":{"ever":[1,null,2.5e3]}}}"#;
    assert_eq!(de::from_json::<Small>(json).unwrap(), Small { a: 1 });
}

#[test]
fn an_attribute_value_has_one_known_tag() {
    assert_eq!(reason::<String>(r#"{"S":"x","N":"1"}"#), DecodeReason::ExtraTag);
    assert_eq!(reason::<String>(r#"{"S":"x","S":"y"}"#), DecodeReason::ExtraTag);
    assert_eq!(reason::<String>(r#"{"X":"x"}"#), DecodeReason::UnknownTag);
    assert_eq!(reason::<String>(r#"{"s":"x"}"#), DecodeReason::UnknownTag);
    assert_eq!(reason::<String>("{}"), DecodeReason::UnknownTag);
    assert!(matches!(reason::<String>(r#""x""#), DecodeReason::Syntax { .. }));
    assert!(matches!(reason::<String>(r#"{"S":{"S":"x"}}"#), DecodeReason::Syntax { .. }));
    assert!(matches!(reason::<String>(r#"{"S":7}"#), DecodeReason::Syntax { .. }));
    assert!(matches!(reason::<Vec<u8>>(r#"{"L":{"N":"1"}}"#), DecodeReason::Syntax { .. }));
}

#[test]
fn tuples_take_all_elements() {
    assert_eq!(read::<(u8, String)>(r#"{"L":[{"N":"1"},{"S":"x"}]}"#).unwrap(), (1, "x".to_owned()));
    assert_eq!(reason::<(u8,)>(r#"{"L":[{"N":"1"},{"S":"x"}]}"#), DecodeReason::TooMany);
    assert!(matches!(reason::<(u8, u8)>(r#"{"L":[{"N":"1"}]}"#), DecodeReason::WrongLength { length: 1, .. }));
}

#[test]
fn nesting_is_bounded_by_sixty_four_levels() {
    #[derive(Debug, Deserialize)]
    struct Nested(#[expect(dead_code, reason = "only its depth matters")] Vec<Nested>);
    let deep = |levels: usize| format!("{}{}", r#"{"L":["#.repeat(levels), "]}".repeat(levels));
    read::<Nested>(&deep(62)).unwrap();
    assert_eq!(reason::<Nested>(&deep(64)), DecodeReason::TooDeep);
    assert_eq!(reason::<Nested>(&deep(100_000)), DecodeReason::TooDeep);
    assert!(de::item_from_json(format!(r#"{{"a":{}}}"#, deep(100_000)).as_bytes()).is_err());
}

#[test]
fn one_attribute_is_found_without_decoding_the_others() {
    let payload = br#"{"Records":[{"eventName":"INSERT","dynamodb":{"SequenceNumber":"1","NewImage":
        {"x":{"M":{"entityType":{"S":"inner"}}},"note":{"S":"\"entityType\":{\"S\":\"quoted\"}"},"entity\u0054ype":{"S":"P\u0045T"},
         "age":{"N":"3"},"bad":{"B":"AA=="}, "odd":{"S":"\ud800"}}}}]}"#;
    let record = split(payload.as_slice().into()).unwrap().next().unwrap().unwrap();
    let image = record.new_image().unwrap();
    assert_eq!(image.attribute("entityType").unwrap().as_deref(), Some("PET"));
    assert_eq!(image.attribute("age").unwrap().as_deref(), Some("3"));
    assert_eq!(image.attribute("absent").unwrap(), None);
    assert_eq!(image.attribute("bad").unwrap_err().path(), "Records[0].dynamodb.NewImage.bad");
    assert_eq!(*image.attribute("odd").unwrap_err().reason(), DecodeReason::BadEscape);
}

/// The short way to an attribute finds what the long way finds, and nothing that only looks like it.
#[test]
fn an_attribute_is_found_at_the_top_level_only() {
    let tag =
        |json: &'static str| find::text(json.as_bytes(), 0, "kind").map(|text| text.map(|text| text.into_owned()));
    let found = |json| tag(json).expect("a text or nothing");
    assert_eq!(found(r#"{"a":{"S":"x"},"kind":{"S":"PET"},"b":{"N":"1"}}"#).as_deref(), Some("PET"));
    assert_eq!(found(r#"{"kind":{"N":"7"}}"#).as_deref(), Some("7"));
    assert_eq!(found(r#"{ "kind" : { "S" : "PET" } }"#).as_deref(), Some("PET"));
    assert_eq!(found(r#"{"k\u0069nd":{"S":"P\u0045T"}}"#).as_deref(), Some("PET"));
    assert_eq!(found(r#"{"m":{"M":{"kind":{"S":"INNER"}}},"kind":{"S":"PET"}}"#).as_deref(), Some("PET"));
    assert_eq!(found(r#"{"m":{"M":{"kind":{"S":"INNER"}}}}"#), None);
    assert_eq!(found(r#"{"l":{"L":[{"M":{"kind":{"S":"INNER"}}}]},"x":{"S":"\"kind\":{\"S\":\"NO\""}}"#), None);
    assert_eq!(found(r#"{"kinds":{"S":"NO"},"skind":{"S":"NO"}}"#), None);
    assert_eq!(found("{}"), None);
    assert!(tag(r#"{"kind":{"BOOL":true}}"#).is_err());
    assert!(tag(r#"{"kind":{"SS":["PET"]}}"#).is_err());
}

#[test]
fn a_watched_attribute_is_the_same_attribute() {
    let images = [
        r#"{"a":{"S":"x"},"kind":{"S":"PET"},"b":{"N":"1"}}"#,
        r#"{"kind":{"N":"7"},"m":{"M":{"kind":{"S":"INNER"}}}}"#,
        r#"{"m":{"M":{"kind":{"S":"INNER"}}},"x":{"S":"\"kind\":{\"S\":\"NO\""}}"#,
        r#"{"k\u0069nd":{"S":"P\u0045T"}}"#,
        r#"{"kind":{"S":"P\u0045T"}}"#,
        r#"{ "kind" : { "S" : "PET" } }"#,
        r#"{"kind":{"S":"FIRST"},"kind":{"S":"SECOND"}}"#,
        r#"{"kind":{"BOOL":true}}"#,
        r#"{"other":{"S":"PET"}}"#,
    ];
    let mut event = EventWriter::new();
    for image in images {
        event.push(&RecordParts {
            origin: Origin::Stream,
            event_id: Some("1".into()),
            event_name: Some("MODIFY".into()),
            region: Some("eu-west-1".into()),
            source_arn: Some("arn".into()),
            created_at: Some(Timestamp::from_nanos(1_000_000_000)),
            keys: Some(ItemJson::from_json(r#"{"a":{"S":"x"}}"#)),
            new_image: Some(ItemJson::from_json(image)),
            old_image: Some(ItemJson::from_json(image)),
            sequence_number: Some("1".into()),
            size_bytes: Some(1),
            view_type: Some("NEW_AND_OLD_IMAGES".into()),
            identity: None,
        });
    }
    let payload = event.finish();
    let read = |watched: &str| {
        let records = split(payload.clone()).unwrap().watching(watched).map(Result::unwrap);
        let found = |image: Image<'_>| image.attribute_bytes("kind").map(|text| text.map(Cow::into_owned)).ok();
        let both = |record: RawRecord| (found(record.new_image().unwrap()), found(record.old_image().unwrap()));
        records.map(both).collect::<Vec<_>>()
    };
    assert_eq!(read("kind"), read("something else"));
    assert_eq!(read("kind")[0], (Some(Some(b"PET".to_vec())), Some(Some(b"PET".to_vec()))));
}
