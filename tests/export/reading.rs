//! What is handed out, and what the cursor says of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::Ordering},
};

use anabranch::{
    dispatch::{BatchReport, Cause, Dispatcher, Unfinished},
    handler::{Context, Failure},
    record::{NewImage, RawImage, Record, Timestamp, split},
    router::Router,
    source::export::{Batches, Cursor, Export, ExportBatch, ExportError, Kind},
};
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem, memory::InMemory, path::Path};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    store::Watched,
    support::{Made, TABLE, change, row},
};

fn rows(file: usize, count: usize) -> Vec<String> {
    (0..count).map(|n| row(&format!("{file}/{n}"), n as u64)).collect()
}

async fn open(made: &Made) -> Export {
    Export::open(made.in_memory().await, made.folder()).await.expect("as the test made it")
}

/// The keys of a batch's records.
fn keys(batch: &ExportBatch) -> Vec<String> {
    let records = split(batch.payload.clone()).expect("as the test made it").map(Result::unwrap);
    let keys: Vec<_> = records
        .map(|record| {
            record.keys().attribute("PK").expect("as the test made it").expect("as the test made it").into_owned()
        })
        .collect();
    assert_eq!(keys.len(), batch.records);
    keys
}

fn done(batch: &ExportBatch) -> BatchReport {
    let mut report = BatchReport::default();
    report.applied = batch.records;
    report
}

fn done_but(position: usize) -> BatchReport {
    let unfinished = Unfinished { position, sequence_number: "1".into(), cause: Cause::Deadline };
    let mut report = BatchReport::default();
    (report.applied, report.unfinished) = (position, Some(unfinished));
    report
}

async fn all(mut batches: Batches) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(batch) = batches.next().await.expect("as the test made it") {
        seen.extend(keys(&batch));
        let report = done(&batch);
        batches.answer(batch, &report);
    }
    assert!(batches.is_done());
    seen
}

#[tokio::test]
async fn an_export_goes_through_the_dispatcher() {
    let made = Made::full("0160-a", 1_000, vec![rows(0, 2_500), rows(1, 0), rows(2, 1), rows(3, 900)]);
    let export = open(&made).await;
    assert_eq!((export.id(), export.table_arn(), export.items(), export.files()), ("0160-a", TABLE, 3_401, 4));
    assert_eq!(export.kind(), Kind::Full { as_of: Timestamp::from_nanos(1_000_000_000_000) });

    let seen = Arc::new(Mutex::new(BTreeMap::new()));
    let notes = Arc::clone(&seen);
    let note = move |record: Record<RawImage, NewImage>| {
        let key = record.keys().attribute("PK").unwrap().unwrap().into_owned();
        assert!(record.origin().is_snapshot() && record.sequence_number() == "1000000000");
        assert!(notes.lock().unwrap().insert(key, record.version()).is_none(), "once");
        async { Ok::<_, Failure>(()) }
    };
    let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(note));
    let mut batches = export.batches(["PK"]);
    while let Some(batch) = batches.next().await.unwrap() {
        assert!(batch.records <= 1_000);
        let report = dispatcher.dispatch(batch.payload.clone(), &Context::default()).await.unwrap();
        batches.answer(batch, &report);
    }
    assert!(batches.is_done() && batches.cursor().counters().total() == batches.items());
    assert_eq!(seen.lock().unwrap().len(), 3_401);
}

#[tokio::test]
async fn an_incremental_export_says_what_has_gone() {
    let lines = vec![change("a", None, Some(1)), change("b", Some(1), Some(2)), change("c", Some(1), None)];
    let made = Made::incremental("0161-b", 100, 1_000, vec![lines]);
    let mut batches = open(&made).await.batches([] as [&str; 0]);
    let batch = batches.next().await.unwrap().unwrap();
    let records: Vec<_> = split(batch.payload.clone()).unwrap().map(Result::unwrap).collect();
    let names: Vec<_> = records.iter().map(|record| record.event_name().as_str()).collect();
    assert_eq!(names, ["INSERT", "MODIFY", "REMOVE"]);
    assert!(records.iter().all(|record| record.sequence_number() == "999999999"), "the window's last microsecond");
    assert_eq!(records[2].event_id(), Some("0161-b/0/3"));
    assert_eq!(records[1].created_at(), Some(Timestamp::from_nanos(1_000_000_000)));
}

#[tokio::test]
async fn data_is_found_wherever_the_export_was_moved() {
    let full = Made::full("0162-c", 1_000, vec![rows(0, 3)]);
    let window = Made::incremental("0163-d", 100, 1_000, vec![vec![change("x", None, Some(1))]]);
    for (made, found) in [(&full, 3), (&window, 1)] {
        let moved = Arc::new(InMemory::new());
        made.write(&*moved, "another/place").await;
        let folder = format!("another/place/AWSDynamoDB/{}", made.id);
        for path in [folder.clone(), format!("{folder}/manifest-summary.json")] {
            let export = Export::open(moved.clone(), path).await.unwrap();
            assert_eq!(all(export.batches(["PK"])).await.len(), found);
        }
        // One folder with everything in it, as one downloads it.
        let flat = tempfile::tempdir().unwrap();
        for (key, bytes) in made.objects() {
            let folder = if key.contains("/data/") { "mine/data" } else { "mine" };
            std::fs::create_dir_all(flat.path().join(folder)).unwrap();
            std::fs::write(flat.path().join(folder).join(key.rsplit('/').next().unwrap()), bytes).unwrap();
        }
        let store = Arc::new(LocalFileSystem::new_with_prefix(flat.path()).unwrap());
        let export = Export::open(store, "mine").await.unwrap();
        assert_eq!(all(export.batches(["PK"])).await.len(), found);
        // Only the manifests were copied, within the bucket.
        let bucket = made.in_memory().await;
        for name in ["manifest-summary.json", "manifest-files.json"] {
            let from = Path::from(format!("{}/{name}", made.folder()));
            bucket.copy(&from, &Path::from(format!("elsewhere/{name}"))).await.unwrap();
        }
        let export = Export::open(bucket, "elsewhere").await.unwrap();
        assert_eq!(all(export.batches(["PK"])).await.len(), found);
    }
}

#[tokio::test]
async fn finished_exports_are_listed() {
    let store = Arc::new(InMemory::new());
    for made in [Made::full("0165-f", 9, vec![]), Made::incremental("0164-e", 1, 5, vec![vec![]])] {
        made.write(&*store, "backup").await;
    }
    store.put(&Path::from("backup/AWSDynamoDB/0166-running/_started"), "".into()).await.unwrap();
    let exports = Export::all(store, "backup/AWSDynamoDB").await.unwrap();
    assert_eq!(exports.iter().map(Export::id).collect::<Vec<_>>(), ["0164-e", "0165-f"]);
    for export in &exports {
        let mut batches = export.batches(["PK"]);
        assert!(batches.next().await.unwrap().is_none() && batches.is_done());
    }
}

#[tokio::test]
async fn what_is_unfinished_is_handed_out_again_and_nothing_else() {
    let made = Made::full("0167-g", 9, vec![rows(0, 10)]);
    let mut batches = open(&made).await.batches(["PK"]).batch_records(4);
    let first = batches.next().await.unwrap().unwrap();
    let second = batches.next().await.unwrap().unwrap();
    let report = done(&second);
    batches.answer(second, &report);
    let json = |batches: &Batches| serde_json::to_value(batches.cursor()).unwrap();
    assert_eq!(json(&batches)["open"]["0"], 0, "the first four come before");
    batches.answer(first, &done_but(3));
    assert_eq!(json(&batches)["open"]["0"], 3);
    let again = batches.next().await.unwrap().unwrap();
    assert_eq!(keys(&again), ["0/3"]);
    let report = done(&again);
    batches.answer(again, &report);
    assert_eq!(json(&batches)["open"]["0"], 8);
    assert_eq!(all(batches).await, ["0/8", "0/9"]);
}

/// Each of two files holds a batch on its way, one that waits, one in the making, and what was fetched at once.
#[tokio::test]
async fn what_nobody_asks_for_is_not_fetched() {
    let noise = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let rows = |file: u64| (0..20_000).map(|n| row(&format!("{:x}", noise(file << 32 | n)), noise(n))).collect();
    let made = Made::full("0171-k", 9, (0..3).map(rows).collect());
    let store = Arc::new(Watched::default());
    made.write(&*store, "backup").await;
    let export = Export::open(store.clone(), made.folder()).await.unwrap();
    let whole: usize =
        made.objects().iter().filter(|(key, _)| key.contains("/data/")).map(|(_, data)| data.len()).sum();
    let before = store.fetched.load(Ordering::SeqCst);
    let mut batches = export.batches(["PK"]).concurrency(2).batch_bytes(32 * 1024);
    let first = batches.next().await.unwrap().unwrap();
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    let fetched = store.fetched.load(Ordering::SeqCst) - before;
    // A batch is longer than the lines that it was made of, which are longer than what they were compressed to.
    let most = 2 * (3 * 33 * 1024 + 2 * 4_096);
    assert!(fetched < most && most * 2 < whole, "{fetched} of {whole}, at most {most}");
    drop((first, batches));
}

#[tokio::test]
async fn a_cursor_of_something_else_is_refused() {
    let made = Made::full("0168-h", 9, vec![rows(0, 10)]);
    let other = Made::full("0169-i", 9, vec![rows(0, 10)]);
    let export = open(&made).await;
    let cursor = export.batches(["PK"]).cursor().clone();
    let error = open(&other).await.batches(["PK"]).resume(cursor.clone()).unwrap_err();
    assert!(matches!(&error, ExportError::OtherExport { .. }), "{error}");
    assert!(error.to_string().contains("0168-h") && error.to_string().contains("0169-i"));
    let json = serde_json::to_string(&cursor).unwrap();
    for (from, to) in [
        ("\"items\":10", "\"items\":11"),
        ("\"next\":0", "\"next\":2"),
        ("\"open\":{}", "\"open\":{\"0\":1}"),
        ("\"next\":0,\"open\":{}", "\"next\":1,\"open\":{\"0\":11}"),
    ] {
        assert!(json.contains(from), "{json}");
        let cursor: Cursor = serde_json::from_str(&json.replace(from, to)).unwrap();
        let error = export.batches(["PK"]).resume(cursor).unwrap_err();
        assert!(matches!(error, ExportError::BadCursor { .. }), "{error}");
    }
}

proptest! {
    /// Batches are answered in any order, in part, or not at all, and now and then the process dies.
    #[test]
    fn nothing_before_the_cursor_is_repeated_and_nothing_behind_it_lost(
        files in vec(0..30_usize, 0..6),
        concurrency in 1..4_usize,
        size in 1..9_usize,
        acts in vec((0..10_u8, any::<Index>()), 0..60),
    ) {
        let made = Made::full("0170-j", 9, files.iter().enumerate().map(|(file, count)| rows(file, *count)).collect());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let export = open(&made).await;
            let read = |cursor: Option<Cursor>| {
                let batches = export.batches(["PK"]).concurrency(concurrency).batch_records(size);
                match cursor { Some(cursor) => batches.resume(cursor).unwrap(), None => batches }
            };
            let (mut batches, mut out, mut finished) = (read(None), Vec::new(), BTreeSet::new());
            for (act, index) in acts {
                match act {
                    0 => {
                        let json = serde_json::to_string(batches.cursor()).unwrap();
                        batches = read(Some(serde_json::from_str(&json).unwrap()));
                        out.clear();
                        finished = before(batches.cursor(), &files);
                    }
                    1..=5 => out.extend(batches.next().await.unwrap()),
                    _ if out.is_empty() => {}
                    _ => {
                        let batch: ExportBatch = out.swap_remove(index.index(out.len()));
                        let at = if act < 9 { batch.records } else { index.index(batch.records + 1) };
                        let report = if at == batch.records { done(&batch) } else { done_but(at) };
                        finished.extend(keys(&batch).into_iter().take(at));
                        batches.answer(batch, &report);
                    }
                }
                prop_assert!(before(batches.cursor(), &files).is_subset(&finished));
            }
            for batch in out {
                finished.extend(keys(&batch));
                let report = done(&batch);
                batches.answer(batch, &report);
            }
            for key in all(batches).await {
                prop_assert!(finished.insert(key), "nothing that was answered for comes again");
            }
            prop_assert_eq!(finished.len(), files.iter().sum::<usize>());
            Ok(())
        })?;
    }
}

/// The keys that a cursor says are done with.
fn before(cursor: &Cursor, files: &[usize]) -> BTreeSet<String> {
    let json = serde_json::to_value(cursor).expect("as the test made it");
    let lines =
        |file: usize| match (&json["open"][file.to_string()], json["next"].as_u64().expect("as the test made it")) {
            (serde_json::Value::Number(lines), _) => lines.as_u64().expect("as the test made it") as usize,
            (_, next) if (file as u64) < next => files[file],
            _ => 0,
        };
    (0..files.len()).flat_map(|file| (0..lines(file)).map(move |n| format!("{file}/{n}"))).collect()
}

#[test]
fn stores_are_shared() {
    fn travels<T: Send + 'static>() {}
    travels::<Batches>();
    travels::<Arc<dyn ObjectStore>>();
}
