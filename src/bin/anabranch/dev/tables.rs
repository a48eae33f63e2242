//! The template's tables, and their streams.

use anabranch::aws::AwsFailure;
use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
        StreamViewType, TimeToLiveSpecification,
    },
};

use super::plan::PlannedTable;
use crate::BoxError;

/// Creates tables.
pub(super) async fn create(client: &Client, tables: &[PlannedTable]) -> Result<(), BoxError> {
    for table in tables {
        create_one(client, table).await?;
    }
    Ok(())
}

async fn create_one(client: &Client, table: &PlannedTable) -> Result<(), BoxError> {
    let failed = |failure: AwsFailure| format!("table {} could not be created: {failure}", table.name);
    let mut call = client.create_table().table_name(&table.name).billing_mode(BillingMode::PayPerRequest);
    for ((name, kind), role) in table.keys.iter().zip([KeyType::Hash, KeyType::Range]) {
        let kind = ScalarAttributeType::from(kind.as_str());
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()?;
        let key = KeySchemaElement::builder().attribute_name(name).key_type(role).build()?;
        call = call.attribute_definitions(attribute).key_schema(key);
    }
    if let Some(view) = &table.stream {
        let view = StreamViewType::from(view.as_str());
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build()?;
        call = call.stream_specification(stream);
    }
    call.send().await.map_err(|error| failed(AwsFailure::of(&error)))?;
    if let Some(attribute) = &table.time_to_live {
        let expiry = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build()?;
        let call = client.update_time_to_live().table_name(&table.name).time_to_live_specification(expiry);
        call.send().await.map_err(|error| failed(AwsFailure::of(&error)))?;
    }
    Ok(())
}

/// The ARN of a table's stream, if it has one.
pub(super) async fn stream_of(client: &Client, table: &str) -> Result<Option<String>, BoxError> {
    let answer = client.describe_table().table_name(table).send().await;
    let answer = answer.map_err(|error| format!("table {table} is not there: {}", AwsFailure::of(&error)))?;
    Ok(answer.table.and_then(|table| table.latest_stream_arn))
}
