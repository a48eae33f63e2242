//! From the records that `GetRecords` of DynamoDB Streams returns.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::{
    primitives::{Blob, DateTime},
    types::{self, AttributeValue},
};
use bytes::Bytes;

use crate::record::wire::{EventWriter, Identity, ItemJson, RawRecord, RecordParts, Timestamp, UnreadableRecord};

/// Writes the event that Lambda would deliver for these records of a stream.
///
/// What a record lacks, the event lacks too: reading it is then that record's failure, and no other's. `source_arn` is the ARN of
/// the stream, which the records themselves do not tell.
pub fn event_from_stream(records: impl IntoIterator<Item = types::Record>, source_arn: &str) -> Bytes {
    let mut event = EventWriter::new();
    for record in records {
        event.push(&RecordParts { source_arn: Some(source_arn.into()), ..RecordParts::from(record) });
    }
    event.finish()
}

impl From<types::Record> for RecordParts<'static> {
    fn from(record: types::Record) -> Self {
        let parts = Self {
            event_id: record.event_id.map(Into::into),
            event_name: record.event_name.map(|name| name.as_str().to_owned().into()),
            region: record.aws_region.map(Into::into),
            identity: record.user_identity.map(identity),
            ..Self::default()
        };
        match record.dynamodb {
            Some(change) => with_change(parts, change),
            None => parts,
        }
    }
}

fn with_change(parts: RecordParts<'static>, change: types::StreamRecord) -> RecordParts<'static> {
    RecordParts {
        created_at: change.approximate_creation_date_time.and_then(time),
        keys: change.keys.map(item),
        new_image: change.new_image.map(item),
        old_image: change.old_image.map(item),
        sequence_number: change.sequence_number.map(Into::into),
        size_bytes: change.size_bytes.and_then(|size| u64::try_from(size).ok()),
        view_type: change.stream_view_type.map(|view| view.as_str().to_owned().into()),
        ..parts
    }
}

fn identity(identity: types::Identity) -> Identity<'static> {
    Identity { kind: identity.r#type.map(Into::into), principal: identity.principal_id.map(Into::into) }
}

fn time(time: DateTime) -> Option<Timestamp> {
    i64::try_from(time.as_nanos()).ok().map(Timestamp::from_nanos)
}

fn item(item: HashMap<String, AttributeValue>) -> ItemJson {
    let mut json = Vec::new();
    map(&item, &mut json);
    ItemJson::from_json(json)
}

fn map(entries: &HashMap<String, AttributeValue>, json: &mut Vec<u8>) {
    json.push(b'{');
    for (index, (name, value)) in entries.iter().enumerate() {
        separate(index, json);
        text(name, json);
        json.push(b':');
        attribute(value, json);
    }
    json.push(b'}');
}

/// Writes what stands behind a type tag.
type Content<'a> = dyn Fn(&mut Vec<u8>) + 'a;

fn attribute(value: &AttributeValue, json: &mut Vec<u8>) {
    let (tag, write): (_, &Content<'_>) = match value {
        AttributeValue::S(value) => ("S", &|json| text(value, json)),
        AttributeValue::N(value) => ("N", &|json| text(value, json)),
        AttributeValue::B(value) => ("B", &|json| binary(value, json)),
        AttributeValue::Bool(value) => ("BOOL", &|json| boolean(*value, json)),
        AttributeValue::Null(value) => ("NULL", &|json| boolean(*value, json)),
        AttributeValue::M(value) => ("M", &|json| map(value, json)),
        AttributeValue::L(value) => ("L", &|json| list(value, json, attribute)),
        AttributeValue::Ss(value) => ("SS", &|json| list(value, json, |item, json| text(item, json))),
        AttributeValue::Ns(value) => ("NS", &|json| list(value, json, |item, json| text(item, json))),
        AttributeValue::Bs(value) => ("BS", &|json| list(value, json, binary)),
        // A type newer than this SDK: no reader knows its tag, so decoding the image is this record's failure.
        _ => ("UNKNOWN", &|json| boolean(true, json)),
    };
    json.push(b'{');
    text(tag, json);
    json.push(b':');
    write(json);
    json.push(b'}');
}

fn list<T>(values: &[T], json: &mut Vec<u8>, write: impl Fn(&T, &mut Vec<u8>)) {
    json.push(b'[');
    for (index, value) in values.iter().enumerate() {
        separate(index, json);
        write(value, json);
    }
    json.push(b']');
}

fn separate(index: usize, json: &mut Vec<u8>) {
    if index > 0 {
        json.push(b',');
    }
}

fn text(text: &str, json: &mut Vec<u8>) {
    serde_json::to_writer(json, text).expect("every text is JSON");
}

fn binary(value: &Blob, json: &mut Vec<u8>) {
    text(&base64_simd::STANDARD.encode_to_string(value.as_ref()), json);
}

fn boolean(value: bool, json: &mut Vec<u8>) {
    json.extend_from_slice(if value { b"true" } else { b"false" });
}

impl TryFrom<types::Record> for RawRecord {
    type Error = UnreadableRecord;

    fn try_from(record: types::Record) -> Result<Self, Self::Error> {
        RecordParts::from(record).into_record()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodbstreams::types::{OperationType, Record, StreamRecord, StreamViewType};

    use super::*;
    use crate::record::wire::{Cause, EventName, RecordReason, ViewType, split};

    fn change() -> StreamRecord {
        let image = HashMap::from([
            ("PK".to_owned(), AttributeValue::S("a \"quoted\" \u{1F600} key\n".to_owned())),
            ("balance".to_owned(), AttributeValue::N("-1.2345678901234567890123456789012345678E-9".to_owned())),
            ("blob".to_owned(), AttributeValue::B(Blob::new([0, 1, 254, 255]))),
            ("flag".to_owned(), AttributeValue::Bool(false)),
            ("nothing".to_owned(), AttributeValue::Null(true)),
            ("names".to_owned(), AttributeValue::Ss(vec!["x".to_owned(), "y".to_owned()])),
            ("scores".to_owned(), AttributeValue::Ns(vec!["1".to_owned(), "2.50".to_owned()])),
            ("blobs".to_owned(), AttributeValue::Bs(vec![Blob::new([9])])),
            (
                "nested".to_owned(),
                AttributeValue::L(vec![AttributeValue::M(HashMap::from([(
                    "deep".to_owned(),
                    AttributeValue::Bool(true),
                )]))]),
            ),
        ]);
        StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_millis(1_763_692_800_250))
            .set_keys(Some(HashMap::from([("PK".to_owned(), image["PK"].clone())])))
            .set_new_image(Some(image))
            .sequence_number("000000000000000000111")
            .size_bytes(99)
            .stream_view_type(StreamViewType::NewImage)
            .build()
    }

    fn record() -> Record {
        Record::builder()
            .event_id("e1")
            .event_name(OperationType::Insert)
            .aws_region("eu-west-1")
            .dynamodb(change())
            .build()
    }

    #[test]
    fn every_part_of_a_record_arrives() {
        let payload = event_from_stream([record()], "arn:aws:dynamodb:eu-west-1:1:table/T/stream/L");
        let raw = split(payload).unwrap().next().unwrap().unwrap();
        assert_eq!(
            (raw.event_id(), raw.event_name(), raw.region()),
            (Some("e1"), EventName::Insert, Some("eu-west-1"))
        );
        assert_eq!((raw.sequence_number(), raw.size_bytes()), ("000000000000000000111", Some(99)));
        assert_eq!((raw.view_type(), raw.cause()), (Some(ViewType::NewImage), Cause::User));
        assert_eq!(raw.source_arn(), Some("arn:aws:dynamodb:eu-west-1:1:table/T/stream/L"));
        assert_eq!(raw.created_at().unwrap().as_nanos(), 1_763_692_800_250_000_000);
    }

    #[test]
    fn images_arrive_without_loss() {
        let raw = RawRecord::try_from(record()).unwrap();
        let item = raw.new_image().unwrap().item().unwrap();
        let expected = change()
            .new_image
            .unwrap()
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect::<HashMap<String, serde_dynamo::AttributeValue>>();
        assert_eq!(item, expected.into());
        assert_eq!(raw.keys().item().unwrap().len(), 1);
        assert!(raw.old_image().is_none());
    }

    #[test]
    fn a_time_to_live_delete_says_so() {
        let identity = types::Identity::builder().r#type("Service").principal_id("dynamodb.amazonaws.com").build();
        let record =
            Record::builder().event_name(OperationType::Remove).user_identity(identity).dynamodb(change()).build();
        assert_eq!(RawRecord::try_from(record).unwrap().cause(), Cause::TimeToLive);
        let nobody =
            Record::builder().event_name(OperationType::Remove).user_identity(types::Identity::builder().build());
        assert_eq!(RawRecord::try_from(nobody.dynamodb(change()).build()).unwrap().cause(), Cause::User);
    }

    #[test]
    fn what_a_record_lacks_is_its_own_failure() {
        let nameless = Record::builder().dynamodb(change()).build();
        let unknown = Record::builder().event_name(OperationType::from("TRUNCATE")).dynamodb(change()).build();
        let empty = Record::builder().event_name(OperationType::Insert).build();
        let reasons: Vec<_> = split(event_from_stream([nameless, record(), unknown, empty], "arn"))
            .unwrap()
            .map(|record| record.map(|_| ()).map_err(|record| record.error().reason().clone()))
            .collect();
        assert_eq!(
            reasons,
            [
                Err(RecordReason::Missing { field: "eventName" }),
                Ok(()),
                Err(RecordReason::UnknownEventName),
                Err(RecordReason::Missing { field: "SequenceNumber" }),
            ]
        );
    }
}
