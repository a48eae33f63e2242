//! The sample events are what AWS would send: this holds each file to the shape of a stream record, so that whatever is tested
//! with them is tested with the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// The only attribute of any sample that is meant to be unreadable.
const BROKEN_BASE64: &str = "poison-broken-base64";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("events")
}

/// Every sample, by its file's name without `.json`.
fn samples() -> BTreeMap<String, Value> {
    std::fs::read_dir(directory())
        .expect("the directory of samples exists")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().expect("a file has a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a sample is readable");
            let event = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, event)
        })
        .collect()
}

fn sample(name: &str) -> Value {
    samples().remove(name).unwrap_or_else(|| panic!("events/{name}.json exists"))
}

fn records(event: &Value) -> &[Value] {
    event["Records"].as_array().expect("an event has Records")
}

/// The one record of a sample that has one.
fn record(name: &str) -> Value {
    let event = sample(name);
    let [record] = records(&event) else { panic!("{name} has exactly one record") };
    record.clone()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("a JSON object")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a JSON string")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a JSON list")
}

fn images(record: &Value) -> Vec<&'static str> {
    ["NewImage", "OldImage"].into_iter().filter(|image| record["dynamodb"].get(image).is_some()).collect()
}

/// The images that DynamoDB puts into a record.
fn images_of(event_name: &str, view: &str) -> Vec<&'static str> {
    let new = event_name != "REMOVE" && view.starts_with("NEW_");
    let old = event_name != "INSERT" && (view == "OLD_IMAGE" || view == "NEW_AND_OLD_IMAGES");
    [("NewImage", new), ("OldImage", old)].into_iter().filter_map(|(image, held)| held.then_some(image)).collect()
}

fn all_records() -> Vec<(String, Value)> {
    samples()
        .into_iter()
        .flat_map(|(name, event)| {
            records(&event).iter().map(|record| (name.clone(), record.clone())).collect::<Vec<_>>()
        })
        .collect()
}

/// Bytes that DynamoDB counts for an item: names in UTF-8 plus values.
fn item_size(item: &Value) -> usize {
    object(item).iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Value) -> usize {
    let (tag, value) = object(value).iter().next().expect("an attribute value has a type");
    match tag.as_str() {
        "S" => text(value).len(),
        "N" => number_size(text(value)),
        "B" => binary_size(text(value)),
        "BOOL" | "NULL" => 1,
        "SS" => list(value).iter().map(|member| text(member).len()).sum(),
        "NS" => list(value).iter().map(|member| number_size(text(member))).sum(),
        "BS" => list(value).iter().map(|member| binary_size(text(member))).sum(),
        "L" => 3 + list(value).iter().map(|element| 1 + value_size(element)).sum::<usize>(),
        "M" => 3 + object(value).iter().map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>(),
        unknown => panic!("no such attribute type: {unknown}"),
    }
}

/// Two significant digits to the byte, one byte for the exponent, one for a minus sign.
fn number_size(number: &str) -> usize {
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let significant = digits.trim_matches('0').len().max(1);
    significant.div_ceil(2) + 1 + usize::from(number.starts_with('-'))
}

fn binary_size(base64: &str) -> usize {
    base64.len() / 4 * 3 - base64.bytes().rev().take_while(|byte| *byte == b'=').count()
}

#[test]
fn one_sample_for_each_event_name_and_view_type() {
    for event_name in ["INSERT", "MODIFY", "REMOVE"] {
        for view in ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"] {
            let name = format!("{event_name}-{view}").to_lowercase().replace('_', "-");
            let record = record(&name);
            assert_eq!(record["eventName"], event_name, "{name}");
            assert_eq!(record["dynamodb"]["StreamViewType"], view, "{name}");
        }
    }
}

#[test]
fn a_record_holds_the_images_of_its_view() {
    for (name, record) in all_records() {
        let expected = images_of(text(&record["eventName"]), text(&record["dynamodb"]["StreamViewType"]));
        assert_eq!(images(&record), expected, "{name}");
    }
}

#[test]
fn an_envelope_is_complete() {
    for (name, record) in all_records() {
        let id = text(&record["eventID"]);
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {id}");
        assert_eq!(record["eventVersion"], "1.1", "{name}");
        assert_eq!(record["eventSource"], "aws:dynamodb", "{name}");
        let region = text(&record["awsRegion"]);
        let stream = format!("arn:aws:dynamodb:{region}:123456789012:table/PetTracker/stream/");
        assert!(text(&record["eventSourceARN"]).starts_with(&stream), "{name}");
        let created = record["dynamodb"]["ApproximateCreationDateTime"].as_f64().expect("epoch seconds");
        assert!(created > 1.7e9 && created.fract() == 0.0, "{name}: {created}");
    }
}

#[test]
fn creation_times_stand_in_exponent_form() {
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for line in text.lines().filter(|line| line.contains("\"ApproximateCreationDateTime\"")) {
            assert!(line.ends_with("E9,"), "{}: {line}", path.display());
        }
    }
}

#[test]
fn keys_and_images_agree() {
    for (name, record) in all_records() {
        let change = &record["dynamodb"];
        assert_eq!(object(&change["Keys"]).keys().collect::<Vec<_>>(), ["PK", "SK"], "{name}");
        for image in images(&record) {
            assert_eq!(change[image]["PK"], change["Keys"]["PK"], "{name}");
            assert_eq!(change[image]["SK"], change["Keys"]["SK"], "{name}");
        }
        assert!(
            change["NewImage"].is_null() || change["NewImage"] != change["OldImage"],
            "{name}: writing the same item again is no change"
        );
    }
}

#[test]
fn sequence_numbers_rise_within_a_batch() {
    for (name, event) in samples() {
        let numbers: Vec<&str> =
            records(&event).iter().map(|record| text(&record["dynamodb"]["SequenceNumber"])).collect();
        assert!(
            numbers
                .iter()
                .all(|number| (21..=40).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())),
            "{name}"
        );
        assert!(
            numbers.is_sorted_by(|earlier, later| (earlier.len(), earlier) < (later.len(), later)),
            "{name}: {numbers:?}"
        );
    }
}

#[test]
fn event_ids_are_unique() {
    let records = all_records();
    let ids: BTreeSet<&str> = records.iter().map(|(_, record)| text(&record["eventID"])).collect();
    assert_eq!(ids.len(), records.len());
}

#[test]
fn sizes_are_those_that_dynamodb_counts() {
    for (name, record) in all_records().into_iter().filter(|(name, _)| name != BROKEN_BASE64) {
        let change = &record["dynamodb"];
        let size: usize =
            ["Keys", "NewImage", "OldImage"].iter().filter_map(|part| change.get(part)).map(item_size).sum();
        assert_eq!(change["SizeBytes"], size, "{name}");
    }
}

/// AWS documents `SizeBytes` by example only: these are the records of its sample event.
#[test]
fn sizes_are_counted_as_in_the_sample_of_aws() {
    let keys = serde_json::json!({"Id": {"N": "101"}});
    let first = serde_json::json!({"Message": {"S": "New item!"}, "Id": {"N": "101"}});
    let second = serde_json::json!({"Message": {"S": "This item has changed"}, "Id": {"N": "101"}});
    assert_eq!(item_size(&keys) + item_size(&first), 26);
    assert_eq!(item_size(&keys) + item_size(&first) + item_size(&second), 59);
    assert_eq!(item_size(&keys) + item_size(&second), 38);
}

#[test]
fn only_the_ttl_delete_was_made_by_the_service() {
    for (name, record) in all_records() {
        let expected = match name.as_str() {
            "ttl-delete" => {
                serde_json::json!({"principalId": "dynamodb.amazonaws.com", "type": "Service"})
            }
            _ => Value::Null,
        };
        assert_eq!(record["userIdentity"], expected, "{name}");
    }
}

#[test]
fn the_single_table_batch_mixes_entities_and_returns_to_items() {
    let event = sample("single-table-batch");
    let entity = |record: &Value| {
        let image = images(record)[0];
        text(&record["dynamodb"][image]["entityType"]["S"]).to_owned()
    };
    let entities: BTreeSet<String> = records(&event).iter().map(entity).collect();
    assert_eq!(entities, BTreeSet::from(["ACTIVITY", "PET", "USER"].map(String::from)));
    let items: BTreeSet<String> = records(&event).iter().map(|record| record["dynamodb"]["Keys"].to_string()).collect();
    assert!(items.len() < records(&event).len(), "some item changes twice");
}

#[test]
fn a_poison_batch_has_one_unreadable_record_among_good_ones() {
    for (name, path, poison) in [
        ("poison-wrong-type", "/dynamodb/NewImage/weightKg", serde_json::json!({"S": "heavy"})),
        (BROKEN_BASE64, "/dynamodb/NewImage/photoDigest", serde_json::json!({"B": "bm90IGJhc2U2NA!"})),
    ] {
        let event = sample(name);
        let bad: Vec<usize> =
            (0..records(&event).len()).filter(|index| records(&event)[*index].pointer(path) == Some(&poison)).collect();
        assert_eq!(bad, [2], "{name}");
        assert_eq!(records(&event).len(), 5, "{name}");
    }
}

#[test]
fn events_without_records() {
    assert_eq!(sample("empty-batch"), serde_json::json!({"Records": []}));
    let last = sample("tumbling-final");
    assert!(records(&last).is_empty());
    assert_eq!(
        (&last["isFinalInvokeForWindow"], &last["isWindowTerminatedEarly"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
    assert!(
        !object(&last["state"]).is_empty()
            && !text(&last["window"]["start"]).is_empty()
            && !text(&last["window"]["end"]).is_empty()
    );
    let shard =
        text(&last["shardId"]).strip_prefix("shardId-").and_then(|rest| rest.split_once('-')).expect("two parts");
    assert_eq!((shard.0.len(), shard.1.len()), (20, 8));
}

#[test]
fn the_readme_tells_of_every_sample_and_of_no_other() {
    let readme = std::fs::read_to_string(directory().join("README.md")).unwrap();
    let told: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once(".json` |"))
        .map(|(name, _)| name)
        .collect();
    let told_once: BTreeSet<&str> = told.iter().copied().collect();
    assert_eq!(told.len(), told_once.len());
    assert_eq!(told_once, samples().keys().map(String::as_str).collect());
}
