//! What a replica can be told, and what it says of input that it cannot use.

mod support;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Failure, HandlerExt, Skip},
    record::{NewAndOldImages, NewImage},
    replica::{IntoRow, Replica, Shape, Tombstones, is_tombstone},
    router::Router,
    sink::{
        dead_letter,
        table::{AttributeValue, Fault, Item, Memory, Operation, RowWrite, Table, TableError, item, text},
    },
};
use serde_json::{Value, json};
use support::{Step, record};

fn key(n: u8) -> Item {
    item([("PK", text(format!("item-{n}")))])
}

fn row(n: u8, value: u64) -> Item {
    let number = AttributeValue::N(value.to_string());
    item([("PK", text(format!("item-{n}"))), ("value", number), ("entityType", text("ROW"))])
}

fn memory(name: &str) -> Arc<Memory> {
    Arc::new(Memory::new(name, ["PK"]))
}

fn put(n: usize, item: u8, value: u64, old: Option<u64>) -> Value {
    record(n, &Step { item, value: Some(value) }, old)
}

fn remove(n: usize, item: u8) -> Value {
    record(n, &Step { item, value: None }, Some(0))
}

fn expired(n: usize, item: u8) -> Value {
    let mut record = remove(n, item);
    record["userIdentity"] = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    record
}

/// A row as a scan finds it at a time in microseconds.
fn scanned(item: u8, value: u64, read_at: u64) -> Value {
    let mut row = put(0, item, value, None);
    row["eventSource"] = "anabranch:snapshot".into();
    row["dynamodb"]["SequenceNumber"] = read_at.to_string().into();
    row
}

fn dispatcher(replica: Replica) -> Dispatcher {
    Dispatcher::new(Router::<NewAndOldImages>::new().every(replica))
}

async fn dispatch(dispatcher: &Dispatcher, records: &[Value]) -> BatchReport {
    let payload = json!({ "Records": records }).to_string();
    dispatcher.dispatch(payload, &Context::default()).await.expect("a stream event")
}

/// Delivers to a replica that buries what it rejects; answers with the reasons.
async fn rejects(replica: Replica, records: &[Value]) -> (BatchReport, Vec<String>) {
    let dead = Arc::new(dead_letter::Memory::default());
    let router = Router::<NewAndOldImages>::new().every(replica);
    let report = dispatch(&Dispatcher::with_dead_letters(router, dead.clone()), records).await;
    (report, dead.letters().iter().map(|letter| letter.reason.clone()).collect())
}

fn cause(report: &BatchReport) -> String {
    report.unfinished.as_ref().expect("an unfinished record").cause.to_string()
}

/// The value of a row, unless it is not there or a tombstone.
async fn value(table: &dyn Table, n: u8) -> Option<u64> {
    let row = table.read(key(n)).await.expect("a readable table").filter(|row| !is_tombstone(row))?;
    let AttributeValue::N(value) = &row["value"] else { panic!("a number") };
    value.parse().ok()
}

fn wants_even(row: &Item) -> bool {
    matches!(row.get("value"), Some(AttributeValue::N(value)) if value.parse::<u64>().is_ok_and(|value| value % 2 == 0))
}

#[tokio::test]
async fn rows_take_the_shape_that_is_asked_for() {
    for plain in [false, true] {
        let target = memory("Target");
        let replica = if plain { Replica::plain(target.clone()) } else { Replica::new(target.clone()) };
        let shape = Shape::new().drop("entityType").rename("value", "amount").mask("amount", text("***"));
        dispatch(&dispatcher(replica.shape(shape)), &[put(0, 1, 5, None)]).await;
        let mut row = target.read(key(1)).await.expect("a readable table").expect("a row");
        row.remove("anabranchVersion");
        assert_eq!(row, item([("PK", text("item-1")), ("amount", text("***"))]));
    }
}

#[tokio::test]
async fn an_item_that_is_wanted_no_more_is_deleted() {
    let target = memory("Target");
    let even = dispatcher(Replica::new(target.clone()).shape(Shape::new().only_if(wants_even)));
    dispatch(&even, &[put(0, 1, 2, None), put(1, 2, 4, None)]).await;
    let report = dispatch(&even, &[put(2, 1, 3, Some(2)), put(3, 2, 6, Some(4))]).await;
    assert_eq!((report.applied, value(&target, 1).await, value(&target, 2).await), (2, None, Some(6)));
    dispatch(&even, &[put(4, 1, 8, Some(3))]).await;
    assert_eq!(value(&target, 1).await, Some(8), "and comes back when it is wanted again");
}

#[tokio::test]
async fn a_new_item_that_nobody_wants_costs_no_request() {
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let target = Memory::new("Target", ["PK"]).with_faults(move |_, _| {
        *counted.lock().expect("no panic under the lock") += 1;
        Fault::None
    });
    let even = dispatcher(Replica::new(target).shape(Shape::new().only_if(wants_even)));
    let report = dispatch(&even, &[put(0, 1, 3, None), put(1, 2, 5, None), put(2, 3, 7, Some(1))]).await;
    assert_eq!(report.skipped.get(&Skip::Filtered), Some(&2));
    assert_eq!(*asked.lock().expect("no panic under the lock"), 1, "what was modified may be there");
}

/// Every row of a full export or a scan is an insert, and what the target has of it may be of any time before.
#[tokio::test]
async fn a_row_of_a_snapshot_that_is_wanted_no_more_is_deleted() {
    for tombstones in [true, false] {
        let (source, target) = (source(&[row(1, 2), row(2, 4), row(3, 6)]).await, memory("Target"));
        let kind = |replica: Replica| match tombstones {
            true => replica.tombstones(Tombstones::keep(Duration::from_secs(1_000))),
            false => replica.reread(source.clone()),
        };
        let even = |generation| {
            let replica = Replica::new(target.clone()).shape(Shape::new().only_if(wants_even));
            dispatcher(kind(replica).generation(generation))
        };
        let values = async || (value(&target, 1).await, value(&target, 2).await, value(&target, 3).await);
        dispatch(&even(0), &[put(0, 1, 2, None), scanned(2, 4, 1), scanned(3, 6, 1)]).await;
        assert_eq!(values().await, (Some(2), Some(4), Some(6)));

        let changed = [row(1, 3), row(2, 5), row(3, 8)];
        let changed = changed.map(|row| RowWrite::put(item([("PK", row["PK"].clone())]), row));
        source.write_batch(&changed).await.expect("rows that fit");
        let page = [scanned(1, 3, 2), scanned(2, 5, 2), scanned(3, 8, 2)];
        let report = dispatch(&even(0), &page).await;
        assert_eq!((report.applied, report.skipped.get(&Skip::Stale)), (2, Some(&1)));
        assert_eq!(values().await, (Some(2), None, Some(8)), "a later snapshot tells of it, but not above the stream");

        let report = dispatch(&even(1), &page).await;
        assert_eq!((report.applied, values().await), (3, (None, None, Some(8))), "in a later generation it does");
    }
}

#[tokio::test]
async fn a_row_of_a_snapshot_that_is_wanted_no_more_leaves_a_plain_replica() {
    let target = memory("Target");
    let even = dispatcher(Replica::plain(target.clone()).shape(Shape::new().only_if(wants_even)));
    dispatch(&even, &[put(0, 1, 2, None)]).await;
    assert_eq!(dispatch(&even, &[scanned(1, 3, 2), scanned(2, 5, 2)]).await.applied, 2);
    assert_eq!(target.rows().len(), 0);
}

#[tokio::test]
async fn a_transformation_may_fail_for_one_record() {
    fn odd(row: Item) -> Result<Item, Failure> {
        match row.get("value") {
            Some(AttributeValue::N(value)) if value == "13" => Err(Failure::reject("unlucky")),
            Some(AttributeValue::N(value)) if value == "14" => panic!("planned panic"),
            _ => Ok(row),
        }
    }
    let target = memory("Target");
    let (report, reasons) =
        rejects(Replica::new(target.clone()).transform(odd), &[put(0, 1, 13, None), put(1, 2, 5, None)]).await;
    assert_eq!((report.dead_lettered, report.applied, value(&target, 2).await), (1, 1, Some(5)));
    assert!(reasons[0].contains("unlucky"), "{reasons:?}");
    let (report, _) =
        rejects(Replica::new(target.clone()).transform(odd), &[put(2, 2, 6, Some(5)), put(3, 1, 14, None)]).await;
    assert!(cause(&report).contains("panicked"));
    assert_eq!((report.applied, value(&target, 2).await), (1, Some(6)), "its neighbour is written");
}

#[tokio::test]
async fn a_row_under_another_key_is_rejected() {
    let masked = |name: &'static str| Shape::new().mask(name, text("***"));
    for shape in [masked("PK"), Shape::new().drop("PK")] {
        let target = memory("Target");
        let (report, reasons) = rejects(Replica::new(target.clone()).shape(shape), &[put(0, 1, 5, None)]).await;
        assert_eq!((report.dead_lettered, target.rows().len()), (1, 0));
        assert!(reasons[0].contains("table `Target` changes the key attribute `PK`"), "{reasons:?}");
    }
}

#[tokio::test]
async fn a_row_that_is_too_large_after_its_transformation_is_rejected() {
    fn grown(mut row: Item) -> impl IntoRow {
        row.insert("more".into(), text("x".repeat(400_000)));
        row.insert("still more".into(), text("y".repeat(20_000)));
        row
    }
    for replica in [Replica::new as fn(_) -> Replica, Replica::plain] {
        let target = memory("Target");
        let (report, reasons) = rejects(replica(target.clone()).transform(grown), &[put(0, 1, 5, None)]).await;
        assert_eq!((report.dead_lettered, report.unfinished, target.rows().len()), (1, None, 0));
        assert!(reasons[0].contains("larger than the 400 KB that an item of table `Target`"), "{reasons:?}");
        let report = dispatch(&dispatcher(replica(target).transform(grown)), &[put(0, 1, 5, None)]).await;
        assert!(cause(&report).contains("400 KB"), "without a sink for dead letters it is not lost");
    }
}

#[tokio::test]
async fn a_missing_permission_loses_nothing() {
    let target = Arc::new(Mutex::new(true));
    let denied = Arc::clone(&target);
    let table = Memory::new("Target", ["PK"]).with_faults(move |_, _| {
        let error =
            TableError::Denied { table: "Target".into(), source: Arc::from(Box::from("AccessDeniedException")) };
        if *denied.lock().expect("no panic under the lock") { Fault::Before(error) } else { Fault::None }
    });
    let table = Arc::new(table);
    let dispatcher = dispatcher(Replica::new(table.clone()));
    let records = [put(0, 1, 5, None), put(1, 2, 6, None)];
    let report = dispatch(&dispatcher, &records).await;
    assert_eq!((report.redelivered, table.rows().len()), (2, 0));
    let said = cause(&report);
    assert!(said.contains("access to table `Target` is denied; allow `dynamodb:PutItem`"), "{said}");
    *target.lock().expect("no panic under the lock") = false;
    assert_eq!(dispatch(&dispatcher, &records).await.applied, 2);
}

#[tokio::test]
async fn keys_that_the_target_does_not_have_are_rejected() {
    for replica in [Replica::new as fn(_) -> Replica, Replica::plain] {
        let other = Arc::new(Memory::new("Target", ["id"]));
        let (report, reasons) = rejects(replica(other.clone()), &[put(0, 1, 5, None), remove(1, 2)]).await;
        assert_eq!((report.dead_lettered, report.unfinished, other.rows().len()), (2, None, 0));
        assert!(reasons.iter().all(|reason| reason.contains("table `Target` refuses the row; compare its keys")));
    }
}

#[tokio::test]
async fn a_tombstone_stays_where_a_row_was() {
    let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let stones = || Tombstones::keep(Duration::from_secs(100)).attribute("ttl").clock(move || now);
    let target = memory("Target");
    let replica = dispatcher(Replica::new(target.clone()).tombstones(stones()));
    dispatch(&replica, &[put(0, 1, 5, None), put(1, 2, 6, None), remove(2, 1)]).await;
    let stone = target.read(key(1)).await.expect("a readable table").expect("a tombstone");
    assert!(is_tombstone(&stone) && !stone.contains_key("value"));
    assert_eq!(stone["ttl"], AttributeValue::N("1000100".into()));
    dispatch(&replica, &[put(3, 1, 7, None)]).await;
    assert_eq!(value(&target, 1).await, Some(7), "a new item takes its place");
    let reborn = target.read(key(1)).await.expect("a readable table").expect("a row");
    assert!(!reborn.contains_key("ttl"), "and does not expire");
}

/// A table with tombstones is replicated further by somebody who keeps none.
#[tokio::test]
async fn the_tombstones_of_the_source_are_deletions() {
    let target = memory("Target");
    let mut stone = put(1, 1, 5, Some(5));
    stone["dynamodb"]["NewImage"]["anabranchDeleted"] = json!({"N": "1000000"});
    dispatch(&dispatcher(Replica::new(target.clone())), &[put(0, 1, 5, None)]).await;
    assert_eq!(dispatch(&dispatcher(Replica::new(target.clone())), &[stone]).await.applied, 1);
    assert_eq!(target.rows().len(), 0);
}

/// What tombstones are for: the worker of a timed-out invocation writes after the deletion was handled.
#[tokio::test]
async fn a_late_put_brings_a_row_back_unless_there_is_a_tombstone() {
    for (tombstones, left) in [(true, None), (false, Some(5))] {
        let target = memory("Target");
        let replica = Replica::new(target.clone());
        let keep = Tombstones::keep(Duration::from_secs(1_000));
        let replica = dispatcher(if tombstones { replica.tombstones(keep) } else { replica });
        let records = [put(0, 1, 5, None), remove(1, 1)];
        dispatch(&replica, &records).await;
        dispatch(&replica, &records[..1]).await;
        assert_eq!(value(&target, 1).await, left);
        dispatch(&replica, &records).await;
        assert_eq!(value(&target, 1).await, None, "the whole batch again ends as it ended");
    }
}

#[tokio::test]
async fn an_archive_keeps_what_has_expired() {
    let target = memory("Target");
    let records = [put(0, 1, 5, None), put(1, 2, 6, None), expired(2, 1), remove(3, 2)];
    let report = dispatch(&dispatcher(Replica::new(target.clone()).ignore_expired()), &records).await;
    assert_eq!(report.skipped.get(&Skip::Filtered), Some(&1));
    assert_eq!((value(&target, 1).await, value(&target, 2).await), (Some(5), None));
    dispatch(&dispatcher(Replica::new(target.clone())), &records).await;
    assert_eq!(value(&target, 1).await, None, "other replicas follow");
}

#[tokio::test]
async fn two_targets_are_two_replicas_on_one_route() {
    let (whole, some) = (memory("Whole"), memory("Some"));
    let both = Replica::new(whole.clone()).and(Replica::new(some.clone()).shape(Shape::new().only_if(wants_even)));
    let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(both));
    let report = dispatch(&dispatcher, &[put(0, 1, 5, None), put(1, 2, 6, None)]).await;
    assert_eq!((report.applied, whole.rows().len(), some.rows().len()), (2, 2, 1));
}

#[tokio::test]
async fn a_snapshot_needs_tombstones_or_the_source() {
    let target = memory("Target");
    let report = dispatch(&dispatcher(Replica::new(target.clone())), &[scanned(1, 5, 1)]).await;
    assert_eq!((report.redelivered, target.rows().len()), (1, 0));
    let said = cause(&report);
    assert!(said.contains("table `Target` cannot take rows of a snapshot") && said.contains("reread"), "{said}");
    assert!(Replica::new(target.clone()).sweep(&["PK"], []).await.is_err());
    let stones = Replica::new(target.clone()).tombstones(Tombstones::keep(Duration::from_secs(1_000)));
    assert_eq!(dispatch(&dispatcher(stones), &[scanned(1, 5, 1)]).await.applied, 1);
}

async fn source(rows: &[Item]) -> Arc<Memory> {
    let source = memory("Rows");
    let writes: Vec<_> = rows.iter().map(|row| RowWrite::put(item([("PK", row["PK"].clone())]), row.clone())).collect();
    source.write_batch(&writes).await.expect("rows that fit");
    source
}

#[tokio::test]
async fn a_row_of_a_snapshot_goes_if_its_item_is_gone() {
    let (source, target) = (source(&[row(2, 6), row(3, 7)]).await, memory("Target"));
    let replica = Replica::new(target.clone()).reread(source).shape(Shape::new().only_if(wants_even));
    let report = dispatch(&dispatcher(replica), &[scanned(1, 4, 1), scanned(2, 4, 1), scanned(3, 4, 1)]).await;
    assert_eq!((report.applied, report.skipped.get(&Skip::Stale), report.unfinished), (1, Some(&2), None));
    assert_eq!(value(&target, 1).await, None, "gone");
    assert_eq!(value(&target, 2).await, Some(4), "there; that it is another one now, the stream will tell");
    assert_eq!(value(&target, 3).await, None, "there, but nobody wants it any more");
}

#[tokio::test]
async fn a_snapshot_loses_against_the_stream_and_against_later_ones() {
    let (source, target) = (source(&[row(1, 5), row(2, 5)]).await, memory("Target"));
    let replica = dispatcher(Replica::new(target.clone()).reread(source));
    dispatch(&replica, &[put(0, 1, 5, None), scanned(2, 9, 3)]).await;
    let report = dispatch(&replica, &[scanned(1, 4, u64::from(u32::MAX)), scanned(2, 8, 2)]).await;
    assert_eq!(report.skipped.get(&Skip::Stale), Some(&2));
    assert_eq!((value(&target, 1).await, value(&target, 2).await), (Some(5), Some(9)));
    let mixed = [timely(put(1, 2, 7, Some(9))), scanned(2, 8, 9)];
    assert_eq!(dispatch(&replica, &mixed).await.applied, 2);
    assert_eq!(value(&target, 2).await, Some(7), "also within one batch");
}

/// Makes a replica one of its kind.
type Kind<'a> = dyn Fn(Replica) -> Replica + 'a;

/// A change as it is when nothing holds it up.
fn timely(mut record: Value) -> Value {
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    record["dynamodb"]["ApproximateCreationDateTime"] = json!(now.as_secs());
    record
}

/// An insert was given up, the deletion of its item was handled, and then the insert is handed over again.
#[tokio::test]
async fn a_redriven_change_brings_nothing_back_that_is_gone() {
    let (source, stones) = (source(&[row(2, 6), row(3, 7)]).await, Tombstones::keep(Duration::from_secs(1_000)));
    let kinds: [(&str, &Kind, Option<u64>); 4] = [
        ("nothing", &|replica| replica, Some(4)),
        ("tombstones", &|replica| replica.tombstones(stones.clone()), None),
        ("the source", &|replica| replica.reread(source.clone()), None),
        ("both", &|replica| replica.tombstones(stones.clone()).reread(source.clone()), None),
    ];
    for (kind, with, left) in kinds {
        let target = memory("Target");
        let replica = dispatcher(with(Replica::new(target.clone())).shape(Shape::new().only_if(wants_even)));
        dispatch(&replica, &[remove(4, 1), put(5, 3, 7, Some(8))]).await;
        let given_up = [put(1, 1, 4, None), put(2, 2, 6, None), put(3, 3, 8, None)];
        for _ in 0..2 {
            assert_eq!(dispatch(&replica, &given_up).await.unfinished, None);
            assert_eq!(value(&target, 1).await, left, "with {kind}, an item that is gone");
            assert_eq!(value(&target, 2).await, Some(6), "with {kind}, one that is there");
            assert_eq!(value(&target, 3).await, left.map(|_| 8), "with {kind}, one that nobody wants any more");
        }
        dispatch(&replica, &[put(6, 1, 2, None)]).await;
        dispatch(&replica, &given_up).await;
        assert_eq!(value(&target, 1).await, if kind == "the source" { None } else { Some(2) }, "{kind}");
    }
}

/// What is late costs a read, what is not costs none; an archive asks nobody.
#[tokio::test]
async fn items_are_read_again_of_late_changes_only() {
    let reads = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&reads);
    let source = Arc::new(Memory::new("Rows", ["PK"]).with_faults(move |_, _| {
        *counted.lock().expect("no panic under the lock") += 1;
        Fault::None
    }));
    let mut unknown = timely(put(4, 4, 6, None));
    unknown["dynamodb"].as_object_mut().expect("a change").remove("ApproximateCreationDateTime");
    // Times are rounded to seconds, and clocks differ.
    let mut early = timely(put(2, 2, 6, None));
    early["dynamodb"]["ApproximateCreationDateTime"] = json!(9_000_000_000_u64);
    let fresh = [timely(put(1, 1, 6, None)), early];
    let late = [put(3, 3, 6, None), unknown];
    let kinds: [(&Kind, [usize; 2]); 5] = [
        (&|replica| replica, [0, 2]),
        (&|replica| replica.late_after(Duration::MAX), [0, 0]),
        (&|replica| replica.late_after(Duration::ZERO), [2, 2]),
        (&|replica| replica.ignore_expired(), [0, 0]),
        (&|replica| replica.tombstones(Tombstones::keep(Duration::from_secs(1_000))), [0, 0]),
    ];
    for (n, (kind, asked)) in kinds.into_iter().enumerate() {
        let replica = dispatcher(kind(Replica::new(memory("Target")).reread(source.clone())));
        for (records, asked) in [&fresh, &late].into_iter().zip(asked) {
            *reads.lock().expect("no panic under the lock") = 0;
            let report = dispatch(&replica, records).await;
            assert_eq!((report.applied, report.unfinished), (2 - asked, None), "kind {n}: the source has none of them");
            assert_eq!(*reads.lock().expect("no panic under the lock"), asked, "kind {n}");
        }
    }
}

/// A late change is only done with when the source has answered; a second attempt finds its row, and asks again.
#[tokio::test]
async fn a_late_change_that_could_not_be_confirmed_is_asked_for_again() {
    let (source, target) = (source(&[]).await, memory("Target"));
    let failure = source.failure();
    let broken = Memory::new("Rows", ["PK"]).with_faults(move |_, _| Fault::Before(failure.clone()));
    let late = [put(1, 1, 4, None)];
    let report = dispatch(&dispatcher(Replica::new(target.clone()).reread(broken)), &late).await;
    assert_eq!((report.redelivered, value(&target, 1).await), (1, Some(4)), "written, and not confirmed");
    let report = dispatch(&dispatcher(Replica::new(target.clone()).reread(source)), &late).await;
    assert_eq!((report.unfinished, value(&target, 1).await), (None, None));
}

/// A hundred rows are confirmed by one request.
#[tokio::test]
async fn items_are_read_again_a_hundred_at_a_time() {
    let reads = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&reads);
    let rows: Vec<_> = (0..25).map(|n| row(n, 1)).collect();
    let source = Arc::new(Memory::new("Rows", ["PK"]).with_faults(move |operation, _| {
        assert!(matches!(operation, Operation::Batch | Operation::ReadBatch), "{operation:?}");
        *counted.lock().expect("no panic under the lock") += usize::from(operation == Operation::ReadBatch);
        Fault::None
    }));
    let writes: Vec<_> = rows.iter().map(|row| RowWrite::put(item([("PK", row["PK"].clone())]), row.clone())).collect();
    source.write_batch(&writes).await.expect("rows that fit");
    let page: Vec<_> = (0..25).map(|n| scanned(n, 1, 1)).collect();
    let replica = dispatcher(Replica::new(memory("Target")).reread(source));
    assert_eq!(dispatch(&replica, &page).await.applied, 25);
    assert_eq!(*reads.lock().expect("no panic under the lock"), 25, "each key once");
}

/// A worker has written a row of a snapshot and crashed, and its item is gone when the page is read again.
#[tokio::test]
async fn a_sweep_finds_what_a_crash_has_left() {
    let (source, target) = (source(&[row(2, 5)]).await, memory("Target"));
    let failure = source.failure();
    let broken = Memory::new("Rows", ["PK"]).with_faults(move |_, _| Fault::Before(failure.clone()));
    let crashes = dispatcher(Replica::new(target.clone()).reread(broken));
    let report = dispatch(&crashes, &[scanned(1, 4, 1), scanned(2, 4, 1)]).await;
    assert_eq!(report.redelivered, 2, "written, and not confirmed");
    dispatch(&dispatcher(Replica::new(target.clone())), &[put(0, 3, 9, None)]).await;

    let replica = Replica::new(target.clone()).reread(source);
    let gone = replica.sweep(&["PK"], target.rows()).await.expect("nothing fails");
    assert_eq!(gone, 1);
    let values = [value(&target, 1).await, value(&target, 2).await, value(&target, 3).await];
    assert_eq!(values, [None, Some(4), Some(9)], "what the stream has written is none of its business");
}

/// The setting of another environment: nothing of it would be there, and every late row would go.
#[tokio::test]
async fn records_of_another_table_than_the_source_are_not_touched() {
    let (source, target) = (memory("Staging"), memory("Target"));
    let named = |table: &str| {
        let mut record = put(1, 1, 4, None);
        record["eventSourceARN"] = format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{table}/stream/x").into();
        record
    };
    let replica = || Replica::new(target.clone()).reread(source.clone());
    for replica in [replica(), replica().late_after(Duration::MAX)] {
        let report = dispatch(&dispatcher(replica), &[named("Production")]).await;
        let cause = report.unfinished.expect("it is not lost").cause.to_string();
        assert!(cause.contains("table/Production/stream/x") && cause.contains("`Staging`"), "{cause}");
        assert_eq!(target.rows().len(), 0);
    }
    assert_eq!(dispatch(&dispatcher(replica()), &[named("Staging")]).await.unfinished, None);
    let stones = replica().tombstones(Tombstones::keep(Duration::from_secs(1_000)));
    assert_eq!(dispatch(&dispatcher(stones), &[named("Production")]).await.applied, 1, "nobody is asked");
}

/// Over the real API: conditions, consistent reads in batches, and what the service says of keys that it does not have.
#[cfg(feature = "cli")]
mod embedded {
    use anabranch::{
        sink::table::DynamoDb,
        testing::embedded::{Embedded, EmbeddedError},
    };
    use aws_sdk_dynamodb::types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType,
        ScalarAttributeType::{self, N, S},
    };

    use super::*;

    async fn create(embedded: &Embedded, name: &str, key: &str, kind: ScalarAttributeType) -> Arc<DynamoDb> {
        let client = embedded.dynamodb();
        let attribute = AttributeDefinition::builder().attribute_name(key).attribute_type(kind).build();
        let key = KeySchemaElement::builder().attribute_name(key).key_type(KeyType::Hash).build();
        let create = client.create_table().table_name(name).billing_mode(BillingMode::PayPerRequest);
        let create = create.attribute_definitions(attribute.expect("name and type"));
        create.key_schema(key.expect("name and kind")).send().await.expect("a new table");
        Arc::new(DynamoDb::new(client, name))
    }

    #[tokio::test]
    async fn snapshots_and_tombstones_keep_their_rules() -> Result<(), EmbeddedError> {
        let embedded = Embedded::start().await?;
        let (source, target) = (create(&embedded, "Rows", "PK", S).await, create(&embedded, "Target", "PK", S).await);
        source.write_batch(&[RowWrite::put(key(2), row(2, 6))]).await.expect("a row that fits");
        let rereads = dispatcher(Replica::new(target.clone()).reread(source));
        dispatch(&rereads, &[scanned(1, 4, 1), scanned(2, 4, 1)]).await;
        assert_eq!((value(&target, 1).await, value(&target, 2).await), (None, Some(4)));
        let buries = Replica::new(target.clone()).tombstones(Tombstones::keep(Duration::from_secs(1_000)));
        let buries = dispatcher(buries);
        dispatch(&buries, &[put(0, 1, 5, None), put(1, 2, 6, None), remove(2, 1)]).await;
        let report = dispatch(&buries, &[put(0, 1, 5, None), scanned(2, 4, 9)]).await;
        assert_eq!(report.skipped.get(&Skip::Stale), Some(&2));
        assert_eq!((value(&target, 1).await, value(&target, 2).await), (None, Some(6)));
        embedded.stop().await
    }

    #[tokio::test]
    async fn keys_of_another_name_or_type_are_rejected_one_by_one() -> Result<(), EmbeddedError> {
        let embedded = Embedded::start().await?;
        let others = [create(&embedded, "OtherName", "id", S).await, create(&embedded, "OtherType", "PK", N).await];
        for other in others {
            for replica in [Replica::new as fn(_) -> Replica, Replica::plain] {
                let (report, reasons) = rejects(replica(other.clone()), &[put(0, 1, 5, None), remove(1, 2)]).await;
                assert_eq!((report.dead_lettered, report.unfinished), (2, None));
                let named = format!("table `{}` refuses the row; compare its keys", other.name());
                assert!(reasons.iter().all(|reason| reason.contains(&named)), "{reasons:?}");
            }
        }
        embedded.stop().await
    }
}
