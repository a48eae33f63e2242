//! What a record's effect is known by.

use super::IdempotencyError;
use crate::{
    record::{FromImage, Record, StreamView},
    sink::index::DocumentId,
};

pub(super) type KeyFn<T, V> = dyn Fn(&Record<T, V>) -> Result<String, IdempotencyError> + Send + Sync;

/// The event id, or stream and sequence number of a record that has none; of a row of a snapshot, table and keys.
///
/// A modify that is delivered as the remove of one entity and the insert of another is two records of one event or row.
pub(super) fn of_event<T: FromImage, V: StreamView>(record: &Record<T, V>) -> Result<String, IdempotencyError> {
    if record.origin().is_snapshot() && record.event_id().is_none() {
        return of_row(record);
    }
    let event = match (record.event_id(), record.source_arn()) {
        (Some(id), _) => id.to_owned(),
        (None, Some(arn)) => format!("{arn}#{}", record.sequence_number()),
        (None, None) => return Err(IdempotencyError::NoIdentity),
    };
    Ok(event + record.side())
}

/// A row is the same however often it is read, and rows that were read together share their time.
fn of_row<T: FromImage, V: StreamView>(record: &Record<T, V>) -> Result<String, IdempotencyError> {
    let keys = record.keys().item().ok().filter(|keys| !keys.is_empty()).ok_or(IdempotencyError::NoIdentity)?;
    let (table, id) = (record.source_arn().unwrap_or_default(), DocumentId::of(&keys));
    Ok(format!("snapshot#{table}#{}{}", id.as_str(), record.side()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{
        Facet, NewAndOldImages, NewImage, RawImage, Timestamp, split,
        wire::{ItemJson, RecordParts},
    };

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
    fn rows_of_a_snapshot_are_known_by_their_keys() {
        let row = |keys: &str, micros: i64| {
            let (keys, read_at) = (ItemJson::from_json(keys), Timestamp::from_nanos(micros * 1_000));
            let row = RecordParts::snapshot(keys.clone(), keys, read_at);
            let row = RecordParts { source_arn: Some("arn:t".into()), ..row }.into_record().unwrap();
            of_event(&Record::<RawImage, NewImage>::read(&row, Facet::Joined).unwrap())
        };
        assert_eq!(row(r#"{"PK":{"S":"a"}}"#, 1).unwrap(), "snapshot#arn:t#S=a");
        assert_eq!(row(r#"{"PK":{"S":"a"}}"#, 1), row(r#"{"PK":{"S":"a"}}"#, 2));
        assert_ne!(row(r#"{"PK":{"S":"1"}}"#, 1), row(r#"{"PK":{"N":"1"}}"#, 1));
    }

    #[test]
    fn an_item_that_changes_its_entity_is_two_records() {
        let id = r#""eventID":"e1","#;
        let keys = [Facet::Whole, Facet::Left, Facet::Joined].map(|facet| key(id, facet).unwrap());
        assert_eq!(keys, ["e1", "e1#REMOVE", "e1#INSERT"]);
    }

    #[test]
    fn so_is_a_row_that_an_export_says_has_changed_its_entity() {
        let [keys, old, new] = ["k", "o", "n"].map(|text| ItemJson::from_json(format!(r#"{{"PK":{{"S":"{text}"}}}}"#)));
        let row = RecordParts::snapshot_change(keys, Some(old), Some(new), Timestamp::from_nanos(0));
        let row = row.into_record().unwrap();
        let keys = [Facet::Whole, Facet::Left, Facet::Joined].map(|facet| {
            let record = Record::<RawImage, NewAndOldImages>::read(&row, facet).unwrap();
            of_event(&record).unwrap()
        });
        assert_eq!(keys, ["snapshot##S=k", "snapshot##S=k#REMOVE", "snapshot##S=k#INSERT"]);
    }
}
