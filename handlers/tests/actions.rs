//! The actions that the kinds of handlers declare, against the calls that they make.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use anabranch::{
    dispatch::Dispatcher,
    handler::Context,
    idempotency,
    record::StreamView,
    replica,
    router::Router,
    sink::{
        ledger,
        publisher::{self, Fault, PublishError},
        table::DynamoDb,
    },
    testing::embedded::Embedded,
    view,
};
use aws_sdk_dynamodb::{
    Client, Config,
    config::{ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeSerializationInterceptorContextRef},
    error::BoxError,
    operation::{
        batch_get_item::BatchGetItemInput, batch_write_item::BatchWriteItemInput, delete_item::DeleteItemInput,
        get_item::GetItemInput, put_item::PutItemInput, query::QueryInput,
        transact_write_items::TransactWriteItemsInput,
    },
    types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TransactWriteItem},
};
use handlers::routers;

/// Notes the IAM action of every call.
#[derive(Debug, Clone, Default)]
struct Recorder(Arc<Mutex<BTreeSet<String>>>);

impl Recorder {
    fn client(&self, embedded: &Embedded) -> Client {
        let config = Config::from(embedded.sdk_config()).to_builder().interceptor(self.clone()).build();
        Client::from_conf(config)
    }

    fn actions(&self) -> BTreeSet<String> {
        self.0.lock().expect("no test panics while it records").clone()
    }
}

impl Intercept for Recorder {
    fn name(&self) -> &'static str {
        "Recorder"
    }

    fn read_before_serialization(
        &self,
        context: &BeforeSerializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let input = context.input();
        let mut actions = self.0.lock().expect("no test panics while it records");
        if let Some(transaction) = input.downcast_ref::<TransactWriteItemsInput>() {
            actions.extend(transaction.transact_items().iter().map(action_within));
            return Ok(());
        }
        let known = [
            (input.downcast_ref::<PutItemInput>().is_some(), "PutItem"),
            (input.downcast_ref::<DeleteItemInput>().is_some(), "DeleteItem"),
            (input.downcast_ref::<GetItemInput>().is_some(), "GetItem"),
            (input.downcast_ref::<QueryInput>().is_some(), "Query"),
            (input.downcast_ref::<BatchGetItemInput>().is_some(), "BatchGetItem"),
            (input.downcast_ref::<BatchWriteItemInput>().is_some(), "BatchWriteItem"),
        ];
        let name =
            known.iter().find(|(is_it, _)| *is_it).map_or("a call that this test does not know", |(_, name)| name);
        actions.insert(format!("dynamodb:{name}"));
        Ok(())
    }
}

/// A transaction needs what its parts need.
fn action_within(item: &TransactWriteItem) -> String {
    let name = match item {
        item if item.put().is_some() => "PutItem",
        item if item.delete().is_some() => "DeleteItem",
        item if item.update().is_some() => "UpdateItem",
        _ => "ConditionCheckItem",
    };
    format!("dynamodb:{name}")
}

/// Inserts, changes and removals of users, pets and activities.
const EVENTS: [&str; 4] = [
    include_str!("../../events/single-table-batch.json"),
    include_str!("../../events/ttl-delete.json"),
    include_str!("../../events/insert-new-and-old-images.json"),
    include_str!("../../events/remove-new-and-old-images.json"),
];

async fn dispatch<V: StreamView>(router: Router<V>) {
    let dispatcher = Dispatcher::new(router);
    for event in EVENTS {
        let report = dispatcher.dispatch(event, &Context::default()).await.expect("a stream event");
        assert_eq!(report.unfinished, None);
    }
}

fn assert_declared(recorder: &Recorder, declared: &[&str]) {
    let declared: BTreeSet<String> = declared.iter().map(|action| (*action).to_owned()).collect();
    assert_eq!(recorder.actions(), declared);
}

async fn embedded(table: &str) -> Embedded {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    embedded.create_table(table, None).await.expect("a table");
    embedded
}

#[tokio::test]
async fn a_replica_calls_what_it_declares() {
    let (embedded, recorder) = (embedded("Replica").await, Recorder::default());
    embedded.create_table("PetTracker", None).await.expect("a table");
    let table = |name| DynamoDb::new(recorder.client(&embedded), name);
    // The events are of another day.
    dispatch(routers::replicate(table("Replica"), Some(table("PetTracker")))).await;
    assert_declared(&recorder, &[replica::ACTIONS, replica::REREAD_ACTIONS].concat());
}

/// The end of what `EVENTS` left: the activities are removed, which takes their views back.
fn removals() -> String {
    let mut event: serde_json::Value = serde_json::from_str(EVENTS[0]).expect("JSON");
    let records = event["Records"].as_array_mut().expect("records");
    records.retain(|record| record["dynamodb"]["NewImage"]["entityType"]["S"] == "ACTIVITY");
    for (at, record) in records.iter_mut().enumerate() {
        record["eventName"] = "REMOVE".into();
        let change = record["dynamodb"].as_object_mut().expect("a change");
        let image = change.remove("NewImage").expect("it was filtered by it");
        change.insert("OldImage".to_owned(), image);
        change.insert("SequenceNumber".to_owned(), format!("9{at:026}").into());
    }
    event.to_string()
}

#[tokio::test]
async fn views_call_what_they_declare() {
    let (embedded, recorder) = (embedded("Views").await, Recorder::default());
    let router = || routers::materialize(DynamoDb::new(recorder.client(&embedded), "Views"));
    dispatch(router()).await;
    let report = Dispatcher::new(router()).dispatch(removals(), &Context::default()).await.expect("a stream event");
    assert_eq!(report.unfinished, None);
    assert_declared(&recorder, view::ACTIONS);
}

#[tokio::test]
async fn a_ledger_is_called_as_it_is_declared() {
    let (embedded, recorder) = (embedded("Other").await, Recorder::default());
    create_leases(&embedded.dynamodb()).await;
    let ledger = |effect| ledger::DynamoDb::new(recorder.client(&embedded), "Leases", effect);
    dispatch(routers::notify(Arc::new(publisher::Memory::default()), ledger("news"))).await;
    // A topic that takes nothing: claims are released.
    let deaf = publisher::Memory::default().with_faults(|_| Fault::Before(PublishError::Interrupted));
    let dispatcher = Dispatcher::new(routers::notify(Arc::new(deaf), ledger("refused news")));
    let report = dispatcher.dispatch(EVENTS[0], &Context::default()).await.expect("a stream event");
    assert!(report.unfinished.is_some());
    assert_declared(&recorder, idempotency::ACTIONS);
}

async fn create_leases(client: &Client) {
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build();
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build();
    let create = client.create_table().table_name("Leases").billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(id.expect("complete")).key_schema(key.expect("complete"));
    create.send().await.expect("a table");
}
