//! What is not as its manifest says is named, with what to do about it.

use std::{error::Error, sync::Arc};

use anabranch::source::export::{Export, ExportError};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};

use crate::support::{Made, checksum, gzip, row};

fn made() -> Made {
    let rows = |file: usize| (0..40).map(|n| row(&format!("{file}/{n}"), n)).collect();
    Made::full("0160-a", 1_000, vec![rows(0), rows(1)])
}

async fn store() -> Arc<InMemory> {
    made().in_memory().await
}

async fn put(store: &InMemory, path: &str, bytes: impl Into<object_store::PutPayload>) {
    store.put(&Path::from(path), bytes.into()).await.expect("as the test made it");
}

async fn get(store: &InMemory, path: &str) -> Vec<u8> {
    store
        .get(&Path::from(path))
        .await
        .expect("as the test made it")
        .bytes()
        .await
        .expect("as the test made it")
        .to_vec()
}

/// Changes a manifest, and its checksum with it.
async fn change(store: &InMemory, manifest: &str, from: &str, to: &str) {
    let path = format!("{}/{manifest}", made().folder());
    let text = String::from_utf8(get(store, &format!("{path}.json")).await).expect("as the test made it");
    assert!(text.contains(from), "{text}");
    let text = text.replacen(from, to, 1);
    put(store, &format!("{path}.md5"), checksum(text.as_bytes())).await;
    put(store, &format!("{path}.json"), text).await;
}

async fn open(store: Arc<InMemory>) -> Result<Export, ExportError> {
    Export::open(store, made().folder()).await
}

/// Reads all; answers with how many records came before the error.
async fn read(store: Arc<InMemory>) -> (usize, ExportError) {
    let mut batches = open(store).await.expect("as the test made it").batches(["PK"]).concurrency(1).batch_records(10);
    let mut records = 0;
    loop {
        match batches.next().await {
            Ok(Some(batch)) => records += batch.records,
            Ok(None) => panic!("an error was expected"),
            Err(error) => {
                assert!(matches!(batches.next().await, Err(ExportError::Failed)), "an error is not passed over");
                return (records, error);
            }
        }
    }
}

fn says(error: &ExportError, words: &[&str]) {
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[tokio::test]
async fn a_file_whose_content_has_changed() {
    let store = store().await;
    let other = (0..40).map(|n| row(&format!("0/{n}"), n + 1) + "\n").collect::<String>();
    put(&store, &made().data_file(0), gzip(other.as_bytes())).await;
    let (records, error) = read(store).await;
    says(&error, &["0160-a-0.json.gz", "MD5", "copy it again"]);
    assert!(records < 40, "the last of a file comes when the whole is known to be right");
}

#[tokio::test]
async fn a_file_with_another_number_of_items() {
    let store = store().await;
    change(&store, "manifest-files", "\"itemCount\":40", "\"itemCount\":39").await;
    let error = open(store.clone()).await.unwrap_err();
    says(&error, &["manifest-files.json", "79 items", "says 80"]);
    change(&store, "manifest-summary", "\"itemCount\":80", "\"itemCount\":79").await;
    let (_, error) = read(store).await;
    says(&error, &["0160-a-0.json.gz", "40 items", "says 39", "copy it"]);
}

#[tokio::test]
async fn a_file_that_is_missing() {
    for file in [0, 1] {
        let store = store().await;
        store.delete(&Path::from(made().data_file(file))).await.unwrap();
        let (records, error) = read(store).await;
        says(&error, &[&format!("0160-a-{file}.json.gz"), "is not there", "copy"]);
        assert_eq!(records, 40 * file);
        assert!(error.source().is_some());
    }
}

#[tokio::test]
async fn a_file_that_was_cut_short() {
    let whole = get(&*store().await, &made().data_file(1)).await;
    for kept in [1, 5, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let store = store().await;
        put(&store, &made().data_file(1), whole[..kept].to_vec()).await;
        let (_, error) = read(store).await;
        says(&error, &["0160-a-1.json.gz", "cut short", "copy it again"]);
    }
}

#[tokio::test]
async fn a_line_that_is_no_item() {
    for (line, reason) in [("{\"Item\":", "not the JSON"), ("{\"Item\":{\"SK\":{\"S\":\"x\"}}}", "key attribute")] {
        let mut made = made();
        made.files[1][6] = line.to_owned();
        let (_, error) = read(made.in_memory().await).await;
        says(&error, &["0160-a-1.json.gz", "line 7", reason]);
    }
}

#[tokio::test]
async fn manifests_that_were_damaged() {
    let folder = made().folder();
    for name in ["manifest-summary", "manifest-files"] {
        for (beside, right) in [(".md5", false), (".checksum", false), (".checksum", true), ("none", true)] {
            let store = store().await;
            let path = format!("{folder}/{name}.json");
            let mut text = get(&store, &path).await;
            let sum = checksum(&text);
            store.delete(&Path::from(format!("{folder}/{name}.md5"))).await.unwrap();
            if beside != "none" {
                put(&store, &format!("{folder}/{name}{beside}"), sum).await;
            }
            if !right {
                text.push(b'\n');
                put(&store, &path, text).await;
            }
            match open(store).await {
                Ok(_) => assert!(right, "{name}{beside}"),
                Err(error) => {
                    assert!(!right, "{error}");
                    says(&error, &[name, "MD5", "copy it again"]);
                }
            }
        }
    }
    let store = store().await;
    change(&store, "manifest-files", "md5Checksum", "checksum").await;
    says(&open(store).await.unwrap_err(), &["manifest-files.json", "line 1", "md5Checksum"]);
}

#[tokio::test]
async fn what_is_no_export_of_ours() {
    let store = store().await;
    change(&store, "manifest-summary", "DYNAMODB_JSON", "ION").await;
    says(&open(store.clone()).await.unwrap_err(), &["0160-a", "ION", "DYNAMODB_JSON"]);
    let error = Export::open(store, "backup/AWSDynamoDB").await.unwrap_err();
    says(&error, &["backup/AWSDynamoDB", "manifest-summary.json"]);
}

#[tokio::test]
async fn an_export_in_another_format_is_listed_and_never_read() {
    let store = store().await;
    change(&store, "manifest-summary", "DYNAMODB_JSON", "ION").await;
    let exports = Export::all(store, "backup/AWSDynamoDB").await.unwrap();
    assert!(exports.len() == 1 && !exports[0].is_readable());
    let error = exports[0].batches(["PK"]).next().await.unwrap_err();
    assert!(matches!(error, ExportError::Format { .. }), "{error}");
}

#[cfg(feature = "dynamodb")]
#[tokio::test]
async fn an_export_in_another_format_is_no_history_without_items() {
    use anabranch::{
        dispatch::Dispatcher,
        handler::{Deadline, Failure},
        record::{NewImage, RawImage, Record},
        router::Router,
        source::backfill::Backfill,
    };

    let store = store().await;
    change(&store, "manifest-summary", "DYNAMODB_JSON", "ION").await;
    let export = Export::all(store, "backup/AWSDynamoDB").await.unwrap().remove(0);
    let never = |_: Record<RawImage, NewImage>| async { Err::<(), _>(Failure::retry("a record was read")) };
    let backfill =
        Backfill::new(export.history(["PK"]), Dispatcher::new(Router::<NewImage>::new().every(never)), "never");
    let places = backfill.history().places();
    assert_eq!(places.len(), 2);
    for place in places {
        let error = backfill.run_slice(backfill.begin("job", place), Deadline::NEVER).await.unwrap_err();
        let text = std::iter::successors(Some(&error as &dyn Error), |error| Error::source(*error));
        let text = text.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        assert!(text.contains("has the format ION"), "{text}");
    }
}
