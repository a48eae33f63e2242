//! On an index in memory, on virtual time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Deadline, Skip},
    record::{Item, NewAndOldImages},
    router::Router,
    search::{Search, Tombstones, all_attributes},
    sink::{
        dead_letter,
        index::{Asked, Created, Fault, Index, IndexError, Memory, Operation},
    },
};
use proptest::prelude::*;

use crate::{
    play::{History, dispatcher, history, play, wanted},
    support::{Row, Step, payload, record, seeds::each_history},
    watched::Watched,
};

/// What becomes of the `n`-th request or operation; those behind the last go well.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    Before,
    After,
    DeniedBefore,
    DeniedAfter,
    Hang,
}

fn troubles() -> impl Strategy<Value = Vec<Trouble>> {
    let trouble = prop_oneof![
        4 => Just(Trouble::None),
        1 => Just(Trouble::Before),
        1 => Just(Trouble::After),
        1 => Just(Trouble::DeniedBefore),
        1 => Just(Trouble::DeniedAfter),
        1 => Just(Trouble::Hang),
    ];
    proptest::collection::vec(trouble, 0..12)
}

fn fault(trouble: Option<&Trouble>, failure: &IndexError) -> Fault {
    let denied = || IndexError::Denied { server: "search".into(), source: Arc::from(Box::from("told to deny")) };
    match trouble {
        None | Some(Trouble::None) => Fault::None,
        Some(Trouble::Before) => Fault::Before(failure.clone()),
        Some(Trouble::After) => Fault::After(failure.clone()),
        Some(Trouble::DeniedBefore) => Fault::Before(denied()),
        Some(Trouble::DeniedAfter) => Fault::After(denied()),
        Some(Trouble::Hang) => Fault::Hang,
    }
}

fn server(requests: Vec<Trouble>, operations: Vec<Trouble>) -> Arc<Memory> {
    let server = Memory::new("search");
    let failure = server.failure();
    let (mut request, mut operation) = (requests.into_iter(), operations.into_iter());
    Arc::new(server.with_faults(move |asked| match asked {
        Asked::Bulk(_) => fault(request.next().as_ref(), &failure),
        Asked::Operation(_) => fault(operation.next().as_ref(), &failure),
        _ => Fault::None,
    }))
}

fn held(server: &Memory) -> BTreeSet<(String, String, u64)> {
    let documents = server.documents().into_iter();
    let row = |(index, document): (String, anabranch::sink::index::Document)| {
        let key = document["key"].as_str().expect("a key").to_owned();
        (index, key, document["value"].as_u64().expect("a value"))
    };
    documents.map(row).collect()
}

fn on_virtual_time<R>(test: impl Future<Output = R>) -> R {
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a runtime").block_on(test)
}

/// With those over HTTP 20,000.
#[test]
fn every_history_ends_with_the_indexes_as_the_table() {
    let histories = || (history(), troubles(), troubles());
    each_history(19_850, histories, |(history, requests, operations)| {
        let server = server(requests, operations);
        let beside = on_virtual_time(play(&history, Arc::clone(&server), Duration::from_secs(600)));
        prop_assert_eq!(beside, 0, "never two requests for one document");
        prop_assert_eq!(held(&server), wanted(&history));
        Ok(())
    });
}

fn put(item: u8, value: u64) -> Step {
    Step { item, value: Some(value) }
}

fn remove(item: u8) -> Step {
    Step { item, value: None }
}

fn plain(steps: Vec<Step>) -> History {
    History {
        batch: steps.len(),
        steps,
        operations: 1_000,
        concurrency: 4,
        moves: false,
        buries: false,
        rewinds: Vec::new(),
        scans: Vec::new(),
        late: Vec::new(),
    }
}

async fn dispatch(dispatcher: &Dispatcher, steps: &[Step]) -> BatchReport {
    dispatcher.dispatch(payload(steps, 0), &Context::default()).await.expect("a stream event")
}

#[tokio::test]
async fn many_changes_are_few_operations_in_one_request() {
    let operations = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&operations);
    let memory = Memory::new("search").with_faults(move |asked| {
        counted.fetch_add(usize::from(matches!(asked, Asked::Operation(_))), Ordering::Relaxed);
        Fault::None
    });
    let server = Arc::new(Watched::new(memory));
    let history = plain((0..900).map(|n| put(n as u8 % 200, u64::try_from(n).expect("small") * 5 + 1)).collect());
    let report = dispatch(&dispatcher(&history, server.clone()), &history.steps).await;
    assert_eq!((report.applied, report.read), (900, 900), "each change has the verdict of its operation");
    assert_eq!((server.requests(), operations.load(Ordering::Relaxed)), (1, 200));
}

#[tokio::test]
async fn a_replayed_batch_is_stale() {
    let server = Arc::new(Memory::new("search"));
    let history = plain(vec![put(0, 1), put(1, 2), put(0, 3)]);
    let dispatcher = dispatcher(&history, server.clone());
    assert_eq!(dispatch(&dispatcher, &history.steps).await.applied, 3);
    let report = dispatch(&dispatcher, &history.steps).await;
    assert_eq!(report.skipped.get(&Skip::Stale), Some(&3));
}

#[tokio::test]
async fn a_late_put_comes_back_without_tombstones_and_does_not_with_them() {
    for buries in [false, true] {
        let server = Arc::new(Memory::new("search"));
        let history = History { buries, ..plain(vec![put(0, 1), remove(0)]) };
        let dispatcher = dispatcher(&history, server.clone());
        dispatch(&dispatcher, &history.steps).await;
        dispatch(&dispatcher, &history.steps[..1]).await;
        assert_eq!(held(&server).is_empty(), buries, "the caveat of the chapter, and its remedy");
    }
}

#[tokio::test]
async fn an_item_that_moves_is_in_one_index() {
    let server = Arc::new(Memory::new("search"));
    let history = History { moves: true, ..plain(vec![put(0, 1), put(0, 2), put(1, 1)]) };
    for steps in [&history.steps[..1], &history.steps[..]] {
        dispatch(&dispatcher(&history, server.clone()), steps).await;
    }
    let expected = [("rows-1", "item-1", 1), ("rows-2", "item-0", 2)];
    assert_eq!(held(&server), expected.map(|(index, key, value)| (index.into(), key.into(), value)).into());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_strikes_in_the_middle_of_a_batch() {
    let hangs = AtomicUsize::new(0);
    let memory = Memory::new("search").with_faults(move |asked| match asked {
        Asked::Bulk(_) if hangs.fetch_add(1, Ordering::Relaxed) == 1 => Fault::Hang,
        _ => Fault::None,
    });
    let history = History { operations: 2, concurrency: 1, ..plain((0..8).map(|n| put(n, 1)).collect()) };
    let dispatcher = dispatcher(&history, memory);
    let (time, began) = (Duration::from_secs(10), tokio::time::Instant::now());
    let context = Context { deadline: Deadline::after(time), ..Context::default() };
    let report = dispatcher.dispatch(payload(&history.steps, 0), &context).await.expect("a stream event");
    assert!(began.elapsed() < time, "the invocation answers in time");
    assert_eq!((report.applied, report.redelivered), (2, 6), "what was done before it is a checkpoint");
    let cause = report.unfinished.expect("the change that hung").cause.to_string();
    assert!(cause.contains("no answer from search server `search` before the deadline"), "{cause}");
}

/// A document that the index refuses, with an earlier change of its item and a neighbour in the batch.
#[tokio::test]
async fn a_document_that_does_not_fit_is_rejected_alone() {
    let refused = |operation: &Operation| operation.version().ends_with("14");
    let memory = Memory::new("search").with_faults(move |asked| match asked {
        Asked::Operation(operation) if refused(operation) => Fault::Before(IndexError::Refused {
            server: "search".into(),
            index: "rows".into(),
            source: Arc::from(Box::from("field `value` of type `keyword`")),
        }),
        _ => Fault::None,
    });
    let (server, dead) = (Arc::new(memory), Arc::new(dead_letter::Memory::default()));
    let search = Search::new(server.clone(), "rows", all_attributes);
    let dispatcher = Dispatcher::with_dead_letters(Router::<NewAndOldImages>::new().every(search), dead.clone());
    let steps = [put(0, 1), put(1, 5), put(0, 2)];
    let report = dispatcher.dispatch(payload(&steps, 0), &Context::default()).await.expect("a stream event");
    assert_eq!((report.unfinished, report.dead_lettered, report.applied), (None, 1, 2));
    let values: BTreeMap<_, _> =
        server.documents().into_iter().map(|(_, row)| (row["PK"].to_string(), row["value"].clone())).collect();
    assert_eq!(values, BTreeMap::from([("\"item-0\"".into(), 1.into()), ("\"item-1\"".into(), 5.into())]));
    let letters = dead.letters();
    assert!(letters[0].reason.contains("refuses the document for index `rows`"), "{}", letters[0].reason);
}

async fn one_bad_item(search: impl Fn(Arc<Memory>) -> Router<NewAndOldImages>) -> (BatchReport, Vec<String>) {
    let (server, dead) = (Arc::new(Memory::new("search")), Arc::new(dead_letter::Memory::default()));
    let dispatcher = Dispatcher::with_dead_letters(search(server.clone()), dead.clone());
    let report = dispatch(&dispatcher, &[put(0, 1), put(1, 666)]).await;
    assert_eq!(server.documents().len(), 1, "the neighbour is there");
    (report, dead.letters().into_iter().map(|letter| letter.reason).collect())
}

#[tokio::test]
async fn a_duplicate_behind_a_later_change_is_not_the_last_word() {
    let records = [record(0, &put(0, 1), None), record(1, &put(0, 2), Some(1)), record(0, &put(0, 1), None)];
    let batch = serde_json::json!({ "Records": records }).to_string();
    let server = Arc::new(Memory::new("search"));
    let router = Router::<NewAndOldImages>::new().every(Search::new(server.clone(), "rows", all_attributes));
    let report = Dispatcher::new(router).dispatch(batch, &Context::default()).await.expect("a stream event");
    assert_eq!(report.applied, 3);
    assert_eq!(server.documents()[0].1["value"], 2);
}

#[tokio::test]
async fn items_that_make_no_document_are_rejected_with_the_reason() {
    let by_shape = |server| {
        let shape = |row: &Row| {
            Some(if row.value == 666 {
                serde_json::json!([row.value])
            } else {
                serde_json::json!({"value": row.value})
            })
        };
        Router::new().every(Search::new(server, "rows", shape))
    };
    let (report, reasons) = one_bad_item(by_shape).await;
    assert_eq!((report.unfinished, report.dead_lettered), (None, 1));
    assert!(reasons[0].contains("no JSON object") && !reasons[0].contains("666"), "{reasons:?}");
    let by_name = |server| {
        let search = Search::new(server, "rows", |row: &Row| Some(serde_json::json!({"value": row.value})));
        Router::new().every(search.index_by(|row: &Row| if row.value == 666 { "SECRET".into() } else { "rows".into() }))
    };
    let (report, reasons) = one_bad_item(by_name).await;
    assert_eq!((report.unfinished, report.dead_lettered), (None, 1));
    assert!(reasons[0].contains("index name") && !reasons[0].contains("SECRET"), "{reasons:?}");
}

#[tokio::test]
async fn a_panic_is_that_records_failure() {
    let server = Arc::new(Memory::new("search"));
    let shape = |row: &Row| {
        assert!(row.value != 666, "planned panic");
        Some(serde_json::json!({"value": row.value}))
    };
    let router = Router::<NewAndOldImages>::new().every(Search::new(server.clone(), "rows", shape));
    let report = dispatch(&Dispatcher::new(router), &[put(0, 1), put(1, 666), put(2, 3)]).await;
    assert_eq!((report.applied, report.redelivered), (1, 2));
    assert!(report.unfinished.expect("the second").cause.to_string().contains("panicked"));
}

#[tokio::test]
async fn a_record_without_keys_is_rejected_alone() {
    let mut keyless = record(0, &put(0, 1), None);
    keyless["dynamodb"].as_object_mut().expect("an object").remove("Keys");
    let batch = serde_json::json!({ "Records": [keyless, record(1, &put(1, 5), None)] }).to_string();
    let (server, dead) = (Arc::new(Memory::new("search")), Arc::new(dead_letter::Memory::default()));
    let router = Router::<NewAndOldImages>::new().every(Search::new(server.clone(), "rows", all_attributes));
    let report = Dispatcher::with_dead_letters(router, dead.clone()).dispatch(batch, &Context::default()).await;
    assert_eq!(report.expect("a stream event").dead_lettered, 1);
    assert!(dead.letters()[0].reason.contains("no `Keys`"));
    assert_eq!(server.documents().len(), 1);
}

#[tokio::test]
async fn indexes_are_made_once_and_a_failure_to_loses_nothing() {
    let creates = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&creates);
    let memory = Memory::new("search");
    let failure = memory.failure();
    let server = Arc::new(memory.with_faults(move |asked| match asked {
        Asked::Create(index) => {
            let mut seen = seen.lock().expect("no panic under the lock");
            seen.push(index.to_owned());
            if seen.len() == 1 { Fault::Before(failure.clone()) } else { Fault::None }
        }
        _ => Fault::None,
    }));
    let search = Search::new(server.clone(), "rows", |item: &Item| all_attributes(item));
    let search = search.tombstones(Tombstones::Keep).creating(serde_json::json!({"settings": {"number_of_shards": 1}}));
    let dispatcher = Dispatcher::new(Router::<NewAndOldImages>::new().every(search));
    let report = dispatch(&dispatcher, &[put(0, 1)]).await;
    assert!(report.unfinished.expect("the first").cause.to_string().contains("index `rows` could not be made"));
    assert!(server.documents().is_empty());
    for _ in 0..2 {
        dispatch(&dispatcher, &[put(0, 1), put(1, 2)]).await;
    }
    assert_eq!(*creates.lock().expect("no panic under the lock"), ["rows", "rows"]);
    let body = anabranch::sink::index::Document::new();
    assert_eq!(server.create("rows", &body).await.expect("an index"), Created::Existed);
}

#[test]
#[should_panic(expected = "`Pets` is no legal index name")]
fn an_illegal_index_name_is_seen_at_once() {
    Search::new(Memory::new("search"), "Pets", all_attributes);
}
