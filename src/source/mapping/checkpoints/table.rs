//! Positions in a DynamoDB table.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, CancellationReason, Put, TransactWriteItem},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::{BoxFuture, FutureExt};
use serde_dynamo::from_attribute_value;

use super::CheckpointError;
use crate::{
    aws::AwsFailure,
    sink::table::{MAX_ROUNDS, TRANSACTION_ACTIONS, wait_after},
    source::mapping::{BoxError, Checkpoint, Checkpoints, Sequence},
};

const PARTITION: &str = "PK";
const SORT: &str = "SK";
/// The checkpoint as it is in a file.
const CHECKPOINT: &str = "checkpoint";
/// How far it is: the sequence number in 40 digits, which compare as texts, and behind all of them that the shard is finished.
const POSITION: &str = "position";
const FINISHED: &str = "finished";
const EXPIRES: &str = "expiresAt";

/// A finished shard is of no interest once nobody lists it any more, which is a day or two later.
const FINISHED_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Nothing is kept, or something that is not further.
const NOT_BEHIND: &str = "attribute_not_exists(#pk) OR #position <= :position";

/// Keeps checkpoints in a table keyed by the strings `PK` (`group#stream ARN`) and `SK` (the shard), which can be one that has
/// other rows as well.
///
/// Each write is conditional: a process that comes late, with a position behind the one that is kept, changes nothing. One
/// checkpoint is one write unit; more at once are a transaction of up to 100, for two units each, and those behind the hundredth one
/// of their own. Rows of finished shards may be swept by time to live on `expiresAt`, a week after their end.
///
/// The role needs `dynamodb:Query` and `dynamodb:PutItem`.
#[derive(Debug, Clone)]
pub struct TableCheckpoints {
    client: Client,
    table: String,
}

type Row = HashMap<String, AttributeValue>;

impl TableCheckpoints {
    /// The checkpoints in a table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    async fn rows(&self, group: &str, stream: &str) -> Result<Vec<Row>, CheckpointError> {
        let query = self.client.query().table_name(&self.table).consistent_read(true);
        let query = query.key_condition_expression("#pk = :pk").expression_attribute_names("#pk", PARTITION);
        let query = query.expression_attribute_values(":pk", text(partition(group, stream)));
        let (mut rows, mut from) = (Vec::new(), None);
        loop {
            let page = query.clone().set_exclusive_start_key(from).send().await.map_err(|error| self.error(&error))?;
            rows.extend(page.items.unwrap_or_default());
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(rows);
            }
        }
    }

    fn read(&self, mut row: Row) -> Result<Checkpoint, CheckpointError> {
        let checkpoint = row.remove(CHECKPOINT).unwrap_or(AttributeValue::Null(true));
        from_attribute_value(checkpoint).map_err(|source| CheckpointError::Row { table: self.table.clone(), source })
    }

    fn put(&self, group: &str, stream: &str, checkpoint: &Checkpoint) -> Result<Put, CheckpointError> {
        let content = serde_dynamo::to_attribute_value(checkpoint)
            .map_err(|source| CheckpointError::Row { table: self.table.clone(), source })?;
        let position = text(position(checkpoint));
        let mut put = Put::builder()
            .table_name(&self.table)
            .item(PARTITION, text(partition(group, stream)))
            .item(SORT, text(&*checkpoint.shard))
            .item(POSITION, position.clone())
            .item(CHECKPOINT, content)
            .condition_expression(NOT_BEHIND)
            .expression_attribute_names("#pk", PARTITION)
            .expression_attribute_names("#position", POSITION)
            .expression_attribute_values(":position", position);
        if checkpoint.finished {
            let expires = checkpoint.updated_at / 1_000_000_000 + FINISHED_SECONDS;
            put = put.item(EXPIRES, AttributeValue::N(expires.to_string()));
        }
        Ok(put.build().expect("table and item are set"))
    }

    async fn write(&self, puts: Vec<Put>) -> Result<(), CheckpointError> {
        for part in puts.chunks(TRANSACTION_ACTIONS) {
            match part {
                [put] => self.write_one(put).await?,
                part => self.write_part(part.to_vec()).await?,
            }
        }
        Ok(())
    }

    async fn write_one(&self, put: &Put) -> Result<(), CheckpointError> {
        let request = self
            .client
            .put_item()
            .table_name(&put.table_name)
            .set_item(Some(put.item.clone()))
            .set_condition_expression(put.condition_expression.clone())
            .set_expression_attribute_names(put.expression_attribute_names.clone())
            .set_expression_attribute_values(put.expression_attribute_values.clone());
        match request.send().await {
            // Somebody is further.
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(self.error(&error)),
            Ok(_) => Ok(()),
        }
    }

    /// All together. Those that somebody else is ahead of are taken out, and the rest is tried again.
    async fn write_part(&self, mut puts: Vec<Put>) -> Result<(), CheckpointError> {
        for round in 1.. {
            let items = puts.iter().map(|put| TransactWriteItem::builder().put(put.clone()).build()).collect();
            let Err(error) = self.client.transact_write_items().set_transact_items(Some(items)).send().await else {
                return Ok(());
            };
            let Some(reasons) = mendable(&error, puts.len()).filter(|_| round < MAX_ROUNDS) else {
                return Err(self.error(&error));
            };
            let before = puts.len();
            let mut behind = reasons.iter().map(|reason| reason.code() == Some("ConditionalCheckFailed"));
            puts.retain(|_| !behind.next().unwrap_or(false));
            if puts.is_empty() {
                return Ok(());
            }
            if puts.len() == before {
                tokio::time::sleep(wait_after(round)).await;
            }
        }
        Ok(())
    }

    fn error<E>(&self, error: &SdkError<E, HttpResponse>) -> CheckpointError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        CheckpointError::Table { table: self.table.clone(), source: AwsFailure::of(error) }
    }
}

/// Why each of so many writes was cancelled, if trying again without some of them, or later, may help.
fn mendable(error: &SdkError<TransactWriteItemsError, HttpResponse>, writes: usize) -> Option<&[CancellationReason]> {
    let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return None;
    };
    let passing = ["None", "ConditionalCheckFailed", "TransactionConflict", "ThrottlingError"];
    let reasons = cancelled.cancellation_reasons();
    let fits = |reason: &CancellationReason| reason.code().is_none_or(|code| passing.contains(&code));
    (reasons.len() == writes && reasons.iter().all(fits)).then_some(reasons)
}

fn partition(group: &str, stream: &str) -> String {
    format!("{group}#{stream}")
}

/// Texts that are in the order of the positions.
fn position(checkpoint: &Checkpoint) -> String {
    let digits = checkpoint.sequence.as_ref().map_or("", Sequence::as_str);
    if checkpoint.finished { FINISHED.to_owned() } else { format!("{digits:0>40}") }
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

impl Checkpoints for TableCheckpoints {
    fn load<'a>(&'a self, group: &'a str, stream: &'a str) -> BoxFuture<'a, Result<Vec<Checkpoint>, BoxError>> {
        async move {
            let rows = self.rows(group, stream).await?;
            Ok(rows.into_iter().map(|row| self.read(row)).collect::<Result<_, _>>()?)
        }
        .boxed()
    }

    fn save<'a>(
        &'a self,
        group: &'a str,
        stream: &'a str,
        checkpoints: &'a [Checkpoint],
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        async move {
            let puts = checkpoints.iter().map(|checkpoint| self.put(group, stream, checkpoint));
            Ok(self.write(puts.collect::<Result<_, _>>()?).await?)
        }
        .boxed()
    }
}
