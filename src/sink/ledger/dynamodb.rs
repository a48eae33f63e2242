//! A ledger in a DynamoDB table.

use std::{
    collections::HashMap,
    error::Error,
    sync::{Arc, OnceLock},
};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::put_item::{PutItemError, builders::PutItemFluentBuilder},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Either, ready},
    stream,
};

use super::{Claim, Fence, Ledger, LedgerError, Owner, Term, checked};
use crate::sink::aws::{self, AwsFailure};

/// Requests on their way at the same time.
const REQUESTS: usize = 32;

const ID: &str = "id";
const OWNER: &str = "owner";
const STATE: &str = "state";
const EXPIRES: &str = "expiresAt";
const CLAIMED: &str = "CLAIMED";
const DONE: &str = "DONE";

/// The key is free: nothing is there, what is there is over, or the claim is a repetition of one whose answer was lost.
const FREE: &str = "attribute_not_exists(#id) OR #expires <= :now OR (#owner = :owner AND #state = :claimed)";
const HELD_OR_FREE: &str = "attribute_not_exists(#id) OR #owner = :owner";
const HELD: &str = "#owner = :owner AND #state = :claimed";

/// A ledger in a DynamoDB table whose only key is the string `id`, with time to live on `expiresAt`.
///
/// One conditional write per key and call, at most 32 on their way: a claim and its completion take one write unit
/// each, a release another. After a failure that is not the key's own, keys that were not asked about get the same
/// answer without a request.
///
/// The table can be shared: every entry is kept under the name of its *effect*. Handlers whose effects are different
/// need different names, or one handler's entry keeps the other from its work.
///
/// Time to live is for tidiness: an entry that is over counts as not there, deleted or not.
#[derive(Debug)]
pub struct DynamoDb {
    client: Client,
    table: Arc<str>,
    effect: Box<str>,
}

impl DynamoDb {
    /// The entries of `effect` (such as `"welcome-mail"`) in `table`, with a client of your own.
    ///
    /// # Panics
    /// If the effect's name has more than 1,000 bytes.
    pub fn new(client: Client, table: impl Into<Arc<str>>, effect: &str) -> Self {
        assert!(effect.len() <= 1_000, "the name of an effect has at most 1,000 bytes, this one has {}", effect.len());
        Self { client, table: table.into(), effect: effect.into() }
    }

    /// The same, with region, credentials and endpoint from the environment.
    pub async fn connect(table: impl Into<Arc<str>>, effect: &str) -> Self {
        Self::new(Client::new(&aws::load().await), table, effect)
    }

    async fn claim_one(&self, key: &str, owner: &Owner, lease: Term) -> Result<Claim, LedgerError> {
        let put = self
            .put(key, owner, CLAIMED, lease.until())?
            .condition_expression(FREE)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":now", number(lease.now()))
            .expression_attribute_values(":claimed", text(CLAIMED))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(Claim::Granted),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(taken)) => Ok(taken_as(taken.item())),
                _ => Err(self.error(&error)),
            },
        }
    }

    async fn complete_one(&self, key: &str, owner: &Owner, retention: Term) -> Result<Fence, LedgerError> {
        let put = self.put(key, owner, DONE, retention.until())?.condition_expression(HELD_OR_FREE);
        self.fence(put.send().await)
    }

    async fn release_one(&self, key: &str, owner: &Owner) -> Result<Fence, LedgerError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .key(ID, text(self.id(key)?))
            .condition_expression(HELD)
            .expression_attribute_names("#owner", OWNER)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":owner", text(owner.as_str()))
            .expression_attribute_values(":claimed", text(CLAIMED));
        self.fence(delete.send().await)
    }

    /// The put of an entry; its condition may speak of `#id`, `#owner` and `:owner`.
    fn put(&self, key: &str, owner: &Owner, state: &str, until: u64) -> Result<PutItemFluentBuilder, LedgerError> {
        Ok(self
            .client
            .put_item()
            .table_name(&*self.table)
            .item(ID, text(self.id(key)?))
            .item(OWNER, text(owner.as_str()))
            .item(STATE, text(state))
            .item(EXPIRES, number(until))
            .expression_attribute_names("#id", ID)
            .expression_attribute_names("#owner", OWNER)
            .expression_attribute_values(":owner", text(owner.as_str())))
    }

    fn id(&self, key: &str) -> Result<String, LedgerError> {
        Ok(format!("{}#{}", self.effect, checked(key)?))
    }

    fn fence<R, E>(&self, answer: Result<R, SdkError<E, HttpResponse>>) -> Result<Fence, LedgerError>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        match answer {
            Ok(_) => Ok(Fence::Held),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(Fence::Lost),
            Err(error) => Err(self.error(&error)),
        }
    }

    fn error<E>(&self, error: &SdkError<E, HttpResponse>) -> LedgerError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        classify(Arc::clone(&self.table), AwsFailure::of(error))
    }
}

/// What stands in the way of a claim.
fn taken_as(entry: Option<&HashMap<String, AttributeValue>>) -> Claim {
    match entry.and_then(|entry| entry.get(STATE)) {
        Some(AttributeValue::S(state)) if state == DONE => Claim::Done,
        _ => Claim::Busy,
    }
}

fn classify(table: Arc<str>, failure: AwsFailure) -> LedgerError {
    let code = failure.code.clone().unwrap_or_default();
    let source = Arc::new(failure);
    match code.as_str() {
        "ResourceNotFoundException" => LedgerError::NoSuchTable { table, source },
        "ValidationException" => LedgerError::NotALedger { table, source },
        "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "ExpiredTokenException" => LedgerError::Denied { table, source },
        "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "ThrottlingException"
        | "ThrottledException"
        | "LimitExceededException" => LedgerError::Throttled { table, source },
        _ => LedgerError::Failed { table, source },
    }
}

fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Makes the requests, a few at a time and in order, until the ledger turns out not to work.
async fn each<R, F>(requests: impl Iterator<Item = F>) -> Vec<Result<R, LedgerError>>
where
    F: Future<Output = Result<R, LedgerError>>,
{
    let broken = OnceLock::new();
    let answers = stream::iter(requests).map(|request| match broken.get() {
        Some(error) => Either::Left(ready(Err(LedgerError::clone(error)))),
        None => Either::Right(request.inspect(|answer| {
            if let Err(error) = answer
                && !error.is_reject()
            {
                // Only the first is kept.
                _ = broken.set(error.clone());
            }
        })),
    });
    answers.buffered(REQUESTS).collect().await
}

impl Ledger for DynamoDb {
    fn name(&self) -> &str {
        &self.table
    }

    fn claim<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        lease: Term,
    ) -> BoxFuture<'a, Vec<Result<Claim, LedgerError>>> {
        each(keys.iter().map(move |key| self.claim_one(key, owner, lease))).boxed()
    }

    fn complete<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        retention: Term,
    ) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        each(keys.iter().map(move |key| self.complete_one(key, owner, retention))).boxed()
    }

    fn release<'a>(&'a self, keys: &'a [String], owner: &'a Owner) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        each(keys.iter().map(move |key| self.release_one(key, owner))).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Mutex,
        time::{Duration, UNIX_EPOCH},
    };

    use serde_json::{Value, json};

    use super::*;
    use crate::sink::aws::double;

    fn term() -> Term {
        Term::new(UNIX_EPOCH + Duration::from_secs(1_000), Duration::from_secs(60))
    }

    fn keys(count: usize) -> Vec<String> {
        (0..count).map(|key| format!("secret {key}")).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn errors_are_classed_by_what_can_be_done() {
        let cases = [
            ("ValidationException", "the partition key `id`, a string"),
            ("ResourceNotFoundException", "does not exist; create it"),
            ("AccessDeniedException", "`dynamodb:PutItem` and `dynamodb:DeleteItem`"),
            ("ProvisionedThroughputExceededException", "raise its capacity"),
            ("TransactionConflictException", "the request to ledger table"),
        ];
        for (code, text) in cases {
            let config = double::config(move |_, _| double::error(400, code, "no")).await;
            let ledger = DynamoDb::new(Client::new(&config), "Once", "welcome");
            let error = ledger.claim(&keys(1), &Owner::unique(), term()).await.remove(0).unwrap_err();
            let said = error.to_string();
            assert!(!error.is_reject() && said.contains(text) && said.contains("`Once`"), "{code}: {said}");
            assert_eq!(error.source().unwrap().to_string(), format!("{code}: no (request id REQ-1)"));
            assert!(!format!("{error:?}").contains("secret"));
        }
    }

    #[tokio::test]
    async fn a_ledger_that_does_not_work_is_not_asked_about_every_key() {
        let calls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&calls);
        let answer = move |_: &str, _| {
            *counted.lock().unwrap() += 1;
            double::error(400, "ResourceNotFoundException", "no")
        };
        let ledger = DynamoDb::new(Client::new(&double::config(answer).await), "Once", "welcome");
        let claims = ledger.claim(&keys(500), &Owner::unique(), term()).await;
        assert!(claims.len() == 500 && claims.iter().all(Result::is_err));
        assert!(*calls.lock().unwrap() <= REQUESTS);
    }

    #[tokio::test]
    async fn an_entry_is_small_and_says_what_it_is() {
        let seen = Arc::new(Mutex::new(Vec::<Value>::new()));
        let shared = Arc::clone(&seen);
        let answer = move |_: &str, request| {
            shared.lock().unwrap().push(request);
            (200, json!({}))
        };
        let ledger = DynamoDb::new(Client::new(&double::config(answer).await), "Once", "welcome");
        let owner = Owner::unique();
        let key = ["e1".to_owned()];
        ledger.claim(&key, &owner, term()).await.remove(0).unwrap();
        ledger.complete(&key, &owner, term()).await.remove(0).unwrap();
        ledger.release(&key, &owner).await.remove(0).unwrap();
        let entry = |state: &str| json!({"id": {"S": "welcome#e1"}, "owner": {"S": owner.as_str()}, "state": {"S": state}, "expiresAt": {"N": "1060"}});
        let seen = seen.lock().unwrap();
        assert_eq!((&seen[0]["Item"], &seen[1]["Item"]), (&entry("CLAIMED"), &entry("DONE")));
        assert_eq!(seen[2]["Key"], json!({"id": {"S": "welcome#e1"}}));
        assert!(seen.iter().all(|request| request["ConditionExpression"].is_string()), "nothing is written unfenced");
    }
}
