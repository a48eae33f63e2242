//! What errors say, and what they never say.

use std::collections::HashMap;

use serde::Deserialize;

use super::super::{DecodeError, DecodeReason, RawImage, RecordReason, split};

/// Decodes the new image of the third record of a batch.
fn decode<T: for<'a> Deserialize<'a>>(image: &str) -> Result<T, DecodeError> {
    let record =
        |image: &str| format!(r#"{{"eventName":"INSERT","dynamodb":{{"SequenceNumber":"1","NewImage":{image}}}}}"#);
    let fine = record(r#"{"a":{"S":"x"}}"#);
    let payload = format!(r#"{{"Records":[{fine},{fine},{}]}}"#, record(image));
    let raw = split(payload.into()).unwrap().nth(2).unwrap().unwrap();
    let owned: RawImage = raw.new_image().unwrap().decode_owned()?;
    raw.new_image().unwrap().decode().inspect_err(|error: &DecodeError| {
        assert_eq!(
            owned.read::<T>().err().map(|error| error.to_string()),
            Some(error.to_string()),
            "both ways say the same"
        );
    })
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only decoded")]
struct Pet {
    name: String,
    #[serde(default)]
    tags: Vec<u32>,
    #[serde(default)]
    address: Option<Address>,
    #[serde(default)]
    scores: HashMap<String, u8>,
    #[serde(default)]
    kind: Option<Kind>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only decoded")]
struct Address {
    street: String,
}

#[derive(Debug, Deserialize)]
enum Kind {
    Cat,
    Dog {
        #[expect(dead_code, reason = "only decoded")]
        age: u8,
    },
}

#[test]
fn errors_name_the_innermost_place() {
    for (image, message) in [
        (
            r#"{"name":{"S":"x"},"tags":{"L":[{"N":"1"},{"N":"2"},{"N":"secret"}]}}"#,
            ".tags.L[2].N: the text is not a number",
        ),
        (r#"{"name":{"S":"x"},"tags":{"NS":["1","-7"]}}"#, ".tags.NS[1]: the number is out of range for u32"),
        (r#"{"name":{"BOOL":true}}"#, ".name.BOOL: expected a string (S) or the text of a number (N), found BOOL"),
        (r#"{"name":{"S":"x"},"address":{"M":{"city":{"S":"secret"}}}}"#, ".address.M: attribute `city` is unknown"),
        (r#"{"name":{"S":"x"},"address":{"M":{}}}"#, ".address.M: attribute `street` is missing"),
        (
            r#"{"name":{"S":"x"},"scores":{"M":{"odd name":{"N":"256"}}}}"#,
            r#".scores.M["odd name"].N: the number is out of range for u8"#,
        ),
        (r#"{"name":{"S":"x"},"kind":{"S":"secret"}}"#, ".kind.S: unknown variant, expected one of: Cat, Dog"),
        (
            r#"{"name":{"S":"x"},"kind":{"M":{"Dog":{"M":{"age":{"S":"secret"}}}}}}"#,
            ".kind.M.Dog.M.age.S: expected a number (N), found S",
        ),
        (r#"{"name":{"S":"x"},"name":{"S":"secret"}}"#, ": attribute `name` is there twice"),
        (r#"{"name":{"Z":"secret"}}"#, ".name: expected one of the type tags S, N, B, BOOL, NULL, M, L, SS, NS, BS"),
    ] {
        let error = decode::<Pet>(image).unwrap_err();
        assert_eq!(error.to_string(), format!("Records[2].dynamodb.NewImage{message}"));
    }
    let error = decode::<Pet>(r#"{"nome":{"S":"x"}}"#).unwrap_err();
    assert_eq!(error.to_string(), "Records[2].dynamodb.NewImage: attribute `name` is missing");
    assert_eq!(error.help(), Some("make the field an Option, or give it #[serde(default)]"));
}

#[test]
fn messages_quote_no_values() {
    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Picky;
    impl TryFrom<String> for Picky {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("{text} is not to my taste"))
        }
    }
    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only decoded")]
    enum Either {
        Number(u8),
    }
    let image = r#"{"a":{"S":"secret"}}"#;
    let errors = [
        decode::<HashMap<String, Picky>>(image).unwrap_err(),
        decode::<HashMap<String, Either>>(image).unwrap_err(),
        decode::<HashMap<String, Kind>>(image).unwrap_err(),
        decode::<HashMap<String, std::net::IpAddr>>(image).unwrap_err(),
        decode::<HashMap<String, char>>(image).unwrap_err(),
        decode::<HashMap<String, Vec<u8>>>(image).unwrap_err(),
    ];
    for error in &errors {
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
    assert_eq!(errors[0].detail(), Some("secret is not to my taste"));
    assert_eq!(errors[0].to_string(), "Records[2].dynamodb.NewImage.a.S: the type's own check refused the value");
    assert!(errors[1].to_string().ends_with("did not match any variant of untagged enum"), "{}", errors[1]);
}

#[test]
fn missing_images_tell_how_to_get_them() {
    let payload =
        r#"{"Records":[{"eventName":"MODIFY","dynamodb":{"SequenceNumber":"1","OldImage":null,"NewImage":{}}}]}"#;
    let record = split(payload.into()).unwrap().next().unwrap().unwrap();
    assert!(record.new_image().is_none() && record.old_image().is_none());
    let error = record.missing_image(super::super::Part::OldImage);
    assert_eq!(error.to_string(), "Records[0].dynamodb.OldImage: the record has no OldImage");
    assert_eq!(*error.reason(), DecodeReason::MissingImage { image: "OldImage" });
    assert!(error.help().unwrap().contains("NEW_AND_OLD_IMAGES"));
}

#[test]
fn unreadable_records_say_where_and_why() {
    let change = r#""dynamodb":{"SequenceNumber":"7","Keys":{"a":{"S":"secret"}}}"#;
    for (record, message, reason) in [
        (
            format!(r#"{{"eventName":"TRUNCATE",{change}}}"#),
            "[0].eventName: the event name is none of INSERT, MODIFY, REMOVE",
            Some(RecordReason::UnknownEventName),
        ),
        (format!(r#"{{{change}}}"#), "[0]: `eventName` is missing", Some(RecordReason::Missing { field: "eventName" })),
        (r#"{"eventName":"INSERT"}"#.to_owned(), "[0]: `SequenceNumber` is missing", None),
        (r#"{"eventName":"INSERT","dynamodb":null}"#.to_owned(), "[0]: `SequenceNumber` is missing", None),
        (
            r#"{"eventName":"INSERT","dynamodb":{"SequenceNumber":"12a"}}"#.to_owned(),
            "[0].dynamodb.SequenceNumber: the sequence number is not 1 to 40 digits",
            None,
        ),
        (
            r#"{"eventName":"INSERT","dynamodb":{"SequenceNumber":12}}"#.to_owned(),
            "[0].dynamodb.SequenceNumber: expected a string, found a number",
            None,
        ),
        (
            format!(
                r#"{{"eventName":"INSERT",{}}}"#,
                change.replace("\"Keys\":{", "\"Keys\":[{").replace("}}}", "}}]}")
            ),
            "[0].dynamodb.Keys: expected an object, found an array",
            None,
        ),
        (
            format!(r#"{{"eventName":"INSERT",{}}}"#, change.replace("\"secret\"", "\"secret")),
            "[0].dynamodb.Keys.a.S: broken JSON: EOF while parsing a string",
            None,
        ),
        (
            format!(r#"{{"eventName":"INSERT","eventName":"INSERT",{change}}}"#),
            "[0].eventName: `eventName` is there twice",
            None,
        ),
        (
            format!(r#"{{"eventName":"INSERT","eventSource":"aws:sqs",{change}}}"#),
            "[0].eventSource: the event source is not `aws:dynamodb`",
            Some(RecordReason::OtherService),
        ),
        (
            r#"{"eventName":"INSERT","eventSource":"anabranch:snapshot","dynamodb":{"SequenceNumber":"99999999999999999"}}"#
                .to_owned(),
            "[0].dynamodb.SequenceNumber: the sequence number of a row of a snapshot is not a time in microseconds since 1970",
            Some(RecordReason::BadReadTime),
        ),
        (
            format!(
                r#"{{"eventName":"INSERT",{}}}"#,
                change.replace("\"Keys\"", "\"StreamViewType\":\"ALL\",\"Keys\"")
            ),
            "[0].dynamodb.StreamViewType: the stream view type is none of KEYS_ONLY, NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES",
            Some(RecordReason::UnknownViewType),
        ),
        (
            format!(
                r#"{{"eventName":"INSERT",{}}}"#,
                change.replace("\"Keys\"", "\"ApproximateCreationDateTime\":\"now\",\"Keys\"")
            ),
            "[0].dynamodb.ApproximateCreationDateTime: expected a number, found a string",
            None,
        ),
        (
            format!(r#"{{"eventName":"INSERT",{}}}"#, change.replace("\"Keys\"", "\"SizeBytes\":[],\"Keys\"")),
            "[0].dynamodb.SizeBytes: expected a number, found an array",
            None,
        ),
        ("null".to_owned(), "[0]: expected an object, found null", None),
    ] {
        let mut records = split(format!(r#"{{"Records":[{record}]}}"#).into()).unwrap();
        let error = records.next().unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("Records{message}"), "{record}");
        assert!(!format!("{error:?}").contains("secret"));
        assert_eq!(error.json(), &record);
        assert!(reason.is_none_or(|reason| *error.error().reason() == reason));
        assert!(records.next().is_none());
        records.finish().unwrap();
    }
}
