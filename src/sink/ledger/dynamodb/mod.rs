//! A ledger in a DynamoDB table.

mod writes;

use std::{error::Error, sync::Arc};

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, Delete, Put, ReturnValuesOnConditionCheckFailure, builders::PutBuilder},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::{FutureExt, future::BoxFuture};
use writes::{Answer, Entry, Write};

use super::{Claim, Fence, Ledger, LedgerError, Owner, Term, checked};
use crate::{
    aws::{self, AwsFailure},
    sink::table::TRANSACTION_ACTIONS,
};

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
/// Up to 100 keys are claimed, completed or released by one transaction, for two write units each. Those that somebody
/// else has are taken out of it, and the rest is tried again. A key that comes alone is one conditional write, for one
/// unit, and so is every key if [`one_by_one`](Self::one_by_one) says so; at most 32 requests are on their way. After a
/// failure that is not the key's own, keys that were not asked about get the same answer without a request.
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
    together: usize,
}

impl DynamoDb {
    /// The entries of `effect` (such as `"welcome-mail"`) in `table`, with a client of your own.
    ///
    /// # Panics
    /// If the effect's name has more than 1,000 bytes; `#` and `%` count threefold.
    pub fn new(client: Client, table: impl Into<Arc<str>>, effect: &str) -> Self {
        // A `#` ends it where it stands before the key.
        let effect = effect.replace('%', "%25").replace('#', "%23");
        assert!(effect.len() <= 1_000, "the name of an effect has at most 1,000 bytes, this one has {}", effect.len());
        Self { client, table: table.into(), effect: effect.into(), together: TRANSACTION_ACTIONS }
    }

    /// The same, with region, credentials and endpoint from the environment.
    pub async fn connect(table: impl Into<Arc<str>>, effect: &str) -> Self {
        Self::new(Client::new(&aws::load().await), table, effect)
    }

    /// Writes every entry by itself: half the write units, and up to a hundred times the requests.
    #[must_use]
    pub fn one_by_one(self) -> Self {
        Self { together: 1, ..self }
    }

    fn claim_of(&self, key: &str, owner: &Owner, lease: Term) -> Result<Write, LedgerError> {
        let put = self
            .put(key, owner, CLAIMED, lease.until())?
            .condition_expression(FREE)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":now", number(lease.now()))
            .expression_attribute_values(":claimed", text(CLAIMED))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ok(Write::Put(put.build().expect("table and item are set")))
    }

    fn completion_of(&self, key: &str, owner: &Owner, retention: Term) -> Result<Write, LedgerError> {
        let put = self.put(key, owner, DONE, retention.until())?.condition_expression(HELD_OR_FREE);
        Ok(Write::Put(put.build().expect("table and item are set")))
    }

    fn release_of(&self, key: &str, owner: &Owner) -> Result<Write, LedgerError> {
        let delete = Delete::builder()
            .table_name(&*self.table)
            .key(ID, text(self.id(key)?))
            .condition_expression(HELD)
            .expression_attribute_names("#owner", OWNER)
            .expression_attribute_names("#state", STATE)
            .expression_attribute_values(":owner", text(owner.as_str()))
            .expression_attribute_values(":claimed", text(CLAIMED));
        Ok(Write::Delete(delete.build().expect("table and key are set")))
    }

    /// The put of an entry; its condition may speak of `#id`, `#owner` and `:owner`.
    fn put(&self, key: &str, owner: &Owner, state: &str, until: u64) -> Result<PutBuilder, LedgerError> {
        Ok(Put::builder()
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

    /// Writes what `write` makes of each key, and reads from the answers whose it is.
    async fn each<R>(
        &self,
        keys: &[String],
        write: impl Fn(&str) -> Result<Write, LedgerError>,
        read: impl Fn(&Answer) -> R,
    ) -> Vec<Result<R, LedgerError>> {
        let answers = self.write(keys.iter().map(|key| write(key)).collect()).await;
        answers.into_iter().map(|answer| answer.map(|answer| read(&answer))).collect()
    }

    fn error<E>(&self, error: &SdkError<E, HttpResponse>) -> LedgerError
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        self.classified(AwsFailure::of(error))
    }

    fn classified(&self, failure: AwsFailure) -> LedgerError {
        classify(Arc::clone(&self.table), failure)
    }
}

fn claim(answer: &Answer) -> Claim {
    match answer {
        Answer::Written => Claim::Granted,
        Answer::Refused(entry) => taken_as(entry.as_ref()),
    }
}

fn fence(answer: &Answer) -> Fence {
    match answer {
        Answer::Written => Fence::Held,
        Answer::Refused(_) => Fence::Lost,
    }
}

/// What stands in the way of a claim.
fn taken_as(entry: Option<&Entry>) -> Claim {
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
        "ValidationException" | "ValidationError" => LedgerError::NotALedger { table, source },
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
        self.each(keys, move |key| self.claim_of(key, owner, lease), claim).boxed()
    }

    fn complete<'a>(
        &'a self,
        keys: &'a [String],
        owner: &'a Owner,
        retention: Term,
    ) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        self.each(keys, move |key| self.completion_of(key, owner, retention), fence).boxed()
    }

    fn release<'a>(&'a self, keys: &'a [String], owner: &'a Owner) -> BoxFuture<'a, Vec<Result<Fence, LedgerError>>> {
        self.each(keys, move |key| self.release_of(key, owner), fence).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::Mutex,
        time::{Duration, UNIX_EPOCH},
    };

    use serde_json::{Value, json};

    use super::*;
    use crate::aws::double;

    fn term() -> Term {
        Term::new(UNIX_EPOCH + Duration::from_secs(1_000), Duration::from_secs(60))
    }

    fn keys(count: usize) -> Vec<String> {
        (0..count).map(|key| format!("secret {key}")).collect()
    }

    #[tokio::test]
    async fn entries_of_different_effects_are_different() {
        let client = Client::new(&double::config(|_, _| (200, json!({}))).await);
        let id = |effect: &str, key: &str| DynamoDb::new(client.clone(), "L", effect).id(key).unwrap();
        assert_eq!(id("mail", "42"), "mail#42");
        let ids = [id("mail", "vip#42"), id("mail#vip", "42"), id("mail%23vip", "42")];
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{ids:?}");
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

    /// Counts requests by operation, and answers transactions with these reasons in turn, then with success.
    async fn cancelling(ledger: &str, turns: &[&[&str]]) -> (DynamoDb, Arc<Mutex<BTreeMap<String, Vec<usize>>>>) {
        let seen = Arc::new(Mutex::new(BTreeMap::<String, Vec<usize>>::new()));
        let shared = Arc::clone(&seen);
        let turns: Vec<Vec<String>> = turns.iter().map(|turn| turn.iter().map(ToString::to_string).collect()).collect();
        let mut turns = turns.into_iter();
        let answer = move |operation: &str, request: Value| {
            let entries = request["TransactItems"].as_array().map_or(1, Vec::len);
            shared.lock().unwrap().entry(operation.to_owned()).or_default().push(entries);
            let Some(reasons) = (operation == "TransactWriteItems").then(|| turns.next()).flatten() else {
                return (200, json!({}));
            };
            let reason = |code: &String| match code.split_once('/') {
                Some((code, state)) => json!({"Code": code, "Item": {"state": {"S": state}}}),
                None => json!({ "Code": code }),
            };
            let (_, mut error) = double::error(400, "TransactionCanceledException", "no");
            error["CancellationReasons"] = reasons.iter().map(reason).collect();
            (400, error)
        };
        let config = double::config(answer).await;
        (DynamoDb::new(Client::new(&config), ledger, "welcome"), seen)
    }

    fn counts(counts: &[(&str, &[usize])]) -> BTreeMap<String, Vec<usize>> {
        counts.iter().map(|(operation, entries)| ((*operation).to_owned(), entries.to_vec())).collect()
    }

    #[tokio::test]
    async fn a_hundred_keys_are_one_request() {
        let (ledger, seen) = cancelling("Once", &[]).await;
        let owner = Owner::unique();
        assert!(ledger.claim(&keys(201), &owner, term()).await.iter().all(Result::is_ok));
        let expected = counts(&[("TransactWriteItems", &[100, 100]), ("PutItem", &[1])]);
        assert_eq!(*seen.lock().unwrap(), expected);
        let (ledger, seen) = cancelling("Once", &[]).await;
        let ledger = ledger.one_by_one();
        assert!(ledger.complete(&keys(3), &owner, term()).await.iter().all(Result::is_ok));
        assert_eq!(*seen.lock().unwrap(), counts(&[("PutItem", &[1, 1, 1])]));
    }

    #[tokio::test(start_paused = true)]
    async fn every_reason_of_a_cancelled_transaction_is_its_keys_own() {
        let first = ["ConditionalCheckFailed/DONE", "None", "ConditionalCheckFailed/CLAIMED", "None", "None"];
        let (ledger, seen) = cancelling("Once", &[&first, &["TransactionConflict", "None", "None"]]).await;
        let claims = ledger.claim(&keys(5), &Owner::unique(), term()).await;
        let claims: Vec<Claim> = claims.into_iter().map(Result::unwrap).collect();
        assert_eq!(claims, [Claim::Done, Claim::Granted, Claim::Busy, Claim::Granted, Claim::Granted]);
        assert_eq!(*seen.lock().unwrap(), counts(&[("TransactWriteItems", &[5, 3, 3])]));

        let (ledger, _) = cancelling("Once", &[&["ValidationError", "None", "None"]]).await;
        let claims = ledger.claim(&keys(3), &Owner::unique(), term()).await;
        assert!(matches!(claims[..], [Err(LedgerError::NotALedger { .. }), Ok(_), Ok(_)]), "{claims:?}");
    }

    /// A conflict that does not end, and a refusal that does not say why: each key by itself.
    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_written_together_is_written_alone() {
        let busy = ["TransactionConflict", "None"];
        let (ledger, seen) = cancelling("Once", &[&busy, &busy, &busy, &busy]).await;
        let fences = ledger.release(&keys(2), &Owner::unique()).await;
        assert!(matches!(fences[..], [Ok(Fence::Held), Ok(Fence::Held)]), "{fences:?}");
        assert_eq!(*seen.lock().unwrap(), counts(&[("TransactWriteItems", &[2, 2, 2, 2]), ("DeleteItem", &[1, 1])]));

        let (ledger, seen) = cancelling("Once", &[&["ConditionalCheckFailed", "ConditionalCheckFailed/DONE"]]).await;
        let claims = ledger.claim(&keys(2), &Owner::unique(), term()).await;
        assert!(matches!(claims[..], [Ok(Claim::Granted), Ok(Claim::Done)]), "it was free by then: {claims:?}");
        assert_eq!(*seen.lock().unwrap(), counts(&[("TransactWriteItems", &[2]), ("PutItem", &[1])]));
    }
}
