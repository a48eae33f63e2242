//! Requests of the AWS clients are counted as they go over the wire, the SDK's repetitions included.

use std::sync::{Arc, Mutex};

use anabranch::{
    aws,
    metric::{Collector, Emf},
    sink::table::{DynamoDb, Guard, RowWrite, Table, Written, item, text},
};
use aws_config::Region;
use axum::{Router as Http, http::StatusCode};
use serde_json::Value;

/// An answer of DynamoDB: none is a success, otherwise the code of an error.
type Answer = Option<&'static str>;

async fn table(answers: Vec<Answer>) -> DynamoDb {
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let handler = move || async move {
        match answers.lock().expect("no panic under the lock").next().expect("no more requests than answers") {
            None => (StatusCode::OK, "{}".to_owned()),
            Some("InternalServerError") => (StatusCode::INTERNAL_SERVER_ERROR, String::new()),
            Some(code) => {
                (StatusCode::BAD_REQUEST, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}"}}"#))
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    tokio::spawn(axum::serve(listener, Http::new().fallback(handler)).into_future());
    let config = aws::defaults().region(Region::new("eu-west-1")).endpoint_url(url).test_credentials().load().await;
    DynamoDb::new(aws_sdk_dynamodb::Client::new(&config), "Target")
}

/// What a write came to, and what was counted: requests, throttles, conflicts, failures.
async fn counted(answers: Vec<Answer>) -> (Option<Written>, [u64; 4]) {
    let table = table(answers).await;
    let collector = Collector::default();
    let key = item([("PK", text("a"))]);
    let write = table.write_guarded(RowWrite::put(key.clone(), key), Guard::new("version", "1"));
    let written = collector.scope(write).await.ok();
    let line: Value = serde_json::from_str(Emf::Log.lines(&collector, "f", &[]).trim_end()).expect("one line");
    let names = ["SinkRequests", "SinkThrottles", "SinkConflicts", "SinkFailures"];
    (written, names.map(|name| line[name].as_u64().unwrap_or_default()))
}

/// A server that takes requests and never answers, and a caller that gives up: what hangs is no less a request, and has failed.
#[tokio::test]
async fn what_is_never_answered_has_failed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let config = aws::defaults().region(Region::new("eu-west-1")).endpoint_url(url).test_credentials().load().await;
    let (table, collector) = (DynamoDb::new(aws_sdk_dynamodb::Client::new(&config), "Target"), Collector::default());
    let key = item([("PK", text("a"))]);
    let write = table.write_guarded(RowWrite::put(key.clone(), key), Guard::new("version", "1"));
    let patience = std::time::Duration::from_millis(500);
    let given_up = async { tokio::time::timeout(patience, write).await.is_err() };
    assert!(collector.scope(given_up).await);
    let line: Value = serde_json::from_str(Emf::Log.lines(&collector, "f", &[]).trim_end()).expect("one line");
    assert_eq!((&line["SinkRequests"], &line["SinkFailures"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn repetitions_of_the_sdk_are_seen() {
    let answers = vec![Some("ThrottlingException"), Some("InternalServerError"), None];
    assert_eq!(counted(answers).await, (Some(Written::Applied), [3, 1, 0, 1]));
}

#[tokio::test]
async fn a_condition_that_does_not_hold_is_no_failure() {
    let answers = vec![Some("ConditionalCheckFailedException")];
    assert_eq!(counted(answers).await, (Some(Written::Stale), [1, 0, 0, 0]));
}

#[tokio::test]
async fn others_at_the_same_row_are_conflicts() {
    let answers = vec![Some("TransactionConflictException"); 8];
    let (written, counts) = counted(answers).await;
    assert_eq!((written, counts[2], counts[3]), (None, counts[0], 0));
}

#[tokio::test]
async fn a_refusal_is_a_failure() {
    assert_eq!(counted(vec![Some("ValidationException")]).await, (None, [1, 0, 0, 1]));
}
