//! Patterns and records that have something to do with each other.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Map, Value, json};

/// Few, so that patterns and records meet.
const NAMES: [&str; 2] = ["a", "é \"x"];
const TEXTS: [&str; 9] = ["", "a", "b", "ab", "Ab", "aab", "é\n\"\\", "null", "1"];
const ATTRIBUTES: [&str; 3] = ["PK", "entityType", "weightKg"];

fn text() -> impl Strategy<Value = &'static str> {
    select(&TEXTS[..])
}

/// Numbers that a float holds exactly.
fn number() -> impl Strategy<Value = Value> {
    prop_oneof![(-2_i64..3).prop_map(Value::from), (-4_i32..4).prop_map(|quarters| json!(f64::from(quarters) / 4.0))]
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![4 => text().prop_map(Value::from), 2 => number(), 1 => any::<bool>().prop_map(Value::from), 1 => Just(Value::Null)]
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((select(&NAMES[..]), value), 0..5)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Objects in arrays in objects.
pub(crate) fn record() -> impl Strategy<Value = Value> {
    let value = scalar().prop_recursive(
        4,
        24,
        3,
        |inner| prop_oneof![3 => object(inner.clone()), 1 => vec(inner, 0..3).prop_map(Value::from)],
    );
    object(value)
}

fn range() -> impl Strategy<Value = (Value, Value)> {
    (number(), number()).prop_filter("a range", |(from, to)| from.as_f64() < to.as_f64())
}

/// The operators that quamina has as well.
pub(crate) fn common_alternative() -> BoxedStrategy<Value> {
    prop_oneof![
        6 => scalar(),
        1 => text().prop_map(|text| json!({"prefix": text})),
        1 => text().prop_map(|text| json!({"suffix": text})),
        1 => text().prop_map(|text| json!({"equals-ignore-case": text})),
        1 => select(&["a*", "*b", "*a*", "a*b", "ab", ""][..]).prop_map(|text| json!({"wildcard": text})),
        1 => vec(text(), 1..3).prop_map(|texts| json!({"anything-but": texts})),
        1 => number().prop_map(|number| json!({"numeric": ["=", number]})),
        1 => range().prop_map(|(from, to)| json!({"numeric": [">=", from, "<=", to]})),
    ]
    .boxed()
}

/// All operators but `cidr`.
pub(crate) fn any_alternative() -> BoxedStrategy<Value> {
    let full = || prop::sample::select(&TEXTS[1..]);
    prop_oneof![
        8 => common_alternative(),
        1 => any::<bool>().prop_map(|there| json!({"exists": there})),
        1 => text().prop_map(|text| json!({"anything-but": text})),
        1 => number().prop_map(|number| json!({"anything-but": number})),
        1 => vec(number(), 1..3).prop_map(|numbers| json!({"anything-but": numbers})),
        1 => (select(&["prefix", "suffix"][..]), vec(full(), 1..3)).prop_map(|(name, texts)| json!({"anything-but": {name: texts}})),
        1 => text().prop_map(|text| json!({"anything-but": {"equals-ignore-case": text}})),
        1 => select(&["a*", "*b", ""][..]).prop_map(|text| json!({"anything-but": {"wildcard": text}})),
        1 => Just(json!({"wildcard": "*"})),
        1 => (range(), select(&[">", ">="][..]), select(&["<", "<="][..]))
            .prop_map(|((from, to), above, below)| json!({"numeric": [above, from, below, to]})),
        1 => (select(&["<", "<=", ">", ">="][..]), number()).prop_map(|(operator, number)| json!({"numeric": [operator, number]})),
        1 => (select(&["prefix", "suffix"][..]), text()).prop_map(|(name, text)| json!({name: {"equals-ignore-case": text}})),
    ]
    .boxed()
}

/// The alternatives of a field; `exists` stands alone where quamina wants it so.
fn field(alternative: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    prop_oneof![
        5 => vec(alternative, 1..4).prop_map(Value::from),
        1 => any::<bool>().prop_map(|there| json!([{"exists": there}])),
    ]
    .boxed()
}

fn fields(below: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let members = vec((select(&NAMES[..]), below), 1..3);
    members.prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).boxed()
}

/// A pattern, perhaps with `$or` in it.
pub(crate) fn pattern(alternative: BoxedStrategy<Value>, with_or: bool) -> BoxedStrategy<Value> {
    let inner = field(alternative).prop_recursive(2, 6, 2, move |below| match with_or {
        false => fields(below.boxed()),
        true => {
            let or = (fields(below.clone().boxed()), vec(fields(below.clone().boxed()), 2..4), any::<bool>());
            prop_oneof![4 => fields(below.boxed()), 1 => or.prop_map(with_branches)].boxed()
        }
    });
    fields(inner.boxed())
}

fn with_branches((fields, branches, alone): (Value, Vec<Value>, bool)) -> Value {
    let mut all = if alone { Map::new() } else { fields.as_object().expect("fields").clone() };
    all.insert("$or".to_owned(), branches.into());
    Value::Object(all)
}

fn attribute() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        4 => text().prop_map(|text| json!({"S": text})),
        2 => number().prop_map(|number| json!({"N": number.to_string()})),
        1 => any::<bool>().prop_map(|value| json!({"BOOL": value})),
        1 => Just(json!({"NULL": true})),
        1 => vec(text(), 1..3).prop_map(|texts| json!({"SS": texts})),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|elements| json!({"L": elements})),
            image_of(inner).prop_map(|members| json!({"M": members})),
        ]
    })
    .boxed()
}

fn image_of(attribute: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((select(&ATTRIBUTES[..]), attribute), 0..4)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A record as Lambda delivers it, more or less.
pub(crate) fn dynamodb_record() -> impl Strategy<Value = Value> {
    let image = || prop::option::of(image_of(attribute()));
    (select(&["INSERT", "MODIFY", "REMOVE"][..]), image_of(attribute()), image(), image()).prop_map(
        |(name, keys, new, old)| {
            let mut change =
                json!({"ApproximateCreationDateTime": 1.66e9, "Keys": keys, "SequenceNumber": "1", "SizeBytes": 4});
            for (part, image) in [("NewImage", new), ("OldImage", old)] {
                if let Some(image) = image {
                    change[part] = image;
                }
            }
            json!({"eventID": "1", "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change})
        },
    )
}

/// A pattern for such records.
pub(crate) fn dynamodb_pattern(alternative: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let kind = select(&["S", "N", "BOOL", "NULL", "SS"][..]);
    let attribute = (kind, field(alternative)).prop_map(|(kind, field)| json!({kind: field}));
    let attribute = attribute.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| json!({"L": inner})),
            image_pattern(inner).prop_map(|members| json!({"M": members}))
        ]
    });
    let part = (select(&["Keys", "NewImage", "OldImage"][..]), image_pattern(attribute));
    let names = prop::option::of(vec(select(&["INSERT", "MODIFY", "REMOVE"][..]), 1..3));
    (vec(part, 1..3), names).prop_map(|(parts, names)| {
        let change: Map<String, Value> = parts.into_iter().map(|(part, fields)| (part.to_owned(), fields)).collect();
        match names {
            Some(names) => json!({"eventName": names, "dynamodb": change}),
            None => json!({"dynamodb": change}),
        }
    })
}

fn image_pattern(attribute: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((select(&ATTRIBUTES[..]), attribute), 1..3)
        .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
