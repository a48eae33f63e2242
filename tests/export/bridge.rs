//! Consecutive exports: what makes a bridge, how it is read, and that targets converge over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::Context,
    record::{
        NewImage, Timestamp,
        wire::{EventWriter, ItemJson, RecordParts},
    },
    replica::{Replica, Tombstones, is_tombstone},
    router::Router,
    sink::table::{AttributeValue, Memory},
    source::export::{Batches, Bridge, Export, ExportError},
    view::{Contribution, View},
};
use object_store::memory::InMemory;
use proptest::{collection::vec, prelude::*};

use crate::support::{Made, TABLE, change, row};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos(i64::try_from(seconds).expect("a time of tests") * 1_000_000_000)
}

fn made_window(from: u64, until: u64) -> Made {
    let lines = vec![change(&format!("{from}"), None, Some(until))];
    Made::incremental(&format!("{from}-{until}"), from, until, vec![lines])
}

fn made_full(until: u64) -> Made {
    Made::full(&format!("full-{until}"), until, vec![vec![row("a", 1)]])
}

fn ion(made: Made) -> Made {
    Made { format: "ION", id: format!("{}-ion", made.id), ..made }
}

async fn window(from: u64, until: u64) -> Export {
    exports(&[made_window(from, until)]).await.remove(0)
}

async fn full(until: u64) -> Export {
    exports(&[made_full(until)]).await.remove(0)
}

fn ids(bridge: &Bridge) -> Vec<&str> {
    bridge.exports().iter().map(Export::id).collect()
}

#[tokio::test]
async fn windows_are_ordered_and_needless_ones_left_out() {
    let windows = [window(30, 40).await, window(0, 10).await, window(20, 30).await, window(10, 20).await];
    let bridge = Bridge::new(windows, at(12), at(38)).unwrap();
    assert_eq!(ids(&bridge), ["10-20", "20-30", "30-40"]);
    assert_eq!(bridge.until(), at(40));
    let nested = [window(12, 14).await, window(20, 30).await, window(10, 20).await, window(10, 15).await];
    assert_eq!(ids(&Bridge::new(nested, at(10), at(30)).unwrap()), ["10-20", "20-30"]);
}

#[tokio::test]
async fn windows_that_overlap_are_refused_and_named() {
    let windows = || async { vec![window(0, 10).await, window(6, 20).await, window(20, 30).await] };
    let error = Bridge::new(windows().await, at(0), at(30)).unwrap_err();
    assert!(matches!(&error, ExportError::Overlap { .. }), "{error}");
    let (first, second) = (format!("{TABLE}/export/0-10"), format!("{TABLE}/export/6-20"));
    let text = error.to_string();
    for part in [
        format!("{first} (from 1970-01-01T00:00:00Z until 1970-01-01T00:00:10Z)"),
        format!("{second} (from 1970-01-01T00:00:06Z until 1970-01-01T00:00:20Z)"),
        "make an incremental export from 1970-01-01T00:00:10Z until 1970-01-01T00:00:20Z".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert!(matches!(Bridge::newest(windows().await), Err(ExportError::Overlap { .. })));

    // What the error says to do helps, with all of them still there.
    let mut helped = windows().await;
    helped.push(window(10, 20).await);
    assert_eq!(ids(&Bridge::newest(helped).unwrap()), ["0-10", "10-20", "20-30"]);
}

#[tokio::test]
async fn a_window_around_the_time_of_a_full_export_does_not_follow_it() {
    // What was in the full export since the window began, and went within the window, would stay.
    let error = Bridge::newest([full(15).await, window(10, 20).await]).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ExportError::Overlap { .. }) && text.contains("as of 1970-01-01T00:00:15Z"), "{text}");
    let older = [full(10).await, full(15).await, full(5).await, window(10, 20).await];
    assert_eq!(ids(&Bridge::newest(older).unwrap()), ["full-10", "10-20"], "another way to the same end");
}

#[tokio::test]
async fn exports_may_be_told_to_follow_by_whole_seconds() {
    let exact =
        [Made { millis: 28, ..made_full(10) }, Made { millis: 999, ..made_window(10, 20) }, made_window(20, 30)];
    let bridge = Bridge::newest(exports(&exact).await).unwrap();
    assert_eq!(ids(&bridge), ["full-10", "10-20", "20-30"]);
    let later = [Made { millis: 28, ..made_full(11) }, made_window(10, 20)];
    assert!(matches!(Bridge::newest(exports(&later).await), Err(ExportError::Overlap { .. })));
}

#[tokio::test]
async fn the_way_may_be_of_short_windows_where_long_ones_do_not_fit() {
    let windows = [(0, 10), (4, 15), (10, 20), (10, 25), (20, 30), (30, 40), (40, 50)];
    let mut exports = Vec::new();
    for (from, until) in windows {
        exports.push(window(from, until).await);
    }
    let bridge = Bridge::new(exports, at(5), at(35)).unwrap();
    assert_eq!(ids(&bridge), ["0-10", "10-20", "20-30", "30-40"], "neither 4-15 nor 10-25 leads on");
}

#[tokio::test]
async fn exports_in_another_format_do_not_matter_unless_they_are_needed() {
    let needless = [
        ion(made_full(5)),
        ion(made_window(0, 10)),
        ion(made_window(10, 20)),
        ion(made_window(12, 17)),
        made_full(10),
        made_window(10, 20),
    ];
    assert_eq!(ids(&Bridge::newest(exports(&needless).await).unwrap()), ["full-10", "10-20"]);
    let since = Bridge::new(exports(&needless[1..4]).await.into_iter().chain([window(10, 20).await]), at(10), at(20));
    assert_eq!(ids(&since.unwrap()), ["10-20"]);

    for (needed, named) in [
        (vec![made_full(10), ion(made_window(10, 20))], "10-20-ion"),
        (vec![made_full(10), ion(made_window(10, 20)), made_window(20, 30)], "10-20-ion"),
        (vec![made_full(10), ion(made_full(20))], "full-20-ion"),
        (vec![ion(made_full(10)), made_window(10, 20)], "full-10-ion"),
        (vec![ion(made_window(0, 10)), made_window(10, 20)], "0-10-ion"),
        (vec![ion(made_window(0, 10))], "0-10-ion"),
    ] {
        let error = Bridge::newest(exports(&needed).await).unwrap_err();
        assert!(matches!(&error, ExportError::Format { .. }), "{named}: {error}");
        let text = error.to_string();
        assert!(text.contains(&format!("AWSDynamoDB/{named}`")) && text.contains("ION"), "{named}: {text}");
    }
    let full = exports(&[ion(made_full(10))]).await.remove(0);
    assert!(matches!(Bridge::from_full(full, [], at(10)), Err(ExportError::Format { .. })));
}

#[tokio::test]
async fn a_gap_is_refused_and_named() {
    let gap = |result: Result<Bridge, ExportError>| match result.unwrap_err() {
        ExportError::Gap { from, until } => (from.as_secs(), until.as_secs()),
        other => panic!("{other}"),
    };
    let windows = || async { [window(10, 20).await, window(21, 30).await] };
    assert_eq!(gap(Bridge::new(windows().await, at(12), at(30))), (20, 21));
    assert_eq!(gap(Bridge::new(windows().await, at(9), at(30))), (9, 10));
    assert_eq!(gap(Bridge::new([window(10, 20).await], at(10), at(21))), (20, 21));
    assert_eq!(gap(Bridge::from_full(full(5).await, [window(6, 9).await], at(9))), (5, 6));
    let text = Bridge::new([window(10, 20).await], at(10), at(21)).unwrap_err().to_string();
    assert!(
        text.contains("1970-01-01T00:00:20Z to 1970-01-01T00:00:21Z") && text.contains("incremental export"),
        "{text}"
    );
}

#[tokio::test]
async fn what_makes_no_bridge_is_refused() {
    assert!(matches!(Bridge::new([], at(0), at(1)), Err(ExportError::NoBridge)));
    assert!(matches!(Bridge::new([full(9).await], at(0), at(1)), Err(ExportError::Full { .. })));
    assert!(matches!(Bridge::from_full(window(0, 9).await, [], at(1)), Err(ExportError::NotFull { .. })));
    let other = Made { table: format!("{TABLE}2"), ..Made::incremental("x", 10, 20, vec![]) };
    let other = Export::open(other.in_memory().await, other.folder()).await.unwrap();
    let error = Bridge::new([window(0, 10).await, other], at(0), at(20)).unwrap_err();
    assert!(matches!(&error, ExportError::OtherTable { .. }) && error.to_string().contains("PetTracker2"), "{error}");
    assert_eq!(ids(&Bridge::from_full(full(9).await, [], at(9)).unwrap()), ["full-9"]);
}

fn all_applied(records: usize) -> BatchReport {
    let mut report = BatchReport::default();
    report.applied = records;
    report
}

#[tokio::test]
async fn an_export_begins_when_the_one_before_is_done_with() {
    let bridge = Bridge::new([window(0, 10).await, window(10, 20).await], at(0), at(20)).unwrap();
    let mut batches = bridge.batches([] as [&str; 0]);
    let first = batches.next().await.unwrap().unwrap();
    let error = batches.next().await.unwrap_err();
    assert!(matches!(error, ExportError::Unanswered { batches: 1, .. }), "{error}");
    batches.answer(first, &all_applied(1));
    assert!(!batches.is_done());
    let second = batches.next().await.unwrap().unwrap();
    let cursor = batches.cursor().clone();
    assert!(cursor.export().ends_with("10-20") && cursor.counters().applied == 1);
    drop(second);

    // Another window has been exported meanwhile.
    let windows = [window(0, 10).await, window(10, 20).await, window(20, 30).await];
    let longer = Bridge::new(windows, at(0), at(30)).unwrap();
    let mut batches = longer.batches([] as [&str; 0]).resume(cursor).unwrap();
    for _ in 0..2 {
        let batch = batches.next().await.unwrap().unwrap();
        batches.answer(batch, &all_applied(1));
    }
    assert!(batches.next().await.unwrap().is_none() && batches.is_done());
    assert_eq!(batches.cursor().counters().total(), batches.items());
}

/// A table with a few items, and what is known of each moment.
#[derive(Default)]
struct Source {
    items: BTreeMap<u8, u64>,
    /// The table at the end of each window, from the beginning.
    states: Vec<BTreeMap<u8, u64>>,
    written: Vec<BTreeSet<u8>>,
}

impl Source {
    fn new(windows: &[Vec<(u8, Option<u64>)>]) -> Self {
        let mut source = Self::default();
        for window in windows {
            for (item, value) in window {
                match value {
                    Some(value) => _ = source.items.insert(*item, *value),
                    None => _ = source.items.remove(item),
                }
            }
            source.states.push(source.items.clone());
            source.written.push(window.iter().map(|(item, _)| *item).collect());
        }
        source
    }

    /// The full export at the end of the first window, and an incremental one for each further window.
    fn exports(&self) -> Vec<Made> {
        let windows = (1..self.states.len()).map(|n| self.incremental(&n.to_string(), n..n + 1));
        [self.full("0", 0)].into_iter().chain(windows).collect()
    }

    /// The table at the end of a window.
    fn full(&self, id: &str, n: usize) -> Made {
        let rows = self.states[n].iter().map(|(item, value)| row(&item.to_string(), *value)).collect();
        Made::full(id, 100 * (n as u64 + 1), vec![rows])
    }

    /// Some windows but the first as one: the last state of what was written; an item that came and went is not in it.
    fn incremental(&self, id: &str, windows: std::ops::Range<usize>) -> Made {
        let (before, after) = (&self.states[windows.start - 1], &self.states[windows.end - 1]);
        let written: BTreeSet<_> = self.written[windows.clone()].iter().flatten().collect();
        let lines = written.into_iter().filter_map(|item| {
            let (old, new) = (before.get(item).copied(), after.get(item).copied());
            (old.is_some() || new.is_some()).then(|| change(&item.to_string(), old, new))
        });
        let lines = lines.collect::<Vec<_>>();
        let files = lines.chunks(3).map(<[_]>::to_vec).collect();
        Made::incremental(id, 100 * windows.start as u64, 100 * windows.end as u64, files)
    }
}

/// A replica and an aggregate of the same table.
struct Targets {
    replica: Arc<Memory>,
    totals: View<Row>,
    dispatcher: Dispatcher,
}

#[derive(serde::Deserialize)]
struct Row {
    value: u64,
}

impl Targets {
    fn new(generation: u32, replica: Arc<Memory>, views: &Arc<Memory>) -> Self {
        let stones = Tombstones::keep(Duration::from_secs(1_000_000));
        let copy = Replica::new(replica.clone()).tombstones(stones).generation(generation);
        let totals = View::aggregate("totals", views.clone(), |row: &Row| {
            vec![Contribution::to("TOTAL", "all").count("rows").sum("sum", row.value)]
        });
        let totals = totals.generation(generation);
        let router = Router::<NewImage>::new().every(copy).every(totals.clone());
        Self { replica, totals, dispatcher: Dispatcher::new(router) }
    }

    async fn dispatch(&self, payload: bytes::Bytes) -> BatchReport {
        let report = self.dispatcher.dispatch(payload, &Context::default()).await.expect("an event");
        assert!(report.unfinished.is_none(), "{report:?}");
        report
    }

    /// The targets show a table.
    async fn show(&self, table: &BTreeMap<u8, u64>) {
        let text = |value: &AttributeValue| match value {
            AttributeValue::S(text) | AttributeValue::N(text) => text.parse().expect("a number"),
            other => panic!("{other:?}"),
        };
        let rows = self.replica.rows();
        let rows = rows.iter().filter(|row| !is_tombstone(row));
        let rows: BTreeMap<u64, u64> = rows.map(|row| (text(&row["PK"]), text(&row["value"]))).collect();
        assert_eq!(rows, table.iter().map(|(item, value)| (u64::from(*item), *value)).collect());
        let total = self.totals.reader().read("TOTAL", "all").await.expect("memory reads");
        let shown = total.map(|row| (row.number("rows"), row.number("sum")));
        let sum: u64 = table.values().sum();
        let expected = (!table.is_empty()).then(|| ((table.len() as u64).into(), sum.into()));
        assert_eq!(shown, expected);
    }
}

/// Reads to the end; dies and resumes, and delivers batches twice, as told.
async fn read(bridge: &Bridge, targets: &Targets, mut acts: impl Iterator<Item = u8>) {
    let begin = || bridge.batches(["PK"]).batch_records(2).concurrency(2);
    let mut batches: Batches = begin();
    while let Some(batch) = batches.next().await.expect("good exports") {
        let report = targets.dispatch(batch.payload.clone()).await;
        match acts.next() {
            // Dies between the effect and the cursor.
            Some(0) => batches = begin().resume(batches.cursor().clone()).expect("the same bridge"),
            Some(1) => {
                targets.dispatch(batch.payload.clone()).await;
                batches.answer(batch, &report);
            }
            _ => batches.answer(batch, &report),
        }
    }
    assert!(batches.is_done());
}

async fn exports(made: &[Made]) -> Vec<Export> {
    let store = Arc::new(InMemory::new());
    for made in made {
        made.write(&*store, "backup").await;
    }
    Export::all(store, "backup/AWSDynamoDB").await.expect("exports")
}

/// Drops a future when it was polled so often.
#[cfg(feature = "dynamodb")]
async fn killed_after<R>(polls: usize, work: impl Future<Output = R>) -> Option<R> {
    let (mut work, mut left) = (std::pin::pin!(work), polls);
    std::future::poll_fn(|context| {
        use std::task::Poll;
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                left -= 1;
                Poll::Pending
            }
        }
    })
    .await
}

fn windows() -> impl Strategy<Value = Vec<Vec<(u8, Option<u64>)>>> {
    vec(vec((0..8_u8, prop::option::weighted(0.6, 0..100_u64)), 0..12), 1..5)
}

/// A change of the stream, the `n`-th.
fn live(n: usize, item: u8, value: Option<u64>) -> RecordParts<'static> {
    let image = |value: u64| ItemJson::from_json(format!(r#"{{"PK":{{"S":"{item}"}},"value":{{"N":"{value}"}}}}"#));
    RecordParts {
        event_name: Some(if value.is_some() { "MODIFY" } else { "REMOVE" }.into()),
        source_arn: Some(format!("{TABLE}/stream/2026-11-21T00:00:00.000").into()),
        keys: Some(ItemJson::from_json(format!(r#"{{"PK":{{"S":"{item}"}}}}"#))),
        new_image: value.map(image),
        sequence_number: Some(format!("{:021}", n + 1).into()),
        ..RecordParts::default()
    }
}

async fn deliver(targets: &Targets, stream: &[(usize, u8, Option<u64>)]) {
    if !stream.is_empty() {
        let mut event = EventWriter::new();
        stream.iter().for_each(|(n, item, value)| event.push(&live(*n, *item, *value)));
        targets.dispatch(event.finish()).await;
    }
}

fn tables() -> (Arc<Memory>, Arc<Memory>) {
    (Arc::new(Memory::new("Replica", ["PK"])), Arc::new(Memory::new("Views", ["PK", "SK"])))
}

proptest! {
    /// Targets that are built anew from a full export and the changes since, under crashes and duplicates.
    #[test]
    fn targets_built_from_exports_equal_the_table(windows in windows(), acts in vec(0..6_u8, 0..40)) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let source = Source::new(&windows);
            let mut exports = exports(&source.exports()).await;
            let full = exports.remove(0);
            let until = at(100 * windows.len() as u64);
            let bridge = Bridge::from_full(full, exports, until).unwrap();
            let (replica, views) = tables();
            let targets = Targets::new(0, replica, &views);
            read(&bridge, &targets, acts.into_iter()).await;
            targets.show(&source.items).await;
        });
    }

    /// Whatever else there is: windows across the ends of others, full exports in between, other formats.
    #[test]
    fn targets_built_from_all_that_was_exported_equal_the_table(
        windows in windows(), more in vec((any::<bool>(), 0..5_usize, 1..4_usize, any::<bool>()), 0..8),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let source = Source::new(&windows);
            let (mut made, last) = (source.exports(), windows.len() - 1);
            for (n, (is_full, from, length, is_ion)) in more.into_iter().enumerate() {
                let (id, from) = (format!("more-{n}"), from.min(last));
                let until = windows.len().min(from + length);
                let one = if is_full || from == 0 { source.full(&id, from) } else { source.incremental(&id, from..until) };
                made.push(if is_ion { ion(one) } else { one });
            }
            let bridge = Bridge::newest(exports(&made).await).unwrap();
            let (replica, views) = tables();
            let targets = Targets::new(0, replica, &views);
            read(&bridge, &targets, [].into_iter()).await;
            targets.show(&source.items).await;
        });
    }

    /// The first of these by a backfill of many workers, killed at whatever await and resumed from what was stored last.
    #[cfg(feature = "dynamodb")]
    #[test]
    fn targets_backfilled_from_exports_equal_the_table(
        windows in windows(), kills in vec(0..60_usize, 0..6), workers in 1..5_usize, size in 1..4_usize,
    ) {
        use anabranch::source::backfill::Backfill;

        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
            let source = Source::new(&windows);
            let bridge = Bridge::newest(exports(&source.exports()).await).unwrap();
            let (replica, views) = tables();
            let targets = Targets::new(0, replica, &views);
            let history = bridge.history(["PK"]).portion_records(size);
            let backfill = Backfill::new(history, targets.dispatcher.clone(), "targets");
            let mut stored = backfill.job("job", backfill.history().places());
            for polls in kills.into_iter().chain([usize::MAX]) {
                let mut job = stored.clone();
                let run = backfill.run(&mut job, workers, |job| stored = job.clone());
                if let Some(ended) = killed_after(polls, run).await {
                    ended.unwrap();
                }
            }
            assert!(stored.is_done() && stored.counts().records == backfill.history().items());
            targets.show(&source.items).await;
        });
    }

    /// A stream was followed during the first window and again from within the last one on; the bridge is read in between,
    /// in a later generation.
    #[test]
    fn a_bridge_carries_targets_over_a_gap(
        windows in windows(), after in vec((0..8_u8, prop::option::of(0..100_u64)), 0..8),
        overlap in 0..6_usize, acts in vec(0..6_u8, 0..40),
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let stream: Vec<_> = windows.iter().flatten().chain(&after).enumerate().map(|(n, (item, value))| (n, *item, *value)).collect();
            let source = Source::new(&windows);
            let (replica, views) = tables();
            let before = Targets::new(0, replica.clone(), &views);
            deliver(&before, &stream[..windows[0].len()]).await;
            before.show(&source.states[0]).await;

            let targets = Targets::new(1, replica, &views);
            let mut exports = exports(&source.exports()).await;
            exports.remove(0);
            if !exports.is_empty() {
                let bridge = Bridge::new(exports, at(100), at(100 * windows.len() as u64)).unwrap();
                read(&bridge, &targets, acts.into_iter()).await;
                targets.show(&source.items).await;
            }
            // From where the stream is still there, which may be before the end of the last window.
            let from = stream.len() - after.len() - overlap.min(stream.len() - after.len());
            deliver(&targets, &stream[from..]).await;
            let mut all = windows.clone();
            all.push(after);
            targets.show(&Source::new(&all).items).await;
        });
    }
}
