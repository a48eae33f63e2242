//! Scans of a table played behind a real SDK client, on a paused clock.

mod faults;
mod jobs;
mod limits;
mod reading;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::aws::double::{self, Answer};

/// Items 0 to n, those of each segment in order, three to a page.
const ITEMS: usize = 100;
const PAGE: usize = 3;

type Batch = Vec<Result<One, ItemError>>;

type Requests = Arc<Mutex<Vec<Value>>>;

#[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct One {
    id: usize,
}

async fn played(
    latency: u64,
    mut twist: impl FnMut(usize, &Value, Answer) -> Answer + Send + 'static,
) -> (Client, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let config = double::slow_config(Duration::from_millis(latency), move |operation, body| {
        if operation == "DescribeTable" {
            return (200, json!({"Table": {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}}));
        }
        let answer = page(&body);
        seen.lock().unwrap().push(body.clone());
        let number = seen.lock().unwrap().len();
        twist(number, &body, answer)
    });
    (Client::new(&config.await), requests)
}

async fn table() -> (Client, Requests) {
    played(0, |_, _, answer| answer).await
}

/// What DynamoDB would answer: capacity is one unit for each item.
fn page(request: &Value) -> Answer {
    let number = |name: &str| request[name].as_u64().map(|number| number as usize);
    let (segment, segments) = (number("Segment").unwrap_or(0), number("TotalSegments").unwrap_or(1));
    let start = request["ExclusiveStartKey"]["id"]["N"].as_str().map_or(0, |id| id.parse::<usize>().unwrap() + 1);
    let limit = number("Limit").unwrap_or(PAGE).min(PAGE);
    let mut left = (start..ITEMS).filter(|id| id % segments == segment);
    let items: Vec<_> = left.by_ref().take(limit).map(|id| json!({"id": {"N": id.to_string()}})).collect();
    let mut page = json!({"Items": items, "Count": items.len(), "ScannedCount": items.len(),
        "ConsumedCapacity": {"TableName": "Pets", "CapacityUnits": items.len()}});
    // As DynamoDB: a full page has a key even if nothing follows.
    if items.len() == limit {
        page["LastEvaluatedKey"] = items[limit - 1].clone();
    }
    (200, page)
}

fn ids(items: impl IntoIterator<Item = One>) -> Vec<usize> {
    let mut ids: Vec<_> = items.into_iter().map(|item| item.id).collect();
    ids.sort_unstable();
    ids
}

fn everything() -> Vec<usize> {
    (0..ITEMS).collect()
}

fn count(requests: &Requests) -> usize {
    requests.lock().unwrap().len()
}
