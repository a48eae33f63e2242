//! What was given up on.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::{RedriveError, document, range};
use crate::{
    record::wire::EventWriter,
    sink::dead_letter::DeadLetter,
    source::mapping::{Sequence, ShardId, StreamRecord, Streams},
};

/// Records that were given up on, and where they are.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lost {
    /// The function, as its mapping or its runtime calls it: an ARN, or a name.
    pub function: String,
    /// Why they were given up on: `RetryAttemptsExhausted`, `RecordAgeExceeded`, or the reason of a dead letter.
    pub reason: String,
    /// The ARN of the stream, if that is known.
    pub stream: Option<String>,
    /// The shard; a letter does not know it.
    pub shard: Option<ShardId>,
    /// How many records the function failed with.
    pub count: usize,
    /// The records.
    pub records: LostRecords,
}

/// Where records are.
#[derive(Clone)]
#[non_exhaustive]
pub enum LostRecords {
    /// In the stream, from the first to the last of them.
    Range {
        /// The first.
        first: Sequence,
        /// The last.
        last: Sequence,
    },
    /// In the document: the event as the function got it.
    Event(Bytes),
    /// In a dead letter: one record as it arrived.
    Record(Bytes, Option<Sequence>),
    /// There are none: the final invocation of a tumbling window failed.
    None,
}

/// Records to hand over: one event, or more if they are many.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    pub(super) records: Vec<Part>,
}

/// A record as a function sees it. Unreadable ones travel like the others.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) sequence: Sequence,
    pub(super) record: Option<StreamRecord>,
    pub(super) json: Bytes,
}

impl Lost {
    /// Every failure in a text: JSON values one after the other.
    ///
    /// Each is a failure document of Lambda's for a DynamoDB stream, as a queue, a topic or a bucket gets it, such a document within the
    /// notification of a topic or within what `aws sqs receive-message` prints, or a dead letter of ours.
    ///
    /// # Errors
    /// [`RedriveError::NotRead`] if one of them is something else.
    pub fn read_all(text: &str) -> Result<Vec<Self>, RedriveError> {
        document::read_all(text)
    }

    pub(super) fn of_letter(letter: DeadLetter) -> Self {
        Self {
            function: letter.function.as_ref().to_owned(),
            reason: letter.reason,
            stream: letter.source_arn,
            shard: None,
            count: 1,
            records: LostRecords::Record(letter.record, letter.sequence_number.map(Into::into)),
        }
    }

    /// Whether the records have to be read from the stream again.
    pub fn is_in_the_stream(&self) -> bool {
        matches!(self.records, LostRecords::Range { .. })
    }

    /// Gets the records: from the stream, if they are not in the document.
    ///
    /// # Errors
    /// They were trimmed, the stream cannot be read, or there are none.
    pub async fn batch(&self, streams: &(impl Streams + ?Sized)) -> Result<Batch, RedriveError> {
        let records = match &self.records {
            LostRecords::Range { first, last } => {
                let stream = self.stream.as_deref().unwrap_or_default();
                let shard = self.shard.clone().unwrap_or_default();
                range::Range { stream, shard, first, last }.read(streams).await?
            }
            LostRecords::Event(event) => StreamRecord::page(event.clone())?,
            LostRecords::Record(json, sequence) => return letter(json, sequence.clone()),
            LostRecords::None => return Err(RedriveError::NoRecords),
        };
        Ok(Batch { records: records.into_iter().map(Part::from).collect() })
    }
}

/// What is no record is handed over all the same, as long as an event can hold it.
fn letter(json: &Bytes, sequence: Option<Sequence>) -> Result<Batch, RedriveError> {
    serde_json::from_slice::<&RawValue>(json).map_err(|_| RedriveError::NotJson)?;
    let mut event = EventWriter::new();
    event.push_json(json);
    let record = StreamRecord::page(event.finish()).ok().and_then(|mut page| page.pop());
    let sequence = sequence.unwrap_or_else(|| "0".into());
    Ok(Batch { records: vec![Part { sequence, record, json: json.clone() }] })
}

impl From<StreamRecord> for Part {
    fn from(record: StreamRecord) -> Self {
        Self { sequence: record.sequence().clone(), json: record.json().clone(), record: Some(record) }
    }
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Their sequence numbers, in the order in which they are handed over.
    pub fn sequences(&self) -> impl Iterator<Item = &Sequence> {
        self.records.iter().map(|part| &part.sequence)
    }
}

impl std::fmt::Debug for LostRecords {
    /// Shows which, not what they contain.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Range { first, last } => write!(f, "Range({first}..={last})"),
            Self::Event(event) => write!(f, "Event({} bytes)", event.len()),
            Self::Record(json, _) => write!(f, "Record({} bytes)", json.len()),
            Self::None => f.write_str("None"),
        }
    }
}
