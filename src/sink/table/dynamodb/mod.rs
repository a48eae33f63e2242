//! A DynamoDB table as a sink.

mod batch;
mod error;
mod transact;

use std::{collections::HashMap, sync::Arc};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, KeysAndAttributes},
};
use futures_util::future::{BoxFuture, FutureExt};
use metrics::counter;

use super::{
    Action, Guard, Item, Query, ReadBatch, RowWrite, Table, TableError, TransactError, TransactTable, Written,
};
use crate::aws::{self, Role};

/// A table behind the DynamoDB API.
///
/// Throttles, 5xx answers and lost connections are tried again by the SDK (see [`aws::defaults`]); what is left
/// after that is an error with the service's code, message and request id. Attribute values are handed
/// over as they are: numbers stay the text that they were.
#[derive(Debug, Clone)]
pub struct DynamoDb {
    client: Client,
    name: Arc<str>,
}

impl DynamoDb {
    /// The table `name` as seen by a client of your own.
    pub fn new(client: Client, name: impl Into<Arc<str>>) -> Self {
        Self { client, name: name.into() }
    }

    /// The table `name`, with credentials and endpoint from the environment, in another `region` than the
    /// environment's if one is given.
    pub async fn connect(name: impl Into<Arc<str>>, region: Option<String>) -> Self {
        Self::new(Client::new(&aws::load_in(region).await), name)
    }

    /// The same, written and read as another role than the function's own: in another account, for example.
    pub async fn connect_as(name: impl Into<Arc<str>>, region: Option<String>, role: &Role) -> Self {
        Self::new(Client::new(&aws::load_as(region, role).await), name)
    }

    async fn put(&self, row: Item, guard: Guard) -> Result<Written, TableError> {
        let put = self
            .client
            .put_item()
            .table_name(&*self.name)
            .set_item(Some(row.into()))
            .condition_expression(guard.condition())
            .expression_attribute_names(Guard::NAME, guard.attribute())
            .set_expression_attribute_values(Some(values(&guard)));
        error::written(&self.name, put.send().await)
    }

    async fn delete(&self, key: Item, guard: Guard) -> Result<Written, TableError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&*self.name)
            .set_key(Some(key.into()))
            .condition_expression(guard.condition())
            .expression_attribute_names(Guard::NAME, guard.attribute())
            .set_expression_attribute_values(Some(values(&guard)));
        error::written(&self.name, delete.send().await)
    }

    async fn batch(&self, writes: &[RowWrite]) -> Result<Vec<usize>, TableError> {
        let requests = writes.iter().map(batch::request).collect();
        let sent = self.client.batch_write_item().request_items(&*self.name, requests).send().await;
        let answer = sent.map_err(|error| error::table_error(&self.name, &error))?;
        let left = answer.unprocessed_items.unwrap_or_default();
        in_part(left.is_empty());
        Ok(batch::indices(writes, left.into_values().flatten().collect()))
    }

    async fn get(&self, key: Item) -> Result<Option<Item>, TableError> {
        let get = self.client.get_item().table_name(&*self.name).set_key(Some(key.into())).consistent_read(true);
        let answer = get.send().await.map_err(|error| error::table_error(&self.name, &error))?;
        Ok(answer.item.map(|row: HashMap<_, _>| row.into()))
    }

    async fn together(&self, actions: &[Action]) -> Result<(), TransactError> {
        let items = actions.iter().map(|action| transact::request(&self.name, action)).collect();
        let sent = self.client.transact_write_items().set_transact_items(Some(items)).send().await;
        sent.map(|_| ()).map_err(|error| transact::transact_error(&self.name, error))
    }

    async fn get_batch(&self, keys: &[Item]) -> Result<ReadBatch, TableError> {
        let wanted = keys.iter().cloned().map(HashMap::from).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
        let request = self.client.batch_get_item().request_items(&*self.name, wanted.expect("the keys are set"));
        let answer = request.send().await.map_err(|error| error::table_error(&self.name, &error))?;
        let rows = answer.responses.unwrap_or_default().into_values().flatten().map(Item::from).collect();
        let left = answer.unprocessed_keys.unwrap_or_default();
        in_part(left.is_empty());
        let left = left.into_values().flat_map(|left| left.keys);
        Ok(ReadBatch { rows, left: transact::left(keys, left.map(Item::from).collect()) })
    }

    async fn first(&self, query: Query) -> Result<Vec<Item>, TableError> {
        let mut request = self.client.query().table_name(&*self.name).consistent_read(true);
        for (name, value) in query.partition.into_inner() {
            request = request.key_condition_expression("#partition = :partition");
            request = request.expression_attribute_names("#partition", name);
            request = request.expression_attribute_values(":partition", value.into());
        }
        let request = request.scan_index_forward(!query.descending).limit(query.limit.into());
        let answer = request.send().await.map_err(|error| error::table_error(&self.name, &error))?;
        Ok(answer.items.unwrap_or_default().into_iter().map(Item::from).collect())
    }
}

/// An answer that leaves something to do is how DynamoDB says of a batch that it is too much.
fn in_part(all: bool) {
    counter!("SinkThrottles").increment((!all).into());
}

impl TransactTable for DynamoDb {
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>> {
        self.together(actions).boxed()
    }

    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>> {
        self.get_batch(keys).boxed()
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>> {
        self.first(query).boxed()
    }
}

/// What a guard's condition compares with.
fn values(guard: &Guard) -> HashMap<String, AttributeValue> {
    guard.values().map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).collect()
}

impl Table for DynamoDb {
    fn name(&self) -> &str {
        &self.name
    }

    fn write_guarded(&self, mut write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        guard.stamp(&mut write);
        match write.into_parts() {
            (_, Some(row)) => self.put(row, guard).boxed(),
            (key, None) => self.delete(key, guard).boxed(),
        }
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        self.batch(writes).boxed()
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        self.get(key).boxed()
    }
}
