//! Random histories with everything that can go wrong in them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use anabranch::sink::table::{CancellationClass, Fault, Memory, Operation};
use proptest::prelude::*;
use serde_json::Value;

use crate::{seeds::each_history, world::*};

const GROUPS: u8 = 3;
const ITEMS: u8 = 5;

#[derive(Debug, Clone)]
struct History {
    source: Source,
    shards: u16,
    sizes: Vec<usize>,
    /// What goes wrong with the n-th row that is written or read.
    faults: Vec<(usize, u8)>,
    /// What a late worker delivers once more: where it starts, and how many records.
    late: Vec<(usize, usize)>,
    /// After how many changes a scan reads the table whose rows arrive at any time.
    scans: Vec<usize>,
    /// Records that come twice in the stream's batches.
    doubled: Vec<usize>,
}

fn state() -> impl Strategy<Value = (u8, i64, u8)> {
    (0..GROUPS, -9_i64..10, 0_u8..4)
}

fn source() -> impl Strategy<Value = Source> {
    let initial = proptest::collection::btree_map(0..ITEMS, state(), 0..3);
    let step = (0..ITEMS, proptest::option::weighted(0.75, state()));
    (initial, proptest::collection::vec(step, 1..24)).prop_map(|(initial, steps)| Source { initial, steps })
}

fn history() -> impl Strategy<Value = History> {
    let some = |end, most| proptest::collection::vec(0..end, 0..most);
    let sizes = proptest::collection::vec(1_usize..12, 1..5);
    let faults = proptest::collection::vec((0_usize..300, 0_u8..6), 0..6);
    let late = proptest::collection::vec((0_usize..24, 1_usize..12), 0..4);
    let all = (source(), prop_oneof![Just(1_u16), Just(3)], sizes, faults, late, some(24_usize, 3), some(24_usize, 4));
    all.prop_map(|(source, shards, sizes, faults, late, scans, doubled)| History {
        source,
        shards,
        sizes,
        faults,
        late,
        scans,
        doubled,
    })
}

/// What is known of a table that fails.
#[derive(Default)]
struct Faults {
    /// How many rows were asked for.
    asked: AtomicUsize,
    /// Whether it fails no more.
    mended: AtomicBool,
}

/// A table that fails as the history says: before or after a write, by conflicts, throttles and unprocessed keys.
fn faulty(faults: &[(usize, u8)], known: &Arc<Faults>) -> Memory {
    let (faults, known) = (faults.to_vec(), Arc::clone(known));
    let memory = memory();
    let failure = memory.failure();
    memory.with_faults(move |operation, _| {
        if known.mended.load(Relaxed) {
            return Fault::None;
        }
        let at = known.asked.fetch_add(1, Relaxed);
        match faults.iter().find(|(when, _)| *when == at) {
            None => Fault::None,
            Some((_, 0)) => Fault::Before(failure.clone()),
            Some((_, 1)) => Fault::After(failure.clone()),
            Some((_, 2)) => Fault::Cancelled(CancellationClass::Conflict),
            Some((_, 3)) => Fault::Cancelled(CancellationClass::Throttled),
            Some((_, 4)) => Fault::Cancelled(CancellationClass::ConditionFailed),
            Some(_) if operation == Operation::ReadBatch => Fault::Unprocessed,
            Some(_) => Fault::After(failure.clone()),
        }
    })
}

/// The changes of some of the items, as one shard has them, some of them twice.
fn shard(history: &History, parity: u8) -> Vec<Value> {
    let stream = history.source.stream();
    let items = history.source.steps.iter().map(|(item, _)| item % 2);
    let records = stream.into_iter().zip(items).enumerate().filter(|(_, (_, item))| *item == parity);
    let twice = |n| if history.doubled.contains(&n) { 2 } else { 1 };
    records.flat_map(|(n, (record, _))| vec![record; twice(n)]).collect()
}

/// Workers of two shards, a late one and a backfill, side by side; each has a function of its own. Answers with how many
/// rows were asked for.
async fn play(history: &History) -> Result<usize, TestCaseError> {
    let known = Arc::default();
    let table = Arc::new(faulty(&history.faults, &known));
    let stream = history.source.stream();
    let live = async |parity| drain(&both(&table, history.shards), &shard(history, parity), &history.sizes).await;
    let late = async {
        for (from, count) in &history.late {
            let from = from % stream.len();
            dispatch(&both(&table, history.shards), &stream[from..stream.len().min(from + count)]).await;
        }
    };
    let backfill = async {
        for n in history.scans.iter().map(|n| n % (stream.len() + 1)).chain([0]) {
            drain(&both(&table, history.shards), &history.source.snapshot(n), &history.sizes).await;
        }
    };
    futures_util::join!(live(0), live(1), late, backfill);
    for (from, count) in &history.late {
        let from = from % stream.len();
        drain(&both(&table, history.shards), &stream[from..stream.len().min(from + count)], &[100]).await;
    }
    known.mended.store(true, Relaxed);
    check(history, &table).await?;
    Ok(known.asked.load(Relaxed))
}

async fn check(history: &History, table: &Arc<Memory>) -> Result<(), TestCaseError> {
    let expected = history.source.table(history.source.steps.len());
    let reader = aggregate(Arc::clone(table)).shards(history.shards).reader();
    prop_assert_eq!(stored_groups(&reader, GROUPS).await, expected_groups(&expected), "view = table");
    prop_assert_eq!(stored_rows(table), expected_rows(&expected), "projection = table");
    prop_assert_eq!(entries(table), expected.len() * 3, "one entry for each minimum, maximum and last");
    let odd: i64 = expected.values().map(|state| state.1).filter(|amount| amount % 2 != 0).sum();
    let total = reader.read("TOTAL", "ODD").await.expect("a readable view");
    prop_assert_eq!(total.map_or(0.into(), |row| row.number("sum")), odd.into());
    Ok(())
}

#[test]
fn every_history_ends_with_the_view_of_the_table() {
    each_history(20_000, history, |history| {
        let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        clock.expect("a runtime").block_on(play(&history)).map(drop)
    });
}

/// A crash before and after every single row that is written or read, one at a time.
#[tokio::test(start_paused = true)]
async fn a_crash_at_every_place_changes_nothing() {
    let some = |group, amount, stamp| Some((group, amount, stamp));
    let steps = vec![
        (0, some(0, 5, 1)),
        (1, some(0, 7, 2)),
        (2, some(1, 3, 0)),
        (0, some(1, 9, 3)),
        (1, None),
        (3, some(0, -4, 1)),
        (1, some(0, 6, 0)),
        (2, some(1, 2, 2)),
        (0, None),
    ];
    let source = Source { initial: [(4, (1, 8, 1))].into(), steps };
    let history =
        History { source, shards: 1, sizes: vec![3], faults: vec![], late: vec![], scans: vec![4], doubled: vec![] };
    let asked = play(&history).await.expect("nothing goes wrong");
    assert!(asked > 100, "{asked} rows");
    for (fault, at) in (0..6).flat_map(|fault| (0..asked).map(move |at| (fault, at))) {
        let history = History { faults: vec![(at, fault)], ..history.clone() };
        if let Err(error) = play(&history).await {
            panic!("fault {fault} at {at}: {error}");
        }
    }
}
