//! Exports and files in a real S3 API, such as moto's:
//!
//! ```text
//! pip install 'moto[server]'
//! moto_server -H 127.0.0.1 -p 5555 &
//! ANABRANCH_TEST_S3_ENDPOINT=http://127.0.0.1:5555 cargo test --features cli --test export_moto
//! ```
//!
//! It is not part of a plain `cargo test`, since it fails without that server.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    sync::Arc,
};

use anabranch::{
    dispatch::BatchReport,
    record::wire::ItemJson,
    sink::file::{Format, ItemFile},
    source::export::{Export, ExportError},
    testing::embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA},
};
use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::{StreamExt, stream};
use object_store::{
    ObjectStoreExt,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};

use support::{Made, row};

#[path = "support/export.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of the support code")]
mod support;

const ENDPOINT: &str = "ANABRANCH_TEST_S3_ENDPOINT";

fn endpoint() -> String {
    std::env::var(ENDPOINT)
        .unwrap_or_else(|_| panic!("{ENDPOINT} must hold the address of an S3 API, such as http://127.0.0.1:5555"))
}

/// Asks the server something that `object_store` does not.
fn ask(method: &str, path: &str) -> String {
    let host = endpoint().trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut stream = TcpStream::connect(&host).expect("the server listens");
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.lines().next().is_some_and(|status| status.contains(" 200 ")), "{answer}");
    answer
}

fn bucket(name: &str) -> (String, Arc<AmazonS3>) {
    let bucket = format!("{name}-{}", std::process::id());
    ask("PUT", &format!("/{bucket}"));
    let builder = AmazonS3Builder::new().with_endpoint(endpoint()).with_allow_http(true).with_region("us-east-1");
    let builder = builder.with_access_key_id("test").with_secret_access_key("testtest").with_bucket_name(&bucket);
    (bucket, Arc::new(builder.build().expect("a bucket")))
}

#[tokio::test]
async fn an_export_is_read_from_a_bucket() {
    let (_, store) = bucket("exports");
    let rows = |file: usize| (0..3_000).map(|n| row(&format!("{file}/{n}"), n)).collect();
    let made = Made::full("0170-a", 1_000, vec![rows(0), rows(1), rows(2)]);
    made.write(&*store, "moved/here").await;
    let exports = Export::all(store.clone(), "moved/here/AWSDynamoDB").await.unwrap();
    let mut batches = exports[0].batches(["PK"]);
    let mut records = 0;
    while let Some(batch) = batches.next().await.unwrap() {
        records += batch.records;
        batches.answer(batch, &BatchReport::default());
    }
    assert!(batches.is_done() && records == 9_000);

    store.delete(&Path::from("moved/here/AWSDynamoDB/0170-a/data/0170-a-1.json.gz")).await.unwrap();
    let mut batches = exports[0].batches(["PK"]);
    let error = loop {
        match batches.next().await {
            Ok(batch) => drop(batch.expect("the error comes first")),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, ExportError::Missing { .. }), "{error}");
}

fn items(count: usize) -> impl Iterator<Item = Result<ItemJson, &'static str>> {
    (0..count).map(|n| Ok(ItemJson::from_json(format!(r#"{{"n":{{"N":"{n}"}},"text":{{"S":"{n:01000}"}}}}"#))))
}

#[tokio::test]
async fn a_file_is_uploaded_in_parts_or_not_at_all() {
    let (bucket, store) = bucket("files");
    let file = |name| ItemFile::new(store.clone(), name, Format::DynamoDbJson).part_bytes(5 << 20);
    let written = file("whole").write(stream::iter(items(12_000))).await.unwrap();
    assert!(written.file_bytes > 2 * (5 << 20), "three parts");
    assert_eq!(store.head(&Path::from("whole")).await.unwrap().size, written.file_bytes);

    let broken = stream::iter(items(12_000)).chain(stream::iter([Err("the scan failed")]));
    file("broken").write(broken).await.unwrap_err();
    assert!(store.head(&Path::from("broken")).await.is_err());
    let uploads = ask("GET", &format!("/{bucket}?uploads"));
    assert!(!uploads.contains("<UploadId>"), "{uploads}");
}

/// The command line, with its tables in the embedded DynamoDB and its buckets here.
fn command(embedded: &Embedded, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_anabranch"));
    command
        .args(arguments)
        .env("AWS_ENDPOINT_URL", embedded.endpoint())
        .env("AWS_ENDPOINT_URL_S3", endpoint())
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "embedded")
        .env("AWS_SECRET_ACCESS_KEY", "embedded")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

async fn good(embedded: &Embedded, arguments: &[&str]) {
    let mut command = command(embedded, arguments);
    let output = tokio::task::spawn_blocking(move || command.output().expect("it runs")).await.expect("no panic");
    assert!(output.status.success(), "{output:?}");
}

/// A table of rows of 300 KB.
async fn filled(rows: usize) -> Embedded {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    for table in [PET_TRACKER, PET_TRACKER_REPLICA] {
        embedded.create_table(table, None).await.expect("a table");
    }
    for n in 0..rows {
        let put = embedded.dynamodb().put_item().table_name(PET_TRACKER);
        let put =
            put.item("PK", AttributeValue::S(format!("USER#{n}"))).item("SK", AttributeValue::S("PROFILE".into()));
        put.item("about", AttributeValue::S("x".repeat(300_000))).send().await.expect("written");
    }
    embedded
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_writes_to_a_bucket_and_leaves_nothing_when_it_is_stopped() {
    let ((bucket, store), embedded) = (bucket("commands"), filled(60).await);
    good(&embedded, &["export", PET_TRACKER, &format!("s3://{bucket}/pets/all.jsonl")]).await;
    assert!(store.head(&Path::from("pets/all.jsonl")).await.expect("it is there").size > 60 * 300_000);

    // Two parts are under way when a third of the table is left.
    let to = format!("s3://{bucket}/pets/some.jsonl");
    let slowly = ["export", PET_TRACKER, &to, "--page-limit", "1", "--workers", "1", "--rate", "500"];
    let mut begun = command(&embedded, &slowly).spawn().expect("it starts");
    let mut errors = BufReader::new(begun.stderr.take().expect("piped"));
    errors.read_line(&mut String::new()).expect("how far it is");
    let begin = || ask("GET", &format!("/{bucket}?uploads"));
    while !begin().contains("<UploadId>") {
        assert!(begun.try_wait().expect("a process").is_none(), "it ended before it was stopped");
        tokio::task::yield_now().await;
    }
    let stopped = Command::new("kill").args(["-INT", &begun.id().to_string()]).status();
    assert!(stopped.expect("there is a kill").success());
    assert_eq!(begun.wait().expect("it ends").code(), Some(1));
    assert!(!begin().contains("<UploadId>"), "the upload was aborted");
    assert!(store.head(&Path::from("pets/some.jsonl")).await.is_err());
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_backfills_from_a_bucket() {
    let ((bucket, store), embedded) = (bucket("backfills"), filled(0).await);
    let row = |n: u64| format!(r#"{{"Item":{{"PK":{{"S":"USER#{n}"}},"SK":{{"S":"PROFILE"}}}}}}"#);
    let made = Made::full("0170-a", 1_000, vec![(0..700).map(row).collect(), (700..900).map(row).collect()]);
    made.write(&*store, "").await;
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = folder.path().join("job.json");
    let checkpoint = checkpoint.to_str().expect("text");
    let place = format!("s3://{bucket}/AWSDynamoDB");
    let from =
        ["backfill", "--export", &place, "--table", PET_TRACKER, "--to", PET_TRACKER_REPLICA, "--tombstones", "7days"];
    good(&embedded, &[&from[..], &["--checkpoint", checkpoint]].concat()).await;
    let counted = embedded.dynamodb().scan().table_name(PET_TRACKER_REPLICA).send().await.expect("rows");
    assert_eq!(counted.count(), 900);
    embedded.stop().await.expect("it stops");
}
