//! What the mapping API admits and refuses.

use anabranch::source::mapping::{Admission, AdmissionError, Request};
use serde_json::{Value, json};

use crate::play::FUNCTION;

const STREAM: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/Pets/stream/2026-11-21T02:40:00.000";

fn account() -> Admission {
    Admission::default().stream(STREAM).function(FUNCTION).function(format!("{FUNCTION}:blue")).function("arn:other")
}

/// The plainest request with these changes.
fn request(changes: Value) -> Request {
    let mut request = json!({ "EventSourceArn": STREAM, "FunctionName": FUNCTION, "StartingPosition": "TRIM_HORIZON" });
    for (name, value) in changes.as_object().expect("an object") {
        request[name] = value.clone();
    }
    serde_json::from_value(request).expect("a request")
}

fn refused(changes: Value) -> AdmissionError {
    account().create(&request(changes)).expect_err("AWS refuses it")
}

#[test]
fn esm_01_the_defaults_are_echoed() {
    let description = account().create(&request(json!({}))).unwrap();
    let mut shown = serde_json::to_value(&description).unwrap();
    let uuid = shown.as_object_mut().unwrap().remove("UUID").unwrap();
    assert_eq!(uuid.as_str().unwrap().len(), 36);
    assert_eq!(
        shown,
        json!({
            "EventSourceArn": STREAM,
            "FunctionArn": FUNCTION,
            "StartingPosition": "TRIM_HORIZON",
            "State": "Creating",
            "StateTransitionReason": "User action",
            "LastProcessingResult": "No records processed",
            "BatchSize": 100,
            "BisectBatchOnFunctionError": false,
            "DestinationConfig": { "OnFailure": {} },
            "FunctionResponseTypes": [],
            "MaximumBatchingWindowInSeconds": 0,
            "MaximumRecordAgeInSeconds": -1,
            "MaximumRetryAttempts": -1,
            "ParallelizationFactor": 1,
            "TumblingWindowInSeconds": 0,
        })
    );
}

#[test]
fn esm_03_states_after_updates_and_an_empty_list_of_filters() {
    let mut account = account();
    let mapping = account.create(&request(json!({ "FilterCriteria": { "Filters": [] } }))).unwrap();
    assert_eq!(mapping.filter_criteria, None);
    assert_eq!(account.enable(&mapping.uuid, false).unwrap().state, "Disabling");
    assert_eq!(account.get(&mapping.uuid).unwrap().state, "Disabled");
    assert_eq!(account.enable(&mapping.uuid, true).unwrap().state, "Enabling");
    assert_eq!(account.delete(&mapping.uuid).unwrap().state, "Deleting");
}

#[test]
fn esm_06_an_unknown_stream() {
    let other = STREAM.replace("Pets", "Cats");
    let error = refused(json!({ "EventSourceArn": other }));
    assert_eq!((error.code, error.message), ("InvalidParameterValueException", format!("Stream not found: {other}")));
}

#[test]
fn esm_07_starting_positions() {
    let missing = refused(json!({ "StartingPosition": null }));
    assert_eq!(missing.code, "InvalidParameterValueException");
    assert_eq!(
        missing.message,
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not be null."
    );
    let unknown = refused(json!({ "StartingPosition": "NOW" }));
    assert_eq!(unknown.code, "ValidationException");
    assert!(unknown.message.contains("[LATEST, AT_TIMESTAMP, TRIM_HORIZON]"));
    let time = refused(json!({ "StartingPosition": "AT_TIMESTAMP" }));
    assert_eq!(time.message, format!("Unsupported starting position for arn type: {STREAM}"));
}

#[test]
fn esm_08_no_destination_for_success() {
    let error = refused(json!({ "DestinationConfig": { "OnSuccess": { "Destination": "arn" } } }));
    let message = "Unsupported DestinationConfig parameter for given event source mapping type.";
    assert_eq!((error.code, &*error.message), ("InvalidParameterValueException", message));
}

#[test]
fn esm_09_and_58c_the_same_function_or_alias_once_per_stream() {
    let mut account = account();
    let first = account.create(&request(json!({}))).unwrap();
    let twin = account.create(&request(json!({}))).unwrap_err();
    assert_eq!((twin.status, twin.code), (409, "ResourceConflictException"));
    assert!(twin.message.contains(&first.uuid));
    account.create(&request(json!({ "FunctionName": "arn:other" }))).expect("another function");
    let alias = json!({ "FunctionName": format!("{FUNCTION}:blue") });
    account.create(&request(alias.clone())).expect("an alias is another function");
    assert_eq!(account.create(&request(alias)).unwrap_err().status, 409);
}

#[test]
fn esm_10_filters_that_are_none() {
    for pattern in ["simple text", "{", "null", r#"{"eventName":"INSERT"}"#, r#"{"eventName":[]}"#] {
        let error = refused(json!({ "FilterCriteria": { "Filters": [{ "Pattern": pattern }] } }));
        let expected = ("InvalidParameterValueException", "Invalid filter pattern definition.");
        assert_eq!((error.code, &*error.message), expected, "{pattern}");
    }
}

#[test]
fn esm_11_what_is_not_there() {
    let unknown = account().get("6b3f").unwrap_err();
    assert_eq!((unknown.status, &*unknown.message), (404, "The resource you requested does not exist."));
    assert_eq!(refused(json!({ "FunctionName": "g" })).message, "Function does not exist");
    assert_eq!(refused(json!({ "EventSourceArn": null })).message, "Unrecognized event source.");
}

#[test]
fn esm_55a_tumbling_windows_stand_alone() {
    let filters = json!({ "Filters": [{ "Pattern": r#"{"eventName":["INSERT"]}"# }] });
    assert_eq!(refused(json!({ "TumblingWindowInSeconds": 10, "ParallelizationFactor": 2 })).status, 400);
    assert_eq!(refused(json!({ "TumblingWindowInSeconds": 10, "FilterCriteria": filters })).status, 400);
    let empty = json!({ "TumblingWindowInSeconds": 10, "FilterCriteria": { "Filters": [] } });
    assert_eq!(account().create(&request(empty)).unwrap().filter_criteria, None);
}

#[test]
fn numbers_have_ranges() {
    for (name, least, most) in [
        ("BatchSize", 1, 10_000),
        ("MaximumBatchingWindowInSeconds", 0, 300),
        ("ParallelizationFactor", 1, 10),
        ("MaximumRetryAttempts", -1, 10_000),
        ("MaximumRecordAgeInSeconds", -1, 604_800),
        ("TumblingWindowInSeconds", 0, 900),
    ] {
        for value in [least, most] {
            account()
                .create(&request(json!({ name: value })))
                .unwrap_or_else(|error| panic!("{name} {value}: {error}"));
        }
        for value in [least - 1, most + 1] {
            assert_eq!(refused(json!({ name: value })).code, "ValidationException", "{name} {value}");
        }
    }
    assert_eq!(refused(json!({ "MaximumRecordAgeInSeconds": 59 })).status, 400);
    assert_eq!(refused(json!({ "FunctionResponseTypes": ["Everything"] })).code, "ValidationException");
}

#[test]
fn an_admitted_mapping_has_its_settings() {
    let asked = json!({
        "StartingPosition": "LATEST",
        "BatchSize": 7,
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 60,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "FilterCriteria": { "Filters": [{ "Pattern": r#"{"eventName":["INSERT"]}"# }] },
        "DestinationConfig": { "OnFailure": { "Destination": "arn:aws:sqs:eu-west-1:123456789012:failures" } },
    });
    let settings = account().create(&request(asked)).unwrap().settings();
    assert_eq!((settings.batch_size, settings.maximum_retry_attempts), (7, Some(3)));
    assert_eq!(settings.maximum_record_age, Some(std::time::Duration::from_secs(60)));
    assert!(settings.report_item_failures && settings.failure_destination);
    assert_eq!(settings.filter_criteria.patterns().len(), 1);
}
