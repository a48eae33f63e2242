//! Exports and files in a real S3 API, such as moto's:
//!
//! ```text
//! pip install 'moto[server]'
//! moto_server -H 127.0.0.1 -p 5555 &
//! ANABRANCH_TEST_S3_ENDPOINT=http://127.0.0.1:5555 cargo test --features export-s3 --test export_moto
//! ```
//!
//! It is not part of a plain `cargo test`, since it fails without that server.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use anabranch::{
    dispatch::BatchReport,
    record::wire::ItemJson,
    sink::file::{Format, ItemFile},
    source::export::{Export, ExportError},
};
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
