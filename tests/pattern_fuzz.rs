//! The body of the fuzz target of filter patterns over a few thousand mutated inputs, the same ones in every run.

#[path = "support/mutate.rs"]
mod mutate;
#[path = "fuzz/pattern_body.rs"]
mod pattern_body;

use mutate::{BYTES, Chance, mutate};

/// How many inputs are made of each seed.
const MUTANTS: usize = 300;

/// Words that matter to this reader.
const WORDS: [&str; 14] = [
    "{\"exists\":false}",
    "\"$or\":[{\"a\":[1]},{\"b\":[2]}]",
    "{\"prefix\":\"",
    "{\"anything-but\":[",
    "{\"numeric\":[\">\",1]}",
    "{\"wildcard\":\"*\\\\*\"}",
    "{\"cidr\":\"::/0\"}",
    "dynamodb.NewImage.",
    "\"dynamodb\":{",
    "[{\"a\":",
    "\\ud83d",
    "1e999999999999",
    "null,",
    "\0",
];

const PATTERNS: [&str; 8] = [
    r#"{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"entityType":{"S":["PET"]}}}}"#,
    r#"{"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"USER#"},{"suffix":"x"}]},"SK":{"S":[{"anything-but":["a","b"]}]}}}}"#,
    r#"{"$or":[{"dynamodb":{"OldImage":{"a":{"N":["1"]}}}},{"userIdentity":{"principalId":[{"exists":false}]}}]}"#,
    r#"{"dynamodb":{"NewImage":{"visits":{"L":{"M":{"at":{"S":[{"wildcard":"2026-*"}]},"cost":{"N":[{"exists":false},"5"]}}}}}}}"#,
    r#"{"dynamodb":{"ApproximateCreationDateTime":[{"numeric":[">",0,"<=",1.7e9]}],"SizeBytes":[{"anything-but":[0,1]},null]}}"#,
    r#"{"dynamodb":{"NewImage":{"tags":{"SS":[{"equals-ignore-case":"Indoor"}]},"ip":{"S":[{"cidr":"10.0.0.0/8"}]}}}}"#,
    r#"{"a":[{"anything-but":{"prefix":["x","y"]}},{"prefix":{"equals-ignore-case":"é"}}],"b.c":[true,false]}"#,
    r#"{"a":[{"exists":true}],"b":{"$or":[{"c":[1]},{"d":[{"exists":false}]}]},"a.b":[""]}"#,
];

const RECORDS: [&str; 3] = [
    r#"{"eventID":"1","eventName":"INSERT","eventSource":"aws:dynamodb","dynamodb":{"ApproximateCreationDateTime":1.66e9,"Keys":{"PK":{"S":"USER#1"},"SK":{"S":"PET#1"}},"NewImage":{"entityType":{"S":"PET"},"tags":{"SS":["indoor","x"]},"visits":{"L":[{"M":{"at":{"S":"2026-01-02"},"cost":{"N":"45.50"}}},{"M":{"at":{"S":"2027"}}}]},"ip":{"S":"10.1.2.3"}},"SequenceNumber":"111","SizeBytes":512,"StreamViewType":"NEW_IMAGE"},"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"}}"#,
    r#"{"eventName":"REMOVE","dynamodb":{"OldImage":{"a":{"N":"1"}},"SequenceNumber":"1"},"a":"x","b":{"c":[true,[{"d":1}]]}}"#,
    r#"{ "a" : [ "\u00e9t\u00e9" , 1 , null ] , "b.c" : false , "l" : [ { "a" : 1 } , { } , [ ] ] }"#,
];

fn seeds() -> Vec<Vec<u8>> {
    let pairs = PATTERNS.iter().flat_map(|pattern| RECORDS.iter().map(move |record| (pattern, record)));
    pairs.map(|(pattern, record)| format!("{pattern}\0{record}").into_bytes()).collect()
}

#[test]
fn mutated_patterns_and_records_hold_what_all_must() {
    let (seeds, mut chance) = (seeds(), Chance(0x9E37_79B9_7F4A_7C15));
    for seed in &seeds {
        pattern_body::check(seed);
        for _ in 0..MUTANTS {
            let mut input = seed.clone();
            let other = &seeds[chance.below(seeds.len())];
            mutate(&mut input, other, &WORDS, &mut chance);
            pattern_body::check(&input);
        }
    }
}

#[test]
fn noise_holds_it_too() {
    let mut chance = Chance(0xDEAD_BEEF_CAFE_F00D);
    for _ in 0..20_000 {
        let pattern = PATTERNS[chance.below(PATTERNS.len())];
        let mut input = format!("{pattern}\0{{\"a\":").into_bytes();
        input.extend((0..chance.below(80)).map(|_| BYTES[chance.below(BYTES.len())]));
        pattern_body::check(&input);
    }
}

#[test]
fn depth_is_no_danger() {
    for unit in ["[", "{\"a\":", "[{\"a\":"] {
        let deep = unit.repeat(50_000);
        pattern_body::check(format!("{{\"a\":[1]}}\0{{\"a\":{deep}").as_bytes());
        pattern_body::check(format!("{{\"a\":{}", &deep[..4_000]).as_bytes());
    }
}
