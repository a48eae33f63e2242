//! Exports as the history of a backfill: read side by side, resumed by file and line, one export after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    dispatch::Dispatcher,
    handler::{Deadline, Failure},
    record::{NewImage, RawImage, Record},
    replica::{Replica, Tombstones, is_tombstone},
    router::Router,
    sink::table::{AttributeValue, Memory},
    source::{
        backfill::{Backfill, BackfillError, Job, Slice},
        export::{Bridge, Export, ExportError, ExportHistory, FilePlace},
    },
};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory, path::Path};
use proptest::{collection::vec, prelude::*};

use crate::support::{Made, change, gzip, row};

/// Every key that was handled, in order.
type Seen = Arc<Mutex<Vec<String>>>;

fn rows(file: usize, count: usize) -> Vec<String> {
    (0..count).map(|n| row(&format!("{file}/{n}"), n as u64)).collect()
}

async fn open(made: &Made) -> Export {
    Export::open(made.in_memory().await, made.folder()).await.expect("as the test made it")
}

fn noted(seen: &Seen) -> Dispatcher {
    let seen = Arc::clone(seen);
    let note = move |record: Record<RawImage, NewImage>| {
        assert!(record.origin().is_snapshot());
        let key = record.keys().attribute("PK").expect("a key").expect("a key").into_owned();
        seen.lock().expect("no panic under the lock").push(key);
        async { Ok::<_, Failure>(()) }
    };
    Dispatcher::new(Router::<NewImage>::new().every(note))
}

fn backfill(history: ExportHistory, seen: &Seen) -> Backfill<ExportHistory> {
    Backfill::new(history, noted(seen), "noted")
}

fn paused<R>(work: impl Future<Output = R>) -> R {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(work)
}

/// A job as it is stored and found again.
fn stored(job: &Job<FilePlace>) -> Job<FilePlace> {
    serde_json::from_str(&serde_json::to_string(job).expect("JSON")).expect("a stored job")
}

proptest! {
    #[test]
    fn every_line_is_handled_and_little_twice(
        files in vec(0..9_usize, 0..6), size in 1..4_usize, workers in 1..4_usize, kills in vec(0..6_usize, 0..8),
    ) {
        let made = Made::full("0160-a", 1_000, files.iter().enumerate().map(|(n, count)| rows(n, *count)).collect());
        let (seen, killed, job) = paused(async {
            let (seen, export) = (Seen::default(), open(&made).await);
            let begin = || backfill(export.history(["PK"]).portion_records(size), &seen);
            let mut job = begin().job("job", begin().history().places());
            let mut killed = 0;
            for after in kills.iter().map(Some).chain([None]) {
                let (mut portions, backfill) = (0, begin());
                let (kill, mut dead) = tokio::sync::oneshot::channel::<()>();
                let mut kill = Some(kill);
                let mut last = job.clone();
                let run = backfill.run(&mut job, workers, |job| {
                    if kill.is_some() {
                        last = stored(job);
                    }
                    portions += 1;
                    if Some(&portions) == after {
                        kill.take();
                    }
                });
                let ended = tokio::select! { biased; _ = &mut dead => None, ended = run => Some(ended) };
                match ended {
                    Some(ended) => ended.expect("a good export"),
                    None => (killed, job) = (killed + 1, last),
                }
            }
            (std::mem::take(&mut *seen.lock().expect("no panic under the lock")), killed, job)
        });
        let total: usize = files.iter().sum();
        prop_assert!(job.is_done() && job.counts().reconciled());
        prop_assert_eq!((job.counts().records, job.segments as usize), (total as u64, files.len()));
        prop_assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), total, "every line");
        prop_assert!(seen.len() <= total + killed * workers * 2 * size, "{} of {total}, killed {killed} times", seen.len());
    }
}

#[tokio::test]
async fn a_slice_stops_at_a_line_and_the_next_goes_on_there() {
    let export = open(&Made::full("0160-a", 1_000, vec![rows(0, 3), rows(1, 7)])).await;
    let seen = Seen::default();
    let backfill = backfill(export.history(["PK"]).portion_records(2), &seen);
    let place = backfill.history().places().remove(1);
    let mut cursor = backfill.begin("job", place);
    let mut stop = None;
    let whole = backfill.run_slice_observed(cursor.clone(), Deadline::NEVER, |cursor| {
        if seen.lock().expect("no panic under the lock").len() == 4 {
            stop = Some(cursor.clone());
        }
    });
    assert!(whole.await.expect("a good export").is_done());
    cursor = stop.expect("there were four");
    let json = serde_json::to_value(&cursor.place).expect("JSON");
    assert_eq!((&json["file"], &json["line"]), (&1.into(), &4.into()));
    seen.lock().expect("no panic under the lock").clear();
    let Slice::Done { counts } = backfill.run_slice(cursor, Deadline::NEVER).await.expect("a good export") else {
        panic!("it ends");
    };
    assert_eq!(*seen.lock().expect("no panic under the lock"), ["1/4", "1/5", "1/6"]);
    assert_eq!((counts.records, counts.applied), (7, 7));
}

/// What a replica shows, but for tombstones.
fn shown(replica: &Memory) -> BTreeMap<String, String> {
    let rows = replica.rows().into_iter().filter(|row| !is_tombstone(row));
    let text = |value: &AttributeValue| match value {
        AttributeValue::S(text) | AttributeValue::N(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    rows.map(|row| (text(&row["PK"]), text(&row["value"]))).collect()
}

#[tokio::test]
async fn deletions_take_back_what_an_earlier_export_has_brought() {
    let full = Made::full("1-full", 100, vec![vec![row("a", 1), row("b", 1)], vec![row("c", 1), row("d", 1)]]);
    let first = vec![change("a", Some(1), None), change("b", Some(1), Some(2)), change("e", None, Some(2))];
    let first = Made::incremental("2-first", 100, 200, vec![first]);
    let second = Made::incremental("3-second", 200, 300, vec![vec![change("e", Some(2), None)], vec![]]);
    let earlier = Made::incremental("0-before", 0, 100, vec![vec![change("z", None, Some(9))]]);
    let store = Arc::new(InMemory::new());
    for made in [&second, &first, &full, &earlier] {
        made.write(&*store, "backup").await;
    }
    let bridge = Bridge::newest(Export::find(store, "backup").await.expect("exports")).expect("no gap");
    let ids: Vec<_> = bridge.exports().iter().map(Export::id).collect();
    assert_eq!(ids, ["1-full", "2-first", "3-second"], "in order, and none that the full one covers");

    let table = Arc::new(Memory::new("Replica", ["PK"]));
    let replica = Replica::new(table.clone()).tombstones(Tombstones::keep(Duration::from_secs(3_600)));
    let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(replica));
    let backfill = Backfill::new(bridge.history(["PK"]), dispatcher, "replica");
    let mut job = backfill.job("job", backfill.history().places());
    let mut done = Vec::new();
    let observe = |job: &Job<FilePlace>| done.push(job.segments as usize - job.open.len());
    backfill.run(&mut job, 8, observe).await.expect("good exports");
    assert_eq!((job.segments, job.counts().records, backfill.history().items()), (5, 8, 8));
    let expected = [("b", "2"), ("c", "1"), ("d", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(shown(&table), expected.into());
}

#[tokio::test]
async fn stages_begin_one_after_the_other() {
    let windows = [0, 1, 2].map(|n| {
        let lines = |file: u64| (0..20).map(|k| change(&format!("{n}/{file}/{k}"), None, Some(k))).collect();
        Made::incremental(&format!("{n}"), 100 * n, 100 * (n + 1), vec![lines(0), lines(1)])
    });
    let mut exports = Vec::new();
    for window in windows {
        exports.push(open(&window).await);
    }
    let seen = Seen::default();
    let bridge = Bridge::newest(exports).expect("no gap");
    let backfill = backfill(bridge.history(["PK"]).portion_records(3), &seen);
    let mut job = backfill.job("job", backfill.history().places());
    backfill.run(&mut job, 8, |_| ()).await.expect("good exports");
    let seen = seen.lock().expect("no panic under the lock");
    let stages: Vec<_> = seen.iter().map(|key| key.split_once('/').expect("a window").0).collect();
    assert!(seen.len() == 120 && stages.is_sorted(), "{stages:?}");
}

/// The first failure of a backfill of an export whose store was changed.
async fn failure(change: impl AsyncFnOnce(&InMemory, &Made)) -> (ExportError, Job<FilePlace>, usize) {
    let made = Made::full("0160-a", 1_000, vec![rows(0, 6)]);
    let (store, seen) = (made.in_memory().await, Seen::default());
    let export = Export::open(store.clone(), made.folder()).await.expect("as the test made it");
    change(&store, &made).await;
    let backfill = backfill(export.history(["PK"]).portion_records(2), &seen);
    let mut job = backfill.job("job", backfill.history().places());
    let error = backfill.run(&mut job, 1, |_| ()).await.expect_err("it was changed");
    let BackfillError::History { source } = error else { panic!("{error:?}") };
    let seen = seen.lock().expect("no panic under the lock").len();
    (*source.downcast().expect("an error of exports"), job, seen)
}

async fn put(store: &InMemory, path: &str, bytes: Vec<u8>) {
    store.put(&Path::from(path), bytes.into()).await.expect("written");
}

#[tokio::test]
async fn a_file_that_is_not_what_its_manifest_says_is_never_done() {
    let text = |lines: usize| rows(0, lines).join("\n").into_bytes();
    let (error, job, seen) = failure(async |store, made| put(store, &made.data_file(0), gzip(&text(9))).await).await;
    assert!(matches!(error, ExportError::Checksum { .. }), "{error}");
    assert!(!job.is_done() && seen >= 4, "{seen} rows, of a job that stands before the file's end");
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() - 9);
        bytes
    };
    let (error, job, _) = failure(async |store, made| put(store, &made.data_file(0), cut(gzip(&text(6)))).await).await;
    assert!(matches!(error, ExportError::Compression { .. }) && !job.is_done(), "{error}");
    let gone = async |store: &InMemory, made: &Made| store.delete(&Path::from(made.data_file(0))).await.expect("gone");
    let (error, job, seen) = failure(gone).await;
    assert!(matches!(error, ExportError::Missing { .. }) && !job.is_done() && seen == 0, "{error}");
}

#[tokio::test]
async fn lines_that_the_manifest_does_not_count_are_an_error() {
    // The checksum is right, the count is not: the manifests agree on two items too few.
    let store = Arc::new(InMemory::new());
    for (key, bytes) in Made::full("0160-a", 1_000, vec![rows(0, 6)]).objects() {
        let manifest = key.ends_with(".json");
        let fewer = || String::from_utf8_lossy(&bytes).replace(r#""itemCount":6"#, r#""itemCount":4"#).into_bytes();
        if manifest || key.ends_with(".gz") {
            put(&store, &key, if manifest { fewer() } else { bytes }).await;
        }
    }
    let export = Export::open(store, "backup/AWSDynamoDB/0160-a").await.expect("manifests that agree");
    let seen = Seen::default();
    let backfill = backfill(export.history(["PK"]).portion_records(2), &seen);
    let mut job = backfill.job("job", backfill.history().places());
    let error = backfill.run(&mut job, 1, |_| ()).await.expect_err("two lines too many");
    let BackfillError::History { source } = error else { panic!("{error:?}") };
    assert!(matches!(source.downcast_ref(), Some(ExportError::Count { expected: 4, found: 6, .. })), "{source}");
    assert!(!job.is_done());
}

#[tokio::test]
async fn places_of_other_exports_are_refused_and_nothing_is_read() {
    let here = open(&Made::full("0160-a", 1_000, vec![rows(0, 3)])).await;
    let others = [
        Made::full("0161-b", 1_000, vec![rows(0, 3)]),
        Made::full("0160-a", 1_000, vec![rows(9, 3)]),
        Made::full("0160-a", 1_000, vec![rows(0, 3), rows(1, 3)]),
    ];
    for (made, expected) in others.into_iter().zip(["was made for", "another content", "does not have"]) {
        let other = open(&made).await;
        let seen = Seen::default();
        let backfill = backfill(here.history(["PK"]), &seen);
        let place = other.history(["PK"]).places().pop().expect("a file");
        let error =
            backfill.run_slice(backfill.begin("job", place), Deadline::NEVER).await.expect_err("another export");
        let BackfillError::History { source } = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains(expected), "{source}");
        assert!(seen.lock().expect("no panic under the lock").is_empty());
    }
}

#[tokio::test]
async fn exports_are_found_where_people_point_at() {
    let (one, two) = (Made::full("1-a", 100, vec![rows(0, 1)]), Made::incremental("2-b", 100, 200, vec![]));
    let store = Arc::new(InMemory::new());
    one.write(&*store, "backup").await;
    two.write(&*store, "backup").await;
    let store: Arc<dyn ObjectStore> = store;
    for (place, expected) in [
        ("backup/AWSDynamoDB/1-a", vec!["1-a"]),
        ("backup/AWSDynamoDB/2-b/manifest-summary.json", vec!["2-b"]),
        ("backup/AWSDynamoDB", vec!["1-a", "2-b"]),
        ("backup", vec!["1-a", "2-b"]),
    ] {
        let found = Export::find(store.clone(), place).await.expect("it is there");
        assert_eq!(found.iter().map(Export::id).collect::<Vec<_>>(), expected, "{place}");
        assert!(found.iter().all(|export| export.table_name() == "PetTracker"));
    }
    let error = Export::find(store, "elsewhere").await.expect_err("nothing is there");
    assert!(matches!(&error, ExportError::NoExport { folder } if folder == "elsewhere"), "{error}");
}

#[test]
fn records_are_handed_out_no_faster_than_they_may_be() {
    paused(async {
        let export = open(&Made::full("0160-a", 1_000, vec![rows(0, 1_000)])).await;
        let history = export.history(["PK"]).portion_records(10).records_per_second(100.0);
        let backfill = backfill(history, &Seen::default());
        let (mut job, begun) = (backfill.job("job", backfill.history().places()), tokio::time::Instant::now());
        backfill.run(&mut job, 1, |_| ()).await.expect("a good export");
        let seconds = begun.elapsed().as_secs_f64();
        assert!((9.5..10.5).contains(&seconds), "{seconds}");
    });
}
