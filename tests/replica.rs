//! The replica against a model of Lambda's rule: whatever goes wrong on the way, the target ends as the source.

mod support;

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Deadline, Skip},
    record::NewAndOldImages,
    replica::Replica,
    router::Router,
    sink::{
        dead_letter,
        table::{AttributeValue, Fault, Item, Memory, Table, TableError, item, text},
    },
};
use proptest::prelude::*;
use support::{Step, expected, number, payload, record, table::Watched};

fn put(item: u8, value: u64) -> Step {
    Step { item, value: Some(value) }
}

fn remove(item: u8) -> Step {
    Step { item, value: None }
}

/// The table's key, as the stream of the small world has it.
fn memory() -> Memory {
    Memory::new("Replica", ["PK"])
}

fn dispatcher(replica: Replica) -> Dispatcher {
    Dispatcher::new(Router::<NewAndOldImages>::new().every(replica))
}

fn failure() -> TableError {
    memory().failure()
}

/// No fault for the first `n` requests, then one.
fn fault_after(n: usize, fault: Fault) -> Vec<Fault> {
    let mut faults = vec![Fault::None; n];
    faults.push(fault);
    faults
}

/// The rows of a table as the model has them.
async fn rows(table: &dyn Table) -> BTreeMap<u8, u64> {
    let mut rows = BTreeMap::new();
    for item in 0..12 {
        let row = table.read(key(item)).await.expect("a readable table");
        if let Some(AttributeValue::N(value)) = row.as_ref().and_then(|row| row.get("value")) {
            rows.insert(item, value.parse().expect("a small number"));
        }
    }
    rows
}

fn key(number: u8) -> Item {
    item([("PK", text(format!("item-{number}")))])
}

fn done(steps: &[Step]) -> BTreeMap<u8, u64> {
    expected(steps, &HashSet::new())
}

/// Delivers a batch of at most `size` from `from` on, and answers with where Lambda delivers from next.
async fn deliver(
    dispatcher: &Dispatcher,
    steps: &[Step],
    from: usize,
    size: usize,
    time: Option<Duration>,
) -> (BatchReport, usize) {
    let end = steps.len().min(from + size);
    let context = Context { deadline: time.map_or(Deadline::NEVER, Deadline::after), ..Context::default() };
    let report = dispatcher.dispatch(payload(&steps[..end], from), &context).await.expect("a stream event");
    let next = report.unfinished.as_ref().map_or(end, |unfinished| number(&unfinished.sequence_number));
    (report, next)
}

/// Delivers batch after batch until Lambda would be content; answers with every batch's first change.
async fn until_done(dispatcher: &Dispatcher, steps: &[Step], size: usize) -> Vec<usize> {
    let (mut from, mut firsts) = (0, Vec::new());
    while from < steps.len() {
        firsts.push(from);
        assert!(firsts.len() < 1_000, "no progress: {firsts:?}");
        from = deliver(dispatcher, steps, from, size, None).await.1;
    }
    firsts
}

/// Writes v1, v2, v3 of one item; v2 fails once; after redelivery the target holds v3.
async fn named_regression(table: impl Table, fault: Fault) {
    let table = Arc::new(Watched::new(table, fault_after(1, fault)));
    let steps = [put(0, 1), put(0, 2), put(0, 3)];
    let firsts = until_done(&dispatcher(Replica::new(table.clone())), &steps, 1).await;
    assert_eq!(firsts, [0, 1, 1, 2]);
    assert_eq!(rows(&table).await, BTreeMap::from([(0, 3)]));
}

/// The same with two items interleaved.
async fn interleaved_regression(table: impl Table, size: usize, write: usize) {
    let table = Arc::new(Watched::new(table, fault_after(write, Fault::Before(failure()))));
    let steps = [put(0, 1), put(1, 10), put(0, 2), put(1, 20), put(0, 3), put(1, 30)];
    until_done(&dispatcher(Replica::new(table.clone())), &steps, size).await;
    assert_eq!(rows(&table).await, done(&steps), "size {size}, write {write}");
}

/// Whole batches come again, and the worker of a timed-out invocation writes its old batch after all is done.
async fn stale_batches(table: impl Table) {
    let table = Arc::new(table);
    let steps = [put(0, 1), put(1, 10), put(0, 2), put(1, 20), put(0, 3), put(2, 7), remove(2)];
    let live = dispatcher(Replica::new(table.clone()));
    until_done(&live, &steps, 3).await;
    assert_eq!(rows(&table).await, done(&steps));
    for old in 0..5 {
        let late = dispatcher(Replica::new(table.clone()));
        let (report, _) = deliver(&late, &steps[..=old], 0, 7, None).await;
        assert_eq!(report.skipped.get(&Skip::Stale), Some(&(old + 1)));
        assert_eq!(rows(&table).await, done(&steps), "after a replay up to {old}");
    }
}

#[tokio::test]
async fn v2_fails_once_and_v3_is_what_remains() {
    named_regression(memory(), Fault::Before(failure())).await;
    named_regression(memory(), Fault::After(failure())).await;
}

#[tokio::test]
async fn v2_fails_once_among_two_items_interleaved() {
    for size in 1..=6 {
        for write in 0..6 {
            interleaved_regression(memory(), size, write).await;
        }
    }
}

#[tokio::test]
async fn duplicates_and_late_workers_are_stale() {
    stale_batches(memory()).await;
}

#[tokio::test]
async fn changes_of_one_item_are_one_write() {
    for (replica, requests) in [(Replica::new as fn(_) -> _, 3), (Replica::plain, 1)] {
        let table = Arc::new(Watched::new(memory(), Vec::new()));
        let steps = [put(0, 1), put(1, 10), put(0, 2), remove(1), put(0, 3), put(2, 5)];
        let (report, _) = deliver(&dispatcher(replica(table.clone())), &steps, 0, 6, None).await;
        assert_eq!((report.applied, report.read), (6, 6), "each change has the verdict of its write");
        assert_eq!(table.requests(), requests);
        assert_eq!(rows(&table).await, BTreeMap::from([(0, 3), (2, 5)]));
    }
}

#[tokio::test]
async fn a_failed_write_is_a_retry_of_all_changes_in_it() {
    let table = Watched::new(memory(), fault_after(0, Fault::Before(failure())));
    let steps = [put(0, 1), put(1, 10), put(0, 2)];
    let (report, next) = deliver(&dispatcher(Replica::new(table)), &steps, 0, 3, None).await;
    assert_eq!((next, report.applied, report.redelivered), (0, 0, 3));
    let cause = report.unfinished.expect("the first change").cause.to_string();
    assert!(cause.contains("table `Replica`") && cause.contains("told to fail"), "{cause}");
}

#[tokio::test]
async fn rows_carry_their_version_unless_they_are_plain() {
    let row = async |replica: fn(Arc<Memory>) -> Replica| {
        let table = Arc::new(memory());
        deliver(&dispatcher(replica(table.clone())), &[put(0, 1)], 0, 1, None).await;
        table.read(key(0)).await.expect("a readable table").expect("a row")
    };
    let guarded = row(|table| Replica::new(table).version_attribute("v")).await;
    let plain = row(|table| Replica::plain(table).version_attribute("v")).await;
    assert!(matches!(&guarded["v"], AttributeValue::S(version) if version.contains("#t#2026-11-21T00:00:00.000#")));
    let mut rest = guarded.clone();
    rest.remove("v");
    assert_eq!(rest, plain);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_strikes_in_the_middle_of_a_batch() {
    let steps: Vec<_> = (0..20).map(|n| put(n % 10, u64::from(n))).collect();
    let hangs = Mutex::new(HashSet::from([key(4)["PK"].clone(), key(7)["PK"].clone()].map(|key| format!("{key:?}"))));
    let table = memory().with_faults(move |_, key| {
        let once = hangs.lock().expect("no panic under the lock").remove(&format!("{:?}", key["PK"]));
        if once { Fault::Hang } else { Fault::None }
    });
    let table = Arc::new(table);
    let dispatcher = dispatcher(Replica::new(table.clone()));
    let (time, began) = (Duration::from_secs(10), tokio::time::Instant::now());
    let (report, next) = deliver(&dispatcher, &steps, 0, 20, Some(time)).await;
    assert!(began.elapsed() < time, "the invocation answers in time");
    assert_eq!((next, report.applied), (4, 4), "what was done before it is a checkpoint");
    let cause = report.unfinished.expect("the change that hung").cause.to_string();
    assert!(cause.contains("no answer from table `Replica` before the deadline"), "{cause}");
    let (report, next) = deliver(&dispatcher, &steps, 4, 20, Some(time)).await;
    assert_eq!((next, report.redelivered), (20, 0));
    assert_eq!(rows(&table).await, done(&steps));
}

/// The second of three changes is too large for a row; the third comes in the same batch, or does not.
#[tokio::test]
async fn a_row_that_does_not_fit_is_rejected_alone() {
    let large = |n: usize, value: u64| {
        let mut record = record(n, &put(0, value), Some(value));
        record["dynamodb"]["NewImage"]["large"] = serde_json::json!({"S": "x".repeat(500_000)});
        record
    };
    let (first, neighbour, third) =
        (record(0, &put(0, 1), None), record(2, &put(1, 5), None), record(3, &put(0, 3), None));
    let cases = [
        (vec![first.clone(), large(1, 2), neighbour.clone()], 1, 1),
        (vec![first, large(1, 2), neighbour, third], 0, 3),
    ];
    for (records, letters, value) in cases {
        for replica in [Replica::new as fn(_) -> _, Replica::plain] {
            let (table, dead) = (Arc::new(memory()), Arc::new(dead_letter::Memory::default()));
            let router = Router::<NewAndOldImages>::new().every(replica(table.clone()));
            let dispatcher = Dispatcher::with_dead_letters(router, dead.clone());
            let batch = serde_json::json!({ "Records": records.clone() }).to_string();
            let report = dispatcher.dispatch(batch, &Context::default()).await.expect("a stream event");
            assert_eq!((report.unfinished, report.dead_lettered), (None, letters));
            assert_eq!(rows(&table).await, BTreeMap::from([(0, value), (1, 5)]), "the latest that fits");
            assert!(dead.letters().iter().all(|letter| letter.reason.contains("larger than the 400 KB")));
        }
    }
}

#[tokio::test]
async fn a_record_without_keys_is_rejected_alone() {
    let mut keyless = record(0, &put(0, 1), None);
    keyless["dynamodb"].as_object_mut().expect("an object").remove("Keys");
    let batch = serde_json::json!({ "Records": [keyless, record(1, &put(1, 5), None)] }).to_string();
    let (table, dead) = (Arc::new(memory()), Arc::new(dead_letter::Memory::default()));
    let router = Router::<NewAndOldImages>::new().every(Replica::new(table.clone()));
    let report = Dispatcher::with_dead_letters(router, dead.clone()).dispatch(batch, &Context::default()).await;
    assert_eq!(report.expect("a stream event").dead_lettered, 1);
    assert!(dead.letters()[0].reason.contains("no `Keys`"));
    assert_eq!(rows(&table).await, BTreeMap::from([(1, 5)]));
}

/// The same scenarios over the real API.
#[cfg(feature = "cli")]
mod embedded {
    use anabranch::{
        sink::table::DynamoDb,
        testing::embedded::{Embedded, EmbeddedError},
    };
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType::S,
    };

    use super::*;

    /// A table with the key of the small world.
    async fn create(embedded: &Embedded, name: &str) -> DynamoDb {
        let client = embedded.dynamodb();
        let attribute = AttributeDefinition::builder().attribute_name("PK").attribute_type(S).build();
        let key = KeySchemaElement::builder().attribute_name("PK").key_type(KeyType::Hash).build();
        let create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let create = create.attribute_definitions(attribute.expect("name and type"));
        create.key_schema(key.expect("name and kind")).send().await.expect("a new table");
        DynamoDb::new(client, name)
    }

    #[tokio::test]
    async fn v2_fails_once_and_v3_is_what_remains() -> Result<(), EmbeddedError> {
        let embedded = Embedded::start().await?;
        named_regression(create(&embedded, "Before").await, Fault::Before(failure())).await;
        named_regression(create(&embedded, "After").await, Fault::After(failure())).await;
        embedded.stop().await
    }

    #[tokio::test]
    async fn v2_fails_once_among_two_items_interleaved() -> Result<(), EmbeddedError> {
        let embedded = Embedded::start().await?;
        for size in 1..=6 {
            for write in 0..6 {
                let table = create(&embedded, &format!("Interleaved-{size}-{write}")).await;
                interleaved_regression(table, size, write).await;
            }
        }
        embedded.stop().await
    }

    #[tokio::test]
    async fn duplicates_and_late_workers_are_stale() -> Result<(), EmbeddedError> {
        let embedded = Embedded::start().await?;
        stale_batches(create(&embedded, "Stale").await).await;
        embedded.stop().await
    }

    #[tokio::test]
    async fn plain_batches_put_and_delete() -> Result<(), EmbeddedError> {
        let embedded = Embedded::start().await?;
        let table = Arc::new(Watched::new(create(&embedded, "Plain").await, Vec::new()));
        let steps: Vec<_> =
            (0..60).map(|n| if n % 7 == 3 { remove(n % 11) } else { put(n % 11, u64::from(n)) }).collect();
        until_done(&dispatcher(Replica::plain(table.clone())), &steps, 20).await;
        assert_eq!(rows(&table).await, done(&steps));
        assert_eq!(table.requests(), 3, "one request per batch");
        embedded.stop().await
    }

    #[tokio::test]
    async fn a_missing_target_loses_nothing() -> Result<(), EmbeddedError> {
        let embedded = Embedded::start().await?;
        let missing = DynamoDb::new(embedded.dynamodb(), "Later");
        let steps = [put(0, 1), put(1, 2)];
        let dispatcher = dispatcher(Replica::new(missing));
        let (report, next) = deliver(&dispatcher, &steps, 0, 2, None).await;
        let cause = report.unfinished.expect("the first change").cause.to_string();
        assert!(cause.contains("table `Later` does not exist; create it"), "{cause}");
        assert!(cause.contains("ResourceNotFoundException"), "{cause}");
        let table = create(&embedded, "Later").await;
        deliver(&dispatcher, &steps, next, 2, None).await;
        assert_eq!(rows(&table).await, done(&steps));
        embedded.stop().await
    }
}

fn steps(value: impl Strategy<Value = Option<u64>>) -> impl Strategy<Value = Vec<Step>> {
    let steps = proptest::collection::vec((0..4_u8, value), 1..30);
    steps.prop_map(|steps| steps.into_iter().map(|(item, value)| Step { item, value }).collect())
}

fn put_or_remove() -> impl Strategy<Value = Option<u64>> {
    proptest::option::weighted(0.8, 0..100_u64)
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        3 => Just(Fault::None),
        1 => Just(Fault::Before(failure())),
        1 => Just(Fault::After(failure())),
    ];
    proptest::collection::vec(fault, 0..12)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Random changes in batches of random size; any request may fail before or after its effect.
    #[test]
    fn the_target_ends_as_the_source(steps in steps(put_or_remove()), size in 1..12_usize, faults in faults(), plain: bool) {
        let table = Arc::new(Watched::new(memory(), faults));
        let replica = if plain { Replica::plain(table.clone()) } else { Replica::new(table.clone()) };
        let dispatcher = dispatcher(replica);
        let rows = block_on(async {
            until_done(&dispatcher, &steps, size).await;
            rows(&table).await
        });
        prop_assert_eq!(rows, done(&steps));
        prop_assert_eq!(table.beside(), 0, "never two requests of one item at a time");
    }

    /// Between deliveries, late workers replay any part of what was delivered before.
    #[test]
    fn late_workers_change_nothing(
        steps in steps((0..100_u64).prop_map(Some)),
        size in 1..8_usize,
        faults in faults(),
        replays in proptest::collection::vec((0..30_usize, 1..30_usize), 0..8),
    ) {
        let table = Arc::new(Watched::new(memory(), faults));
        let dispatcher = dispatcher(Replica::new(table.clone()));
        let rows = block_on(async {
            let (mut from, mut replays) = (0, replays.into_iter());
            while from < steps.len() {
                from = deliver(&dispatcher, &steps, from, size, None).await.1;
                if let Some((start, length)) = replays.next() && start < from {
                    deliver(&dispatcher, &steps[..from], start, length, None).await;
                }
            }
            rows(&table).await
        });
        prop_assert_eq!(rows, done(&steps));
    }

    /// Rows of a plain batch come back unprocessed at random: none is lost.
    #[test]
    fn unprocessed_rows_are_not_lost(steps in steps(put_or_remove()), size in 1..30_usize, unprocessed in proptest::collection::vec(any::<bool>(), 0..40)) {
        let mut unprocessed = unprocessed.into_iter();
        let left = move || unprocessed.next().unwrap_or_default();
        let left = Mutex::new(left);
        let table = Arc::new(memory().with_faults(move |_, _| {
            if left.lock().expect("no panic under the lock")() { Fault::Unprocessed } else { Fault::None }
        }));
        let dispatcher = dispatcher(Replica::plain(table.clone()));
        let rows = block_on(async {
            until_done(&dispatcher, &steps, size).await;
            rows(&table).await
        });
        prop_assert_eq!(rows, done(&steps));
    }
}
