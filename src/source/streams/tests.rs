//! The reader over a stream that is played: shards that split, close, and forget.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::*;
use crate::{
    aws::double::{self, Answer},
    dispatch::{Cause, Unfinished},
};

const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/T/stream/2026-11-21T00:00:00.000";

/// A shard: its parent, its records by sequence number, and whether it is closed.
struct Shard {
    id: &'static str,
    parent: Option<&'static str>,
    records: Vec<u32>,
    closed: bool,
}

/// A stream whose iterators are `shard:index:generation`; a new generation expires the older ones.
#[derive(Default)]
struct Stream {
    shards: Vec<Shard>,
    generation: u32,
    /// What is asked of it, in order.
    calls: Vec<String>,
    /// Answers in place of those of an operation, first to last.
    faults: HashMap<&'static str, Vec<Answer>>,
}

impl Stream {
    fn answer(&mut self, operation: &str, request: &Value) -> Answer {
        self.calls.push(operation.to_owned());
        if let Some(faults) = self.faults.get_mut(operation).filter(|faults| !faults.is_empty()) {
            return faults.remove(0);
        }
        match operation {
            "DescribeStream" => self.describe(request),
            "GetShardIterator" => self.iterator(request),
            "GetRecords" => self.records(request),
            other => panic!("{other} is no operation of a reader"),
        }
    }

    /// One shard per page.
    fn describe(&self, request: &Value) -> Answer {
        let from = request["ExclusiveStartShardId"].as_str();
        let at = from.map_or(0, |id| 1 + self.shards.iter().position(|shard| shard.id == id).unwrap());
        let page: Vec<_> = self.shards[at..].iter().take(1).map(|shard| {
            let mut shown = json!({"ShardId": shard.id, "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "9"}});
            if let Some(parent) = shard.parent {
                shown["ParentShardId"] = json!(parent);
            }
            shown
        }).collect();
        let mut description = json!({"StreamArn": STREAM, "StreamStatus": "ENABLED", "Shards": page});
        if at + 1 < self.shards.len() {
            description["LastEvaluatedShardId"] = json!(self.shards[at].id);
        }
        (200, json!({ "StreamDescription": description }))
    }

    fn shard(&self, id: &str) -> &Shard {
        self.shards.iter().find(|shard| shard.id == id).unwrap()
    }

    fn iterator(&self, request: &Value) -> Answer {
        let shard = self.shard(request["ShardId"].as_str().unwrap());
        let number = || request["SequenceNumber"].as_str().unwrap().parse::<u32>().unwrap();
        let index = match request["ShardIteratorType"].as_str().unwrap() {
            "TRIM_HORIZON" => 0,
            "AT_SEQUENCE_NUMBER" => shard.records.iter().position(|record| *record == number()).unwrap(),
            "AFTER_SEQUENCE_NUMBER" => 1 + shard.records.iter().position(|record| *record == number()).unwrap(),
            other => panic!("{other} is not used"),
        };
        (200, json!({"ShardIterator": format!("{}:{index}:{}", shard.id, self.generation)}))
    }

    fn records(&self, request: &Value) -> Answer {
        let iterator: Vec<_> = request["ShardIterator"].as_str().unwrap().split(':').collect();
        if iterator[2] != self.generation.to_string() {
            return double::error(400, "ExpiredIteratorException", "the iterator is older than 15 minutes");
        }
        let (shard, index) = (self.shard(iterator[0]), iterator[1].parse::<usize>().unwrap());
        let limit = request["Limit"].as_u64().unwrap() as usize;
        let end = shard.records.len().min(index + limit);
        let mut answer = json!({"Records": shard.records[index..end].iter().map(record).collect::<Vec<_>>()});
        if !shard.closed || end < shard.records.len() {
            answer["NextShardIterator"] = json!(format!("{}:{end}:{}", shard.id, self.generation));
        }
        (200, answer)
    }
}

fn record(number: &u32) -> Value {
    json!({
        "eventID": format!("{number:032x}"), "eventName": "REMOVE", "awsRegion": "eu-central-1",
        "dynamodb": {"SequenceNumber": number.to_string(), "Keys": {"PK": {"S": "a"}}, "StreamViewType": "KEYS_ONLY"},
        "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    })
}

async fn reader(stream: Stream, batch_size: usize) -> (BatchReader, Arc<Mutex<Stream>>) {
    let stream = Arc::new(Mutex::new(stream));
    let shared = Arc::clone(&stream);
    let answer = move |operation: &str, body| shared.lock().unwrap().answer(operation, &body);
    let client = Client::new(&double::config(answer).await);
    (BatchReader::new(client, STREAM).batch_size(batch_size), stream)
}

fn numbers(batch: &StreamBatch) -> Vec<u32> {
    let event: Value = serde_json::from_slice(&batch.payload).unwrap();
    let records = event["Records"].as_array().unwrap();
    records.iter().map(|record| record["dynamodb"]["SequenceNumber"].as_str().unwrap().parse().unwrap()).collect()
}

fn unfinished(number: u32) -> BatchReport {
    let mut report = BatchReport::default();
    report.unfinished = Some(Unfinished { position: 0, sequence_number: number.to_string(), cause: Cause::Deadline });
    report
}

/// Reads and answers until there is nothing now.
async fn drain(reader: &mut BatchReader) -> Vec<Vec<u32>> {
    let mut batches = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        batches.push(numbers(&batch));
        reader.answer(batch, &BatchReport::default());
    }
    batches
}

fn split() -> Stream {
    let shard = |id, parent, records, closed| Shard { id, parent, records, closed };
    let shards = vec![
        shard("child-1", Some("parent"), vec![4], false),
        shard("parent", Some("long-gone"), vec![1, 2, 3], true),
        shard("child-2", Some("parent"), vec![5, 6], false),
    ];
    Stream { shards, ..Stream::default() }
}

#[tokio::test]
async fn parents_come_before_children() {
    let (mut reader, stream) = reader(split(), 2).await;
    assert_eq!(drain(&mut reader).await, [vec![1, 2], vec![3], vec![4], vec![5, 6]]);
    stream.lock().unwrap().shards[0].records.push(7);
    assert_eq!(drain(&mut reader).await, [vec![7]], "an open shard goes on");
}

#[tokio::test]
async fn a_child_waits_until_the_last_page_of_its_parent_is_answered_for() {
    let (mut reader, _) = reader(split(), 10).await;
    for _ in 0..2 {
        let batch = reader.next().await.unwrap().unwrap();
        assert_eq!(numbers(&batch), [1, 2, 3], "not answered, so handed out again");
    }
    let batch = reader.next().await.unwrap().unwrap();
    reader.answer(batch, &unfinished(3));
    let batch = reader.next().await.unwrap().unwrap();
    assert_eq!(numbers(&batch), [3], "again from the record that was named");
    reader.answer(batch, &BatchReport::default());
    assert_eq!(drain(&mut reader).await, [vec![4], vec![5, 6]]);
}

#[tokio::test]
async fn an_expired_iterator_costs_a_detour_and_no_record() {
    let (mut reader, stream) = reader(split(), 1).await;
    let mut read = Vec::new();
    for _ in 0..20 {
        if let Some(batch) = reader.next().await.unwrap() {
            read.extend(numbers(&batch));
            reader.answer(batch, &BatchReport::default());
        }
        stream.lock().unwrap().generation += 1;
    }
    assert_eq!(read, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_named_and_loses_nothing() {
    let faults = HashMap::from([
        ("DescribeStream", vec![double::error(400, "ResourceNotFoundException", "no such stream")]),
        ("GetShardIterator", vec![double::error(400, "TrimmedDataAccessException", "trimmed")]),
        (
            "GetRecords",
            vec![
                double::error(400, "AccessDeniedException", "no"),
                double::error(400, "LimitExceededException", "slow"),
            ],
        ),
    ]);
    let (mut reader, _) = reader(Stream { faults, ..split() }, 10).await;
    let mut said = Vec::new();
    for _ in 0..3 {
        let error = reader.next().await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap();
        said.push(format!("{error}: {source}"));
    }
    for (said, code) in
        said.iter().zip(["ResourceNotFoundException", "TrimmedDataAccessException", "AccessDeniedException"])
    {
        assert!(said.contains(STREAM) && said.contains(code), "{said}");
    }
    assert_eq!(drain(&mut reader).await, [vec![1, 2, 3], vec![4], vec![5, 6]], "a throttle is tried again");
}

/// Some emulators write the members of an identity in a way that the SDK does not read.
#[tokio::test]
async fn an_identity_without_members_is_the_time_to_live() {
    let (mut reader, _) = reader(split(), 1).await;
    let batch = reader.next().await.unwrap().unwrap();
    let event: Value = serde_json::from_slice(&batch.payload).unwrap();
    let identity = &event["Records"][0]["userIdentity"];
    assert_eq!(*identity, json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"}));
}
