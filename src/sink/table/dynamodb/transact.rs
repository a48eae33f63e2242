//! Actions to the items of a transaction, and its reasons back to actions.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, CancellationReason, ConditionCheck, Delete, Put, TransactWriteItem, Update as UpdateRequest,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::error::table_error;
use crate::{
    aws::without_values,
    sink::table::{Action, Cancellation, CancellationClass, Condition, Effect, Item, TransactError, Update},
};

/// The request of one action.
pub(super) fn request(table: &str, action: &Action) -> TransactWriteItem {
    let mut expression = Expression::default();
    let condition = action.condition().map(|condition| expression.condition(condition));
    let key = || Some(HashMap::from(action.key().clone()));
    let item = TransactWriteItem::builder();
    let item = match action.effect() {
        Effect::Put(row) => item.put(
            Put::builder()
                .table_name(table)
                .set_item(Some(row.clone().into()))
                .set_condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values())
                .build()
                .expect("table and item are set"),
        ),
        Effect::Delete => item.delete(
            Delete::builder()
                .table_name(table)
                .set_key(key())
                .set_condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values())
                .build()
                .expect("table and key are set"),
        ),
        Effect::Check => item.condition_check(
            ConditionCheck::builder()
                .table_name(table)
                .set_key(key())
                .set_condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values())
                .build()
                .expect("table, key and condition are set"),
        ),
        Effect::Update(update) => item.update(
            UpdateRequest::builder()
                .table_name(table)
                .set_key(key())
                .update_expression(expression.update(update))
                .set_condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values())
                .build()
                .expect("table, key and expression are set"),
        ),
    };
    item.build()
}

/// Names and values in the place of which an expression has numbered words: names may be reserved words.
#[derive(Default)]
struct Expression {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn name(&mut self, name: &str) -> String {
        let word = format!("#n{}", self.names.len());
        self.names.insert(word.clone(), name.to_owned());
        word
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let word = format!(":v{}", self.values.len());
        self.values.insert(word.clone(), value);
        word
    }

    fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Is(name, value) => format!("{} = {}", self.name(name), self.value(value.clone().into())),
            Condition::AbsentOrIs(name, value) => {
                let (name, value) = (self.name(name), self.value(value.clone().into()));
                format!("attribute_not_exists({name}) OR {name} = {value}")
            }
        }
    }

    fn update(&mut self, update: &Update) -> String {
        let set = update.set.iter().map(|(name, value)| {
            let (name, value) = (self.name(name), self.value(value.clone().into()));
            format!("{name} = {value}")
        });
        let set = clause("SET", set.collect());
        let add = update.add.iter().map(|(name, amount)| {
            let (name, amount) = (self.name(name), self.value(AttributeValue::N(amount.to_string())));
            format!("{name} {amount}")
        });
        let add = clause("ADD", add.collect());
        let remove = clause("REMOVE", update.remove.iter().map(|name| self.name(name)).collect());
        format!("{set}{add}{remove}")
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    fn values(&self) -> Option<HashMap<String, AttributeValue>> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

fn clause(verb: &str, terms: Vec<String>) -> String {
    if terms.is_empty() { String::new() } else { format!("{verb} {} ", terms.join(", ")) }
}

/// What is wrong with a transaction, action by action where the service says so.
pub(super) fn transact_error(
    table: &Arc<str>,
    error: SdkError<TransactWriteItemsError, HttpResponse>,
) -> TransactError {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => TransactError::Cancelled {
            table: Arc::clone(table),
            reasons: cancelled.cancellation_reasons().iter().map(cancellation).collect(),
        },
        _ => TransactError::Table(table_error(table, &error)),
    }
}

fn cancellation(reason: &CancellationReason) -> Option<Cancellation> {
    let class = match reason.code()? {
        "None" => return None,
        "ConditionalCheckFailed" => CancellationClass::ConditionFailed,
        "TransactionConflict" => CancellationClass::Conflict,
        "ProvisionedThroughputExceeded" | "ThrottlingError" => CancellationClass::Throttled,
        "ValidationError" => CancellationClass::Invalid,
        "ItemCollectionSizeLimitExceeded" => CancellationClass::CollectionFull,
        "DuplicateItem" => CancellationClass::Duplicate,
        _ => CancellationClass::Other,
    };
    Some(Cancellation { class, message: without_values(reason.message().unwrap_or_default()).into() })
}

/// Which of the keys the table did not get to.
///
/// If one is none of those asked for, the answer cannot be understood, and all count: nothing is dropped.
pub(super) fn left(keys: &[Item], unprocessed: Vec<Item>) -> Vec<usize> {
    use crate::sink::table::key::RowKey;
    let places: HashMap<RowKey, usize> = keys.iter().enumerate().map(|(at, key)| (RowKey::of(key), at)).collect();
    let find = |key: Item| places.get(&RowKey::of(&key)).copied();
    unprocessed.into_iter().map(find).collect::<Option<_>>().unwrap_or_else(|| (0..keys.len()).collect())
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::Client;
    use serde_json::json;

    use super::*;
    use crate::{
        aws::double,
        sink::table::{DynamoDb, TransactTable, item, text},
    };

    fn key() -> Item {
        item([("PK", text("secret"))])
    }

    async fn answer(status: u16, body: serde_json::Value) -> TransactError {
        let config = double::config(move |_, _| (status, body.clone())).await;
        let actions = vec![Action::delete(key()); 7];
        DynamoDb::new(Client::new(&config), "Pets").transact(&actions).await.unwrap_err()
    }

    #[tokio::test(start_paused = true)]
    async fn every_reason_is_classed_by_its_meaning() {
        let codes = [
            ("None", None),
            ("ConditionalCheckFailed", Some(CancellationClass::ConditionFailed)),
            ("TransactionConflict", Some(CancellationClass::Conflict)),
            ("ThrottlingError", Some(CancellationClass::Throttled)),
            ("ProvisionedThroughputExceeded", Some(CancellationClass::Throttled)),
            ("ValidationError", Some(CancellationClass::Invalid)),
            ("ItemCollectionSizeLimitExceeded", Some(CancellationClass::CollectionFull)),
            ("DuplicateItem", Some(CancellationClass::Duplicate)),
            ("SomethingNew", Some(CancellationClass::Other)),
        ];
        let reasons: Vec<_> = codes.iter().map(|(code, _)| json!({"Code": code, "Message": "m"})).collect();
        let body =
            json!({"__type": "TransactionCanceledException", "message": "cancelled", "CancellationReasons": reasons});
        let TransactError::Cancelled { reasons, .. } = answer(400, body).await else { panic!("a cancellation") };
        let classes: Vec<_> = reasons.iter().map(|reason| reason.as_ref().map(|reason| reason.class)).collect();
        assert_eq!(classes, codes.map(|(_, class)| class));
    }

    #[tokio::test]
    async fn reasons_quote_no_values() {
        let said = "One or more parameter values were invalid: Input collection [secret, secret] contains duplicates.";
        let reasons = [json!({"Code": "ValidationError", "Message": said})];
        let body = json!({"__type": "TransactionCanceledException", "message": said, "CancellationReasons": reasons});
        let error = answer(400, body).await;
        let text = format!("{error} {error:?}");
        assert!(error.is_reject() && text.contains("contains duplicates") && !text.contains("secret"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn other_failures_are_the_table_s() {
        let (status, body) = double::error(400, "ValidationException", "Item size has exceeded the maximum");
        let error = answer(status, body).await;
        assert!(error.is_reject() && !format!("{error:?}").contains("secret"), "{error:?}");
        let (status, body) = double::error(400, "TransactionInProgressException", "wait");
        assert!(!answer(status, body).await.is_reject());
    }

    #[tokio::test]
    async fn a_request_names_and_values_everything_once() {
        let (sent, seen) = std::sync::mpsc::channel();
        let config = double::config(move |operation, body| {
            sent.send((operation.to_owned(), body)).unwrap();
            (200, json!({}))
        });
        let table = DynamoDb::new(Client::new(&config.await), "Pets");
        let update = Update::new().set("size", text("s")).add("count", 2.into()).remove("year");
        let action = Action::update(key(), update).only_if(Condition::AbsentOrIs("owner".into(), text("o")));
        table.transact(&[action]).await.unwrap();
        let (operation, body) = seen.recv().unwrap();
        assert_eq!(operation, "TransactWriteItems");
        assert!(body["ClientRequestToken"].is_string(), "for the SDK's own repetitions");
        let update = &body["TransactItems"][0]["Update"];
        assert_eq!(update["UpdateExpression"], "SET #n1 = :v1 ADD #n2 :v2 REMOVE #n3 ");
        assert_eq!(update["ConditionExpression"], "attribute_not_exists(#n0) OR #n0 = :v0");
        assert_eq!(
            update["ExpressionAttributeNames"],
            json!({"#n0": "owner", "#n1": "size", "#n2": "count", "#n3": "year"})
        );
        assert_eq!(update["ExpressionAttributeValues"][":v2"], json!({"N": "2"}));
    }

    #[test]
    fn unprocessed_keys_are_found_or_all_are_left() {
        let keys = ["a", "b", "c"].map(|id| item([("PK", text(id))]));
        assert_eq!(left(&keys, vec![keys[2].clone()]), [2]);
        assert_eq!(left(&keys, vec![item([("PK", text("x"))])]), [0, 1, 2]);
    }
}
