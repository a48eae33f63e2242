//! What matches and what does not. `ESM-n` names the statement of the event source mapping's contract.

use crate::pattern::{FilterCriteria, Pattern};

fn matches(pattern: &str, record: &str) -> bool {
    let pattern = Pattern::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let matched = pattern.matches_json(record.as_bytes()).unwrap_or_else(|error| panic!("{record}: {error}"));
    let spaced = spaced(record);
    assert_eq!(pattern.matches_json(spaced.as_bytes()), Ok(matched), "layout does not matter: {spaced}");
    matched
}

/// The same JSON with space wherever it may stand.
fn spaced(json: &str) -> String {
    let (mut text, mut quoted, mut escaped) = (String::new(), false, false);
    for character in json.chars() {
        match character {
            ':' | ',' | '{' | '}' | '[' | ']' if !quoted => text.extend([' ', character, '\n']),
            _ => text.push(character),
        }
        quoted ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
    }
    text
}

/// Whether `alternatives` match the value of the one field there is.
fn holds(alternatives: &str, value: &str) -> bool {
    matches(&format!(r#"{{"v":{alternatives}}}"#), &format!(r#"{{"v":{value}}}"#))
}

#[track_caller]
fn table(alternatives: &str, yes: &[&str], no: &[&str]) {
    for value in yes {
        assert!(holds(alternatives, value), "{alternatives} should match {value}");
    }
    for value in no {
        assert!(!holds(alternatives, value), "{alternatives} should not match {value}");
    }
}

#[test]
fn exact_texts() {
    table(
        r#"["PET"]"#,
        &[r#""PET""#, r#""\u0050ET""#, r#"["x","PET"]"#],
        &[r#""pet""#, r#""PETS""#, r#""""#, "null", "1"],
    );
    table(r#"["é\n"]"#, &[r#""é\n""#, r#""\u00e9\u000a""#], &[r#""é""#]);
}

#[test]
fn esm_24_null_is_not_missing_and_an_empty_text_is_neither() {
    table("[null]", &["null", "[1,null]"], &[r#""""#, r#""null""#, "0", "false", "[]", "{}"]);
    table(r#"[""]"#, &[r#""""#], &["null", r#"" ""#, "[]"]);
    assert!(!matches(r#"{"v":[null]}"#, "{}"));
    assert!(!matches(r#"{"v":[""]}"#, "{}"));
}

#[test]
fn booleans() {
    table("[true]", &["true", "[false,true]"], &["false", r#""true""#, "1", "null"]);
    table("[false]", &["false"], &["true", "null"]);
}

#[test]
fn esm_24_300_is_300_point_0_and_no_text() {
    table("[300]", &["300", "300.0", "3e2", "0.3E+3"], &["301", "300.0000000000000000000001", r#""300""#, "true"]);
    table("[300.0]", &["300"], &[]);
    table("[-0]", &["0", "0.0", "-0e5"], &["1"]);
}

#[test]
fn numbers_are_compared_to_their_last_digit() {
    table("[9007199254740993]", &["9007199254740993"], &["9007199254740992"]);
    table(
        r#"[{"numeric":[">",0.1]}]"#,
        &["0.10000000000000000000000000000000000000000001"],
        &["0.1", "0.09999999999999999999999999999999999999999999"],
    );
}

#[test]
fn esm_24_numeric_is_for_numbers_only() {
    table(r#"[{"numeric":["=",100]}]"#, &["100", "1e2"], &[r#""100""#, "100.5", "null", "true", r#""""#]);
    table(r#"[{"numeric":[">",100]}]"#, &["101", "100.5"], &["100", "-101", r#""101""#]);
    table(r#"[{"numeric":[">=",100]}]"#, &["100"], &["99.9"]);
    table(r#"[{"numeric":["<",-1.5]}]"#, &["-2"], &["-1.5", "0"]);
    table(r#"[{"numeric":["<=",-1.5]}]"#, &["-1.5"], &["-1.4"]);
    table(r#"[{"numeric":[">",0,"<=",5]}]"#, &["5", "0.1", "[9,3]"], &["0", "5.1"]);
    table(r#"[{"numeric":[">=",0,"<",5]}]"#, &["0"], &["5"]);
}

#[test]
fn esm_22_numeric_never_matches_an_attribute_of_type_n() {
    let pattern = r#"{"dynamodb":{"NewImage":{"weightKg":{"N":[{"numeric":[">",100]}]}}}}"#;
    assert!(!matches(pattern, r#"{"dynamodb":{"NewImage":{"weightKg":{"N":"101"}}}}"#));
    let exact = r#"{"dynamodb":{"NewImage":{"weightKg":{"N":["101"]}}}}"#;
    assert!(matches(exact, r#"{"dynamodb":{"NewImage":{"weightKg":{"N":"101"}}}}"#));
    let prefix = r#"{"dynamodb":{"NewImage":{"weightKg":{"N":[{"prefix":"10"}]}}}}"#;
    assert!(matches(prefix, r#"{"dynamodb":{"NewImage":{"weightKg":{"N":"101"}}}}"#));
}

#[test]
fn esm_23_prefix_and_suffix() {
    table(
        r#"[{"prefix":"PET#"}]"#,
        &[r#""PET#1""#, r#""PET#""#, r#""\u0050ET#x""#],
        &[r#""pet#1""#, r#""PET""#, "1", "null"],
    );
    table(r#"[{"prefix":""}]"#, &[r#""""#, r#""x""#], &["1", "null"]);
    table(r#"[{"suffix":".png"}]"#, &[r#""a.png""#, r#"".png""#], &[r#""a.PNG""#, r#""png""#]);
    table(r#"[{"suffix":"é"}]"#, &[r#""caf\u00e9""#], &[r#""cafe""#]);
}

#[test]
fn letters_in_whatever_case() {
    table(
        r#"[{"equals-ignore-case":"Dog"}]"#,
        &[r#""dog""#, r#""DOG""#, r#""\u0044og""#],
        &[r#""dogs""#, r#""do""#, "1"],
    );
    table(r#"[{"equals-ignore-case":""}]"#, &[r#""""#], &[r#""a""#]);
    table(r#"[{"equals-ignore-case":"ÉCOLE"}]"#, &[r#""école""#], &[r#""ecole""#]);
    table(r#"[{"prefix":{"equals-ignore-case":"EventB"}}]"#, &[r#""eventbridge""#, r#""EVENTB""#], &[r#""event""#]);
    table(r#"[{"suffix":{"equals-ignore-case":".png"}}]"#, &[r#""A.PNG""#, r#"".Png""#], &[r#""png""#]);
}

#[test]
fn wildcards() {
    table(
        r#"[{"wildcard":"dir/*/file"}]"#,
        &[r#""dir/a/b/file""#, r#""dir//file""#],
        &[r#""dir/file""#, r#""dir/a/files""#],
    );
    table(r#"[{"wildcard":"*"}]"#, &[r#""""#, r#""any""#], &["1", "null"]);
    table(r#"[{"wildcard":"a*"}]"#, &[r#""a""#, r#""ab""#], &[r#""ba""#]);
    table(r#"[{"wildcard":"*a"}]"#, &[r#""a""#, r#""ba""#], &[r#""ab""#]);
    table(r#"[{"wildcard":"aba*aba"}]"#, &[r#""abaaba""#, r#""abaxaba""#], &[r#""aba""#, r#""ababa""#]);
    table(r#"[{"wildcard":"*b*b*"}]"#, &[r#""abcb""#], &[r#""abc""#]);
    table(r#"[{"wildcard":"plain"}]"#, &[r#""plain""#], &[r#""plain ""#]);
    table(r#"[{"wildcard":""}]"#, &[r#""""#], &[r#""x""#]);
    table(r#"[{"wildcard":"5\\*\\\\*"}]"#, &[r#""5*\\""#, r#""5*\\x""#], &[r#""5x\\""#]);
}

#[test]
fn blocks_of_addresses() {
    table(
        r#"[{"cidr":"10.0.0.0/24"}]"#,
        &[r#""10.0.0.0""#, r#""10.0.0.255""#],
        &[r#""10.0.1.0""#, r#""10.0.0""#, r#""::1""#, "10"],
    );
    table(r#"[{"cidr":"10.0.0.7/0"}]"#, &[r#""192.168.0.1""#], &[r#""x""#]);
    table(r#"[{"cidr":"10.0.0.7/32"}]"#, &[r#""10.0.0.7""#], &[r#""10.0.0.6""#]);
    table(r#"[{"cidr":"2001:db8::/32"}]"#, &[r#""2001:db8:ffff::1""#], &[r#""2001:db9::""#, r#""10.0.0.1""#]);
    table(r#"[{"cidr":"::/0"}]"#, &[r#""::1""#], &[r#""1.1.1.1""#]);
    table(r#"[{"cidr":"::1/128"}]"#, &[r#""::1""#, r#""0:0:0:0:0:0:0:1""#], &[r#""::2""#]);
}

#[test]
fn esm_24_anything_but_needs_a_value_of_whatever_type() {
    table(
        r#"[{"anything-but":"PET"}]"#,
        &[r#""USER""#, r#""""#, "1", "null", "true", r#"["PET","USER"]"#],
        &[r#""PET""#, r#"["PET"]"#, "[]", "{}"],
    );
    table(r#"[{"anything-but":["PET","USER"]}]"#, &[r#""pet""#, "0"], &[r#""PET""#, r#""USER""#]);
    table(r#"[{"anything-but":0}]"#, &["1", r#""0""#, "null"], &["0", "0.00", "-0"]);
    table(r#"[{"anything-but":[100,200]}]"#, &["101", r#""100""#], &["1e2", "200.0"]);
    assert!(!matches(r#"{"v":[{"anything-but":"PET"}]}"#, r#"{"w":1}"#), "not when the field is missing");
}

#[test]
fn anything_but_takes_tests_of_texts() {
    table(r#"[{"anything-but":{"prefix":"init"}}]"#, &[r#""stop""#, "12", "null"], &[r#""initial""#]);
    table(r#"[{"anything-but":{"prefix":["init","test"]}}]"#, &[r#""post-init""#], &[r#""tested""#, r#""init""#]);
    table(r#"[{"anything-but":{"suffix":".txt"}}]"#, &[r#"".txt.bak""#, "null"], &[r#""a.txt""#]);
    table(r#"[{"anything-but":{"suffix":[".txt",".rtf"]}}]"#, &[r#"".png""#], &[r#""a.rtf""#]);
    table(r#"[{"anything-but":{"equals-ignore-case":"Init"}}]"#, &[r#""inits""#, "null"], &[r#""INIT""#]);
    table(r#"[{"anything-but":{"equals-ignore-case":["a","B"]}}]"#, &[r#""c""#], &[r#""A""#, r#""b""#]);
    table(r#"[{"anything-but":{"wildcard":"*/lib/*"}}]"#, &[r#""lib""#, "1"], &[r#""x/lib/y""#]);
    table(r#"[{"anything-but":{"wildcard":["*.txt","a*"]}}]"#, &[r#""b""#], &[r#""b.txt""#, r#""a""#]);
    table(r#"[{"anything-but":{"wildcard":""}}]"#, &[r#""x""#], &[r#""""#]);
}

#[test]
fn alternatives_are_or() {
    table(r#"["a",1,null,{"prefix":"b"}]"#, &[r#""a""#, "1", "null", r#""bc""#], &[r#""c""#, "2", "true"]);
}

#[test]
fn esm_21_exists_is_about_leaves_only() {
    table(
        r#"[{"exists":true}]"#,
        &["1", "null", r#""""#, "false", "[0]", r#""\ud800""#],
        &["{}", "[]", r#"{"w":1}"#, "[[],{}]"],
    );
    table(r#"[{"exists":false}]"#, &["{}", "[]", r#"{"w":1}"#], &["1", "null", "[0]"]);

    let record = r#"{"dynamodb":{"NewImage":{"name":{"S":"Rex"}}}}"#;
    let pattern = |image: &str| format!(r#"{{"dynamodb":{{"NewImage":{image}}}}}"#);
    assert!(matches(&pattern(r#"{"name":{"S":[{"exists":true}]}}"#), record));
    assert!(!matches(&pattern(r#"{"name":{"S":[{"exists":false}]}}"#), record));
    assert!(!matches(&pattern(r#"{"name":[{"exists":true}]}"#), record));
    assert!(matches(&pattern(r#"{"name":[{"exists":false}]}"#), record), "though the attribute is there");
}

#[test]
fn esm_24_a_field_is_missing_when_what_should_hold_it_is() {
    let pattern = r#"{"a":{"b":{"c":[{"exists":false}]}}}"#;
    assert!(matches(pattern, "{}"));
    assert!(matches(pattern, r#"{"a":{"b":{}}}"#));
    assert!(matches(pattern, r#"{"a":1}"#));
    assert!(!matches(pattern, r#"{"a":{"b":{"c":0}}}"#));
    let or_zero = r#"{"a":{"b":{"c":[0,{"exists":false}]}}}"#;
    assert!(matches(or_zero, r#"{"a":{"b":{"c":0}}}"#));
    assert!(matches(or_zero, r#"{"a":{"b":{"d":1}}}"#));
    assert!(!matches(or_zero, r#"{"a":{"b":{"c":1}}}"#));
}

#[test]
fn esm_24_names_are_case_sensitive() {
    assert!(!matches(r#"{"eventname":["INSERT"]}"#, r#"{"eventName":"INSERT"}"#));
    assert!(Pattern::parse(r#"{"v":[{"Prefix":"a"}]}"#).is_err());
}

#[test]
fn esm_24_dots_are_nesting() {
    for pattern in [r#"{"a":{"b":{"c":[1]}}}"#, r#"{"a.b":{"c":[1]}}"#, r#"{"a":{"b.c":[1]}}"#, r#"{"a.b.c":[1]}"#] {
        for record in [
            r#"{"a":{"b":{"c":1}}}"#,
            r#"{"a.b":{"c":1}}"#,
            r#"{"a":{"b.c":1}}"#,
            r#"{"a.b.c":1}"#,
            r#"{"a\u002eb":{"c":1}}"#,
        ] {
            assert!(matches(pattern, record), "{pattern} {record}");
        }
        for record in [r#"{"a":{"b":1}}"#, r#"{"a.b.d":1}"#, r#"{"a.bb":{"c":1}}"#, r#"{"ab.c":1}"#, r#"{"a.b.c.d":1}"#]
        {
            assert!(!matches(pattern, record), "{pattern} {record}");
        }
    }
}

#[test]
fn esm_24_of_several_operators_in_one_object_the_first_counts() {
    table(r#"[{"prefix":"a","suffix":"z"}]"#, &[r#""ab""#, r#""az""#], &[r#""bz""#]);
    table(r#"[{"exists":true,"prefix":"ignored"}]"#, &[r#""x""#], &[]);
}

#[test]
fn esm_26_of_two_fields_with_one_name_the_last_counts() {
    assert!(matches(r#"{"v":["a"],"v":["b"]}"#, r#"{"v":"b"}"#));
    assert!(!matches(r#"{"v":["a"],"v":["b"]}"#, r#"{"v":"a"}"#));
    assert!(matches(r#"{"a":{"b":[1]},"a.b":[2]}"#, r#"{"a":{"b":2}}"#));
    assert!(!matches(r#"{"a":{"b":[1]},"a.b":[2]}"#, r#"{"a":{"b":1}}"#));
}

#[test]
fn esm_17_fields_are_and_patterns_are_or() {
    let pattern = r#"{"eventName":["INSERT","MODIFY"],"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"USER#"}]}}}}"#;
    let record =
        |name: &str, key: &str| format!(r#"{{"eventName":"{name}","dynamodb":{{"Keys":{{"PK":{{"S":"{key}"}}}}}}}}"#);
    assert!(matches(pattern, &record("INSERT", "USER#1")));
    assert!(matches(pattern, &record("MODIFY", "USER#1")));
    assert!(!matches(pattern, &record("REMOVE", "USER#1")));
    assert!(!matches(pattern, &record("INSERT", "PET#1")));

    let criteria = FilterCriteria::parse([r#"{"eventName":["REMOVE"]}"#, pattern]).unwrap();
    for (record, expected) in
        [(record("REMOVE", "PET#1"), true), (record("INSERT", "USER#1"), true), (record("INSERT", "PET#1"), false)]
    {
        assert_eq!(criteria.matches_json(record.as_bytes()), Ok(expected), "{record}");
    }
}

#[test]
fn esm_18_esm_19_metadata_at_the_top_can_be_filtered() {
    let record = r#"{"eventID":"1","eventName":"MODIFY","eventSource":"aws:dynamodb","userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"},"dynamodb":{"SizeBytes":512}}"#;
    assert!(!matches(r#"{"eventName":["INSERT"]}"#, record));
    assert!(matches(r#"{"eventName":["MODIFY"],"eventSource":["aws:dynamodb"]}"#, record));
    assert!(matches(r#"{"userIdentity":{"type":["Service"],"principalId":["dynamodb.amazonaws.com"]}}"#, record));
}

#[test]
fn esm_13_the_creation_time_is_a_number() {
    let record = r#"{"dynamodb":{"ApproximateCreationDateTime":1.66e9,"SizeBytes":512}}"#;
    assert!(matches(r#"{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">=",1660000000]}]}}"#, record));
    assert!(!matches(r#"{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">",1660000000]}]}}"#, record));
    assert!(matches(r#"{"dynamodb":{"SizeBytes":[{"numeric":["<",1000]}]}}"#, record));
}

#[test]
fn esm_20_the_type_is_part_of_the_path() {
    let record = r#"{"dynamodb":{"NewImage":{"entityType":{"S":"PET"}}}}"#;
    assert!(matches(r#"{"dynamodb":{"NewImage":{"entityType":{"S":["PET"]}}}}"#, record));
    assert!(!matches(r#"{"dynamodb":{"NewImage":{"entityType":["PET"]}}}"#, record));
    assert!(!matches(r#"{"dynamodb":{"NewImage":{"entityType":{"N":["PET"]}}}}"#, record));
}

#[test]
fn or_is_an_or_of_objects() {
    let pattern = r#"{"a":[1],"$or":[{"b":[2]},{"c":[3],"d":{"e":[4]}}]}"#;
    assert!(matches(pattern, r#"{"a":1,"b":2}"#));
    assert!(matches(pattern, r#"{"d":{"e":4},"c":3,"a":1}"#));
    assert!(!matches(pattern, r#"{"a":1,"c":3}"#));
    assert!(!matches(pattern, r#"{"b":2,"c":3}"#));

    let nested =
        r#"{"x":{"$or":[{"a":[1]},{"$or":[{"b":[1]},{"c":[1]}]}]},"$or":[{"y":[1]},{"z":[{"exists":false}]}]}"#;
    assert!(matches(nested, r#"{"x":{"c":1}}"#));
    assert!(matches(nested, r#"{"x":{"b":1},"z":0,"y":1}"#));
    assert!(!matches(nested, r#"{"x":{"b":1},"z":0}"#));
    assert!(!matches(nested, r#"{"x":{"d":1}}"#));
    assert!(!matches(nested, r#"{"a":1}"#), "a branch stands where its $or stands");
}

#[test]
fn within_or_the_last_of_two_conditions_on_a_field_counts() {
    let pattern = r#"{"a":[1],"$or":[{"a":[2]},{"b":[3]}]}"#;
    assert!(matches(pattern, r#"{"a":2}"#));
    assert!(matches(pattern, r#"{"a":1,"b":3}"#));
    assert!(!matches(pattern, r#"{"a":1}"#));
}

#[test]
fn sets_and_lists_are_or_over_their_elements() {
    let record =
        r#"{"dynamodb":{"NewImage":{"tags":{"SS":["indoor","chipped"]},"visits":{"L":[{"S":"x"},{"N":"5"}]}}}}"#;
    let image = |image: &str| format!(r#"{{"dynamodb":{{"NewImage":{image}}}}}"#);
    assert!(matches(&image(r#"{"tags":{"SS":["chipped"]}}"#), record));
    assert!(!matches(&image(r#"{"tags":{"SS":["wild"]}}"#), record));
    assert!(matches(&image(r#"{"visits":{"L":{"N":["5"]}}}"#), record));
    assert!(!matches(&image(r#"{"visits":{"L":{"N":["6"]}}}"#), record));
}

#[test]
fn conditions_below_an_array_hold_for_one_element_together() {
    let pattern = r#"{"l":{"a":[1],"b":[2]}}"#;
    assert!(matches(pattern, r#"{"l":[{"a":0},{"b":2,"a":1}]}"#));
    assert!(!matches(pattern, r#"{"l":[{"a":1},{"b":2}]}"#));
    assert!(matches(pattern, r#"{"l":[[{"a":9}],[{"b":2},{"a":1,"b":2}]]}"#));
    assert!(!matches(pattern, r#"{"l":[[{"a":1},{"b":2}]]}"#));
    let two = r#"{"l":{"a":[1]},"m":{"a":[1]},"n":[1]}"#;
    assert!(matches(two, r#"{"l":[{"a":1}],"n":1,"m":[{},{"a":1}]}"#));
    let or = r#"{"l":{"$or":[{"a":[1],"b":[1]},{"c":[1]}]}}"#;
    assert!(!matches(or, r#"{"l":[{"a":1},{"b":1}]}"#));
    assert!(matches(or, r#"{"l":[{"a":1},{"c":1}]}"#));
}

#[test]
fn a_field_below_an_array_is_missing_when_no_element_has_it() {
    let pattern = r#"{"l":{"a":[1],"b":[2,{"exists":false}]}}"#;
    assert!(matches(pattern, r#"{"l":[{"a":0},{"a":1}]}"#));
    assert!(matches(pattern, r#"{"l":[{"a":0},{"a":1,"b":2}]}"#));
    assert!(!matches(pattern, r#"{"l":[{"a":1},{"b":3}]}"#), "another element has it");
    assert!(!matches(pattern, r#"{"l":[{"a":0}]}"#));
    let all = r#"{"l":{"a":[1],"b":[{"exists":false}]}}"#;
    assert!(matches(all, r#"{"l":[{"c":0},{"a":1}]}"#));
    assert!(!matches(all, r#"{"l":[{"a":1},{"b":null}]}"#));
}

#[test]
fn more_conditions_than_a_word_has_bits_are_as_good() {
    let fields: Vec<String> = (0..200).map(|n| format!(r#""f{n}":[{n}]"#)).collect();
    let values: Vec<String> = (0..200).rev().map(|n| format!(r#""f{n}":{n}"#)).collect();
    let pattern = format!("{{{},\"l\":{{\"a\":[1],\"b\":[{{\"exists\":false}}]}}}}", fields.join(","));
    assert!(matches(&pattern, &format!("{{{},\"l\":[{{}},{{\"a\":1}}]}}", values.join(","))));
    assert!(!matches(&pattern, &format!("{{{},\"l\":[{{\"b\":1}},{{\"a\":1}}]}}", values.join(","))));
    assert!(!matches(&pattern, &format!("{{{},\"l\":[{{\"a\":1}}]}}", values[1..].join(","))));
}

#[test]
fn bytes_that_are_no_record_are_an_error_where_they_have_to_be_read() {
    let pattern = Pattern::parse(r#"{"a":[1],"b":{"c":[{"exists":false}]}}"#).unwrap();
    for (record, offset) in [
        ("", 0),
        ("[]", 0),
        ("7", 0),
        ("{", 1),
        (r#"{"a""#, 4),
        (r#"{"a":1"#, 6),
        (r#"{"a":1,}"#, 7),
        (r#"{"a":1} x"#, 8),
        (r#"{"a":tru}"#, 5),
        (r#"{"x":nul}"#, 5),
        (r#"{"a":1,"b":{"c"}}"#, 15),
        (r#"{"a":[1,]}"#, 8),
        ("{\"a\":1,\"b\":[1 2]}", 14),
    ] {
        let error = pattern.matches_json(record.as_bytes()).expect_err(record);
        assert_eq!(error.offset, offset, "{record}");
    }
    assert_eq!(pattern.matches_json(br#"{"a":2,"#), Ok(false), "decided before the damage");
    let deep = format!(r#"{{"a":{}"#, "[".repeat(100_000));
    assert!(pattern.matches_json(deep.as_bytes()).is_err());
}
