//! Conditional writes of entries: many in one transaction, or each by itself.

use std::{collections::HashMap, error::Error, sync::OnceLock};

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::{FutureExt, StreamExt, stream};

use super::{DynamoDb, REQUESTS};
use crate::{
    aws::AwsFailure,
    sink::{ledger::LedgerError, table::wait_after},
};

/// How often entries are tried together, before each is written by itself.
const ROUNDS: u32 = 4;

/// An entry as it is stored.
pub(super) type Entry = HashMap<String, AttributeValue>;

/// One conditional write of an entry.
#[derive(Debug)]
pub(super) enum Write {
    Put(Put),
    Delete(Delete),
}

/// What came of a write.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    Written,
    /// The condition did not hold, for the sake of this entry, if it is known.
    Refused(Option<Entry>),
}

type Answered = Result<Answer, LedgerError>;

impl Write {
    /// Whether the answer to a refusal has to say for the sake of what.
    fn asks_why(&self) -> bool {
        match self {
            Self::Put(put) => {
                put.return_values_on_condition_check_failure == Some(ReturnValuesOnConditionCheckFailure::AllOld)
            }
            Self::Delete(_) => false,
        }
    }

    fn item(&self) -> TransactWriteItem {
        match self {
            Self::Put(put) => TransactWriteItem::builder().put(put.clone()).build(),
            Self::Delete(delete) => TransactWriteItem::builder().delete(delete.clone()).build(),
        }
    }
}

impl DynamoDb {
    /// Makes all writes and answers for each in order, until the ledger turns out not to work: what was not begun by then
    /// gets the same answer without a request.
    pub(super) async fn write(&self, writes: Vec<Result<Write, LedgerError>>) -> Vec<Answered> {
        let (fine, broken): (Vec<_>, _) = (writes.iter().flatten().collect(), OnceLock::new());
        let parts: Vec<_> = fine.chunks(self.together).map(|part| self.unless(&broken, part).boxed()).collect();
        let answers: Vec<Vec<Answered>> = stream::iter(parts).buffered(REQUESTS).collect().await;
        let mut answers = answers.into_iter().flatten();
        let answer = |write: Result<Write, _>| write.and_then(|_| answers.next().expect("an answer for each write"));
        writes.into_iter().map(answer).collect()
    }

    async fn unless(&self, broken: &OnceLock<LedgerError>, part: &[&Write]) -> Vec<Answered> {
        if let Some(error) = broken.get() {
            return vec![Err(error.clone()); part.len()];
        }
        let answers = self.write_part(part).await;
        if let Some(Err(error)) = answers.iter().find(|answer| answer.as_ref().is_err_and(|error| !error.is_reject())) {
            // Only the first is kept.
            _ = broken.set(error.clone());
        }
        answers
    }

    /// All in one transaction. It does all or nothing, so those that are refused are taken out and the rest is tried again.
    async fn write_part(&self, part: &[&Write]) -> Vec<Answered> {
        let mut answers: Vec<Option<Answered>> = vec![None; part.len()];
        let mut open: Vec<usize> = (0..part.len()).collect();
        for round in 1..=ROUNDS {
            if open.len() < 2 {
                break;
            }
            let together: Vec<_> = open.iter().map(|at| part[*at]).collect();
            let found = self.transact(&together).await;
            if found.iter().all(Option::is_none) {
                // Somebody else was at one of the entries: only time can mend it.
                tokio::time::sleep(wait_after(round)).await;
            }
            open.iter().zip(found).for_each(|(at, answer)| answers[*at] = answer);
            open.retain(|at| answers[*at].is_none());
        }
        let alone: Vec<_> = open.iter().map(|at| self.write_one(part[*at]).boxed()).collect();
        let alone: Vec<Answered> = stream::iter(alone).buffered(REQUESTS).collect().await;
        open.iter().zip(alone).for_each(|(at, answer)| answers[*at] = Some(answer));
        answers.into_iter().map(|answer| answer.expect("what was left open was written alone")).collect()
    }

    /// One transaction; none for the writes that have to be tried again.
    async fn transact(&self, writes: &[&Write]) -> Vec<Option<Answered>> {
        let items = writes.iter().map(|write| write.item()).collect();
        let Err(error) = self.client.transact_write_items().set_transact_items(Some(items)).send().await else {
            return vec![Some(Ok(Answer::Written)); writes.len()];
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled))
                if cancelled.cancellation_reasons().len() == writes.len() =>
            {
                let reasons = writes.iter().zip(cancelled.cancellation_reasons());
                reasons.map(|(write, reason)| self.cancelled(write, reason)).collect()
            }
            _ => vec![Some(Err(self.error(&error))); writes.len()],
        }
    }

    fn cancelled(&self, write: &Write, reason: &CancellationReason) -> Option<Answered> {
        match reason.code()? {
            "ConditionalCheckFailed" if write.asks_why() && reason.item().is_none() => None,
            "ConditionalCheckFailed" => Some(Ok(Answer::Refused(reason.item().cloned()))),
            "None" | "TransactionConflict" | "ProvisionedThroughputExceeded" | "ThrottlingError" => None,
            code => Some(Err(self.classified(AwsFailure::of_entry(code, reason.message())))),
        }
    }

    async fn write_one(&self, write: &Write) -> Answered {
        match write {
            Write::Put(put) => {
                let request = self
                    .client
                    .put_item()
                    .table_name(&put.table_name)
                    .set_item(Some(put.item.clone()))
                    .set_condition_expression(put.condition_expression.clone())
                    .set_expression_attribute_names(put.expression_attribute_names.clone())
                    .set_expression_attribute_values(put.expression_attribute_values.clone())
                    .set_return_values_on_condition_check_failure(put.return_values_on_condition_check_failure.clone());
                let sent = request.send().await;
                let why = |error: &_| match error {
                    aws_sdk_dynamodb::operation::put_item::PutItemError::ConditionalCheckFailedException(taken) => {
                        taken.item.clone()
                    }
                    _ => None,
                };
                self.answer(sent, why)
            }
            Write::Delete(delete) => {
                let request = self
                    .client
                    .delete_item()
                    .table_name(&delete.table_name)
                    .set_key(Some(delete.key.clone()))
                    .set_condition_expression(delete.condition_expression.clone())
                    .set_expression_attribute_names(delete.expression_attribute_names.clone())
                    .set_expression_attribute_values(delete.expression_attribute_values.clone());
                self.answer(request.send().await, |_| None)
            }
        }
    }

    fn answer<R, E>(
        &self,
        sent: Result<R, SdkError<E, HttpResponse>>,
        why: impl FnOnce(&E) -> Option<Entry>,
    ) -> Answered
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match sent {
            Ok(_) => Ok(Answer::Written),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                Ok(Answer::Refused(error.as_service_error().and_then(why)))
            }
            Err(error) => Err(self.error(&error)),
        }
    }
}
