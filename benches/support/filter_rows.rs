//! The rows: ways to find out which records of a batch match.

use std::hint::black_box;

use anabranch::{
    pattern::FilterCriteria,
    record::{RawRecord, split},
};
use quamina::Quamina;
use serde_json::Value;

use super::{batches, generic_filter::Generic};

/// Filters by name, from those that are decided early to those that need all of a record.
pub(crate) const FILTERS: [(&str, &[&str]); 5] = [
    ("event", &[r#"{"eventName":["INSERT"]}"#]),
    ("key", &[r#"{"dynamodb":{"Keys":{"PK":{"S":[{"prefix":"USER#000001"}]}}}}"#]),
    ("entity", &[r#"{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"entityType":{"S":["PET"]}}}}"#]),
    (
        "five",
        &[
            r#"{"dynamodb":{"NewImage":{"entityType":{"S":["USER"]},"vaccinated":{"BOOL":[true]}}}}"#,
            r#"{"dynamodb":{"NewImage":{"species":{"S":["parrot"]},"tags":{"SS":["wild"]}}}}"#,
            r#"{"dynamodb":{"OldImage":{"address":{"M":{"city":{"S":["York"]}}}}}}"#,
            r#"{"dynamodb":{"NewImage":{"name":{"S":[{"prefix":"Rex"}]}}}}"#,
            r#"{"eventName":["REMOVE"],"dynamodb":{"Keys":{"SK":{"S":[{"prefix":"USER#"}]}}}}"#,
        ],
    ),
    ("all", &[r#"{"userIdentity":{"principalId":[{"exists":false}]}}"#]),
];

/// A megabyte of PetTracker records of three entity types.
pub(crate) fn records() -> Vec<RawRecord> {
    let records = split(batches::mixed(1_000_000).body.into()).expect("an event");
    records.map(|record| record.expect("a record")).collect()
}

/// Runs one row with one filter.
pub(crate) fn run(row: &str, filter: &str) {
    let (_, patterns) = FILTERS.iter().find(|(name, _)| *name == filter).expect("a filter");
    let (records, criteria) = (records(), FilterCriteria::parse(*patterns).expect("patterns"));
    let matched = match row {
        "ours" => measured(|| records.iter().filter(|record| criteria.matches(record)).count()),
        "generic" => {
            let patterns: Vec<Generic> = patterns.iter().map(|pattern| Generic::parse(pattern)).collect();
            let matches = |record: &&RawRecord| {
                let record: Value = serde_json::from_slice(record.json()).expect("JSON");
                patterns.iter().any(|pattern| pattern.matches(&record))
            };
            measured(|| records.iter().filter(matches).count())
        }
        "quamina" => {
            let mut machine = Quamina::<u32>::new();
            patterns.iter().for_each(|pattern| machine.add_pattern(1, pattern).expect("a pattern"));
            measured(|| records.iter().filter(|record| machine.has_matches(record.json()).expect("JSON")).count())
        }
        row => panic!("no row {row}"),
    };
    let expected = records.iter().filter(|record| criteria.matches(record)).count();
    assert_eq!(matched, expected, "{row} finds what all find");
}

/// The function whose instructions are counted.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}
