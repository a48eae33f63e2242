//! What an error of the SDK means for a row: the one place that says.

use std::{error::Error, sync::Arc};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{
    aws::{AwsFailure, FailureKind},
    sink::table::{TableError, Written},
};

/// The outcome of a guarded write: a failed condition means that the stored row is as new.
pub(super) fn written<R, E>(
    table: &Arc<str>,
    answer: Result<R, SdkError<E, HttpResponse>>,
) -> Result<Written, TableError>
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match answer {
        Ok(_) => Ok(Written::Applied),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(Written::Stale),
        Err(error) => Err(table_error(table, &error)),
    }
}

/// What is wrong, in the table's terms.
pub(super) fn table_error<E>(table: &Arc<str>, error: &SdkError<E, HttpResponse>) -> TableError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    classify(Arc::clone(table), AwsFailure::of(error))
}

/// Only what the service says of the row itself is a reject; what is not known may pass.
fn classify(table: Arc<str>, failure: AwsFailure) -> TableError {
    let too_large = failure.message.contains("size has exceeded");
    let collection_full = failure.code.as_deref() == Some("ItemCollectionSizeLimitExceededException");
    let kind = failure.kind();
    let source = Arc::new(failure);
    match kind {
        FailureKind::Invalid if too_large => TableError::TooLarge { table, source },
        FailureKind::Invalid => TableError::Refused { table, source },
        FailureKind::Missing => TableError::NoSuchTable { table, source },
        FailureKind::Denied => TableError::Denied { table, source },
        FailureKind::Throttled => TableError::Throttled { table, source },
        FailureKind::Other if collection_full => TableError::Refused { table, source },
        FailureKind::Other => TableError::Failed { table, source },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;

    use super::*;
    use crate::{
        aws::double,
        sink::table::{DynamoDb, Guard, RowWrite, Table, item, text},
    };

    fn put() -> RowWrite {
        RowWrite::put(item([("PK", text("secret"))]), item([("PK", text("secret"))]))
    }

    async fn answer(status: u16, code: &'static str, message: &'static str) -> Result<Written, TableError> {
        let config = double::config(move |_, _| double::error(status, code, message)).await;
        DynamoDb::new(Client::new(&config), "Pets").write_guarded(put(), Guard::new("v", "1")).await
    }

    #[tokio::test(start_paused = true)]
    async fn errors_are_classed_by_what_can_be_done() {
        let large = "Item size has exceeded the maximum allowed size";
        let cases = [
            (400, "ValidationException", large, true, "larger than the 400 KB"),
            (400, "ValidationException", "Missing the key PK in the item", true, "compare its keys"),
            (400, "ItemCollectionSizeLimitExceededException", "full", true, "compare its keys"),
            (400, "ResourceNotFoundException", "not found", false, "does not exist; create it"),
            (400, "AccessDeniedException", "no", false, "`dynamodb:PutItem`"),
            (400, "ExpiredTokenException", "no", false, "is denied"),
            (400, "ProvisionedThroughputExceededException", "slow", false, "raise its capacity"),
            (400, "TransactionConflictException", "busy", false, "the request to table"),
            (500, "InternalServerError", "oh", false, "the request to table"),
        ];
        for (status, code, message, reject, text) in cases {
            let error = answer(status, code, message).await.unwrap_err();
            assert_eq!(error.is_reject(), reject, "{code}");
            let said = error.to_string();
            assert!(said.contains(text) && said.contains("`Pets`"), "{code}: {said}");
            let source = error.source().expect("the service's answer").to_string();
            assert_eq!(source, format!("{code}: {message} (request id REQ-1)"));
            assert!(!format!("{error:?}").contains("secret"));
        }
    }

    #[tokio::test]
    async fn a_failed_condition_is_no_error() {
        let written = answer(400, "ConditionalCheckFailedException", "the conditional request failed").await;
        assert_eq!(written.unwrap(), Written::Stale);
    }

    #[tokio::test(start_paused = true)]
    async fn throttles_and_server_errors_are_tried_again() {
        let mut calls = 0;
        let config = double::config(move |_, _| {
            calls += 1;
            match calls {
                1 => double::error(400, "ThrottlingException", "slow"),
                2 => double::error(500, "InternalServerError", "oh"),
                3 => double::error(503, "ServiceUnavailable", "oh"),
                _ => (200, serde_json::json!({})),
            }
        });
        let table = DynamoDb::new(Client::new(&config.await), "Pets");
        assert_eq!(table.write_guarded(put(), Guard::new("v", "1")).await.unwrap(), Written::Applied);
    }
}
