//! `anabranch backfill` as its users run it: killed, resumed, and beside live changes.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use anabranch::testing::embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA};
use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use serde_json::Value;

const ROWS: usize = 600;

async fn filled() -> Embedded {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    embedded.create_table(PET_TRACKER, None).await.expect("a table");
    embedded.create_table(PET_TRACKER_REPLICA, None).await.expect("a table");
    let client = embedded.dynamodb();
    for first in (0..ROWS).step_by(25) {
        let rows = (first..first + 25).map(|n| {
            let put = PutRequest::builder().set_item(Some(row(n).into_iter().collect())).build().expect("complete");
            WriteRequest::builder().put_request(put).build()
        });
        client.batch_write_item().request_items(PET_TRACKER, rows.collect()).send().await.expect("rows are written");
    }
    embedded
}

fn row(n: usize) -> [(String, AttributeValue); 3] {
    let text = |text: String| AttributeValue::S(text);
    [
        ("PK".to_owned(), text(format!("USER#{n}"))),
        ("SK".to_owned(), text("PROFILE".to_owned())),
        // Some pages for each segment.
        ("about".to_owned(), text("x".repeat(10_000))),
    ]
}

fn command(embedded: &Embedded, checkpoint: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command
        .args(["backfill", "--table", PET_TRACKER, "--to", PET_TRACKER_REPLICA, "--json", "--checkpoint"])
        .arg(checkpoint)
        .args(more)
        .env("AWS_ENDPOINT_URL", embedded.endpoint())
        .env("AWS_REGION", "local")
        .env("AWS_ACCESS_KEY_ID", "embedded")
        .env("AWS_SECRET_ACCESS_KEY", "embedded")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic")
}

async fn rows(client: &Client, table: &str) -> BTreeMap<String, usize> {
    let mut pages = client.scan().table_name(table).into_paginator().items().send();
    let mut rows = BTreeMap::new();
    while let Some(row) = pages.next().await {
        let row = row.expect("a row");
        let length = row["about"].as_s().expect("a text").len();
        rows.insert(row["PK"].as_s().expect("a text").clone(), length);
    }
    rows
}

fn last_line(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_str(text.lines().last().unwrap_or_else(|| panic!("no output: {errors}"))).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_killed_and_resumed_and_misses_nothing() {
    let embedded = filled().await;
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = folder.path().join("job.json");
    let slowly = ["--segments", "6", "--workers", "2", "--rows-per-second", "400"];
    let mut begun = command(&embedded, &checkpoint, &slowly).spawn().expect("it starts");
    // As soon as it has got somewhere.
    let counted = || -> u64 {
        let text = std::fs::read_to_string(&checkpoint).unwrap_or_default();
        let job: Value = serde_json::from_str(&text).unwrap_or_default();
        let open = job["open"].as_object().into_iter().flatten().map(|(_, it)| &it["counts"]);
        open.chain([&job["done"]]).filter_map(|counts| counts["records"].as_u64()).sum()
    };
    while counted() == 0 {
        assert!(begun.try_wait().expect("a process").is_none(), "it ended before it was killed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    begun.kill().expect("it is killed");
    begun.wait().expect("it is gone");
    let before = counted();
    assert!(before < ROWS as u64, "{before} rows were done before it was killed");
    let client = embedded.dynamodb();
    // What is deleted while nothing runs has no row in the end.
    let deleted = row(7);
    let mut delete = client.delete_item().table_name(PET_TRACKER);
    for (name, value) in deleted.into_iter().take(2) {
        delete = delete.key(name, value);
    }
    delete.send().await.expect("it is deleted");

    let again = output(command(&embedded, &checkpoint, &slowly)).await;
    assert!(!again.status.success());
    let errors = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(errors.contains("--resume"), "{errors}");

    let mut resumed = slowly.to_vec();
    resumed.push("--resume");
    let ended = output(command(&embedded, &checkpoint, &resumed)).await;
    let report = last_line(&ended);
    assert!(ended.status.success() && report["ok"] == true, "{ended:?}");
    let records = report["counts"]["records"].as_u64().expect("a number");
    assert!((ROWS as u64 - 1..=ROWS as u64).contains(&records), "{records}");
    assert_eq!(rows(&client, PET_TRACKER_REPLICA).await, rows(&client, PET_TRACKER).await);
    assert!(!checkpoint.exists(), "what is done needs no checkpoint");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_printed_and_nothing_is_done() {
    let embedded = filled().await;
    let folder = tempfile::tempdir().expect("a folder");
    let plan = output(command(&embedded, &folder.path().join("job.json"), &["--dry-run"])).await;
    assert_eq!(last_line(&plan)["plan"]["table"], PET_TRACKER);
    assert!(rows(&embedded.dynamodb(), PET_TRACKER_REPLICA).await.is_empty());
    let refused = output(command(&embedded, &folder.path().join("job.json"), &["--rate", "0"])).await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("more than 0"), "{refused:?}");
    let missing = output({
        let mut command = command(&embedded, &folder.path().join("job.json"), &[]);
        command.args(["--table", "Nowhere"]);
        command
    })
    .await;
    assert!(!missing.status.success());
    embedded.stop().await.expect("it stops");
}
