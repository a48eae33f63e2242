//! What is built parses, has no traps, and matches what it says.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    pattern::{Condition, Filter, Pattern, PatternReason, Type, attribute},
    record::EventName,
};

fn built(filter: Filter) -> Pattern {
    let pattern = filter.build().expect("a pattern");
    assert_eq!(pattern.warnings(), [], "{pattern}");
    pattern
}

fn matches(pattern: &Pattern, record: &Value) -> bool {
    pattern.matches_json(record.to_string().as_bytes()).expect("a record")
}

#[test]
fn inserts_of_pets() {
    let pattern = built(Filter::new().events([EventName::Insert]).new_image(attribute("entityType").is("PET")));
    let record =
        |name: &str, entity: &str| json!({"eventName": name, "dynamodb": {"NewImage": {"entityType": {"S": entity}}}});
    assert!(matches(&pattern, &record("INSERT", "PET")));
    assert!(!matches(&pattern, &record("MODIFY", "PET")));
    assert!(!matches(&pattern, &record("INSERT", "USER")));
}

#[test]
fn esm_14_time_to_live_only_or_not_at_all() {
    let by = |identity: Value| json!({"eventName": "REMOVE", "userIdentity": identity, "dynamodb": {}});
    let ttl = by(json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"}));
    let others = [
        by(json!({"type": "Service", "principalId": "replication.amazonaws.com"})),
        by(Value::Null),
        json!({"dynamodb": {}}),
    ];
    let (only, without) = (built(Filter::new().time_to_live_only()), built(Filter::new().without_time_to_live()));
    assert!(matches(&only, &ttl) && !matches(&without, &ttl));
    for other in others {
        assert!(!matches(&only, &other) && matches(&without, &other), "{other}");
    }
}

#[test]
fn either_image_keeps_removals() {
    let pattern = built(
        Filter::new()
            .either_image(attribute("entityType").is("PET"))
            .either_image(attribute("species").is("cat"))
            .keys(attribute("PK").begins_with("USER#")),
    );
    let pet = |entity: &str, species: &str| json!({"entityType": {"S": entity}, "species": {"S": species}});
    let record = |new: Value, old: Value| json!({"dynamodb": {"Keys": {"PK": {"S": "USER#1"}}, "NewImage": new, "OldImage": old}});
    assert!(matches(&pattern, &record(json!({}), pet("PET", "cat"))));
    assert!(matches(&pattern, &record(pet("PET", "cat"), pet("USER", "dog"))));
    assert!(!matches(&pattern, &record(pet("PET", "dog"), pet("USER", "cat"))), "both in one image");
}

#[test]
fn every_condition_matches_what_it_says() {
    let cases: Vec<(Condition, Value, Value)> = vec![
        (attribute("a").is("x"), json!({"S": "x"}), json!({"S": "y"})),
        (attribute("a").is(5), json!({"N": "5"}), json!({"N": "6"})),
        (attribute("a").is(true), json!({"BOOL": true}), json!({"BOOL": false})),
        (attribute("a").is_one_of(["x", "y"]), json!({"S": "y"}), json!({"S": "z"})),
        (attribute("a").is_none_of(["x", "y"]), json!({"S": "z"}), json!({"S": "y"})),
        (attribute("a").is_none_of(["x"]), json!({"S": ""}), json!({"N": "1"})),
        (attribute("a").is_in_any_case("Cat"), json!({"S": "CAT"}), json!({"S": "CATS"})),
        (attribute("a").begins_with("x"), json!({"S": "xy"}), json!({"S": "yx"})),
        (attribute("a").ends_with("x"), json!({"S": "yx"}), json!({"S": "xy"})),
        (attribute("a").contains("x"), json!({"SS": ["w", "x"]}), json!({"SS": ["w"]})),
        (attribute("a").member("b").is("x"), json!({"M": {"b": {"S": "x"}}}), json!({"S": "x"})),
        (attribute("a").exists(Type::Binary), json!({"B": "aGk="}), json!({"S": "aGk="})),
        (attribute("a").is_absent(Type::Null), json!({"S": "x"}), json!({"NULL": true})),
    ];
    for (condition, yes, no) in cases {
        let pattern = built(Filter::new().new_image(condition));
        let record = |value: &Value| json!({"dynamodb": {"NewImage": {"a": value, "b": {"S": "x"}}}});
        assert!(matches(&pattern, &record(&yes)), "{pattern} {yes}");
        assert!(!matches(&pattern, &record(&no)), "{pattern} {no}");
    }
}

#[test]
fn nothing_asked_is_nothing_built() {
    assert_eq!(Filter::new().build().unwrap_err().reason(), &PatternReason::EmptyObject);
    assert_eq!(Filter::new().events([]).build().unwrap_err().reason(), &PatternReason::NoAlternatives);
}

fn condition() -> impl Strategy<Value = (String, u8, String)> {
    ("[a-zA-Z#'\\\\\" é/]{1,6}", 0_u8..6, "[a-z#'\\\\\"é]{0,4}")
}

fn holds(kind: u8, operand: &str, value: &str) -> bool {
    match kind {
        0 => value == operand,
        1 => value.starts_with(operand),
        2 => value.ends_with(operand),
        3 => value != operand,
        4 => value == operand || value == "x",
        _ => true,
    }
}

fn build((name, kind, operand): &(String, u8, String)) -> Condition {
    let attribute = attribute(name);
    match kind {
        0 => attribute.is(&**operand),
        1 => attribute.begins_with(operand),
        2 => attribute.ends_with(operand),
        3 => attribute.is_none_of([operand]),
        4 => attribute.is_one_of([&**operand, "x"]),
        _ => attribute.exists(Type::Text),
    }
}

proptest! {
    #[test]
    fn what_is_built_matches_what_it_says(
        conditions in proptest::collection::vec(condition(), 1..5),
        values in proptest::collection::vec(proptest::option::weighted(0.9, "[a-z#'\\\\\"é]{0,4}"), 5),
        same in any::<bool>(),
    ) {
        let mut filter = Filter::new().events([EventName::Modify]);
        let (mut asked, mut image) = (serde_json::Map::new(), serde_json::Map::new());
        for (condition, value) in conditions.iter().zip(&values) {
            filter = filter.new_image(build(condition));
            // A name that comes again gives way to the later one.
            asked.insert(condition.0.clone(), json!([condition.1, condition.2]));
            if let Some(value) = value {
                image.insert(condition.0.clone(), json!({"S": if same { &condition.2 } else { value }}));
            }
        }
        let expected = asked.iter().all(|(name, condition)| {
            let kind = condition[0].as_u64().and_then(|kind| u8::try_from(kind).ok()).unwrap();
            image.get(name).is_some_and(|value| holds(kind, condition[1].as_str().unwrap(), value["S"].as_str().unwrap()))
        });
        let pattern = filter.build().unwrap();
        prop_assert_eq!(pattern.warnings(), []);
        let record = json!({"eventName": "MODIFY", "dynamodb": {"NewImage": image}});
        prop_assert_eq!(matches(&pattern, &record), expected, "{} {}", pattern, record);
        prop_assert_eq!(Pattern::parse(pattern.as_str()).unwrap(), pattern);
    }
}
