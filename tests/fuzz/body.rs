//! What must hold of every payload, be it an event, a damaged one, or noise.

use anabranch::record::{DecodeError, Image, RawRecord, Split, UnreadableRecord, split, wire::DecodeReason};
use aws_lambda_events::dynamodb::Event;
use serde::de::IgnoredAny;

/// Reads a payload in every way there is: nothing panics, nothing grows beyond the payload, and what is valid reads as it does
/// by way of `serde_json` and `serde_dynamo`.
pub(crate) fn check(payload: &[u8]) {
    let Ok(mut records) = split(payload.to_vec().into()) else {
        return assert!(expected(payload).is_none(), "a valid event is split");
    };
    let read = read_all(&mut records, payload.len());
    let finished = records.finish().is_ok();
    read.iter().for_each(|record| match record {
        Ok(record) => check_record(record),
        Err(record) => check_unreadable(record),
    });
    if let Some(event) = expected(payload) {
        assert!(
            finished || payload.windows(8).any(|window| window == b"\"window\""),
            "a valid event ends as it should"
        );
        compare(&read, &event);
    }
}

type Read = Result<RawRecord, UnreadableRecord>;

fn read_all(records: &mut Split, length: usize) -> Vec<Read> {
    let mut read = Vec::new();
    let mut bytes = 0;
    for record in records {
        bytes += record.as_ref().map_or_else(|record| record.json().len(), |record| record.json().len());
        assert!(bytes <= length, "no byte is in two records");
        read.push(record);
        assert!(read.len() <= length, "a record takes a byte or more");
    }
    read
}

fn check_record(record: &RawRecord) {
    assert!((1..=40).contains(&record.sequence_number().len()));
    assert_eq!(record.json().first().zip(record.json().last()), Some((&b'{', &b'}')));
    let _ =
        (record.event_id(), record.event_name(), record.source_arn(), record.region(), record.cause(), record.lane());
    let _ = (record.created_at().map(|time| time.to_string()), record.size_bytes(), record.view_type());
    check_image(record.keys());
    record.new_image().into_iter().chain(record.old_image()).for_each(check_image);
}

fn check_unreadable(record: &UnreadableRecord) {
    let said = format!("{record} {:?}", record.error().help());
    assert!(said.len() < 20_000 && record.error().path().starts_with("Records["), "{said}");
    assert!(record.sequence_number().is_none_or(|number| (1..=40).contains(&number.len())));
}

/// An image reads losslessly, or says why not; and it reads as it does by way of `serde_dynamo`.
fn check_image(image: Image<'_>) {
    let ours = image.item();
    let _ = (image.decode::<serde_json::Value>(), image.attribute("PK"));
    let Ok(theirs) = serde_json::from_slice::<serde_dynamo::Item>(image.json()) else {
        return;
    };
    match ours {
        Ok(ours) => assert_eq!(ours, theirs),
        Err(error) => assert!(stricter(&error), "{error}"),
    }
}

/// Where we refuse on purpose what `serde_dynamo` lets pass: keys behind the type tag, and items that DynamoDB cannot hold.
fn stricter(error: &DecodeError) -> bool {
    matches!(error.reason(), DecodeReason::ExtraTag | DecodeReason::TooDeep)
}

/// The event as `aws_lambda_events` reads it, if it is one in the narrow sense: each record with all that a change needs.
fn expected(payload: &[u8]) -> Option<Event> {
    serde_json::from_slice::<IgnoredAny>(payload).ok()?;
    let event: Event = serde_json::from_slice(payload).ok()?;
    let whole = event.records.iter().all(|record| {
        let number = record.change.sequence_number.as_deref().unwrap_or_default();
        matches!(record.event_name.as_str(), "INSERT" | "MODIFY" | "REMOVE")
            && matches!(record.event_source.as_deref(), None | Some("aws:dynamodb"))
            && (1..=40).contains(&number.len())
            && number.bytes().all(|digit| digit.is_ascii_digit())
    });
    (whole && !deep(payload)).then_some(event)
}

/// Nested deeper than anything is read.
fn deep(payload: &[u8]) -> bool {
    payload.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() > 100
        && serde_json::from_slice::<serde_json::Value>(payload).is_err()
}

fn compare(read: &[Read], event: &Event) {
    assert_eq!(read.len(), event.records.len());
    for (ours, theirs) in read.iter().zip(&event.records) {
        let ours = ours.as_ref().unwrap_or_else(|record| panic!("a valid record is read: {record}"));
        assert_eq!(ours.event_name().as_str(), theirs.event_name);
        assert_eq!(ours.event_id().unwrap_or_default(), theirs.event_id);
        assert_eq!(Some(ours.sequence_number()), theirs.change.sequence_number.as_deref());
        assert_eq!(ours.source_arn(), theirs.event_source_arn.as_deref());
        let image = |image: Option<Image<'_>>| image.map_or(Ok(serde_dynamo::Item::default()), |image| image.item());
        same(image(Some(ours.keys())), &theirs.change.keys);
        same(image(ours.new_image()), &theirs.change.new_image);
        same(image(ours.old_image()), &theirs.change.old_image);
    }
}

fn same(ours: Result<serde_dynamo::Item, DecodeError>, theirs: &serde_dynamo::Item) {
    match ours {
        Ok(ours) => assert_eq!(ours, *theirs),
        Err(error) => assert!(stricter(&error), "{error}"),
    }
}
