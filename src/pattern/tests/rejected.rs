//! What Lambda refuses, and what we say about it.

use crate::pattern::{FilterCriteria, FilterError, MAX_CHARACTERS, Pattern, PatternReason};

fn error(pattern: &str) -> String {
    let error = Pattern::parse(pattern).expect_err(pattern);
    assert_eq!(error.aws_message(), "Invalid filter pattern definition.");
    error.to_string()
}

#[test]
fn esm_10_broken_patterns_are_refused() {
    for pattern in [
        "simple string",
        "\"text\"",
        "null",
        "7",
        "[]",
        "",
        "{",
        "{}",
        r#"{"a":1}"#,
        r#"{"a":"x"}"#,
        r#"{"a":[]}"#,
        r#"{"a":null}"#,
    ] {
        error(pattern);
    }
}

#[test]
fn errors_say_what_and_where() {
    for (pattern, expected) in [
        ("simple string", "at offset 0: not JSON: expected a JSON value"),
        ("\"text\"", "at offset 0: a pattern is an object, not a text"),
        ("{}", "at offset 0: an empty object matches nothing and is refused"),
        (
            r#"{"dynamodb":{"NewImage":{}}}"#,
            "dynamodb.NewImage (offset 24): an empty object matches nothing and is refused",
        ),
        (
            r#"{"dynamodb": {"Keys": {"PK": {"S": "USER#1"}}}}"#,
            "dynamodb.Keys.PK.S (offset 35): a field has an object with further fields or an array of alternatives, not a text",
        ),
        (r#"{"eventName": []}"#, "eventName (offset 14): an empty array matches nothing and is refused"),
        (
            r#"{"a":[["x"]]}"#,
            "a (offset 6): an alternative is a text, a number, a boolean, null or an operator, not an array",
        ),
        (r#"{"a":[{"Prefix":"x"}]}"#, "a (offset 7): there is no operator \"Prefix\""),
        (r#"{"a":[{}]}"#, "a (offset 6): an empty object matches nothing and is refused"),
        (r#"{"a":[{"prefix":7}]}"#, "a (offset 16): prefix takes a text"),
        (r#"{"a":["x",{"exists":"yes"}]}"#, "a (offset 20): exists takes true or false"),
        (r#"{"$or":[{"a":[1]}]}"#, "at offset 7: $or takes an array of at least two objects"),
        (
            r#"{"$or":[{"a":[1]},{"prefix":["x"]}]}"#,
            "at offset 19: \"prefix\" is an operator, and within $or no name of a field",
        ),
        (r#"{"a":[1] "b":[2]}"#, "at offset 9: not JSON: expected `,` or `}`"),
    ] {
        assert_eq!(error(pattern), expected);
    }
}

#[test]
fn operands_must_fit_their_operator() {
    for alternative in [
        r#"{"prefix":null}"#,
        r#"{"prefix":["a"]}"#,
        r#"{"prefix":{"suffix":"a"}}"#,
        r#"{"prefix":{"equals-ignore-case":1}}"#,
        r#"{"suffix":true}"#,
        r#"{"suffix":{"equals-ignore-case":["a"]}}"#,
        r#"{"equals-ignore-case":["a"]}"#,
        r#"{"wildcard":["*"]}"#,
        r#"{"wildcard":"a**b"}"#,
        r#"{"wildcard":"a\\b"}"#,
        r#"{"wildcard":"a\\"}"#,
        r#"{"cidr":"10.0.0.0"}"#,
        r#"{"cidr":"10.0.0.0/33"}"#,
        r#"{"cidr":"10.0.0/24"}"#,
        r#"{"cidr":"10.0.0.0/+8"}"#,
        r#"{"cidr":"10.0.0.0/"}"#,
        r#"{"cidr":"::/129"}"#,
        r#"{"cidr":10}"#,
        r#"{"exists":null}"#,
        r#"{"exists":1}"#,
        r#"{"numeric":5}"#,
        r#"{"numeric":[]}"#,
        r#"{"numeric":[">"]}"#,
        r#"{"numeric":["!=",1]}"#,
        r#"{"numeric":[">","1"]}"#,
        r#"{"numeric":["<",5,">",0]}"#,
        r#"{"numeric":[">",5,"<",0]}"#,
        r#"{"numeric":[">",5,"<=",5.0]}"#,
        r#"{"numeric":["=",1,"<",5]}"#,
        r#"{"numeric":[">",1,"<",5,"<",6]}"#,
        r#"{"anything-but":null}"#,
        r#"{"anything-but":true}"#,
        r#"{"anything-but":[]}"#,
        r#"{"anything-but":["a",1]}"#,
        r#"{"anything-but":["a",null]}"#,
        r#"{"anything-but":[["a"]]}"#,
        r#"{"anything-but":{}}"#,
        r#"{"anything-but":{"cidr":"::/0"}}"#,
        r#"{"anything-but":{"prefix":""}}"#,
        r#"{"anything-but":{"prefix":[]}}"#,
        r#"{"anything-but":{"prefix":["a",1]}}"#,
        r#"{"anything-but":{"suffix":["a",""]}}"#,
        r#"{"anything-but":{"prefix":{"equals-ignore-case":"a"}}}"#,
        r#"{"anything-but":{"wildcard":"**"}}"#,
        r#"{"anything-but":{"prefix":"a","suffix":"b"}}"#,
    ] {
        let error = Pattern::parse(&format!(r#"{{"a":[{alternative}]}}"#)).expect_err(alternative);
        assert!(matches!(error.reason(), PatternReason::BadOperand { .. }), "{alternative}: {error}");
        assert_eq!(error.path(), "a");
    }
    for or in ["{}", "7", "[]", "[[],[]]", r#"[{"a":[1]},7]"#] {
        let error = Pattern::parse(&format!(r#"{{"$or":{or}}}"#)).expect_err(or);
        assert_eq!(error.reason(), &PatternReason::BadOr, "{or}");
    }
    let error = Pattern::parse(r#"{"$or":[{"a":[1]},{}]}"#).expect_err("an empty branch");
    assert_eq!(error.reason(), &PatternReason::EmptyObject);
}

#[test]
fn a_pattern_has_at_most_4096_characters() {
    let of = |characters: usize| format!(r#"{{"a":["{}"]}}"#, "é".repeat(characters - 10));
    assert!(Pattern::parse(&of(MAX_CHARACTERS)).is_ok());
    let error = Pattern::parse(&of(MAX_CHARACTERS + 1)).unwrap_err();
    assert_eq!(error.reason(), &PatternReason::TooLong { characters: 4_097 });
}

#[test]
fn a_mapping_has_at_most_5_patterns_or_10_on_request() {
    let patterns = |count: usize| vec![r#"{"a":[1]}"#; count];
    assert!(FilterCriteria::parse(patterns(5)).is_ok());
    assert_eq!(FilterCriteria::parse(patterns(6)).unwrap_err(), FilterError::TooMany { patterns: 6, limit: 5 });
    let raised = |count| FilterCriteria::parse_with_limit(patterns(count), FilterCriteria::RAISED_LIMIT);
    assert_eq!(raised(10).unwrap().patterns().len(), 10);
    assert_eq!(raised(11).unwrap_err().to_string(), "a mapping has at most 10 filter patterns, this one has 11");
}

#[test]
fn the_wrong_one_of_many_patterns_is_named() {
    let error = FilterCriteria::parse([r#"{"a":[1]}"#, r#"{"a":1}"#]).unwrap_err();
    assert_eq!(error.to_string(), "filter pattern 2 is wrong");
    assert!(std::error::Error::source(&error).unwrap().to_string().starts_with("a (offset 5)"));
}

#[test]
fn combinations_are_bounded() {
    let or = |n: usize| format!(r#"{{"$or":[{{"a{n}":[1]}},{{"b{n}":[1]}}]}}"#);
    let nested = |depth: usize| {
        let fields: Vec<String> = (0..depth).map(|n| format!(r#""f{n}":{}"#, or(n))).collect();
        Pattern::parse(&format!("{{{}}}", fields.join(",")))
    };
    assert!(
        nested(8)
            .unwrap()
            .matches_json(br#"{"f0.b0":1,"f1.a1":1,"f2.b2":1,"f3.a3":1,"f4.a4":1,"f5.b5":1,"f6.a6":1,"f7.b7":1}"#)
            .unwrap()
    );
    for depth in [12, 100] {
        assert_eq!(nested(depth).unwrap_err().reason(), &PatternReason::TooComplex);
    }
}

#[test]
fn depth_is_no_danger() {
    let deep = r#"{"a":"#.repeat(800);
    assert!(matches!(Pattern::parse(&deep).unwrap_err().reason(), PatternReason::NotJson { .. }));
    assert!(matches!(Pattern::parse(&"[".repeat(4000)).unwrap_err().reason(), PatternReason::NotJson { .. }));
}

#[test]
fn patterns_are_printed_for_templates() {
    let criteria = FilterCriteria::parse([r#"{ "eventName" : [ "INSERT" ] }"#, r#"{"a":["it's", 1.50]}"#]).unwrap();
    let yaml = "FilterCriteria:\n  Filters:\n    - Pattern: '{\"eventName\":[\"INSERT\"]}'\n    - Pattern: '{\"a\":[\"it''s\",1.50]}'\n";
    assert_eq!(criteria.to_string(), yaml);
    assert_eq!(FilterCriteria::default().to_string(), "FilterCriteria:\n  Filters: []\n");
}
