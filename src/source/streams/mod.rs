//! A stream read directly, batch by batch: for demos, tests and one-off consumers.
//!
//! # Flow
//! [`BatchReader::next`] reads the next page of the first shard that has records, and hands it out as the event that
//! Lambda would deliver. [`BatchReader::answer`] takes the [`BatchReport`]: the reader goes on behind the batch, or
//! again at the record that the report names (ESM-35).
//!
//! # Guarantees
//! A shard is read after its parent, to its end (ESM-56). A position moves only once a batch is answered for:
//! what was handed out and not answered is handed out again.
//!
//! # Assumptions
//! One reader of the stream in one process; positions live in memory, so a new reader begins at the oldest record.
//!
//! # Caveats
//! No filters, windows, retry budgets or failure destinations, and no parallel shards: that is the event source mapping's
//! work.
//!
//! # Errors
//! See [`StreamError`]. Records that were trimmed before they were read are an error, never a silent gap.

mod error;
mod shards;
#[cfg(test)]
mod tests;

use aws_sdk_dynamodbstreams::{
    Client,
    types::{Identity, Record, ShardIteratorType},
};
use bytes::Bytes;
pub use error::StreamError;
use shards::{Position, Shards};

use crate::{dispatch::BatchReport, record::event_from_stream};

/// The most records that one page may hold; the API refuses more.
const LARGEST_BATCH: usize = 1000;

/// Who deletes expired items.
const TTL_PRINCIPAL: &str = "dynamodb.amazonaws.com";

/// Reads a stream from its oldest record on, one batch at a time.
pub struct BatchReader {
    client: Client,
    arn: String,
    batch_size: i32,
    shards: Shards,
}

/// A batch of one shard, as the event that Lambda would deliver.
#[derive(Debug)]
pub struct StreamBatch {
    /// The event: `{"Records": [..]}`.
    pub payload: Bytes,
    /// How many records it has.
    pub records: usize,
    shard: String,
    last: Option<String>,
    following: Option<String>,
}

impl BatchReader {
    /// A reader of a stream, from the oldest record that it still has.
    pub fn new(client: Client, stream_arn: impl Into<String>) -> Self {
        Self { client, arn: stream_arn.into(), batch_size: 100, shards: Shards::default() }
    }

    /// At most this many records in a batch: 1 to 1000, 100 unless set.
    #[must_use]
    pub fn batch_size(mut self, records: usize) -> Self {
        self.batch_size = i32::try_from(records.clamp(1, LARGEST_BATCH)).unwrap_or(i32::MAX);
        self
    }

    /// The next batch, or none if no shard has a record for us now. There may be one later.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub async fn next(&mut self) -> Result<Option<StreamBatch>, StreamError> {
        self.discover().await?;
        let mut tried = 0;
        while let Some(shard) = self.readable(tried) {
            match self.page(&shard).await? {
                Page::Records(batch) => return Ok(Some(batch)),
                Page::Nothing => tried += 1,
                // It is not readable any more: the next one has its place.
                Page::End => {}
            }
        }
        Ok(None)
    }

    fn readable(&self, nth: usize) -> Option<String> {
        self.shards.readable().nth(nth).map(str::to_owned)
    }

    /// Goes on behind the batch, or again at the record that is unfinished.
    pub fn answer(&mut self, batch: StreamBatch, report: &BatchReport) {
        match &report.unfinished {
            Some(unfinished) => self.shards.set(&batch.shard, Position::At(unfinished.sequence_number.clone())),
            None => self.pass(batch),
        }
    }

    fn pass(&mut self, batch: StreamBatch) {
        match (batch.following, batch.last) {
            (Some(iterator), last) => self.shards.set(&batch.shard, Position::Iterator { iterator, last }),
            (None, _) => self.shards.finish(&batch.shard),
        }
    }

    async fn discover(&mut self) -> Result<(), StreamError> {
        let mut from = None;
        loop {
            let request = self.client.describe_stream().stream_arn(&self.arn).set_exclusive_start_shard_id(from);
            let answer = request.send().await.map_err(|source| StreamError::describe(&self.arn, source))?;
            let Some(description) = answer.stream_description else { return Ok(()) };
            self.shards.add(description.shards.unwrap_or_default());
            from = description.last_evaluated_shard_id;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    async fn page(&mut self, shard: &str) -> Result<Page, StreamError> {
        let iterator = self.iterator(shard).await?;
        let request = self.client.get_records().shard_iterator(iterator).limit(self.batch_size);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(|error| error.is_expired_iterator_exception()) => {
                // Iterators live 15 minutes; the position behind them does not age.
                self.shards.forget_iterator(shard);
                return Ok(Page::Nothing);
            }
            Err(error) => return Err(StreamError::read(&self.arn, shard, error)),
        };
        let records = answer.records.unwrap_or_default();
        if records.is_empty() {
            return Ok(self.empty_page(shard, answer.next_shard_iterator));
        }
        Ok(Page::Records(self.batch(shard, records, answer.next_shard_iterator)))
    }

    /// An empty page is no end (ESM-58): only a missing iterator is.
    fn empty_page(&mut self, shard: &str, following: Option<String>) -> Page {
        match following {
            Some(iterator) => {
                let last = self.shards.last(shard);
                self.shards.set(shard, Position::Iterator { iterator, last });
                Page::Nothing
            }
            None => {
                self.shards.finish(shard);
                Page::End
            }
        }
    }

    fn batch(&self, shard: &str, mut records: Vec<Record>, following: Option<String>) -> StreamBatch {
        records.iter_mut().for_each(name_identity);
        let sequence = |record: &Record| record.dynamodb.as_ref().and_then(|change| change.sequence_number.clone());
        StreamBatch {
            records: records.len(),
            last: records.iter().rev().find_map(sequence),
            payload: event_from_stream(records, &self.arn),
            shard: shard.to_owned(),
            following,
        }
    }

    async fn iterator(&self, shard: &str) -> Result<String, StreamError> {
        let (kind, sequence) = match self.shards.position(shard) {
            Position::Iterator { iterator, .. } => return Ok(iterator),
            Position::Oldest => (ShardIteratorType::TrimHorizon, None),
            Position::At(sequence) => (ShardIteratorType::AtSequenceNumber, Some(sequence)),
            Position::After(sequence) => (ShardIteratorType::AfterSequenceNumber, Some(sequence)),
        };
        let request = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(shard);
        let request = request.shard_iterator_type(kind).set_sequence_number(sequence);
        let answer = request.send().await.map_err(|source| StreamError::position(&self.arn, shard, source))?;
        answer
            .shard_iterator
            .ok_or_else(|| StreamError::NoIterator { stream: self.arn.clone(), shard: shard.to_owned() })
    }
}

/// Names the identity whose members the SDK did not find, as emulators write them in lower case (a stream of AWS's has
/// them in upper case). Time to live is the only one there is.
pub(in crate::source) fn name_identity(record: &mut Record) {
    if record.user_identity.as_ref().is_some_and(|identity| identity.principal_id.is_none()) {
        record.user_identity = Some(Identity::builder().r#type("Service").principal_id(TTL_PRINCIPAL).build());
    }
}

enum Page {
    Records(StreamBatch),
    Nothing,
    End,
}
