//! The stream of a table, over the DynamoDB Streams API.

use aws_sdk_dynamodbstreams::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::DateTime,
    types::{Shard, ShardFilter, ShardFilterType, ShardIteratorType, StreamStatus},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::{BoxFuture, FutureExt};

use super::{Describe, FaultKind, Position, RecordPage, ShardInfo, ShardPage, StreamFault, StreamRecord, Streams};
use crate::{aws::AwsFailure, record::event_from_stream, source::streams::name_identity};

/// A stream of DynamoDB, or of anything that speaks its API.
#[derive(Debug, Clone)]
pub struct DynamoDbStream {
    client: Client,
    arn: String,
}

impl DynamoDbStream {
    /// The stream of this ARN.
    pub fn new(client: Client, arn: impl Into<String>) -> Self {
        Self { client, arn: arn.into() }
    }

    async fn list(&self, request: &Describe) -> Result<ShardPage, StreamFault> {
        let mut call =
            self.client.describe_stream().stream_arn(&self.arn).set_exclusive_start_shard_id(request.from.clone());
        if let Some(parent) = &request.children_of {
            let filter = ShardFilter::builder().r#type(ShardFilterType::ChildShards).shard_id(&**parent);
            call = call.shard_filter(filter.build());
        }
        let answer = call.send().await.map_err(|error| fault(&error))?;
        let Some(stream) = answer.stream_description else { return Ok(ShardPage::default()) };
        let disabled = matches!(stream.stream_status, Some(StreamStatus::Disabled | StreamStatus::Disabling));
        let shards = stream.shards.unwrap_or_default().into_iter().filter_map(info).collect();
        Ok(ShardPage { disabled, shards, next: stream.last_evaluated_shard_id })
    }

    async fn position(&self, shard: &str, position: &Position) -> Result<String, StreamFault> {
        let call = self.client.get_shard_iterator().stream_arn(&self.arn).shard_id(shard);
        let call = match position {
            Position::TrimHorizon => call.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Position::Latest => call.shard_iterator_type(ShardIteratorType::Latest),
            Position::At(sequence) => {
                call.shard_iterator_type(ShardIteratorType::AtSequenceNumber).sequence_number(sequence.as_str())
            }
            Position::After(sequence) => {
                call.shard_iterator_type(ShardIteratorType::AfterSequenceNumber).sequence_number(sequence.as_str())
            }
            Position::Since(time) => call
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from_millis(time.as_nanos() / 1_000_000)),
        };
        let answer = call.send().await.map_err(|error| fault(&error))?;
        answer.shard_iterator.ok_or_else(|| StreamFault::new(FaultKind::Other, "the answer has no iterator"))
    }

    async fn page(&self, iterator: &str, limit: usize) -> Result<RecordPage, StreamFault> {
        let limit = i32::try_from(limit.clamp(1, 1000)).unwrap_or(1000);
        let call = self.client.get_records().shard_iterator(iterator).limit(limit);
        let answer = call.send().await.map_err(|error| fault(&error))?;
        let mut records = answer.records.unwrap_or_default();
        records.iter_mut().for_each(name_identity);
        let records = StreamRecord::page(event_from_stream(records, &self.arn))
            .map_err(|error| StreamFault::new(FaultKind::Other, error.to_string()))?;
        Ok(RecordPage { records, next: answer.next_shard_iterator })
    }
}

fn info(shard: Shard) -> Option<ShardInfo> {
    let ended = shard.sequence_number_range.is_some_and(|range| range.ending_sequence_number.is_some());
    Some(ShardInfo { id: shard.shard_id?.into(), parent: shard.parent_shard_id.map(Into::into), ended })
}

fn fault<E>(error: &SdkError<E, HttpResponse>) -> StreamFault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let failure = AwsFailure::of(error);
    StreamFault::new(failure.code.as_deref().map_or(FaultKind::Other, kind), failure.to_string())
}

/// What an error code means.
fn kind(code: &str) -> FaultKind {
    match code {
        "ExpiredIteratorException" => FaultKind::Expired,
        "TrimmedDataAccessException" => FaultKind::Trimmed,
        "ResourceNotFoundException" => FaultKind::NotFound,
        "LimitExceededException" | "ThrottlingException" | "ProvisionedThroughputExceededException" => {
            FaultKind::Throttled
        }
        "ValidationException" | "SerializationException" | "UnknownOperationException" => FaultKind::Invalid,
        _ => FaultKind::Other,
    }
}

impl Streams for DynamoDbStream {
    fn describe<'a>(&'a self, request: &'a Describe) -> BoxFuture<'a, Result<ShardPage, StreamFault>> {
        self.list(request).boxed()
    }

    fn iterator<'a>(&'a self, shard: &'a str, position: &'a Position) -> BoxFuture<'a, Result<String, StreamFault>> {
        self.position(shard, position).boxed()
    }

    fn records<'a>(&'a self, iterator: &'a str, limit: usize) -> BoxFuture<'a, Result<RecordPage, StreamFault>> {
        self.page(iterator, limit).boxed()
    }
}
