//! What a record's effect is known by.

use super::IdempotencyError;
use crate::record::{FromImage, Record, StreamView};

pub(super) type KeyFn<T, V> = dyn Fn(&Record<T, V>) -> Result<String, IdempotencyError> + Send + Sync;

/// The event id, or stream and sequence number of a record that has none.
///
/// A modify that is delivered as the remove of one entity and the insert of another is two records of one event.
pub(super) fn of_event<T: FromImage, V: StreamView>(record: &Record<T, V>) -> Result<String, IdempotencyError> {
    let event = match (record.event_id(), record.source_arn()) {
        (Some(id), _) => id.to_owned(),
        (None, Some(arn)) => format!("{arn}#{}", record.sequence_number()),
        (None, None) => return Err(IdempotencyError::NoIdentity),
    };
    let seen_as = record.event_name();
    let whole = seen_as == record.raw().event_name();
    Ok(if whole { event } else { format!("{event}#{seen_as}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Facet, NewAndOldImages, RawImage, split};

    fn key(envelope: &str, facet: Facet) -> Result<String, IdempotencyError> {
        let payload = format!(
            r#"{{"Records":[{{"eventName":"MODIFY",{envelope}"dynamodb":{{"SequenceNumber":"42",
            "OldImage":{{"a":{{"S":"1"}}}},"NewImage":{{"a":{{"S":"2"}}}}}}}}]}}"#
        );
        let raw = split(payload.into()).unwrap().next().unwrap().unwrap();
        of_event(&Record::<RawImage, NewAndOldImages>::read(&raw, facet).unwrap())
    }

    #[test]
    fn the_event_id_comes_first() {
        let both = r#""eventID":"e1","eventSourceARN":"arn:s","#;
        assert_eq!(key(both, Facet::Whole).unwrap(), "e1");
        assert_eq!(key(r#""eventSourceARN":"arn:s","#, Facet::Whole).unwrap(), "arn:s#42");
        assert_eq!(key("", Facet::Whole), Err(IdempotencyError::NoIdentity));
    }

    #[test]
    fn an_item_that_changes_its_entity_is_two_records() {
        let id = r#""eventID":"e1","#;
        let keys = [Facet::Whole, Facet::Left, Facet::Joined].map(|facet| key(id, facet).unwrap());
        assert_eq!(keys, ["e1", "e1#REMOVE", "e1#INSERT"]);
    }
}
