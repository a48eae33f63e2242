//! The traps are told, and nothing else is.

use crate::pattern::{FilterCriteria, Pattern, Trap};

fn traps(pattern: &str) -> Vec<Trap> {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    pattern.warnings().into_iter().map(|warning| warning.trap().clone()).collect()
}

fn in_image(image: &str) -> Vec<Trap> {
    traps(&format!(r#"{{"dynamodb":{{"NewImage":{image}}}}}"#))
}

#[test]
fn esm_22_numbers_on_attributes_of_type_n() {
    for alternative in [r#"{"numeric":[">",100]}"#, "100", r#"{"anything-but":100}"#] {
        assert_eq!(
            in_image(&format!(r#"{{"weightKg":{{"N":[{alternative}]}}}}"#)),
            [Trap::NumberIsText],
            "{alternative}"
        );
    }
    assert_eq!(in_image(r#"{"sizes":{"NS":[5]}}"#), [Trap::NumberIsText]);
    assert_eq!(traps(r#"{"dynamodb":{"SequenceNumber":[{"numeric":[">",1]}]}}"#), [Trap::NumberIsText]);
    assert_eq!(in_image(r#"{"weightKg":{"N":["100",{"prefix":"10"},{"anything-but":"7"},{"exists":true}]}}"#), []);
    assert_eq!(traps(r#"{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">",1]}],"SizeBytes":[5]}}"#), []);
}

#[test]
fn esm_21_exists_on_what_is_no_leaf() {
    assert_eq!(in_image(r#"{"name":[{"exists":true}]}"#), [Trap::ExistsOnBranch { expected: true }]);
    assert_eq!(in_image(r#"{"name":[{"exists":false}]}"#), [Trap::ExistsOnBranch { expected: false }]);
    assert_eq!(in_image(r#"{"name":{"S":[{"exists":false}]}}"#), []);
    assert_eq!(traps(r#"{"dynamodb":{"OldImage":[{"exists":false}]}}"#), [Trap::ExistsOnBranch { expected: false }]);
    assert_eq!(in_image(r#"{"visits":{"L":[{"exists":true}]}}"#), [Trap::ExistsOnBranch { expected: true }]);
}

#[test]
fn esm_20_values_without_their_type() {
    assert_eq!(in_image(r#"{"entityType":["PET"]}"#), [Trap::ValueOnBranch]);
    assert_eq!(in_image(r#"{"address":{"M":["x"]}}"#), [Trap::ValueOnBranch]);
    assert_eq!(in_image(r#"{"vaccinated":{"BOOL":["true"]}}"#), [Trap::OtherType { found: "true or false" }]);
    assert_eq!(in_image(r#"{"note":{"NULL":[null]}}"#), [Trap::OtherType { found: "true or false" }]);
    assert_eq!(in_image(r#"{"name":{"S":[null]}}"#), [Trap::OtherType { found: "a text" }]);
    assert_eq!(in_image(r#"{"note":{"NULL":[true]},"vaccinated":{"BOOL":[false]},"tags":{"SS":["x"]}}"#), []);
}

#[test]
fn keys_that_no_record_has() {
    let unknown =
        |key: &str, meant: Option<&str>| Trap::UnknownKey { key: key.to_owned(), meant: meant.map(str::to_owned) };
    assert_eq!(traps(r#"{"eventname":["INSERT"]}"#), [unknown("eventname", Some("\"eventName\""))]);
    assert_eq!(traps(r#"{"NewImage":{"a":{"S":["x"]}}}"#), [unknown("NewImage", Some("dynamodb.NewImage"))]);
    assert_eq!(traps(r#"{"dynamodb":{"eventName":["INSERT"]}}"#), [unknown("eventName", Some("eventName"))]);
    assert_eq!(traps(r#"{"body":{"x":["y"]}}"#), [unknown("body", None)]);
    assert!(
        matches!(&in_image(r#"{"a":{"name":{"S":["x"]}}}"#)[..], [Trap::UnknownKey { key, meant: Some(_) }] if key == "name")
    );
    assert!(
        matches!(&traps(r#"{"eventName":{"prefix":["x"]}}"#)[..], [Trap::UnknownKey { key, .. }] if key == "prefix")
    );
    assert_eq!(traps(r#"{"userIdentity":{"type":["Service"]},"dynamodb.Keys.PK.S":["x"]}"#), []);
    assert_eq!(traps(r#"{"eventName":["DELETE"]}"#), [Trap::OtherText { known: &["INSERT", "MODIFY", "REMOVE"] }]);
    assert_eq!(traps(r#"{"eventName":["INSERT",{"prefix":"MOD"},{"anything-but":"REMOVE"}]}"#), []);
}

#[test]
fn operators_that_lambda_does_not_document() {
    for (alternative, operator) in [
        (r#"{"wildcard":"*"}"#, "wildcard"),
        (r#"{"cidr":"::/0"}"#, "cidr"),
        (r#"{"prefix":{"equals-ignore-case":"a"}}"#, "prefix equals-ignore-case"),
        (r#"{"suffix":{"equals-ignore-case":"a"}}"#, "suffix equals-ignore-case"),
        (r#"{"anything-but":{"prefix":"a"}}"#, "anything-but prefix"),
        (r#"{"anything-but":{"suffix":["a"]}}"#, "anything-but suffix"),
        (r#"{"anything-but":{"equals-ignore-case":"a"}}"#, "anything-but equals-ignore-case"),
        (r#"{"anything-but":{"wildcard":"a"}}"#, "anything-but wildcard"),
    ] {
        assert_eq!(in_image(&format!(r#"{{"a":{{"S":[{alternative}]}}}}"#)), [Trap::Undocumented { operator }]);
    }
    let documented =
        r#"["a","",{"prefix":"a"},{"suffix":"a"},{"equals-ignore-case":"a"},{"anything-but":["a"]},{"exists":false}]"#;
    assert_eq!(in_image(&format!(r#"{{"a":{{"S":{documented}}}}}"#)), []);
    assert_eq!(traps(r#"{"$or":[{"eventName":["INSERT"]},{"eventSource":["aws:dynamodb"]}]}"#), []);
}

#[test]
fn esm_24_second_operators_and_too_many_digits() {
    assert_eq!(in_image(r#"{"a":{"S":[{"prefix":"a","suffix":"b"}]}}"#), [Trap::SecondOperator]);
    for number in ["5000000001", "-1e10", "0.0000001"] {
        let pattern = format!(r#"{{"dynamodb":{{"SizeBytes":[{{"numeric":["=",{number}]}}]}}}}"#);
        assert_eq!(traps(&pattern), [Trap::TooPrecise], "{number}");
    }
}

#[test]
fn a_warning_says_where() {
    let text = r#"{"eventName":["INSERT"],"dynamodb":{"Keys":{"n":{"N":["1",7]}}}}"#;
    let criteria = FilterCriteria::parse(["{\"eventID\":[\"1\"]}", text]).unwrap();
    let warnings = criteria.warnings();
    assert_eq!(warnings.len(), 1);
    let (index, warning) = &warnings[0];
    assert_eq!((*index, warning.path(), &text[warning.offset()..=warning.offset()]), (1, "dynamodb.Keys.n.N", "7"));
    assert!(warning.to_string().starts_with("dynamodb.Keys.n.N (offset 58): never matches: "), "{warning}");
}
