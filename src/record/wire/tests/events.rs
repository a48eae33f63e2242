//! Whole payloads: envelopes in every layout, tumbling windows, and what is no event of a stream.

use bytes::Bytes;
use proptest::{option, prelude::*};
use serde_json::{Value, json};

use super::{
    super::{
        Cause, EventName, EventWriter, Kind, Origin, PayloadError, RawRecord, RecordParts, TumblingWindow, ViewType,
        split,
        write::{Identity, ItemJson},
    },
    generate::{self, Layout},
};

fn payload(value: &Value) -> Bytes {
    value.to_string().into()
}

fn only(value: &Value) -> RawRecord {
    let mut records = split(payload(&json!({ "Records": [value] }))).unwrap();
    let record = records.next().unwrap().unwrap();
    assert!(records.next().is_none());
    assert_eq!(records.finish().unwrap(), None);
    record
}

fn full() -> Value {
    json!({
        "eventID": "c4ca4238a0b923820dcc509a6f75849b",
        "eventName": "MODIFY",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1.66e9,
            "Keys": { "PK": { "S": "USER#1" } },
            "NewImage": { "PK": { "S": "USER#1" }, "n": { "N": "2" } },
            "OldImage": { "PK": { "S": "USER#1" }, "n": { "N": "1" } },
            "SequenceNumber": "4421584500000000017450439092",
            "SizeBytes": 59,
            "StreamViewType": "NEW_AND_OLD_IMAGES"
        },
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/T/stream/2026-11-21T00:00:00.000"
    })
}

#[test]
fn every_field_of_an_envelope_is_read() {
    let record = only(&full());
    assert_eq!(record.position(), 0);
    assert_eq!(record.event_id(), Some("c4ca4238a0b923820dcc509a6f75849b"));
    assert_eq!(record.event_name(), EventName::Modify);
    assert_eq!(record.sequence_number(), "4421584500000000017450439092");
    assert_eq!(record.region(), Some("eu-west-1"));
    assert!(record.source_arn().unwrap().ends_with("stream/2026-11-21T00:00:00.000"));
    assert_eq!(record.created_at().unwrap().as_nanos(), 1_660_000_000_000_000_000);
    assert_eq!(record.size_bytes(), Some(59));
    assert_eq!(record.view_type(), Some(ViewType::NewAndOldImages));
    assert_eq!(record.cause(), Cause::User);
    assert_eq!(record.keys().attribute("PK").unwrap().as_deref(), Some("USER#1"));
    assert_eq!(record.new_image().unwrap().attribute("n").unwrap().as_deref(), Some("2"));
    assert_eq!(record.old_image().unwrap().attribute("n").unwrap().as_deref(), Some("1"));
    assert_eq!(serde_json::from_slice::<Value>(record.json()).unwrap(), full());
    assert_eq!(record.json(), record.json_bytes());
}

#[test]
fn all_but_name_and_number_may_be_absent() {
    let record = only(&json!({ "eventName": "REMOVE", "dynamodb": { "SequenceNumber": "1" } }));
    assert_eq!((record.event_id(), record.region(), record.source_arn()), (None, None, None));
    assert_eq!((record.created_at(), record.size_bytes(), record.view_type()), (None, None, None));
    assert_eq!(record.keys().json(), b"{}");
    assert!(record.new_image().is_none() && record.old_image().is_none());
    let nulls = only(&json!({
        "eventID": null, "awsRegion": null, "eventSource": null, "eventSourceARN": null, "userIdentity": null, "eventName": "REMOVE",
        "dynamodb": {
            "SequenceNumber": "1", "Keys": null, "NewImage": null, "OldImage": null, "SizeBytes": null, "StreamViewType": null,
            "ApproximateCreationDateTime": null
        },
        "later": { "additions": [1, { "are": null }] }
    }));
    assert_eq!((nulls.event_id(), nulls.cause(), nulls.lane()), (None, Cause::User, record.lane()));
}

#[test]
fn causes_are_told_in_both_capitalizations() {
    let cause = |identity: Value, expected: Cause<'_>| {
        let mut record = full();
        record["userIdentity"] = identity;
        assert_eq!(only(&record).cause(), expected);
    };
    cause(json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" }), Cause::TimeToLive);
    cause(json!({ "PrincipalId": "dynamodb.amazonaws.com", "Type": "Service" }), Cause::TimeToLive);
    cause(
        json!({ "type": "Service", "principalId": "replication.dynamodb.amazonaws.com" }),
        Cause::Service("replication.dynamodb.amazonaws.com"),
    );
    cause(
        json!({ "type": "Other", "principalId": "dynamodb.amazonaws.com", "x": [{}] }),
        Cause::Service("dynamodb.amazonaws.com"),
    );
    cause(json!(null), Cause::User);
    cause(json!({}), Cause::User);
}

#[test]
fn sequence_numbers_have_one_to_forty_digits() {
    let sequence = |text: String| {
        let mut record = full();
        record["dynamodb"]["SequenceNumber"] = text.into();
        split(payload(&json!({ "Records": [record] })))
            .unwrap()
            .next()
            .unwrap()
            .map(|record| record.sequence_number().to_owned())
    };
    for length in 1..=40 {
        let digits = "123456789".repeat(5)[..length].to_owned();
        assert_eq!(sequence(digits.clone()).unwrap(), digits);
        let spoiled = digits.replacen(char::is_numeric, "x", 1);
        assert!(sequence(spoiled).is_err());
    }
    for bad in ["", "1 ", "-1", "1.0", "１"] {
        assert!(sequence(bad.to_owned()).is_err(), "{bad}");
    }
    assert!(sequence("1".repeat(41)).is_err());
}

#[test]
fn windows_are_read_wherever_their_keys_stand() {
    let before = br#"{"isFinalInvokeForWindow":true,"window":{"start":"2020-07-30T17:00:00Z","end":"2020-07-30T17:05:00Z"},
        "state":{"1":"state1","Records":[{"eventID":"2"}]}, "Records" : [ ] , "shardId":"shard123456789","eventSourceARN":"stream-ARN"}"#;
    let mut records = split(before.as_slice().into()).unwrap();
    assert!(records.next().is_none());
    let window = records.finish().unwrap().unwrap();
    assert_eq!((&*window.start, &*window.end), ("2020-07-30T17:00:00Z", "2020-07-30T17:05:00Z"));
    assert_eq!(window.state, r#"{"1":"state1","Records":[{"eventID":"2"}]}"#);
    assert_eq!(
        (window.shard_id.as_deref(), window.source_arn.as_deref()),
        (Some("shard123456789"), Some("stream-ARN"))
    );
    assert!(window.is_final && !window.is_terminated_early);
}

#[test]
fn written_windows_are_read_again() {
    let parts = || RecordParts {
        event_name: Some("INSERT".into()),
        sequence_number: Some("1".into()),
        ..RecordParts::default()
    };
    for (count, shard_id) in [(0, None), (2, Some("shard-1".to_owned()))] {
        let window = TumblingWindow {
            start: "2020-07-30T17:00:00Z".to_owned(),
            end: "2020-07-30T17:05:00Z".to_owned(),
            state: Bytes::from_static(b"{\"n\":[1]}"),
            shard_id,
            source_arn: Some("arn".to_owned()),
            is_final: count == 0,
            is_terminated_early: false,
        };
        let mut event = EventWriter::new();
        (0..count).for_each(|_| event.push(&parts()));
        let mut records = split(event.finish_in(&window)).unwrap();
        assert_eq!(records.by_ref().filter(Result::is_ok).count(), count);
        assert_eq!(records.finish().unwrap(), Some(window));
    }
}

#[test]
fn broken_windows_are_an_error_of_the_invocation() {
    let finish = |rest: &str| {
        split(format!(r#"{{"Records":[],{rest}}}"#).into())
            .unwrap()
            .finish()
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    let window = r#""window":{"start":"a","end":"b"}"#;
    assert_eq!(finish(window), Ok(()));
    assert_eq!(finish(r#""window":null"#), Ok(()));
    assert_eq!(
        finish(r#""window":{"start":"a"}"#).unwrap_err(),
        "`window.end` of the tumbling window is not a time in ISO 8601"
    );
    assert_eq!(finish(r#""window":7"#).unwrap_err(), "`window.start` of the tumbling window is not a time in ISO 8601");
    assert_eq!(
        finish(&format!(r#"{window},"shardId":7"#)).unwrap_err(),
        "`shardId` of the tumbling window is not a string"
    );
    assert_eq!(
        finish(&format!(r#"{window},"isFinalInvokeForWindow":"x""#)).unwrap_err(),
        "`isFinalInvokeForWindow` of the tumbling window is not true or false"
    );
}

#[test]
fn what_is_no_stream_event_is_said_plainly() {
    let error = |payload: &str| split(Bytes::copy_from_slice(payload.as_bytes())).map(|_| ()).unwrap_err();
    assert!(matches!(error(""), PayloadError::NotAnObject { found: Kind::Nothing }));
    assert!(matches!(error(" null"), PayloadError::NotAnObject { found: Kind::Null }));
    assert!(matches!(error("[]"), PayloadError::NotAnObject { found: Kind::Array }));
    assert!(matches!(error("Records"), PayloadError::NotAnObject { found: Kind::Other }));
    assert!(matches!(error("{"), PayloadError::Malformed { at: 1 }));
    assert!(matches!(error(r#"{"a":tru,"Records":[]}"#), PayloadError::Malformed { at: 5 }));
    assert!(matches!(error(r#"{"Records":{"a":1}}"#), PayloadError::RecordsNotAnArray { found: Kind::Object }));
    assert!(matches!(error(r#"{"Records":null}"#), PayloadError::RecordsNotAnArray { found: Kind::Null }));
    let text = error(r#"{"detail-type":"Scheduled Event","source":"aws.events","detail":{"Records":[]}}"#).to_string();
    assert!(text.contains("(its keys are: detail-type, source, detail)"), "{text}");
    for (record, service) in [
        (r#"{"messageId":"1","body":"{}","eventSource":"aws:sqs"}"#, "aws:sqs"),
        (r#"{"EventSource":"aws:sns","Sns":{}}"#, "aws:sns"),
        (r#"{"kinesis":{"data":"AA=="},"eventSource":"aws:kinesis"}"#, "aws:kinesis"),
        (r#"{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put"}"#, "aws:s3"),
    ] {
        let text = error(&format!(r#"{{"Records":[{record}]}}"#)).to_string();
        assert!(text.starts_with(&format!("the records come from `{service}`")), "{text}");
    }
}

#[test]
fn what_follows_the_records_must_be_whole() {
    let finish = |payload: &str| {
        let mut records = split(Bytes::copy_from_slice(payload.as_bytes())).unwrap();
        let read = records.by_ref().map(|record| record.is_ok()).collect::<Vec<_>>();
        (read, records.finish().map(|_| ()))
    };
    let record = full().to_string();
    assert!(matches!(finish(&format!("{{\"Records\":[{record}]}} \n")), (read, Ok(())) if read == [true]));
    assert!(
        matches!(finish(&format!("{{\"Records\":[{record}]")), (read, Err(PayloadError::Malformed { .. })) if read == [true])
    );
    assert!(
        matches!(finish(&format!("{{\"Records\":[{record}]}}x")), (read, Err(PayloadError::Malformed { .. })) if read == [true])
    );
    assert!(
        matches!(finish(&format!("{{\"Records\":[{record}],\"Records\":[{record}]}}")), (read, Err(PayloadError::RecordsTwice)) if read == [true])
    );
    assert!(
        matches!(finish(r#"{"Records":[],"Records":[]}"#), (read, Err(PayloadError::RecordsTwice)) if read.is_empty())
    );
    assert!(matches!(split(record_and_nothing_asked(&record)).unwrap().finish(), Err(PayloadError::Malformed { .. })));
}

fn record_and_nothing_asked(record: &str) -> Bytes {
    format!("{{\"Records\":[{record}]}}").into()
}

prop_compose! {
    /// A record with any of its parts, written in any layout.
    fn record()(
        event_id in option::of(generate::text()), name in "INSERT|MODIFY|REMOVE", region in option::of("[a-z0-9-]{0,12}"),
        arn in option::of(generate::text()), nanos in option::of(any::<i64>()), keys in generate::item(), new_image in option::of(generate::item()),
        old_image in option::of(generate::item()), sequence in "[0-9]{1,40}", size in option::of(any::<u32>()),
        principal in option::of(generate::text()), seed: u64,
    ) -> (RecordParts<'static>, String) {
        let item = |item| ItemJson::from_json(generate::json(&item, Layout::random(seed)));
        let parts = RecordParts {
            origin: Origin::Stream,
            event_id: event_id.map(Into::into),
            event_name: Some(name.into()),
            region: region.map(Into::into),
            source_arn: arn.map(Into::into),
            created_at: nanos.map(super::super::Timestamp::from_nanos),
            keys: Some(item(keys)),
            new_image: new_image.map(item),
            old_image: old_image.map(item),
            sequence_number: Some(sequence.into()),
            size_bytes: size.map(u64::from),
            view_type: Some("NEW_AND_OLD_IMAGES".into()),
            identity: principal.map(|principal| Identity { kind: Some("Service".into()), principal: Some(principal.into()) }),
        };
        let compact = parts.clone().into_record().unwrap();
        let json = relaid(compact.json(), seed);
        (parts, json)
    }
}

/// The same JSON in another layout: members in another order, with whitespace and escapes.
fn relaid(json: &[u8], seed: u64) -> String {
    fn write(layout: &mut Layout, json: &mut String, value: &Value) {
        match value {
            Value::Object(members) => {
                let members = members.iter().map(|(name, value)| (name.as_str(), value)).collect();
                layout.object(json, members, write);
            }
            Value::Array(elements) => layout.list(json, elements, write),
            Value::String(text) => layout.string(json, text),
            other => json.push_str(&other.to_string()),
        }
    }
    // Numbers of the envelope pass through `f64` here: only times do, and those are compared to the microsecond.
    let mut text = String::new();
    write(&mut Layout::random(seed), &mut text, &serde_json::from_slice(json).unwrap());
    text.trim().to_owned()
}

proptest! {
    #[test]
    fn envelopes_are_read_in_every_layout(records in proptest::collection::vec(record(), 0..4), seed: u64) {
        let mut json = String::new();
        let mut layout = Layout::random(seed);
        let texts: Vec<_> = records.iter().map(|(_, json)| json.as_str()).collect();
        layout.object(&mut json, vec![("Records", texts)], |layout, json, texts| layout.list(json, &texts, |_, json, text| json.push_str(text)));
        let mut read = split(json.into()).unwrap();
        for (position, (parts, text)) in records.iter().enumerate() {
            let record = read.next().unwrap().unwrap();
            prop_assert_eq!(record.json(), text.as_bytes());
            prop_assert_eq!(record.position(), position);
            prop_assert_eq!(record.event_id(), parts.event_id.as_deref());
            prop_assert_eq!(Some(record.event_name().as_str()), parts.event_name.as_deref());
            prop_assert_eq!(record.region(), parts.region.as_deref());
            prop_assert_eq!(record.source_arn(), parts.source_arn.as_deref());
            prop_assert_eq!(Some(record.sequence_number()), parts.sequence_number.as_deref());
            prop_assert_eq!(record.size_bytes(), parts.size_bytes);
            let micros = |time: super::super::Timestamp| time.as_nanos() / 1_000_000;
            prop_assert!(record.created_at().map(micros).unwrap_or(0).abs_diff(parts.created_at.map(micros).unwrap_or(0)) <= 1);
            let item = |json: &ItemJson| super::super::de::item_from_json(json.as_bytes()).unwrap();
            prop_assert_eq!(record.keys().item().unwrap(), item(parts.keys.as_ref().unwrap()));
            prop_assert_eq!(record.new_image().map(|image| image.item().unwrap()), parts.new_image.as_ref().map(item));
            prop_assert_eq!(record.old_image().map(|image| image.item().unwrap()), parts.old_image.as_ref().map(item));
            let principal = parts.identity.as_ref().and_then(|identity| identity.principal.as_deref());
            prop_assert_eq!(record.cause(), principal.map_or(Cause::User, Cause::Service));
        }
        prop_assert!(read.next().is_none());
        prop_assert_eq!(read.finish().unwrap(), None);
    }
}
