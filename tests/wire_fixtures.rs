//! Events that others wrote: the fixtures of `aws_lambda_events`, and the samples that AWS documents.

#![allow(clippy::unwrap_used, reason = "a fixture that cannot be read is the failure that the test looks for")]
#![allow(clippy::approx_constant, reason = "the sample item holds the digits of pi that AWS printed")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use anabranch::record::{
    Cause, EventName, RawRecord, Split, ViewType, split,
    wire::{RecordReason, Timestamp},
};
use serde::Deserialize;
use serde_dynamo::AttributeValue;

fn fixture(name: &str) -> Vec<u8> {
    fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

fn event(name: &str) -> Split {
    split(fixture(name).into()).unwrap()
}

fn records(name: &str) -> Vec<RawRecord> {
    let mut records = event(name);
    let read = records.by_ref().collect::<Result<_, _>>().unwrap();
    records.finish().unwrap();
    read
}

/// What `serde_json` and `serde_dynamo` make of the same image.
fn expected(name: &str, record: usize, image: &str) -> serde_dynamo::Item {
    let event: serde_json::Value = serde_json::from_slice(&fixture(name)).unwrap();
    serde_json::from_value(event["Records"][record]["dynamodb"][image].clone()).unwrap()
}

#[derive(Debug, PartialEq, Deserialize)]
struct Sample {
    val: String,
    #[serde(rename = "Boolean")]
    boolean: bool,
    #[serde(rename = "BinarySet")]
    binary_set: Vec<Vec<u8>>,
    #[serde(rename = "List")]
    list: (String, String, f64),
    #[serde(rename = "Map")]
    map: Person,
    #[serde(rename = "IntegerNumber")]
    integer: i16,
    #[serde(rename = "NumberSet")]
    numbers: Vec<f32>,
    #[serde(rename = "Null")]
    nothing: Option<String>,
    #[serde(rename = "StringSet")]
    strings: Vec<String>,
    #[serde(rename = "EmptyStringSet")]
    none: Vec<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Person {
    name: String,
    age: u8,
}

#[test]
fn the_common_fixture_reads_into_types_and_items() {
    let name = "example-dynamodb-event.json";
    let records = records(name);
    assert_eq!(records[0].cause(), Cause::TimeToLive);
    assert_eq!(records[1].cause(), Cause::User);
    for (index, record) in records.iter().enumerate() {
        assert_eq!((record.event_name(), record.sequence_number()), (EventName::Insert, "1405400000000002063282832"));
        assert_eq!(record.created_at(), Some(Timestamp::from_nanos(1_480_642_020_000_000_000)));
        assert_eq!(record.view_type(), Some(ViewType::NewAndOldImages));
        assert_eq!(record.keys().item().unwrap(), expected(name, index, "Keys"));
        assert_eq!(record.new_image().unwrap().item().unwrap(), expected(name, index, "NewImage"));
    }
    let sample: Sample = records[1].new_image().unwrap().decode().unwrap();
    assert_eq!(sample.map, Person { name: "Joe".to_owned(), age: 35 });
    assert_eq!(sample.list, ("Cookies".to_owned(), "Coffee".to_owned(), 3.141_59));
    assert_eq!(sample.numbers, [1234.0, 567.8]);
    assert_eq!(sample.binary_set, [[0, 1, 42, 65], [0, 1, 42, 65]]);
    assert_eq!((sample.strings.len(), sample.none.len(), sample.nothing), (2, 0, None));
    let mut item = expected(name, 1, "NewImage");
    // `serde_dynamo` reads no `Vec<u8>` from binary.
    item.inner_mut().insert("BinarySet".to_owned(), AttributeValue::L(Vec::new()));
    let today: Sample = serde_dynamo::from_item(item).unwrap();
    assert_eq!((sample.val, sample.boolean, sample.integer), (today.val, today.boolean, today.integer));
}

#[test]
fn null_images_are_none() {
    let records = records("example-dynamodb-event-null-items.json");
    assert!(records[0].new_image().is_none() && records[0].old_image().is_none());
    assert!(records[0].keys().item().unwrap().is_empty());
    assert_eq!(
        records[1].new_image().unwrap().item().unwrap(),
        expected("example-dynamodb-event-null-items.json", 1, "NewImage")
    );
}

#[test]
fn a_record_without_a_sequence_number_is_its_own_failure() {
    let record = fixture("example-dynamodb-event-record-with-optional-fields.json");
    let payload = format!("{{\"Records\":[{}]}}", String::from_utf8(record).unwrap());
    let unreadable = split(payload.into()).unwrap().next().unwrap().unwrap_err();
    assert_eq!(*unreadable.error().reason(), RecordReason::Missing { field: "SequenceNumber" });
    assert_eq!(unreadable.sequence_number(), None);
    assert!(unreadable.error().help().is_some());
}

#[test]
fn documented_records_read() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Message<'a> {
        id: u32,
        message: &'a str,
    }
    let records = records("documented-records.json");
    let names: Vec<_> = records.iter().map(|record| (record.event_name(), record.sequence_number())).collect();
    assert_eq!(names, [(EventName::Insert, "111"), (EventName::Modify, "222")]);
    assert_eq!(records[0].lane(), records[1].lane());
    assert_eq!(
        records[1].new_image().unwrap().decode::<Message<'_>>().unwrap(),
        Message { id: 101, message: "This item has changed" }
    );
    assert_eq!(records[1].old_image().unwrap().decode::<Message<'_>>().unwrap().message, "New item!");
    let keys: BTreeMap<&str, u8> = records[1].keys().decode().unwrap();
    assert_eq!(keys, [("Id", 101)].into());
}

#[test]
fn a_documented_time_to_live_delete_reads() {
    let records = records("documented-time-to-live.json");
    assert_eq!((records[0].event_name(), records[0].cause()), (EventName::Remove, Cause::TimeToLive));
    assert_eq!(records[0].created_at().unwrap().to_string(), "2015-04-09T00:00:00Z");
}

#[test]
fn a_documented_tumbling_window_reads() {
    let mut records = event("documented-tumbling-window.json");
    assert_eq!(records.by_ref().filter(Result::is_ok).count(), 2);
    let window = records.finish().unwrap().unwrap();
    assert_eq!((window.start.as_str(), window.end.as_str()), ("2020-07-30T17:00:00Z", "2020-07-30T17:05:00Z"));
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&window.state).unwrap()["1"], "state1");
    assert_eq!(
        (window.shard_id.as_deref(), window.source_arn.as_deref()),
        (Some("shard123456789"), Some("stream-ARN"))
    );
    assert!(!window.is_final && !window.is_terminated_early);
}

#[cfg(feature = "events")]
#[test]
fn records_convert_to_aws_lambda_events_and_back() {
    use aws_lambda_events::dynamodb::{Event, EventRecord};

    for name in [
        "example-dynamodb-event.json",
        "documented-records.json",
        "documented-time-to-live.json",
        "documented-tumbling-window.json",
    ] {
        let theirs: Event = serde_json::from_slice(&fixture(name)).unwrap();
        for (raw, expected) in records(name).iter().zip(theirs.records) {
            let mut converted = EventRecord::try_from(raw).unwrap();
            converted.event_version.clone_from(&expected.event_version);
            assert_eq!(converted, expected);
            let back = RawRecord::try_from(expected).unwrap();
            assert_eq!(
                (back.event_name(), back.sequence_number(), back.cause()),
                (raw.event_name(), raw.sequence_number(), raw.cause())
            );
            assert_eq!(
                (back.event_id(), back.source_arn(), back.created_at()),
                (raw.event_id(), raw.source_arn(), raw.created_at())
            );
            assert_eq!(back.keys().item().unwrap(), raw.keys().item().unwrap());
            assert_eq!(back.lane(), raw.lane());
        }
    }
}
