//! Histories: what the table goes through, how it is delivered, and what must be in the indexes at the end.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anabranch::{
    dispatch::Dispatcher,
    handler::{Context, Deadline},
    record::NewAndOldImages,
    router::Router,
    search::{Search, Tombstones},
    sink::index::Index,
};
use proptest::prelude::*;

use crate::{
    support::{Row, Step, expected, number, payload, snapshot},
    watched::Watched,
};

/// What happens to the table, and on the way from there.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) steps: Vec<Step>,
    /// Records per delivery.
    pub(crate) batch: usize,
    /// Operations per request.
    pub(crate) operations: usize,
    pub(crate) concurrency: usize,
    /// The index is chosen by the item.
    pub(crate) moves: bool,
    /// Deletes leave tombstones, and late workers are about.
    pub(crate) buries: bool,
    /// After which delivery the stream begins again at an earlier record.
    pub(crate) rewinds: Vec<(usize, usize)>,
    /// Beside which delivery a late worker plays an old batch: its first record and its size.
    pub(crate) late: Vec<(usize, usize, usize)>,
    /// Beside which delivery rows of a scan come, and after how many changes it read the table: before or after what was delivered.
    pub(crate) scans: Vec<(usize, usize)>,
}

pub(crate) fn history() -> impl Strategy<Value = History> {
    let step = (0_u8..4, proptest::option::weighted(0.7, 0_u64..12)).prop_map(|(item, value)| Step { item, value });
    let steps = proptest::collection::vec(step, 1..30);
    (steps, 1_usize..12, 1_usize..5, 1_usize..4, any::<bool>(), any::<bool>()).prop_flat_map(
        |(steps, batch, operations, concurrency, moves, buries)| {
            let count = steps.len();
            let rewinds = proptest::collection::vec((0_usize..12, 0..count), 0..3);
            let late = proptest::collection::vec((0_usize..12, 0..count, 1_usize..12), 0..if buries { 4 } else { 1 });
            let scans = proptest::collection::vec((0_usize..12, 0..=count), 0..if buries { 3 } else { 1 });
            (rewinds, late, scans).prop_map(move |(rewinds, late, scans)| History {
                steps: steps.clone(),
                batch,
                operations,
                concurrency,
                moves,
                buries,
                rewinds,
                late,
                scans,
            })
        },
    )
}

#[derive(serde::Serialize)]
struct Found {
    key: String,
    value: u64,
}

/// Every fifth value is not to be found.
fn found(row: &Row) -> Option<Found> {
    (!row.value.is_multiple_of(5)).then(|| Found { key: row.key.clone(), value: row.value })
}

fn index_of(history: &History, value: u64) -> String {
    if history.moves { format!("rows-{}", value % 3) } else { "rows".to_owned() }
}

/// What the indexes must hold: index, key and value of every row that is to be found.
pub(crate) fn wanted(history: &History) -> BTreeSet<(String, String, u64)> {
    let rows = expected(&history.steps, &Default::default());
    let found = rows.into_iter().filter(|(_, value)| !value.is_multiple_of(5));
    found.map(|(item, value)| (index_of(history, value), format!("item-{item}"), value)).collect()
}

pub(crate) fn dispatcher(history: &History, server: impl Index) -> Dispatcher {
    let tombstones = if history.buries { Tombstones::Keep } else { Tombstones::None };
    let search = Search::new(server, "rows", found)
        .tombstones(tombstones)
        .request_operations(history.operations)
        .concurrency(history.concurrency);
    let router = Router::<NewAndOldImages>::new();
    Dispatcher::new(if history.moves {
        router.every(search.index_by(|row: &Row| format!("rows-{}", row.value % 3)))
    } else {
        router.every(search)
    })
}

/// One delivery; where Lambda delivers from next. A worker that does not answer in time has crashed: `from` again.
async fn deliver(dispatcher: &Dispatcher, history: &History, from: usize, size: usize, patience: Duration) -> usize {
    let end = history.steps.len().min(from + size);
    let context = Context { deadline: Deadline::NEVER, ..Context::default() };
    let batch = payload(&history.steps[..end], from);
    match tokio::time::timeout(patience, dispatcher.dispatch(batch, &context)).await {
        Err(_) => from,
        Ok(report) => {
            let report = report.expect("a stream event");
            report.unfinished.as_ref().map_or(end, |unfinished| number(&unfinished.sequence_number))
        }
    }
}

/// The rows of a scan that read the table after so many changes; those that do not arrive are in the stream as well.
async fn scan(dispatcher: &Dispatcher, history: &History, changes: usize, patience: Duration) {
    let rows = expected(&history.steps[..changes], &Default::default()).into_iter();
    let rows: Vec<_> = rows.map(|(item, value)| snapshot(changes, item, value)).collect();
    let batch = serde_json::json!({ "Records": rows }).to_string();
    _ = tokio::time::timeout(patience, dispatcher.dispatch(batch, &Context::default())).await;
}

/// Plays a history until Lambda is content. Answers with how often two requests of one worker met at a document.
pub(crate) async fn play<I: Index>(history: &History, server: Arc<I>, patience: Duration) -> usize {
    let watched = Arc::new(Watched::new(Arc::clone(&server)));
    let live = dispatcher(history, Arc::clone(&watched));
    let mut rewinds = history.rewinds.clone();
    let (mut from, mut deliveries) = (0, 0);
    while from < history.steps.len() {
        assert!(deliveries < 5_000, "no progress at {from}");
        let late = history.late.iter().filter(|(beside, ..)| history.buries && *beside == deliveries);
        let late = late.map(|(_, first, size)| {
            // Only what has been delivered can come late.
            let (first, size) = (*first.min(&from), *size.min(&(from + history.batch).saturating_sub(*first).max(1)));
            let server = Arc::clone(&server);
            async move { deliver(&dispatcher(history, server), history, first, size, patience).await }
        });
        let late = futures_util::future::join_all(late);
        let scans = history.scans.iter().filter(|(beside, _)| history.buries && *beside == deliveries);
        let scans = scans.map(|(_, changes)| {
            let server = Arc::clone(&server);
            async move { scan(&dispatcher(history, server), history, *changes, patience).await }
        });
        let scans = futures_util::future::join_all(scans);
        let (next, ..) = tokio::join!(deliver(&live, history, from, history.batch, patience), late, scans);
        from = next;
        if let Some(at) = rewinds.iter().position(|(after, to)| *after == deliveries && *to < from) {
            from = rewinds.swap_remove(at).1;
        }
        deliveries += 1;
    }
    for (_, first, size) in history.late.iter().filter(|_| history.buries) {
        deliver(&dispatcher(history, Arc::clone(&server)), history, *first, *size, patience).await;
    }
    for (_, changes) in history.scans.iter().filter(|_| history.buries) {
        scan(&dispatcher(history, Arc::clone(&server)), history, *changes, patience).await;
    }
    watched.beside()
}
