//! The cases that have names: what tutorials get wrong, bad input, rebuilding, a view in its own source.

use std::sync::Arc;

use anabranch::{
    dispatch::Dispatcher,
    handler::{Context, Deadline, Skip},
    record::{NewImage, Record},
    router::Router,
    sink::{
        dead_letter,
        table::{
            Action, AttributeValue, CancellationClass, Decimal, Fault, Memory, Operation, Table, TransactTable, Update,
            item, text,
        },
    },
    view::{Contribution, Row, View},
};
use serde_json::{Value, json};

use crate::world::*;

fn inserts(count: usize) -> Vec<Value> {
    let steps = (0..count).map(|n| (n as u8, Some((0, 10, n as u8)))).collect();
    Source { steps, ..Source::default() }.stream()
}

/// `UpdateExpression: "ADD activityCount :inc"` on every INSERT, as tutorials have it.
async fn naive(table: Arc<Memory>, record: Record<Thing, NewImage>) -> Result<(), anabranch::handler::Failure> {
    if let anabranch::record::Change::Insert { new } = record.change {
        let key = item([("PK", text("GROUP")), ("SK", text(new.group.to_string()))]);
        table.transact(&[Action::update(key, Update::new().add("count", Decimal::ONE))]).await?;
    }
    Ok(())
}

#[tokio::test]
async fn add_on_insert_counts_twice_under_redelivery_and_a_view_does_not() {
    let (wrong, right) = (Arc::new(memory()), Arc::new(memory()));
    let target = Arc::clone(&wrong);
    let handler = move |record| naive(Arc::clone(&target), record);
    let naive = Dispatcher::new(Router::<NewImage>::new().every(handler));
    let view = aggregate(Arc::clone(&right));
    let ours = dispatcher(view.clone());
    for _ in 0..2 {
        dispatch(&naive, &inserts(3)).await;
        dispatch(&ours, &inserts(3)).await;
    }
    let counted = wrong.read(item([("PK", text("GROUP")), ("SK", text("0"))])).await.unwrap().unwrap();
    assert_eq!(counted["count"], AttributeValue::N("6".into()), "three items, counted twice");
    assert_eq!(view.reader().read("GROUP", "0").await.unwrap().unwrap().number("count"), 3.into());
}

#[tokio::test]
async fn a_second_delivery_is_stale() {
    let ours = dispatcher(aggregate(memory()));
    assert_eq!(dispatch(&ours, &inserts(3)).await.applied, 3);
    assert_eq!(dispatch(&ours, &inserts(3)).await.skipped.get(&Skip::Stale), Some(&3));
}

#[tokio::test]
async fn the_removed_extreme_is_followed_by_the_next() {
    let view = aggregate(memory());
    let ours = dispatcher(view.clone());
    let steps: Vec<_> = (0..5).map(|n| (n, Some((0, i64::from(n) * 10, n)))).collect();
    let gone = [(4, None), (0, None), (3, None)];
    let source = Source { steps: steps.into_iter().chain(gone).collect(), ..Source::default() };
    drain(&ours, &source.stream(), &[1]).await;
    let row = view.reader().read("GROUP", "0").await.unwrap().unwrap();
    assert_eq!(row.value("least"), Some(&AttributeValue::N("10".into())));
    assert_eq!(row.value("most"), Some(&AttributeValue::N("20".into())));
    assert_eq!(row.value("last"), Some(&text("item-2")));
    assert_eq!(row.average("mean", 1), Some(15.into()));
}

#[tokio::test]
async fn a_function_that_panics_is_its_record_s_reject() {
    let letters = Arc::new(dead_letter::Memory::default());
    let view = aggregate(memory());
    let router = Router::<NewImage>::new().every(view.clone());
    let ours = Dispatcher::with_dead_letters(router, letters.clone());
    let source =
        Source { steps: vec![(0, Some((0, 1, 0))), (1, Some((99, 1, 0))), (2, Some((0, 1, 0)))], ..Source::default() };
    let report = dispatch(&ours, &source.stream()).await;
    assert_eq!((report.applied, report.dead_lettered), (2, 1));
    assert!(letters.letters()[0].reason.contains("the view's function panicked"));
    assert_eq!(view.reader().read("GROUP", "0").await.unwrap().unwrap().items(), 2.into());
}

/// What is refused for its own sake, and what the dead letter says of it.
async fn refused(view: View<Thing>, says: &str) {
    let letters = Arc::new(dead_letter::Memory::default());
    let ours = Dispatcher::with_dead_letters(Router::<NewImage>::new().every(view), letters.clone());
    let report = dispatch(&ours, &inserts(1)).await;
    let reason = letters.letters().first().map(|letter| letter.reason.to_string()).unwrap_or_default();
    assert!(report.dead_lettered == 1 && reason.contains(says), "{reason:?}");
    assert!(!reason.contains("item-0"), "a key is shown: {reason}");
}

#[tokio::test]
async fn bad_input_is_rejected_with_its_reason() {
    let with = |function: fn(&Thing) -> Vec<Contribution>| View::aggregate("bad", memory(), function);
    let many = |_: &Thing| (0..50).map(|n| Contribution::to("p", n.to_string())).collect();
    refused(with(many), "50 rows of the view, of which it may have 49").await;
    refused(with(|_| vec![Contribution::to("p", "s").count("PK")]), "attribute `PK` is the view's own").await;
    let inexact = |_: &Thing| {
        let amounts = ["1E60", "1"].map(|amount| amount.parse::<Decimal>().expect("a number"));
        amounts.map(|amount| Contribution::to("p", "s").sum("sum", amount)).into()
    };
    refused(with(inexact), "`sum` takes more than 38").await;
    let wrong = View::aggregate("keys", Memory::new("T", ["id"]), contributions);
    refused(wrong, "compare its keys").await;
    let giant = View::project("giant", memory(), |_: &Thing| {
        vec![Row::at("p", "s").set("huge", AttributeValue::B(vec![0; 500_000]))]
    });
    refused(giant, "400 KB").await;
}

#[tokio::test]
async fn one_item_that_does_not_fit_spares_its_neighbours() {
    let letters = Arc::new(dead_letter::Memory::default());
    let table = Arc::new(memory());
    let text_row = item([("PK", text("GROUP")), ("SK", text("1")), ("count", text("no number"))]);
    let key = item([("PK", text("GROUP")), ("SK", text("1"))]);
    table.transact(&[Action::put(key, text_row)]).await.unwrap();
    let view = aggregate(Arc::clone(&table));
    let ours = Dispatcher::with_dead_letters(Router::<NewImage>::new().every(view.clone()), letters.clone());
    let steps = (0..6).map(|n| (n, Some((u8::from(n == 3), 10, n)))).collect();
    let report = dispatch(&ours, &Source { steps, ..Source::default() }.stream()).await;
    assert_eq!((report.applied, report.dead_lettered), (5, 1), "{report:?}");
    assert_eq!(view.reader().read("GROUP", "0").await.unwrap().unwrap().items(), 5.into());
}

/// What is said of transactions that are cancelled each time.
async fn endless(class: CancellationClass) -> String {
    let table = memory().with_faults(move |operation, _| match operation {
        Operation::Transact => Fault::Cancelled(class),
        _ => Fault::None,
    });
    let report = dispatch(&dispatcher(aggregate(table)), &inserts(2)).await;
    assert_eq!((report.applied, report.redelivered), (0, 2));
    report.unfinished.expect("the first").cause.to_string()
}

#[tokio::test(start_paused = true)]
async fn endless_conflicts_are_a_retry() {
    let reason = endless(CancellationClass::Conflict).await;
    assert!(reason.contains("12 attempts") && reason.contains("`shards`"), "{reason}");
}

/// The same want of capacity each time is no contention, and is not mended as one.
#[tokio::test(start_paused = true)]
async fn endless_throttles_are_told_as_such() {
    let reason = endless(CancellationClass::Throttled).await;
    assert!(reason.contains("throttle") && !reason.contains("`shards`"), "{reason}");
}

/// What is in a row from before it had shards, or had more of them, counts until a rebuild has moved it.
#[tokio::test]
async fn the_number_of_shards_can_change_under_a_reader() {
    let table = Arc::new(memory());
    let count = async |shards: u16, before: u16, steps: Vec<Step>| {
        let view = aggregate(Arc::clone(&table)).shards(shards).shards_before(before);
        dispatch(&dispatcher(view.clone()), &Source { steps, ..Source::default() }.stream()).await;
        let row = view.reader().read("GROUP", "0").await.unwrap().expect("a row");
        (row.items(), row.number("sum"), row.value("least").cloned())
    };
    let expected =
        |items: i64, sum: i64, least: i64| (items.into(), sum.into(), Some(AttributeValue::N(least.to_string())));
    let mut steps: Vec<Step> = (0..20).map(|n| (n, Some((0, 10, n)))).collect();
    assert_eq!(count(1, 1, steps.clone()).await, expected(20, 200, 10));
    steps.extend((0..5).map(|n| (n, Some((0, 11, n)))));
    assert_eq!(count(8, 1, steps.clone()).await, expected(20, 205, 10), "five have moved to their shards");
    steps.extend((5..20).map(|n| (n, Some((0, 12, n)))));
    assert_eq!(count(8, 1, steps.clone()).await, expected(20, 235, 11), "all have moved");
    steps.push((0, Some((0, 13, 0))));
    assert_eq!(count(2, 8, steps).await, expected(20, 237, 11), "there are fewer now");
}

/// The transaction is done, and its answer never comes: a crash in the widest sense.
#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_ends_at_the_deadline_and_counts_once() {
    let mut asked = 0;
    let table = Arc::new(memory().with_faults(move |operation, _| {
        asked += usize::from(operation == Operation::Transact);
        if asked == 1 { Fault::Hang } else { Fault::None }
    }));
    let view = aggregate(Arc::clone(&table));
    let ours = dispatcher(view.clone());
    let deadline = Deadline::after(std::time::Duration::from_secs(10));
    let context = Context { deadline, ..Context::default() };
    let payload = json!({ "Records": inserts(3) }).to_string().into_bytes();
    let report = ours.dispatch(payload, &context).await.unwrap();
    assert_eq!((report.applied, report.redelivered), (0, 3));
    assert!(report.unfinished.unwrap().cause.to_string().contains("before the deadline"));
    assert_eq!(dispatch(&ours, &inserts(3)).await.skipped.get(&Skip::Stale), Some(&3));
    assert_eq!(view.reader().read("GROUP", "0").await.unwrap().unwrap().items(), 3.into());
}

#[tokio::test(start_paused = true)]
async fn a_projected_row_of_another_item_is_a_reject() {
    let letters = Arc::new(dead_letter::Memory::default());
    let view = View::project("one", memory(), |thing: &Thing| vec![Row::at("SAME", thing.group.to_string())]);
    let ours = Dispatcher::with_dead_letters(Router::<NewImage>::new().every(view), letters.clone());
    let report = dispatch(&ours, &inserts(2)).await;
    assert_eq!((report.applied, report.dead_lettered), (1, 1));
    assert!(letters.letters()[0].reason.contains("belongs to another item"));
}

/// Every row that a view wrote comes back as a record, as it does in the view's own source table.
#[tokio::test]
async fn a_view_in_its_own_source_does_not_feed_itself() {
    let table = Arc::new(memory());
    let view = aggregate(Arc::clone(&table)).entity("entityType", "GROUPS");
    let ours = dispatcher(view);
    dispatch(&ours, &inserts(2)).await;
    let before = table.rows();
    let echo = |(n, row): (usize, &anabranch::sink::table::Item)| {
        let keys = json!({"PK": row["PK"], "SK": row["SK"]});
        let [name, image] = if n % 2 == 0 { ["INSERT", "NewImage"] } else { ["REMOVE", "OldImage"] };
        json!({"eventName": name, "dynamodb": {"SequenceNumber": (n + 900).to_string(), "Keys": keys, image: row}})
    };
    let echoes: Vec<_> = before.iter().enumerate().map(echo).collect();
    let report = dispatch(&ours, &echoes).await;
    assert_eq!(report.skipped.get(&Skip::Ignored), Some(&before.len()));
    assert_eq!(table.rows().len(), before.len());
    assert!(before.iter().all(|row| row["entityType"] == text("GROUPS")));
}

#[tokio::test]
async fn removed_items_leave_a_tombstone_that_expires() {
    let table = Arc::new(memory());
    let keep = std::time::Duration::from_secs(7 * 86_400);
    let ours = dispatcher(aggregate(Arc::clone(&table)).tombstones("expiresAt", keep));
    let source = Source { steps: vec![(0, Some((0, 1, 0))), (0, None)], ..Source::default() };
    drain(&ours, &source.stream(), &[1]).await;
    let stones: Vec<_> = table.rows().into_iter().filter(|row| row.contains_key("expiresAt")).collect();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!(matches!(&stones[..], [stone] if (number(&stone["expiresAt"]) - now - 7 * 86_400).abs() < 60));
    let report = dispatch(&ours, &source.snapshot(1)).await;
    assert_eq!(report.skipped.get(&Skip::Stale), Some(&1), "a row that a scan read before the remove");
}

/// Rebuilds whatever a group's row says in `x`, item by item and live, and answers with what it says after each.
async fn rebuilt(
    before: fn(&Thing) -> Contribution,
    after: fn(&Thing) -> Contribution,
) -> (Vec<Option<AttributeValue>>, Option<String>) {
    let table = Arc::new(memory());
    let view = |function: fn(&Thing) -> Contribution, generation| {
        let function = move |thing: &Thing| vec![function(thing)];
        View::aggregate("x", Arc::clone(&table), function).generation(generation)
    };
    let steps = [10, 3, 7].into_iter().enumerate().map(|(n, amount)| (n as u8, Some((0, amount, n as u8)))).collect();
    let mut source = Source { steps, ..Source::default() };
    drain(&dispatcher(view(before, 0)), &source.stream(), &[3]).await;
    source.steps.extend([(1, Some((0, 4, 1))), (2, None)]);
    let (next, mut said) = (view(after, 1), Vec::new());
    let live = source.stream().into_iter().skip(3);
    for record in source.snapshot(3).into_iter().take(1).chain(live) {
        let report = dispatch(&dispatcher(next.clone()), &[record]).await;
        if let Some(unfinished) = report.unfinished {
            return (said, Some(unfinished.cause.to_string()));
        }
        let row = next.reader().read("GROUP", "0").await.expect("nothing fails").expect("a row");
        said.push(row.value("x").cloned());
    }
    (said, None)
}

#[tokio::test]
async fn a_rebuild_may_turn_a_minimum_into_a_maximum() {
    fn least(thing: &Thing) -> Contribution {
        Contribution::to("GROUP", thing.group.to_string()).min("x", thing.amount)
    }
    fn most(thing: &Thing) -> Contribution {
        Contribution::to("GROUP", thing.group.to_string()).max("x", thing.amount)
    }
    let number = |n: i64| Some(AttributeValue::N(n.to_string()));
    assert_eq!(rebuilt(least, most).await, (vec![number(10); 3], None), "at once, since all are known");
    assert_eq!(rebuilt(most, least).await, (vec![number(3), number(4), number(4)], None));
}

/// What adds up would be added to what won. It waits, and says what to do.
#[tokio::test]
async fn a_rebuild_refuses_to_add_to_what_was_no_sum() {
    fn sum(thing: &Thing) -> Contribution {
        Contribution::to("GROUP", thing.group.to_string()).sum("x", thing.amount)
    }
    fn most(thing: &Thing) -> Contribution {
        Contribution::to("GROUP", thing.group.to_string()).max("x", thing.amount)
    }
    for (before, after) in [(sum as fn(&Thing) -> Contribution, most as fn(&Thing) -> Contribution), (most, sum)] {
        let (said, stopped) = rebuilt(before, after).await;
        assert!(said.is_empty() && stopped.expect("a retry").contains("another name"));
    }
}

/// Another function, a generation higher: live changes and the backfill run side by side, and what went unseen is retired.
#[tokio::test]
async fn a_rebuild_ends_with_the_view_of_the_new_function() {
    let table = Arc::new(memory());
    let steps: Vec<_> = (0..6).map(|n| (n, Some((n % 2, i64::from(n), n)))).collect();
    let mut source = Source { steps, ..Source::default() };
    drain(&both(&table, 1), &source.stream(), &[4]).await;
    // Item 0 goes without a record: its stream was off.
    let doubled =
        |thing: &Thing| vec![Contribution::to("GROUP", thing.group.to_string()).sum("double", thing.amount * 2)];
    let next = View::aggregate("groups", Arc::clone(&table), doubled).generation(1);
    let old = dispatcher(aggregate(Arc::clone(&table)));
    let rebuilt = dispatcher(next.clone());
    source.steps.extend([(1, Some((0, 50, 0))), (2, None)]);
    let stream = source.stream();
    dispatch(&rebuilt, &stream[6..7]).await;
    let late = dispatch(&old, &stream[..7]).await;
    assert!(late.unfinished.expect("a retry").cause.to_string().contains("`generation(1)`"));
    let snapshot: Vec<_> = source.snapshot(7).into_iter().skip(1).collect();
    futures_util::join!(drain(&rebuilt, &snapshot, &[2]), drain(&rebuilt, &stream[7..], &[1]));
    assert_eq!(next.retire(table.rows()).await.unwrap(), 1);
    assert_eq!(next.retire(table.rows()).await.unwrap(), 0);
    let row = async |group| next.reader().read("GROUP", group).await.unwrap().unwrap();
    let (even, odd) = (row("0").await, row("1").await);
    assert_eq!((even.items(), even.number("double")), (2.into(), 108.into()), "items 1 and 4");
    assert_eq!((odd.items(), odd.number("double")), (2.into(), 16.into()), "items 3 and 5");
    assert!(even.value("last").is_none() && even.number("sum").is_zero(), "nothing is left of the old function");
}
