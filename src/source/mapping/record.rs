//! A record on its way through the mapping.

use bytes::Bytes;

use super::Sequence;
use crate::record::{PayloadError, RawRecord, Timestamp, UnreadableRecord, split};

/// A record of a stream as the function will see it, with what the mapping needs to know of it.
///
/// A record that cannot be read is one all the same: it is delivered, and judged by the function.
#[derive(Debug, Clone)]
pub struct StreamRecord {
    sequence: Sequence,
    json: Bytes,
    raw: Option<RawRecord>,
}

/// Why a page is not a page of records.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// It is no stream event at all.
    #[error("the page is no batch of stream records")]
    Payload(#[from] PayloadError),
    /// A record cannot be told from the others: nothing could be checkpointed behind it.
    #[error("record {position} of the page has no sequence number: {reason}")]
    NoSequenceNumber {
        /// Its index in the page.
        position: usize,
        /// Why it could not be read.
        reason: String,
    },
}

impl StreamRecord {
    /// The records of a page, written as the event that Lambda would deliver.
    ///
    /// # Errors
    /// The page is no event, or a record has no sequence number.
    pub fn page(event: impl Into<Bytes>) -> Result<Vec<Self>, PageError> {
        split(event.into())?.map(Self::read).collect()
    }

    fn read(record: Result<RawRecord, UnreadableRecord>) -> Result<Self, PageError> {
        match record {
            Ok(raw) => Ok(raw.into()),
            Err(unreadable) => Self::salvaged(&unreadable),
        }
    }

    fn salvaged(record: &UnreadableRecord) -> Result<Self, PageError> {
        let missing =
            || PageError::NoSequenceNumber { position: record.position(), reason: record.error().to_string() };
        let sequence = record.sequence_number().ok_or_else(missing)?.into();
        Ok(Self { sequence, json: record.json().clone(), raw: None })
    }

    /// Its place in the shard.
    pub fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// The record as the function sees it.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The record, if it can be read.
    pub fn raw(&self) -> Option<&RawRecord> {
        self.raw.as_ref()
    }

    /// When the change happened, if the record says it.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.raw.as_ref().and_then(RawRecord::created_at)
    }

    /// Which of `lanes` its item belongs to. Nobody knows whose item an unreadable record is about: the first.
    pub(super) fn lane(&self, lanes: usize) -> usize {
        let hash = self.raw.as_ref().map_or(0, RawRecord::lane);
        usize::try_from(hash % lanes.max(1) as u64).expect("less than a number of lanes")
    }
}

impl From<RawRecord> for StreamRecord {
    fn from(raw: RawRecord) -> Self {
        Self { sequence: raw.sequence_number().into(), json: raw.json_bytes(), raw: Some(raw) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_record_travels_with_its_number() {
        let page = r#"{"Records":[{"eventName":"TRUNCATE","dynamodb":{"SequenceNumber":"12"}}]}"#;
        let records = StreamRecord::page(page).unwrap();
        assert_eq!(records[0].sequence(), &Sequence::from("12"));
        assert!(records[0].raw().is_none() && records[0].json().starts_with(b"{\"eventName\""));
        assert_eq!(records[0].lane(4), 0);
    }

    #[test]
    fn a_record_without_a_number_is_an_error() {
        let page = r#"{"Records":[{"eventName":"INSERT","dynamodb":{}}]}"#;
        assert!(matches!(StreamRecord::page(page), Err(PageError::NoSequenceNumber { position: 0, .. })));
        assert!(matches!(StreamRecord::page("[]"), Err(PageError::Payload(_))));
    }
}
