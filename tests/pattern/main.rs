//! Filter patterns against others who implement the same language: a matcher over parsed records, and `quamina`.

mod generate;
#[path = "../support/generic_filter.rs"]
mod generic_filter;

use anabranch::pattern::{FilterCriteria, Pattern};
use generate::{any_alternative, common_alternative, dynamodb_record, pattern, record};
use generic_filter::Generic;
use proptest::prelude::*;
use quamina::{Quamina, QuaminaError};
use serde_json::Value;

/// What quamina says of a record; nothing if the pattern is too complex for it, or where it does not say what AWS does (ESM-24).
///
/// It sees a field missing only if nothing else is asked, and looks for a value one field deeper where an array holds objects with a
/// field of the same name. Open ranges of numbers are not even generated for it: it finds texts and `false` in those with one end,
/// and zero in those that begin behind it.
fn quamina(pattern: &str, record: &str) -> Option<bool> {
    if pattern.contains(r#""exists":false"#) && pattern.matches("\":[").count() > 1 {
        return None;
    }
    let mut machine = Quamina::<u32>::new();
    match machine.add_pattern(1, pattern) {
        Ok(()) => Some(machine.has_matches(record.as_bytes()).expect("a record")),
        Err(QuaminaError::PatternTooComplex(_)) => None,
        Err(error) => panic!("{pattern}: {error:?}"),
    }
}

fn ours(pattern: &str, record: &str) -> Result<bool, TestCaseError> {
    let pattern = Pattern::parse(pattern).map_err(|error| TestCaseError::fail(format!("{pattern}: {error}")))?;
    let matches = pattern.matches_json(record.as_bytes()).expect("a record");
    let explanation = pattern.explain(record.as_bytes()).expect("a record");
    prop_assert_eq!(explanation.matches, matches);
    for branch in &explanation.branches {
        prop_assert!(!branch.holds || branch.findings.iter().all(|finding| finding.holds), "{}", explanation);
    }
    Ok(matches)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 500, max_global_rejects: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_matcher_over_parsed_records_agrees(pattern in pattern(any_alternative(), true), record in record()) {
        let (pattern, text) = (pattern.to_string(), record.to_string());
        prop_assert_eq!(ours(&pattern, &text)?, Generic::parse(&pattern).matches(&record), "{} {}", pattern, text);
    }

    #[test]
    fn it_agrees_on_records_of_streams(pattern in generate::dynamodb_pattern(any_alternative()), record in dynamodb_record()) {
        let (pattern, text) = (pattern.to_string(), record.to_string());
        prop_assert_eq!(ours(&pattern, &text)?, Generic::parse(&pattern).matches(&record), "{} {}", pattern, text);
    }

    #[test]
    fn quamina_agrees_on_the_operators_that_both_have(pattern in pattern(common_alternative(), false), record in record()) {
        let (pattern, text) = (pattern.to_string(), record.to_string());
        let theirs = quamina(&pattern, &text).filter(|_| !["[{", ",{"].iter().any(|object| text.contains(object)));
        prop_assume!(theirs.is_some());
        prop_assert_eq!(Some(ours(&pattern, &text)?), theirs, "{} {}", pattern, text);
    }

    #[test]
    fn quamina_agrees_on_records_of_streams(pattern in generate::dynamodb_pattern(common_alternative()), record in dynamodb_record()) {
        let (pattern, text) = (pattern.to_string(), record.to_string());
        let theirs = quamina(&pattern, &text);
        prop_assume!(theirs.is_some());
        prop_assert_eq!(Some(ours(&pattern, &text)?), theirs, "{} {}", pattern, text);
    }

    #[test]
    fn criteria_match_where_one_of_their_patterns_does(
        patterns in proptest::collection::vec(pattern(any_alternative(), true), 1..=10),
        record in record(),
    ) {
        let texts: Vec<String> = patterns.iter().map(Value::to_string).collect();
        let text = record.to_string();
        let expected = texts.iter().any(|pattern| Generic::parse(pattern).matches(&record));
        let criteria = FilterCriteria::parse_with_limit(&texts, FilterCriteria::RAISED_LIMIT).expect("patterns");
        prop_assert_eq!(criteria.matches_json(text.as_bytes()), Ok(expected), "{:?} {}", criteria, text);
    }
}

/// Not every run would find much if most records did not match.
#[test]
fn generated_patterns_match_neither_never_nor_always() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let (mut runner, mut matched) = (TestRunner::deterministic(), 0);
    for _ in 0..1_000 {
        let pattern = pattern(any_alternative(), true).new_tree(&mut runner).expect("a pattern").current().to_string();
        let record = record().new_tree(&mut runner).expect("a record").current();
        matched += usize::from(Generic::parse(&pattern).matches(&record));
    }
    assert!((100..800).contains(&matched), "{matched}");
}

#[test]
fn a_map_may_have_attributes_that_are_called_as_types_are() {
    let wind = r#"{"M":{"M":{"N":"1"},"S":{"N":"2"}}}"#;
    let record = format!(r#"{{"eventName":"INSERT","dynamodb":{{"NewImage":{{"wind":{wind},"kind":{{"S":"x"}}}}}}}}"#);
    for (pattern, expected) in [
        (r#"{"dynamodb":{"NewImage":{"wind":{"S":["x"]}}}}"#, false),
        (r#"{"dynamodb":{"NewImage":{"wind":{"S":[{"exists":false}]},"kind":{"S":["x"]}}}}"#, true),
        (r#"{"dynamodb":{"NewImage":{"wind":{"M":{"S":{"N":["2"]}}}}}}"#, true),
    ] {
        assert_eq!(ours(pattern, &record).expect("they agree"), expected, "{pattern}");
    }
}
