//! A change as a document.

use serde::Serialize;
use serde_json::value::RawValue;

use super::NotifyError;
use crate::{
    record::{FromImage, Record},
    sink::publisher::Message,
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r, T> {
    event_name: &'static str,
    keys: &'r RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<&'r T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<&'r T>,
    #[serde(rename = "eventID", skip_serializing_if = "Option::is_none")]
    event_id: Option<&'r str>,
    sequence_number: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
}

/// The change as a JSON message, with the attribute `eventName` (`INSERT`, `MODIFY` or `REMOVE`) to filter by.
///
/// The object has `eventName`, `keys` (DynamoDB JSON, as they came), `old` and `new` (`T` as it serializes, where there
/// is such an image), `eventID`, `sequenceNumber`, `source` (the stream's ARN) and `createdAt` (RFC 3339).
///
/// # Errors
/// [`NotifyError::Json`], if `T` does not serialize or the keys cannot be read.
pub fn change_message<T: FromImage + Serialize>(record: &Record<T>) -> Result<Message, NotifyError> {
    let event_name = record.event_name().as_str();
    let document = Document {
        event_name,
        keys: serde_json::from_slice(record.keys().json())?,
        old: record.change.previous(),
        new: record.change.current(),
        event_id: record.event_id(),
        sequence_number: record.sequence_number(),
        source: record.source_arn(),
        created_at: record.created_at().map(|time| time.to_string()),
    };
    Ok(Message::json(&document)?.attribute("eventName", event_name))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::record::{Facet, split};

    #[derive(serde::Deserialize, Serialize)]
    struct Pet {
        name: String,
    }

    #[test]
    fn a_change_is_a_document() {
        let payload = json!({"Records": [{
            "eventID": "e1", "eventName": "MODIFY", "eventSourceARN": "arn:s",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_763_692_800.0, "SequenceNumber": "42", "Keys": {"id": {"N": "1.50"}},
                "OldImage": {"name": {"S": "Rex"}}, "NewImage": {"name": {"S": "Max"}},
            },
        }]});
        let raw = split(payload.to_string().into()).unwrap().next().unwrap().unwrap();
        let message = change_message(&Record::<Pet>::read(&raw, Facet::Whole).unwrap()).unwrap();
        let expected = json!({
            "eventName": "MODIFY", "keys": {"id": {"N": "1.50"}}, "old": {"name": "Rex"}, "new": {"name": "Max"},
            "eventID": "e1", "sequenceNumber": "42", "source": "arn:s", "createdAt": "2025-11-21T02:40:00Z",
        });
        assert_eq!(serde_json::from_str::<Value>(message.body()).unwrap(), expected);
        let message = change_message(&Record::<Pet>::read(&raw, Facet::Left).unwrap()).unwrap();
        let removed: Value = serde_json::from_str(message.body()).unwrap();
        assert_eq!((&removed["eventName"], removed.get("new")), (&json!("REMOVE"), None));
        assert_eq!(message.attributes()["eventName"], "REMOVE".into());
    }
}
