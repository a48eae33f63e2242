//! Items into files and back.

use std::{
    collections::{BTreeMap, HashMap},
    io::Read,
    sync::{Arc, Mutex, atomic::Ordering},
};

use anabranch::{
    record::wire::{ItemJson, PageBody},
    sink::file::{Csv, FileError, Format, ItemFile},
};
use flate2::read::MultiGzDecoder;
use futures_util::{StreamExt, stream};
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, memory::InMemory, path::Path};
use proptest::{collection::vec, prelude::*};
use serde_dynamo::AttributeValue;

use crate::store::Watched;

type Item = HashMap<String, AttributeValue>;

fn value() -> impl Strategy<Value = AttributeValue> {
    let number = || prop_oneof![any::<i64>().prop_map(|n| n.to_string()), "[1-9][0-9]{0,20}\\.[0-9]{1,15}"];
    let leaf = prop_oneof![
        any::<String>().prop_map(AttributeValue::S),
        number().prop_map(AttributeValue::N),
        any::<bool>().prop_map(AttributeValue::Bool),
        Just(AttributeValue::Null(true)),
        any::<Vec<u8>>().prop_map(AttributeValue::B),
        vec(any::<String>(), 1..3).prop_map(AttributeValue::Ss),
        vec(number(), 1..3).prop_map(AttributeValue::Ns),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(AttributeValue::L),
            prop::collection::hash_map(name(), inner, 0..3).prop_map(AttributeValue::M),
        ]
    })
}

/// Some are called as types are.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[MNSBL]|[NSB]S|BOOL|NULL"]
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    vec(prop::collection::hash_map("[a-e]|é\"|x,y", value(), 0..5), 0..12)
}

async fn written(items: &[Item], format: Format, gzip: bool) -> Vec<u8> {
    let store = Arc::new(InMemory::new());
    let mut file = ItemFile::new(store.clone(), "file", format).part_bytes(64);
    if gzip {
        file = file.gzip();
    }
    let items = stream::iter(items.iter().map(|item| Ok::<_, FileError>(serde_dynamo::Item::from(item.clone()))));
    let written = file.write(items).await.expect("memory takes all");
    let bytes = store.get(&Path::from("file")).await.expect("a file").bytes().await.expect("its bytes");
    assert_eq!(written.file_bytes, bytes.len() as u64);
    let mut text = Vec::new();
    match gzip {
        true => _ = MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).expect("gzip"),
        false => text.extend_from_slice(&bytes),
    }
    assert_eq!(written.text_bytes, text.len() as u64);
    text
}

fn block_on<R>(future: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// What plain JSON keeps of a value.
fn plain(value: &AttributeValue) -> serde_json::Value {
    let number = |text: &String| serde_json::from_str(text).expect("a number");
    match value {
        AttributeValue::S(text) => text.as_str().into(),
        AttributeValue::N(text) => number(text),
        AttributeValue::Bool(value) => (*value).into(),
        AttributeValue::Null(_) => serde_json::Value::Null,
        AttributeValue::B(bytes) => base64_simd::STANDARD.encode_to_string(bytes).into(),
        AttributeValue::Ss(texts) => texts.clone().into(),
        AttributeValue::Ns(texts) => texts.iter().map(number).collect(),
        AttributeValue::L(list) => list.iter().map(plain).collect(),
        AttributeValue::M(map) => map.iter().map(|(name, value)| (name.clone(), plain(value))).collect(),
        AttributeValue::Bs(_) => unreachable!("not generated"),
    }
}

proptest! {
    #[test]
    fn dynamodb_json_is_read_again_without_loss(items in items(), gzip: bool) {
        let text = block_on(written(&items, Format::DynamoDbJson, gzip));
        let mut read = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_prefix(b"{\"Item\":").and_then(|line| line.strip_suffix(b"}\n")).unwrap();
            let page = [b"{\"Items\":[", line, b"]}"].concat();
            read.push(PageBody::split(page.into()).unwrap().item(0).unwrap().item().unwrap().into_inner());
        }
        prop_assert_eq!(read, items);
    }

    #[test]
    fn json_lines_are_read_again_as_plain_values(items in items(), gzip: bool) {
        let text = block_on(written(&items, Format::JsonLines, gzip));
        let lines: Vec<BTreeMap<String, serde_json::Value>> =
            text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect();
        let expected: Vec<BTreeMap<String, serde_json::Value>> =
            items.iter().map(|item| item.iter().map(|(name, value)| (name.clone(), plain(value))).collect()).collect();
        prop_assert_eq!(lines, expected);
    }

    #[test]
    fn csv_is_read_again_field_by_field(items in items(), gzip: bool) {
        let columns = ["a", "é\"", "x,y", "missing"];
        let text = block_on(written(&items, Format::Csv(Csv::columns(columns)), gzip));
        let records = read_csv(&text);
        prop_assert_eq!(&records[0], &columns);
        prop_assert_eq!(records.len(), items.len() + 1);
        for (record, item) in records[1..].iter().zip(&items) {
            for (column, field) in columns.iter().zip(record) {
                match item.get(*column) {
                    None | Some(AttributeValue::Null(_)) => prop_assert_eq!(field, ""),
                    Some(AttributeValue::S(text) | AttributeValue::N(text)) => prop_assert_eq!(field, text),
                    Some(AttributeValue::B(bytes)) => prop_assert_eq!(field, &base64_simd::STANDARD.encode_to_string(bytes)),
                    Some(other) => prop_assert_eq!(serde_json::from_str::<serde_json::Value>(field).unwrap(), plain(other)),
                }
            }
        }
    }
}

/// Reads CSV with the reader of another's making.
fn read_csv(text: &[u8]) -> Vec<Vec<String>> {
    use csv_core::{ReadFieldResult, Reader};
    let (mut reader, mut rest, mut records) = (Reader::new(), text, vec![Vec::new()]);
    let mut room = vec![0; text.len() + 1];
    loop {
        let (result, read, written) = reader.read_field(rest, &mut room);
        rest = &rest[read..];
        match result {
            ReadFieldResult::Field { record_end } => {
                let field = String::from_utf8(room[..written].to_vec()).expect("text");
                records.last_mut().expect("a record").push(field);
                if record_end {
                    records.push(Vec::new());
                }
            }
            ReadFieldResult::InputEmpty => {}
            ReadFieldResult::OutputFull => panic!("there is room for all"),
            ReadFieldResult::End => {
                records.pop();
                return records;
            }
        }
    }
}

fn many(count: usize) -> impl Iterator<Item = Result<ItemJson, &'static str>> {
    (0..count).map(|n| Ok(ItemJson::from_json(format!(r#"{{"n":{{"N":"{n}"}},"text":{{"S":"{n:01000}"}}}}"#))))
}

async fn is_there(store: &dyn ObjectStore) -> bool {
    store.head(&Path::from("file")).await.is_ok()
}

#[tokio::test]
async fn whatever_fails_leaves_nothing_behind() {
    let broken = || many(2_000).chain([Err("the scan failed")]);
    let no_item = || many(2_000).chain([Ok(ItemJson::from_json("[]"))]);
    type Items = Box<dyn Iterator<Item = Result<ItemJson, &'static str>>>;
    let cases: [(Watched, Items, &str); 6] = [
        (Watched::default(), Box::new(broken()), "could not be read to their end"),
        (Watched::default(), Box::new(no_item()), "item 2000"),
        (
            Watched { part: Some(0), ..Watched::default() },
            Box::new(many(2_000)),
            "`file` cannot be written to a watched store",
        ),
        (Watched { part: Some(3), ..Watched::default() }, Box::new(many(2_000)), "`file` cannot be written"),
        (Watched { complete: true, ..Watched::default() }, Box::new(many(2_000)), "`file` cannot be written"),
        (Watched { part: Some(0), ..Watched::default() }, Box::new(many(1)), "`file` cannot be written"),
    ];
    for (store, items, words) in cases {
        let store = Arc::new(store);
        let file = ItemFile::new(store.clone(), "file", Format::JsonLines).part_bytes(100_000);
        let error = file.write(stream::iter(items)).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(store.open.load(Ordering::SeqCst), 0, "{words}");
        assert!(!is_there(&*store).await);
    }
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_is_aborted() {
    let store = Arc::new(Watched::default());
    let file = ItemFile::new(store.clone(), "file", Format::JsonLines).part_bytes(100_000);
    let items = stream::iter(many(2_000)).chain(stream::pending());
    let writing = tokio::spawn(file.write(items));
    while store.open.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    writing.abort();
    assert!(writing.await.is_err());
    while store.open.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.aborted.load(Ordering::SeqCst), 1);
    assert!(!is_there(&*store).await);
}

#[tokio::test]
async fn progress_is_told_and_a_folder_shows_whole_files_only() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let told = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&told);
    let file = ItemFile::new(store.clone(), "file", Format::DynamoDbJson).part_bytes(300_000).concurrency(2);
    let file = file.progress(move |written| notes.lock().unwrap().push(*written));
    let written = file.write(stream::iter(many(2_000))).await.unwrap();
    let told = told.lock().unwrap().clone();
    assert!(told.len() > 4 && told.is_sorted_by_key(|written| written.items), "{told:?}");
    assert_eq!((told.last(), written.items), (Some(&written), 2_000));
    assert_eq!(std::fs::metadata(folder.path().join("file")).unwrap().len(), written.file_bytes);

    let failing = ItemFile::new(store, "other", Format::JsonLines).part_bytes(300_000);
    failing.write(stream::iter(many(2_000).chain([Err("no")]))).await.unwrap_err();
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"]);
}
