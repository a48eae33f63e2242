//! The DynamoDB adapter against the embedded DynamoDB API.

use anabranch::{
    sink::{
        conformance,
        table::{DynamoDb, Guard, RowWrite, Table, TableError, item, text},
    },
    testing::embedded::{Embedded, EmbeddedError},
};

#[tokio::test]
async fn conforms() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_table("Conformance", None).await?;
    let table = DynamoDb::new(embedded.dynamodb(), "Conformance");
    conformance::table(&table).await;
    conformance::transact_table(&table).await;
    embedded.stop().await
}

#[tokio::test]
async fn a_missing_table_is_a_retry_that_names_the_remedy() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    let table = DynamoDb::new(embedded.dynamodb(), "Missing");
    let key = item([("PK", text("a")), ("SK", text("b"))]);
    let guarded = table.write_guarded(RowWrite::put(key.clone(), key.clone()), Guard::new("v", "1")).await;
    let batch = table.write_batch(&[RowWrite::delete(key.clone())]).await;
    let read = table.read(key).await;
    for error in [guarded.unwrap_err(), batch.unwrap_err(), read.unwrap_err()] {
        assert!(matches!(error, TableError::NoSuchTable { .. }), "{error:?}");
        assert!(!error.is_reject());
        assert!(error.to_string().contains("table `Missing` does not exist; create it"), "{error}");
    }
    embedded.stop().await
}

#[tokio::test]
async fn an_api_that_is_gone_is_a_retry_that_says_why() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    let config = aws_sdk_dynamodb::config::Builder::from(embedded.sdk_config())
        .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::disabled())
        .build();
    let table = DynamoDb::new(aws_sdk_dynamodb::Client::from_conf(config), "Gone");
    embedded.stop().await?;
    let error = table.read(item([("PK", text("a"))])).await.unwrap_err();
    assert!(!error.is_reject());
    let source = std::error::Error::source(&error).expect("what happened").to_string();
    assert!(source.contains("refused"), "{source}");
    Ok(())
}
