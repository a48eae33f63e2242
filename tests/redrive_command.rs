//! `anabranch redrive` as its users start it, against an embedded table.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
    time::SystemTime,
};

use anabranch::{
    sink::dead_letter::DeadLetter,
    source::mapping::DynamoDbStream,
    source::reader::{StreamEvent, StreamReader},
    testing::embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA},
};
use serde_json::{Value, json};

/// The embedded table with twelve pets, and the sequence numbers of its stream.
struct World {
    embedded: Embedded,
    stream: String,
    shard: String,
    numbers: Vec<String>,
    records: Vec<String>,
}

impl World {
    async fn new() -> Self {
        let embedded = Embedded::start().await.expect("an embedded DynamoDB");
        let stream = embedded.create_pet_tracker().await.expect("tables");
        embedded.put_pets(12).await.expect("pets");
        let mut reader = StreamReader::new(stream.clone(), DynamoDbStream::new(embedded.streams(), stream.clone()));
        let events = reader.fetch().await.expect("records");
        let records: Vec<_> = events.iter().filter_map(StreamEvent::record).collect();
        let numbers = records.iter().map(|record| record.sequence_number().to_owned()).collect();
        let records = records.iter().map(|record| String::from_utf8_lossy(record.json()).into_owned()).collect();
        let shard = reader.state().checkpoints()[0].shard.as_ref().to_owned();
        Self { stream, shard, numbers, records, embedded }
    }

    /// What Lambda sends to a queue.
    fn document(&self, first: usize, last: usize) -> Value {
        json!({
            "requestContext": {
                "requestId": "r", "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:replicate:live",
                "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3
            },
            "responseContext": {"statusCode": 200, "executedVersion": "7", "functionError": "Unhandled"},
            "version": "1.0", "timestamp": "2026-11-21T02:40:00.000Z",
            "DDBStreamBatchInfo": {
                "shardId": self.shard, "startSequenceNumber": self.numbers[first], "endSequenceNumber": self.numbers[last],
                "approximateArrivalOfFirstRecord": "2026-11-21T02:40:00Z",
                "approximateArrivalOfLastRecord": "2026-11-21T02:40:00Z",
                "batchSize": last - first + 1, "streamArn": self.stream
            }
        })
    }

    async fn redrive(&self, arguments: &[&str], input: String) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
        command.args(["redrive", "-", "--endpoint", self.embedded.endpoint()]).args(arguments);
        command
            .env("AWS_REGION", "local")
            .env("AWS_ACCESS_KEY_ID", "embedded")
            .env("AWS_SECRET_ACCESS_KEY", "embedded");
        command
            .env("TARGET_TABLE", PET_TRACKER_REPLICA)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let run = move || {
            let mut child = command.spawn().expect("the program starts");
            child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
            child.wait_with_output().expect("it ends")
        };
        tokio::task::spawn_blocking(run).await.expect("a run")
    }

    async fn replicated(&self) -> usize {
        let scan = self.embedded.dynamodb().scan().table_name(PET_TRACKER_REPLICA).send();
        scan.await.expect("a scan").items().len()
    }
}

const HERE: &[&str] = &["--function", "replicate=in-process"];

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_queue_s_document_and_a_dead_letter_end_in_the_replica() {
    let world = World::new().await;
    let letter = DeadLetter::new(world.records[11].clone(), "why", "replicate", SystemTime::now());
    let letter = letter.with_sequence_number(world.numbers[11].clone()).to_json();
    let input = format!("{}\n{letter}\n", world.document(2, 6));

    let planned = world.redrive(&["--dry-run"], input.clone()).await;
    assert!(planned.status.success(), "{planned:?}");
    let shown = text(&planned);
    assert!(shown.contains("5 of 5 records would be handed over") && shown.contains(&world.numbers[6]), "{shown}");
    assert!(!shown.contains("PET#"), "sequence numbers, no keys: {shown}");
    assert_eq!(world.replicated().await, 0);

    let pattern = json!({"eventName": ["INSERT"]}).to_string();
    let done = world.redrive(&[HERE, &["--json", "--pattern", &pattern]].concat(), input).await;
    assert!(done.status.success(), "{done:?}");
    let lines: Vec<Value> = text(&done).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().map(|line| line["handled"].as_u64()).collect::<Vec<_>>(), [Some(5), Some(1)]);
    assert_eq!(world.replicated().await, 6);
    world.embedded.stop().await.expect("an end");
}

/// A pet was deleted, and its replica with it, before its insert is handed over again.
#[tokio::test]
async fn what_is_gone_does_not_come_back() {
    let world = World::new().await;
    let insert: Value = serde_json::from_str(&world.records[3]).expect("JSON");
    let key = |name: &str| {
        let value = insert["dynamodb"]["Keys"][name]["S"].as_str().expect("a text");
        (name.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(value.to_owned()))
    };
    let delete = world.embedded.dynamodb().delete_item().table_name(PET_TRACKER);
    delete.set_key(Some([key("PK"), key("SK")].into())).send().await.expect("a pet that goes");
    let letter = DeadLetter::new(world.records[3].clone(), "why", "replicate", SystemTime::now());
    let letter = letter.with_source_arn(&*world.stream).to_json();
    let output = world.redrive(HERE, format!("{}{letter}", world.document(2, 4))).await;
    assert!(output.status.success() && text(&output).contains("3 records handled"), "{output:?}");
    assert_eq!(world.replicated().await, 2);
    world.embedded.stop().await.expect("an end");
}

#[tokio::test]
async fn what_cannot_be_handed_over_is_said_and_holds_up_nothing_else() {
    let world = World::new().await;
    let mut gone = world.document(0, 1);
    gone["DDBStreamBatchInfo"]["shardId"] = json!("shardId-00000000000000000000-00000000");
    let input = format!("{gone}{}", world.document(0, 3));
    let output = world.redrive(HERE, input).await;
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output);
    assert!(shown.contains("not handed over: records") && shown.contains("which keeps them 24 hours"), "{shown}");
    assert!(shown.contains("4 records handled"), "{shown}");
    assert_eq!(world.replicated().await, 4);

    let output = world.redrive(&["--function", "replicate=http://127.0.0.1:9"], world.document(0, 1).to_string()).await;
    assert!(output.status.code() == Some(1) && text(&output).contains("0 records handled"), "{output:?}");
    let output = world.redrive(HERE, "{}".to_owned()).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no failure document and no dead letter"), "{output:?}");
    world.embedded.stop().await.expect("an end");
}
